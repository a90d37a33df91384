/**
 * The collections of an agent's memory: their names, and the folder that each is read from. Source: behaviour §6.5.
 *
 *   memory-root-<agent>   MEMORY.md                of the workspace
 *   memory-alt-<agent>    memory.md
 *   memory-dir-<agent>    memory, all .md files
 *   <name>                a named one outside of the workspace: several agents may share it
 *   <name>-<agent>        every other one; without a name the last part of its path
 */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import type { Root } from "../folder.ts";
import type { MemoryPlace } from "./port.ts";

export interface Collection {
  readonly name: string;
  /** As the config has it. */
  readonly path: string;
  readonly pattern: string;
  /** Files are opened below this folder, and no link below it is followed. */
  readonly root: string;
  /** The collection below the root; empty: the root itself. */
  readonly below: string;
  readonly isInside: boolean;
  /** It is not read. */
  readonly problem?: string;
}

export async function findCollections(place: MemoryPlace): Promise<readonly Collection[]> {
  const { agentId, workspace } = place;
  const found: Collection[] = [];
  const names = new Set<string>();
  const add = (name: string, collection: Omit<Collection, "name">): void => {
    let free = name;
    for (let count = 2; names.has(free); count++) free = `${name}-${count}`;
    names.add(free);
    found.push({ name: free, ...collection });
  };
  if (place.includesDefault) {
    const own = { root: workspace, isInside: true } as const;
    const suffix = sanitize(agentId);
    add(`memory-root-${suffix}`, { ...own, path: workspace, pattern: "MEMORY.md", below: "" });
    add(`memory-alt-${suffix}`, { ...own, path: workspace, pattern: "memory.md", below: "" });
    add(`memory-dir-${suffix}`, { ...own, path: path.join(workspace, "memory"), pattern: "**/*.md", below: "memory" });
  }
  const seen = new Set<string>();
  for (const { path: given, pattern, name } of place.sources) {
    const key = `${given}\0${pattern}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const located = await locate(given, place);
    const named = sanitize(name ?? path.basename(given));
    // A shared name is the operator's word; anything else is one agent's.
    add(name !== undefined && !located.isInside ? name : `${named}-${sanitize(agentId)}`, {
      path: given,
      pattern,
      ...located,
    });
  }
  return found.slice(0, limits.memoryCollectionsMax);
}

/** How its folder is opened: one outside of the workspace was judged by its real path. */
export function rootOf({ root, isInside }: Pick<Collection, "root" | "isInside">): Root {
  return isInside ? root : { real: root };
}

/** Lower case, runs of other characters as `-`. */
export function sanitize(text: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, limits.memoryNameCharsMax);
  return plain === "" ? "collection" : plain;
}

type Located = Pick<Collection, "root" | "below" | "isInside" | "problem">;

/** By real paths: a link that the operator names is followed, and what it leads to is judged. */
async function locate(given: string, { workspace, closed, open, others }: MemoryPlace): Promise<Located> {
  const inside = relativeTo(workspace, given);
  if (inside !== undefined) return { root: workspace, below: inside, isInside: true };
  const [real, realWorkspace] = await Promise.all(
    [given, workspace].map((one) => realpath(one).catch(() => undefined)),
  );
  const outside = { root: given, below: "", isInside: false } as const;
  if (real === undefined) return { ...outside, problem: "it is not there" };
  const below = realWorkspace === undefined ? undefined : relativeTo(realWorkspace, real);
  if (below !== undefined) return { root: workspace, below, isInside: true };
  const isOpen = await within(real, open);
  // What lies above the gateway's files would have them as well.
  if (!isOpen && ((await within(real, closed)) || (await holds(real, closed))))
    return { ...outside, problem: "it has files of the gateway itself, which are no notes" };
  // Who may write beside a folder may put a link in its place.
  if (!isOpen && (await within(real, others)))
    return { ...outside, problem: "it is a link into the workspace of another agent: name the folder there itself" };
  const isFile = (await stat(real)).isFile();
  return isFile
    ? { root: path.dirname(real), below: path.basename(real), isInside: false }
    : { root: real, below: "", isInside: false };
}

async function within(real: string, folders: readonly string[]): Promise<boolean> {
  const places = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
  return places.some((folder) => relativeTo(folder, real) !== undefined);
}

async function holds(real: string, folders: readonly string[]): Promise<boolean> {
  const places = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
  return places.some((folder) => relativeTo(real, folder) !== undefined);
}

/** Undefined: it is not below; empty: it is the folder. */
function relativeTo(folder: string, given: string): string | undefined {
  const relative = path.relative(folder, given);
  return relative === ".." || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative) ? undefined : relative;
}
