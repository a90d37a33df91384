/**
 * Plants a bug in a copy of the real code: the folders `runtime/kernel` and `runtime/store` are copied, one exact piece of text
 * is replaced, and the copy is loaded. The shipped code has no switch for it, and a text that is no longer there, or there
 * twice, is an error, so that a planted bug cannot go stale unseen.
 */
import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const runtime = join(import.meta.dirname, "../../runtime");

export interface Mutant {
  /** What the bug is, in words. */
  readonly bug: string;
  /** The file below `runtime/`. */
  readonly file: string;
  readonly text: string;
  readonly instead: string;
}

/** Why the bug cannot be planted in the file as it stands; undefined when it can. */
export function whyStale({ bug, file, text }: Mutant, code: string): string | undefined {
  const found = code.split(text).length - 1;
  if (found === 1) return undefined;
  return `cannot plant "${bug}": runtime/${file} has its text ${found} times; write in the mutant what stands there now`;
}

/** Loads a module of the copy, as `load("kernel/kernel.ts")`. The run's temporary folder goes when the tests end. */
export async function plant({ bug, file, text, instead }: Mutant): Promise<(module: string) => Promise<unknown>> {
  const folder = await mkdtemp(join(tmpdir(), "mutant-"));
  await Promise.all(
    ["kernel", "store", "launcher"].map((room) => cp(join(runtime, room), join(folder, room), { recursive: true })),
  );
  const code = await readFile(join(folder, file), "utf8");
  const stale = whyStale({ bug, file, text, instead }, code);
  if (stale !== undefined) throw new Error(stale);
  await writeFile(
    join(folder, file),
    code.replace(text, () => instead),
  );
  return (module) => import(/* @vite-ignore */ pathToFileURL(join(folder, module)).href);
}
