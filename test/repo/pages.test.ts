/** The pages: their links lead somewhere, their config is valid, and their actors run in a real cell and answer as shown. */
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import json5 from "json5";
import { describe, expect, test } from "vitest";
import { loadConfig, resolveConfig } from "../../runtime/config/index.ts";
import { doneBits, up } from "../../runtime/kernel/frames.ts";
import { checkActor, formatReport } from "../../runtime/testing/index.ts";
import { startCell } from "../support/cell.ts";
import { allFiles, isFile, readText, resolveImport } from "./files.ts";
import { findAnchors, findCodeBlocks, findLinks, findTranscript } from "./markdown.ts";

const pages = allFiles.filter((file) => file.endsWith(".md"));
const blocks = pages.flatMap((page) => findCodeBlocks(readText(page)).map((block) => ({ page, ...block })));

test("the pages were read", () => {
  expect(pages.length).toBeGreaterThanOrEqual(20);
  expect(blocks.length).toBeGreaterThan(20);
});

describe("links inside the tree", () => {
  const links = pages.flatMap((page) => findLinks(readText(page)).map((target) => ({ page, target })));

  test("were found", () => {
    expect(links.length).toBeGreaterThan(35);
  });

  test("lead to files and headings that exist", () => {
    const dead = links.filter(({ page, target }) => {
      const [file = "", anchor] = target.split("#");
      const where = file === "" ? page : resolveImport(page, file).replace(/\/$/, "");
      const exists = isFile(where) || allFiles.some((one) => one.startsWith(`${where}/`));
      return !exists || (anchor !== undefined && !findAnchors(readText(where)).has(anchor));
    });
    expect(dead.map(({ page, target }) => `${page}: ${target}`)).toEqual([]);
  });

  test("every page of docs is linked from another", () => {
    const linked = new Set(links.map(({ page, target }) => resolveImport(page, target.split("#")[0] ?? "")));
    const docs = pages.filter((page) => page.startsWith("docs/"));
    expect(docs.filter((page) => !linked.has(page))).toEqual([]);
  });
});

describe("actors in the pages", () => {
  const actors = blocks.filter(({ kind }) => kind[0] === "ts" && kind[1] === "actor");

  test("were found, in the README and in the guides", () => {
    expect(actors.filter(({ page }) => page === "README.md")).toHaveLength(1);
    expect(actors.length).toBeGreaterThanOrEqual(3);
  });

  test.each(actors.map((actor) => [`${actor.page}:${actor.line}`, actor] as const))(
    "%s runs in a cell and answers as it shows",
    async (_where, { text }) => {
      const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-page-")));
      const file = path.join(folder, "actor.ts");
      writeFileSync(file, text);
      const workspace = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-page-")));
      const cell = await startCell({ module: { kind: "file", url: pathToFileURL(file).href }, workspace }, [folder]);
      expect(await cell.started).toEqual({ status: "ready" });
      const transcript = findTranscript(text);
      expect(transcript.length).toBeGreaterThan(0);
      for (const { says, answers } of transcript) {
        const end = await cell.turn(says);
        expect(end.op).toBe(up.done);
        expect({ says, failed: (end.num & doneBits.error) !== 0, answers: end.a }).toEqual({
          says,
          failed: false,
          answers,
        });
      }
    },
  );
});

