/**
 * The types of the package's doors, as `dist/types`: of the declarations that the compiler makes those that the doors reach. It checks nothing meanwhile, so
 * that a build waits for no check (`npm run types` is that). A declaration names its neighbours with `.js`, which every compiler that reads a package follows.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

/** `doors`: sources, by their paths from `root`. */
export async function buildTypes(root: string, doors: readonly string[], into: string): Promise<void> {
  const made = await mkdtemp(path.join(tmpdir(), "cloister-types-"));
  try {
    await declare(root, doors, made);
    const reached = new Set(doors.map((door) => door.replace(/\.ts$/, ".d.ts")));
    for (const file of reached) {
      const text = await readFile(path.join(made, file), "utf8");
      const published = text.replaceAll(/((?:from|import\() ?")(\.[^"]+)\.ts"/g, (_, before: string, name: string) => {
        reached.add(path.join(path.dirname(file), `${name}.d.ts`));
        return `${before}${name}.js"`;
      });
      await mkdir(path.dirname(path.join(into, file)), { recursive: true });
      await writeFile(path.join(into, file), published);
    }
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function declare(root: string, doors: readonly string[], made: string): Promise<void> {
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: root,
    outDir: made,
    typeRoots: [path.join(root, "node_modules/@types")],
  };
  const files = doors.map((door) => path.join(root, door));
  const project = path.join(made, "tsconfig.json");
  await writeFile(
    project,
    JSON.stringify({ extends: path.join(root, "tsconfig.json"), compilerOptions, files, include: [] }),
  );
  await promisify(execFile)(process.execPath, [
    path.join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    project,
  ]).catch((error: Error & { readonly stdout?: string }) => {
    throw new Error(`the types cannot be declared: ${error.stdout ?? error.message}`);
  });
}
