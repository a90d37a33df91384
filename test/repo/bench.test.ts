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
  const manifestOf = (folder: string) => {
    const { dependencies } = JSON.parse(readText(`${folder}/package.json`)) as {
      readonly dependencies: Record<string, string>;
    };
    const { packages } = JSON.parse(readText(`${folder}/package-lock.json`)) as {
      readonly packages: Record<
        string,
        { readonly version?: string; readonly integrity?: string; readonly license?: string }
      >;
    };
    return Object.entries(dependencies).map(([name, version]) => ({
      name,
      version,
      locked: packages[`node_modules/${name}`],
    }));
  };
  const together = manifestOf("bench/peers");
  const apart = manifestOf("bench/peers/rivetkit");
  const all = [...together, ...apart];

  test("is pinned exactly, and locked with its hash", () => {
    for (const { version, locked } of all) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
      expect(locked).toMatchObject({ version, integrity: expect.stringMatching(/^sha512-/) });
    }
  });

  test("is listed with its version and its licence", () => {
    for (const { name, locked } of all)
      expect(readme).toContain(`| ${name} | ${locked?.version} | ${locked?.license} |`);
  });

  test("is installed by no other package", () => {
    const root = JSON.parse(readText("package.json")) as {
      readonly devDependencies: object;
      readonly workspaces?: unknown;
    };
    expect(root.workspaces).toBeUndefined();
    for (const name of ["comedy", "nact", "rivetkit", "threads"])
      expect(Object.keys(root.devDependencies)).not.toContain(name);
  });

  test("names the package of each, which the file of that peer imports", () => {
    const packages = Object.values(peers).flatMap((peer) => ("package" in peer ? [peer.package] : []));
    expect([...new Set<string>(packages)].toSorted()).toEqual(all.map(({ name }) => name).toSorted());
    for (const { name } of together) expect(sourceOf(`bench/peers/${name}.ts`).strings).toContain(name);
    for (const { name } of apart) {
      expect(peers).toHaveProperty(name, expect.objectContaining({ package: name, isApart: true }));
      expect(sourceOf(`bench/peers/${name}/open.ts`).strings).toContain(name);
      const { scripts } = JSON.parse(readText("package.json")) as { readonly scripts: Record<string, string> };
      expect(scripts[`bench:${name}`]).toBe(`npm ci --prefix bench/peers/${name} --ignore-scripts`);
    }
    expect(Object.keys(mortalPeers).length).toBeGreaterThan(5);
  });
});
