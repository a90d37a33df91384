/**
 * What every cell is started with, read once at boot: the bootstrap, the shipped actors and the module `cloister`, each with a
 * V8 code cache made in this process, so that a cell compiles nothing.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { failure } from "../kernel/errors.ts";
import { describeGateway } from "../launcher/orphans.ts";
import { distFolder } from "./entries.ts";

export interface CompiledScript {
  readonly source: string;
  readonly cachedData: Uint8Array | undefined;
}

export interface CellAssets {
  readonly bootstrap: CompiledScript;
  readonly builtin: (name: string) => CompiledScript | undefined;
  /** Code of the process that those of cells are children of. */
  readonly cellParent: string;
  /** What a process starts with at level `process`, in which the bootstrap's worker runs. */
  readonly cellProcess: string;
  /** Which gateway such a process is of (`runtime/launcher/orphans.ts`). */
  readonly gateway: string | undefined;
  readonly sdk: string;
  readonly zodUrl: string;
  /** Folder that a cell must be able to read to load `zod`. */
  readonly zodDir: string;
}

export const builtinActors = ["assistant", "scripted", "echo", "relay"] as const;

/** @throws `CLOISTER_INTERNAL` when the build is missing: `npm run build` makes it. */
export async function loadCellAssets(folder: string = distFolder()): Promise<CellAssets> {
  const read = (file: string): Promise<string> =>
    readFile(path.join(folder, file), "utf8").catch((error: unknown) => {
      throw failure("CLOISTER_INTERNAL", `the build has no ${file}`, "npm run build", error);
    });
  const [gateway, bootstrap, cellParent, cellProcess, sdk, ...actors] = await Promise.all([
    describeGateway(process.pid),
    read("cell.cjs"),
    read("cell-parent.cjs"),
    read("cell-process.cjs"),
    read("cloister.js"),
    ...builtinActors.map((name) => read(`actors/${name}.cjs`)),
  ]);
  const builtins = new Map(
    builtinActors.map((name, index) => [
      name as string,
      compile(`(function (exports, require) {${actors[index] ?? ""}\n})`, `cloister:${name}`),
    ]),
  );
  const zodEntry = createRequire(import.meta.url).resolve("zod");
  return {
    bootstrap: compile(`(function (require, importModule, compileScript) {${bootstrap}\n})`, "cloister:cell"),
    builtin: (name) => builtins.get(name),
    cellParent,
    cellProcess,
    gateway,
    sdk,
    zodUrl: pathToFileURL(zodEntry.replace(/\.cjs$/, ".js")).href,
    zodDir: path.dirname(zodEntry),
  };
}

function compile(source: string, filename: string): CompiledScript {
  return { source, cachedData: new Script(source, { filename }).createCachedData() };
}
