/** The benchmarks: each scenario asks one question, and what is measured beside Cloister is fixed and licensed. */
import { describe, expect, test } from "vitest";
import { scenarios } from "../../bench/scenarios.ts";
import { mortalPeers, peers } from "../../bench/peers/index.ts";
import { allFiles, readText, sourceOf } from "./files.ts";

const files = allFiles.filter((file) => /^bench\/scenarios\/[^/]+\.ts$/.test(file));
const readme = readText("bench/README.md");

describe("scenarios", () => {
  test("are the files of their folder, and no others", () => {
    expect(
      Object.keys(scenarios)
        .map((name) => `bench/scenarios/${name}.ts`)
        .toSorted(),
    ).toEqual(files);
  });

  test("are loaded from the file of their name", () => {
    for (const [name, { load }] of Object.entries(scenarios)) expect(String(load)).toContain(`scenarios/${name}.ts`);
  });

  test.each(Object.entries(scenarios))("%s says its one question, and bench/README.md says the same", (name, entry) => {
    expect(entry.question).toMatch(/^[A-Z][^?]{20,}\?$/);
    expect(readme).toContain(`| \`${name}\` | ${entry.question} |`);
  });

  test.each(files)("%s begins with what it measures and how", (file) => {
    expect(readText(file)).toMatch(/^\/\*\*\n( \* [^\n]{20,}\n){2,} \*\//);
  });
});

describe("what is measured beside Cloister", () => {
  const manifest = JSON.parse(readText("bench/peers/package.json")) as {
    readonly dependencies: Record<string, string>;
  };
  const lock = JSON.parse(readText("bench/peers/package-lock.json")) as {
    readonly packages: Record<
      string,
      { readonly version?: string; readonly integrity?: string; readonly license?: string }
    >;
  };
  const names = Object.keys(manifest.dependencies);

  test("is pinned exactly, and locked with its hash", () => {
    for (const name of names) {
      const version = manifest.dependencies[name];
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(lock.packages[`node_modules/${name}`]).toMatchObject({
        version,
        integrity: expect.stringMatching(/^sha512-/),
      });
    }
  });

  test("is listed with its version and its licence", () => {
    for (const name of names) {
      const { version, license } = lock.packages[`node_modules/${name}`] ?? {};
      expect(readme).toContain(`| ${name} | ${version} | ${license} |`);
    }
  });

  test("is installed by no other package", () => {
    const root = JSON.parse(readText("package.json")) as {
      readonly devDependencies: object;
      readonly workspaces?: unknown;
    };
    expect(root.workspaces).toBeUndefined();
    for (const name of ["comedy", "nact", "threads"]) expect(Object.keys(root.devDependencies)).not.toContain(name);
  });

  test("names the package of each, which the file of that peer imports", () => {
    const packages = Object.values(peers).flatMap((peer) => ("package" in peer ? [peer.package] : []));
    expect([...new Set<string>(packages)].toSorted()).toEqual(names.toSorted());
    for (const name of names) expect(sourceOf(`bench/peers/${name}.ts`).strings).toContain(name);
    expect(Object.keys(mortalPeers).length).toBeGreaterThan(5);
  });
});