describe("A15.1: a crash at any point of their conversations", () => {
  const actors = blocks.filter(({ kind }) => kind[0] === "ts" && kind[1] === "actor");

  test.each(actors.map((actor) => [`${actor.page}:${actor.line}`, actor] as const))(
    "does no harm to the actor of %s",
    async (_where, { text }) => {
      const file = path.join(realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-page-"))), "actor.ts");
      writeFileSync(file, text);
      const transcript = findTranscript(text);
      const report = await checkActor(file, { conversation: transcript.map(({ says }) => says) });
      expect(formatReport(report).at(-1)).toMatch(/^passed/);
      expect(report.turns.map(({ reply }) => reply)).toEqual(transcript.map(({ answers }) => answers));
      expect(report.points.length).toBeGreaterThanOrEqual(2 * transcript.length);
    },
  );
});

describe("configuration in the pages", () => {
  const configs = blocks.filter(({ kind }) => kind[0] === "json5" && kind[1] === "config");

  test("was found", () => {
    expect(configs.length).toBeGreaterThanOrEqual(3);
  });

  test.each(configs.map((config) => [`${config.page}:${config.line}`, config] as const))(
    "%s is accepted without a warning",
    async (_where, { text }) => {
      const stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-page-"));
      const configPath = path.join(stateDir, "cloister.json");
      // A page may name a module that its reader has.
      for (const module of text.matchAll(/module:\s*"\.\/([\w-]+\.ts)"/g)) {
        writeFileSync(path.join(stateDir, module[1] ?? ""), "export default { message() {} };\n");
      }
      writeFileSync(configPath, text);
      expect(() => json5.parse(text)).not.toThrow();
      const loaded = await loadConfig({
        configPath,
        stateDir,
        explicit: true,
        profile: undefined,
        defaultWorkspace: path.join(stateDir, "workspace"),
        homeDir: stateDir,
        env: { HOME_WEBHOOK_TOKEN: "t-home-token-of-a-page", SHOP_WEBHOOK_TOKEN: "t-shop-token-of-a-page" },
      });
      const resolved = resolveConfig(loaded);
      expect(resolved.warnings).toEqual([]);
      expect(resolved.notActive).toEqual([]);
    },
  );
});

describe("commands in the pages", () => {
  test("npm scripts that they name exist", () => {
    const scripts: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(readText("package.json"));
    const named = blocks
      .filter(({ kind }) => kind[0] === "sh")
      .flatMap(({ text }) => [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(start|test)\b)/g)])
      .map((match) => match[1] ?? match[2] ?? "");
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((name) => scripts.scripts[name] === undefined)).toEqual([]);
  });

  test("files that they name exist", () => {
    const named = readText("README.md").matchAll(
      /`((?:runtime|actors|channels|auth|bench|test|docs|scripts|examples)\/[\w./-]*)`/g,
    );
    const places = [...named].map((match) => (match[1] ?? "").replace(/\/$/, ""));
    expect(places.length).toBeGreaterThan(8);
    expect(places.filter((place) => !isFile(place) && !allFiles.some((file) => file.startsWith(`${place}/`)))).toEqual(
      [],
    );
  });
});

test("the reader of pages finds links, blocks and transcripts", () => {
  const page = "# A b\n[x](./y.md#z) `[no](n.md)`\n```ts actor\n[no](m.md)\n// > hi\n// < one\n// < two\n```\n";
  expect(findLinks(page)).toEqual(["./y.md#z"]);
  expect(findAnchors(page)).toEqual(new Set(["a-b"]));
  const [block] = findCodeBlocks(page);
  expect(block).toMatchObject({ kind: ["ts", "actor"], line: 3 });
  expect(findTranscript(block?.text ?? "")).toEqual([{ says: "hi", answers: "one\ntwo" }]);
});

test("the records of decisions are numbered without gaps, begin with their number, and are all in the list", () => {
  const records = pages.filter((page) => page.startsWith("docs/adr/")).toSorted();
  const listed = findLinks(readText("docs/ARCHITECTURE.md")).filter((target) => /^adr\/\d{4}-/.test(target));
  expect([...new Set(listed)].toSorted()).toEqual(records.map((record) => record.replace("docs/", "")));
  records.forEach((record, at) => {
    const number = String(at + 1).padStart(4, "0");
    expect(record).toMatch(new RegExp(`^docs/adr/${number}-`));
    expect(readText(record)).toMatch(new RegExp(`^# ${number}\\. `));
  });
});

test("the guides are all named in the README", () => {
  const named = new Set(findLinks(readText("README.md")));
  expect(pages.filter((page) => page.startsWith("docs/guides/") && !named.has(page))).toEqual([]);
});
