/** `cloister secrets`: what it keeps, and that it never shows a value. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { useCliHome } from "./cli-home.ts";
import { helloOk } from "./scripted-gateway.ts";

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

const reload = async (payload: object, ...more: readonly string[]): Promise<number> => {
  home.clear();
  await home.serve(
    (request, { answer }) => answer(request, request.method === "connect" ? helloOk : { ok: true, ...payload }),
    { raw: true },
  );
  return home.run("secrets", "reload", ...more);
};

test("reload says which keys have another secret, and which cannot be read, for which it ends with 1", async () => {
  const key = "channels.slack.accounts.work.botToken";
  const told = { configuration: "unchanged", renewed: [key], unread: [] };
  expect(await reload(told)).toBe(0);
  expect(shown()).toBe(`${key}: another secret, in use from now on\n`);
  const unread = [{ path: "hooks.token", message: "store: hook: there is none", remedy: "keep it" }];
  expect(await reload({ ...told, unread })).toBe(1);
  expect(home.terminal.outText()).toContain(
    "hooks.token: cannot be read, and what runs goes on as it is: store: hook: there is none; keep it\n",
  );
  expect(await reload({ ...told, renewed: [] })).toBe(0);
  expect(shown()).toBe("what is in use is what is there: nothing began anew\n");
  expect(await reload(told, "--json")).toBe(0);
  expect(JSON.parse(home.terminal.outText())).toEqual({ ok: true, ...told });
});

test.each([
  ["applied", /is in force now\n/],
  ["restarting", /starts again for it, and reads all secrets then\n$/],
  ["off", /counts after a restart \(gateway\.reload\.mode: off\)\n/],
  ["invalid", /`cloister config validate` says why\n/],
])("reload says what became of a configuration that has changed: %s", async (configuration, said) => {
  expect(await reload({ configuration, renewed: [], unread: [] })).toBe(0);
  expect(home.terminal.errText()).toMatch(said);
});
