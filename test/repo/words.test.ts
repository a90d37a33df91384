/** Names, sizes and texts of files: what `docs/ARCHITECTURE.md` calls one noun, one file, held by machine. */
import path from "node:path";
import { describe, expect, test } from "vitest";
import { allFiles, codeFiles, programFiles, readText, sourceOf } from "./files.ts";

const isText = (file: string): boolean =>
  /\.(tsx?|json5?|jsonl|mjs|cjs|js|md|css|html|svg|yml|yaml)$|^\.ci\//.test(file);
const textFiles = allFiles.filter((file) => isText(file) && !file.endsWith("package-lock.json"));

test("the whole tree was read", () => {
  expect(allFiles.length).toBeGreaterThan(280);
  expect(textFiles.length).toBeGreaterThan(270);
});

describe("names of files and folders", () => {
  /** By custom in capitals, wherever they are. */
  const customary = new Set([
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "ARCHITECTURE.md",
    "RELIABILITY.md",
    "THREAT_MODEL.md",
    "PERFORMANCE.md",
    "CONFORMANCE.md",
    "Containerfile",
    // As skills are found.
    "SKILL.md",
  ]);

  test("are in kebab-case", () => {
    const segment = /^\.?[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
    const wrong = allFiles.filter(
      (file) => !file.split("/").every((name) => customary.has(name) || segment.test(name)),
    );
    expect(wrong).toEqual([]);
  });

  test("say something", () => {
    const empty = new Set("helper helpers util utils shared manager managers misc common data info v2".split(" "));
    const wrong = allFiles.filter((file) => file.split(/[/.-]/).some((word) => empty.has(word.toLowerCase())));
    expect(wrong).toEqual([]);
  });
});

describe("files", () => {
  const linesMax = 500;
  /** One table, whose rows belong into one place (ADR 0002). */
  const tables = ["runtime/kernel/limits.ts"];

  test(`of the program have at most ${linesMax} lines`, () => {
    const long = programFiles.filter((file) => readText(file).split("\n").length > linesMax);
    expect(long.filter((file) => !tables.includes(file))).toEqual([]);
  });

  test("hold no note of work that is left", () => {
    // In pieces, so that this file does not hold them.
    const marks = /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/;
    expect(marks.test(["// TO", "DO: later"].join(""))).toBe(true);
    expect(textFiles.filter((file) => marks.test(readText(file)))).toEqual([]);
  });

  test("name no place of one machine and no private package registry", () => {
    // `juan`, `ana` and `someone` are people of examples.
    const places = /(?<![\w.~:*)\]}-])\/(?:work|root|home\/(?!(?:juan|ana|someone)\b)[a-z][\w-]*)(?=[/"'`])/m;
    const registries = /https?:\/\/(?!registry\.npmjs\.org\b)[\w.-]*(?:registry|artifactory|nexus|verdaccio)[\w.-]*/;
    for (const place of ["work/main", "root/x", "home/bob/x"]) expect(places.test(["cd ", place].join("/"))).toBe(true);
    expect(registries.test(["https:", "registry.example.org/npm"].join("//"))).toBe(true);
    const locks = allFiles.filter((file) => file.endsWith("package-lock.json"));
    expect(locks.length).toBeGreaterThan(0);
    const wrong = [...textFiles, ...locks].filter((file) => {
      const text = readText(file);
      return places.test(text) || registries.test(text);
    });
    expect(wrong).toEqual([]);
  });
});

describe("tests", () => {
  const testFiles = codeFiles.filter((file) => file.endsWith(".test.ts"));

  test("are neither skipped nor alone", () => {
    expect(testFiles.length).toBeGreaterThan(45);
    const switched =
      /\b(?:test|it|describe|suite|bench)(?:\s*\.\s*\w+)*\s*\.\s*(?:only|skip|todo|fails)\b|\bcontext\.skip\(/;
    expect(switched.test("describe.skip(")).toBe(true);
    expect(switched.test("test.concurrent.only(")).toBe(true);
    expect(testFiles.filter((file) => switched.test(sourceOf(file).code))).toEqual([]);
  });

  test("belong to a project that runs them", () => {
    const projects = new Set(["unit", "contract", "simulation", "repo", "e2e", "golden", "chaos"]);
    const config = readText("vitest.config.ts");
    const byContract = "examples/lines/lines.test.ts";
    expect(readText("test/contract/channels/lines.test.ts")).toContain(`import("../../../${byContract}")`);
    // Those of `client` have a configuration of their own, since they need the client installed.
    const others = testFiles.filter((file) => file !== byContract);
    const folders = new Set(others.map((file) => file.split(path.posix.sep)[1] ?? ""));
    expect(folders.delete("client") && readText("package.json").includes("vitest run --config test/client/")).toBe(
      true,
    );
    expect([...folders].filter((folder) => !projects.has(folder) || !config.includes(`project("${folder}"`))).toEqual(
      [],
    );
  });

  test("wait for conditions and not for time", () => {
    const sleeps =
      /\b(?:sleep|delay)\s*\(\s*[\d_]+\s*\)|new Promise\([^;]{0,60}setTimeout\([^,;]{0,20},\s*[\d_]{2,}\s*\)/;
    expect(sleeps.test("await new Promise((resolve) => setTimeout(resolve, 100))")).toBe(true);
    expect(testFiles.filter((file) => sleeps.test(sourceOf(file).code))).toEqual([]);
  });

  test("wait as long as a shared machine may take: vitest's own waiting gives up after a second", () => {
    const waits = /\bvi\.wait(?:For|Until)\(/;
    const waiting = codeFiles.filter((file) => file.startsWith("test/") && waits.test(sourceOf(file).code));
    expect(waiting).toEqual(["test/support/eventually.ts"]);
  });
});
