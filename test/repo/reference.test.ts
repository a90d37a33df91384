/** The reference says what the code says, in both directions. */
import { describe, expect, test } from "vitest";
import { methods } from "../../runtime/edge/methods.ts";
import { errorRegister } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { readText } from "./files.ts";
import { findCommands, findLimits, findPart, generatedParts, replacePart } from "./reference.ts";

describe("docs/reference is up to date; `node test/repo/write-reference.ts` writes it", () => {
  test.each(generatedParts.map((part) => [part.file, part] as const))("%s", async (file, { name, make }) => {
    const found = findPart(readText(file), name);
    expect(found, `${file} has lost its marks`).toBeDefined();
    expect(found).toBe(await make());
  });
});

/** All of one form that a page names in code marks, wherever on the page. */
const named = (file: string, form: RegExp): ReadonlySet<string> =>
  new Set([...readText(file).matchAll(form)].map((match) => match[1] ?? ""));

test("every error code has its row, and the pages name no code that does not exist", () => {
  const codes = Object.keys(errorRegister);
  expect(codes.length).toBeGreaterThan(35);
  const documented = named("docs/reference/errors.md", /`(CLOISTER_[A-Z_]+)`/g);
  expect(codes.filter((code) => !documented.has(code))).toEqual([]);
  expect([...documented].filter((code) => !codes.includes(code))).toEqual([]);
});

test("every limit has its row and its reason", () => {
  const names = Object.keys(limits);
  expect(names.length).toBeGreaterThan(80);
  expect(findLimits().map(({ name }) => name)).toEqual(names);
  expect(findLimits().filter(({ text }) => text.length < 12)).toEqual([]);
  // Its comment has several lines.
  expect(findLimits().find(({ name }) => name === "cellOldGenerationMb")?.text).toMatch(
    /^Young and old .*\w \w.*\)\.$/,
  );
});

test("every method has its row", () => {
  const documented = named("docs/reference/protocol.md", /^\| `([a-z.-]+)` \|/gim);
  expect(documented).toEqual(new Set(Object.keys(methods)));
});

test("every command has its section, and the program has every command that the page shows", async () => {
  const commands = (await findCommands()).map(({ words }) => ["cloister", ...words].join(" "));
  expect(commands.length).toBeGreaterThan(12);
  expect(named("docs/reference/cli.md", /^## `(cloister.*)`$/gm)).toEqual(new Set(commands));
});

test("parts are replaced between their marks and nowhere else", () => {
  const text = "head\n<!-- generated: x -->old<!-- end: x -->\ntail $&";
  expect(replacePart(text, "x", "new $1")).toBe("head\n<!-- generated: x -->new $1<!-- end: x -->\ntail $&");
  expect(() => replacePart("head", "x", "new")).toThrow("does not hold");
});
