/** Processes of `store-child.ts`. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

export type Child = ChildProcessByStdio<Writable, Readable, Readable> & { readonly lines: Interface };

const program = join(import.meta.dirname, "store-child.ts");

export function startChild(mode: string, dir: string): Child {
  return withLines(spawn(process.execPath, [program, mode, dir], { stdio: ["pipe", "pipe", "pipe"] }));
}

/** In namespaces of its own, where it may have a disk of 48 MB at the directory. */
export function startOnSmallDisk(dir: string): Child {
  const script = `mount -t tmpfs -o size=48m tmpfs "$1" && exec "$2" "$3" small "$1"`;
  const command = ["sh", "-c", script, "sh", dir, process.execPath, program];
  return withLines(spawn("unshare", [...asRoot, ...command], { stdio: ["pipe", "pipe", "pipe"] }));
}

export const asRoot = ["--map-root-user", "--mount"] as const;

const withLines = (child: ChildProcessByStdio<Writable, Readable, Readable>): Child =>
  Object.assign(child, { lines: createInterface(child.stdout) });
