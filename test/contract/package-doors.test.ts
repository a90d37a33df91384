/** The doors of the package as an author has them: a project outside of this repository, which has it in its `node_modules`. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { allFiles, readText, root } from "../repo/files.ts";
import { findCodeBlocks } from "../repo/markdown.ts";

const run = promisify(execFile);
const env = { PATH: process.env["PATH"], TMPDIR: process.env["TMPDIR"], HOME: tmpdir() };

/** The package in it is a link, so that its dependencies are found. */
function makeProject(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "cloister-project-")));
  mkdirSync(path.join(folder, "node_modules"));
  symlinkSync(root, path.join(folder, "node_modules/cloister"));
  writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
  return folder;
}

const guide = findCodeBlocks(readText("docs/guides/write-an-actor.md"));
const [shopping] = guide.filter(({ kind }) => kind[1] === "actor");
const [tested] = guide.filter(({ kind }) => kind[1] === "test");
const files = { "shopping.ts": shopping?.text ?? "", "shopping.test.ts": tested?.text ?? "" };

test("A15.1: the actor of the guide, and its test, pass in a project of their own with Node's test runner", async () => {
  const folder = makeProject(files);
  const { stdout } = await run(process.execPath, ["--test", "--test-reporter=tap", "shopping.test.ts"], {
    cwd: folder,
    env,
  });
  expect(stdout).toMatch(/^# tests [1-9]/m);
  expect(stdout).toMatch(/^# fail 0$/m);
});

test("A15.1: the test fails when the actor is at fault", async () => {
  const outside = files["shopping.ts"].replace("ctx.workspace.write(", "ctx.workspace.append(");
  expect(outside).not.toBe(files["shopping.ts"]);
  const folder = makeProject({ ...files, "shopping.ts": outside });
  const failed: unknown = await run(process.execPath, ["--test", "--test-reporter=tap", "shopping.test.ts"], {
    cwd: folder,
    env,
  }).catch((error: { readonly stdout: string }) => error.stdout);
  expect(failed).toMatch(/the file list\.md has/);
});

test("A15.1: the types of both doors are those that the compiler reads of the package", async () => {
  const compilerOptions = {
    module: "nodenext",
    target: "esnext",
    strict: true,
    noEmit: true,
    types: ["node"],
    typeRoots: [path.join(root, "node_modules/@types")],
    allowImportingTsExtensions: true,
  };
  const wrong =
    'import { openActorKit } from "cloister/testing";\nvoid openActorKit("./shopping.ts", { models: [] });\n';
  const folder = makeProject({
    ...files,
    "tsconfig.json": JSON.stringify({ compilerOptions, files: Object.keys(files) }),
  });
  const tsc = [path.join(root, "node_modules/typescript/bin/tsc"), "-p", folder];
  await expect(
    run(process.execPath, tsc, { cwd: folder, env }).catch(({ stdout }: { stdout: string }) => stdout),
  ).resolves.toMatchObject({ stdout: "" });
  writeFileSync(path.join(folder, "shopping.test.ts"), wrong);
  const said: unknown = await run(process.execPath, tsc, { cwd: folder, env }).catch(
    ({ stdout }: { stdout: string }) => stdout,
  );
  expect(said).toMatch(/'models' does not exist in type 'ActorKitOptions'/);
});

test("what the package publishes has what its doors name", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"], {
    cwd: root,
    env,
    maxBuffer: 16_777_216,
  });
  const [{ files: published }] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  const names = new Set(published.map((file) => file.path));
  const { exports } = JSON.parse(readText("package.json")) as { readonly exports: Readonly<Record<string, unknown>> };
  const named = Object.values(exports).flatMap((door) =>
    typeof door === "string" ? [door] : Object.values(door as object),
  );
  expect(named.length).toBeGreaterThanOrEqual(5);
  expect(named.filter((file) => !names.has(String(file).replace("./", "")))).toEqual([]);
  expect(allFiles.filter((file) => file.startsWith("runtime/") && names.has(file))).toEqual([]);
});
