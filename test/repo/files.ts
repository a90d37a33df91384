/** The files of the project as a checkout has them: everything but what is installed, built or measured here. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readSource, type SourceCode } from "./source-code.ts";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

const notOurs = new Set([".git", "node_modules", "dist", "coverage"]);
/** Made by runs; `.gitignore` has them too. */
const madeByRuns = ["bench/results", "test/e2e/artifacts"];

/** Paths from the root with `/`, sorted. */
export const allFiles: readonly string[] = walk("").toSorted();

function walk(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (notOurs.has(entry.name) || madeByRuns.includes(file)) return [];
    return entry.isDirectory() ? walk(file) : entry.isFile() ? [file] : [];
  });
}

export const readText = (file: string): string => readFileSync(path.join(root, file), "utf8");

export const isFile = (file: string): boolean =>
  statSync(path.join(root, file), { throwIfNoEntry: false })?.isFile() ?? false;

/** Code that runs in the program, its tools and its tests. Fixtures are left out: some are broken on purpose. */
export const codeFiles = allFiles.filter(
  (file) => /\.tsx?$/.test(file) && !file.endsWith(".d.ts") && !file.startsWith("test/fixtures/"),
);

/** Code of the program itself. */
export const programFiles = codeFiles.filter((file) => /^(runtime|actors|channels|auth)\//.test(file));

export const under = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`);

const sources = new Map<string, SourceCode>();

export function sourceOf(file: string): SourceCode {
  let source = sources.get(file);
  if (source === undefined) {
    source = readSource(readText(file));
    sources.set(file, source);
  }
  return source;
}

/** What a relative import means, as a path from the root. */
export const resolveImport = (file: string, specifier: string): string =>
  path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
