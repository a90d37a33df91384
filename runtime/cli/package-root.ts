/** Where this package is installed, and its version; the same from the sources and from the built program. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { failure } from "../kernel/errors.ts";

export interface Package {
  readonly root: string;
  readonly version: string;
}

/** Looks upward from `from` (a file URL) for the `package.json` of cloister. Throws `CLOISTER_INTERNAL` when there is none. */
export async function findPackage(from: string): Promise<Package> {
  const start = path.dirname(fileURLToPath(from));
  for (let root = start; ; root = path.dirname(root)) {
    const version = await readVersion(path.join(root, "package.json"));
    if (version !== undefined) return { root, version };
    if (root === path.dirname(root)) break;
  }
  throw failure(
    "CLOISTER_INTERNAL",
    `Looking for the installed package: found no package.json of cloister in ${start} or above it.`,
    "Install the package again.",
  );
}

async function readVersion(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch {
    return undefined;
  }
  const { name, version } = JSON.parse(text) as { readonly name?: string; readonly version?: string };
  return name === "cloister" ? version : undefined;
}
