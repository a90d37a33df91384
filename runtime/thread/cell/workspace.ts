/**
 * Files of the agent's workspace. The permission flag already denies what is outside; this adds what the flag misses (a link
 * inside that points outside is followed) and resolves relative paths where an author expects it.
 */
import type { Stats } from "node:fs";
import type * as FsModule from "node:fs";
import type * as FsPromises from "node:fs/promises";
import type * as PathModule from "node:path";
import { type ErrorCode, failure } from "../../kernel/errors.ts";
import type { Stamp } from "../../kernel/kept-files.ts";
import type { Workspace } from "../actor-port.ts";

export function makeWorkspace(
  root: string,
  fs: typeof FsPromises,
  lstat: typeof FsModule.lstatSync,
  path: typeof PathModule,
): Workspace {
  const inside = (candidate: string): boolean => candidate === root || candidate.startsWith(root + path.sep);

  /** The real path of what exists, or of the nearest folder that does. */
  const realOf = async (full: string): Promise<string> => {
    for (
      let existing = full, rest = "";
      ;
      rest = path.join(path.basename(existing), rest), existing = path.dirname(existing)
    ) {
      if (!inside(existing)) return existing;
      const real = await fs.realpath(existing).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        // The flag denies to look at what a link outside points to.
        if (error.code === "ERR_ACCESS_DENIED") return "";
        throw error;
      });
      if (real !== undefined) return rest === "" ? real : path.join(real, rest);
      // A link that points to nothing would be followed by the write that comes next.
      const link = await fs.lstat(existing).catch(() => undefined);
      if (link?.isSymbolicLink() === true) return "";
    }
  };

  /**
   * What is at the path when no link leads there: then it is inside as it stands. `undefined`: there is a link, or it cannot be said.
   * Without leaving the thread, since each file of a turn is looked at: a look takes microseconds, and ten times as long through the pool (docs/adr/0058).
   */
  const look = (full: string, lookAtRoot = () => lstat(root)): Stats | "missing" | undefined => {
    try {
      let found = lookAtRoot();
      for (let end = root.length; end < full.length; ) {
        if (found.isSymbolicLink()) return undefined;
        const next = full.indexOf(path.sep, end + 1);
        end = next === -1 ? full.length : next;
        const stats = lstat(full.slice(0, end), { throwIfNoEntry: false });
        if (stats === undefined) return "missing";
        found = stats;
      }
      return found.isSymbolicLink() ? undefined : found;
    } catch {
      return undefined;
    }
  };

  /** As it reads, whatever links there are. */
  const isInside = (given: string, full: string): boolean => !given.includes("\0") && inside(full);

  const find = async (given: string): Promise<{ readonly full: string; readonly stats: ReturnType<typeof look> }> => {
    const full = path.resolve(root, given);
    if (isInside(given, full)) {
      const stats = look(full);
      if (stats !== undefined || inside(await realOf(full))) return { full, stats };
    }
    throw failure(
      escape,
      `the path ${JSON.stringify(given)} leaves the workspace`,
      "use a path relative to the workspace; links that point outside are not followed",
    );
  };

  const resolve = async (given: string): Promise<string> => (await find(given)).full;

  const stamp = async (file: string): Promise<Stamp> => {
    const { full, stats } = await find(file);
    if (stats === "missing")
      throw Object.assign(new Error(`ENOENT: no such file or directory, stat '${full}'`), { code: "ENOENT" });
    return stampOf(stats ?? (await fs.stat(full)));
  };

  return {
    root,
    resolve,
    read: async (file) => fs.readFile(await resolve(file), "utf8"),
    write: async (file, text) => {
      const full = await resolve(file);
      await fs.mkdir(path.dirname(full), { recursive: true });
      await fs.writeFile(full, text);
    },
    append: async (file, text) => {
      const full = await resolve(file);
      await fs.mkdir(path.dirname(full), { recursive: true });
      await fs.appendFile(full, text);
    },
    list: async (folder = ".") => {
      const entries = await fs.readdir(await resolve(folder), { withFileTypes: true });
      return entries.map(
        (entry) =>
          ({ name: entry.name, type: entry.isFile() ? "file" : entry.isDirectory() ? "directory" : "other" }) as const,
      );
    },
    exists: async (file) =>
      fs.access(await resolve(file)).then(
        () => true,
        () => false,
      ),
    stamp,
    stamps: async (files) => {
      // Without a pause between them, so that the folder itself is looked at once.
      let top: Stats | undefined;
      const lookAtRoot = (): Stats => (top ??= lstat(root));
      const found = files.map((file) => {
        const full = path.resolve(root, file);
        const stats = isInside(file, full) ? look(full, lookAtRoot) : undefined;
        return typeof stats === "object" ? stampOf(stats) : stats;
      });
      if (!found.includes(undefined)) return found as readonly (Stamp | "missing")[];
      return await Promise.all(found.map(async (known, at) => known ?? stamp(files[at] ?? "").catch(whyNone)));
    },
    remove: async (file) => fs.rm(await resolve(file), { recursive: true, force: true }),
  };
}

function stampOf({ ino, size, mtimeMs, ctimeMs }: Stats): Stamp {
  return { value: `${ino}:${size}:${mtimeMs}:${ctimeMs}`, changedMs: Math.max(mtimeMs, ctimeMs), bytes: size };
}

const escape: ErrorCode = "CLOISTER_WORKSPACE_ESCAPE";

const whyNone = (error: unknown): "missing" | "outside" =>
  (error as { readonly code?: unknown }).code === escape ? "outside" : "missing";
