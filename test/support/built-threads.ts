/**
 * Tests start trusted threads from `dist/`, as the program does: a thread that strips the types of its modules when it starts costs three
 * times the CPU of one that loads its bundle (docs/adr/0069-time-of-ci.md).
 */
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Plugin } from "vitest/config";

const root = fileURLToPath(new URL("../..", import.meta.url));
const entries = path.join(root, "runtime/thread/entries.ts");
const main = JSON.stringify(pathToFileURL(path.join(root, "dist/main.js")).href);

export const builtThreads: Plugin = {
  name: "cloister:built-threads",
  enforce: "pre",
  transform: (code, id) => (id === entries ? code.replaceAll("import.meta.url", main) : undefined),
};
