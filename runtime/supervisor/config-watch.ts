/**
 * Notices that one of the files of the configuration has changed, however it was written: in place, or by a new file that takes its
 * name (which is why directories are watched, not files). It tells once it was quiet for a while, and of one that is written all the time
 * after `configChangesMsMax`; what the files hold then is read by whoever is told. Where the system cannot watch (too many watches, a network's file system), the files are looked at in turn.
 */
import { stat, watch } from "node:fs/promises";
import path from "node:path";
import { limits } from "../kernel/limits.ts";
import { makeDebounce } from "./debounce.ts";
import type { Logger } from "./driver.ts";

export interface ConfigWatch {
  /** These files from now on; those that are watched already stay so. */
  follow(files: Iterable<string>): void;
  close(): void;
}

export function watchFiles(onQuiet: () => void, debounceMs: () => number, log: Logger): ConfigWatch {
  const folders = new Map<string, { readonly names: Set<string>; readonly stop: AbortController }>();
  const debounce = makeDebounce(onQuiet, debounceMs, limits.configChangesMsMax);

  const open = (folder: string, names: Set<string>): AbortController => {
    const stop = new AbortController();
    follow(folder, names, stop.signal, debounce.notice).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      log.warn(
        { folder, reason: (error as Error).message },
        `the folder of a config file cannot be watched; its files are looked at every ${limits.configPollMs / 1_000} s`,
      );
      poll(folder, names, stop.signal, debounce.notice);
    });
    return stop;
  };

  return {
    follow(files) {
      const wanted = Map.groupBy(files, (file) => path.dirname(file));
      for (const [folder, { stop }] of folders) {
        if (wanted.has(folder)) continue;
        stop.abort();
        folders.delete(folder);
      }
      for (const [folder, inside] of wanted) {
        const known = folders.get(folder);
        const names = known?.names ?? new Set<string>();
        names.clear();
        for (const file of inside) names.add(path.basename(file));
        if (known === undefined) folders.set(folder, { names, stop: open(folder, names) });
      }
    },
    close() {
      debounce.cancel();
      for (const { stop } of folders.values()) stop.abort();
      folders.clear();
    },
  };
}

async function follow(
  folder: string,
  names: ReadonlySet<string>,
  signal: AbortSignal,
  noticed: () => void,
): Promise<void> {
  // Not every system names the file.
  for await (const { filename } of watch(folder, { signal, persistent: false }))
    if (filename === null || names.has(filename)) noticed();
  if (!signal.aborted) throw new Error("the watch has ended");
}

function poll(folder: string, names: ReadonlySet<string>, signal: AbortSignal, noticed: () => void): void {
  let last: string | undefined;
  const look = async (): Promise<void> => {
    const found = await Promise.all(
      [...names].map((name) =>
        stat(path.join(folder, name)).then(
          ({ mtimeMs, size, ino }) => `${name} ${mtimeMs} ${size} ${ino}`,
          () => name,
        ),
      ),
    );
    const now = found.join("\n");
    if (last !== undefined && last !== now) noticed();
    last = now;
  };
  const timer = setInterval(() => void look(), limits.configPollMs);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer));
  void look();
}
