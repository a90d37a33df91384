/** `cloister secrets`: what it keeps, and that it never shows a value. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { useCliHome } from "./cli-home.ts";

const home = useCliHome();
const canary = "canary-0123456789";

const set = (name: string, text: string, isTty = false, ...more: readonly string[]): Promise<number> => {
  home.clear({ isTty });
  home.terminal.input.end(text);
  return home.run("secrets", "set", name, ...more);
};
const shown = (): string => home.terminal.outText() + home.terminal.errText();

test("keeps what comes from a pipe or is typed, lists names, and removes", async () => {
  expect(await home.run("secrets")).toBe(0);
  expect(shown()).toMatch(/no secret is kept; keep one with `cloister secrets set <name>`/);
  expect(await set("anthropic", `${canary}\n`)).toBe(0);
  expect(shown()).toContain('{ source: "store", id: "anthropic" }');
  expect(shown()).not.toContain("canary");
  expect(await set("typed", `${canary}-2\n`, true)).toBe(0);
  expect(shown()).not.toContain("canary");
  const file = JSON.parse(await readFile(path.join(home.stateDir, "secrets.json"), "utf8")) as object;
  expect(file).toMatchObject({ secrets: { anthropic: { value: canary }, typed: { value: `${canary}-2` } } });
  home.clear();
  expect(await home.run("secrets", "list", "--json")).toBe(0);
  expect(JSON.parse(home.terminal.outText())).toMatchObject({ secrets: [{ name: "anthropic" }, { name: "typed" }] });
  expect(shown()).not.toContain("canary");
  expect(await home.run("secrets", "remove", "typed")).toBe(0);
  home.clear();
  expect(await home.run("secrets", "list")).toBe(0);
  expect(shown()).toMatch(/^NAME\s+SET\nanthropic\s/);
});

test("refuses a name that cannot be kept, no value, and what is not there", async () => {
  await expect(set("a/b", "x")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  // As a pipe brings it: its first piece alone would do.
  home.clear({ isTty: false });
  for (const part of ["x".repeat(limits.secretBytesMax), "xxx"]) home.terminal.input.write(part);
  home.terminal.input.end();
  await expect(home.run("secrets", "set", "long")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  await expect(set("a", "")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  await expect(home.run("secrets", "remove", "none")).rejects.toMatchObject({
    code: "CLOISTER_REQUEST_INVALID",
    message: "Removing the secret none: there is none of this name.",
  });
});
