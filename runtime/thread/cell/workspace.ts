/**
 * Files of the agent's workspace. The permission flag already denies what is outside; this adds what the flag misses (a link
 * inside that points outside is followed) and resolves relative paths where an author expects it.
 */
import type * as FsPromises from "node:fs/promises";
import type * as PathModule from "node:path";
import { failure } from "../../kernel/errors.ts";
import type { Workspace } from "../actor-port.ts";

export function makeWorkspace(root: string, fs: typeof FsPromises, path: typeof PathModule): Workspace {
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

  const resolve = async (given: string): Promise<string> => {
    const full = path.resolve(root, given);
    if (given.includes("\0") || !inside(full) || !inside(await realOf(full))) {
      throw failure(
        "CLOISTER_WORKSPACE_ESCAPE",
        `the path ${JSON.stringify(given)} leaves the workspace`,
        "use a path relative to the workspace; links that point outside are not followed",
      );
    }
    return full;
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
    stamp: async (file) => {
      const { ino, size, mtimeMs, ctimeMs } = await fs.stat(await resolve(file));
      return { value: [ino, size, mtimeMs, ctimeMs].join(":"), changedMs: Math.max(mtimeMs, ctimeMs), bytes: size };
    },
    remove: async (file) => fs.rm(await resolve(file), { recursive: true, force: true }),
  };
}
