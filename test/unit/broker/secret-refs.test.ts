/** Secrets by reference: what is read, what is refused and why, and that nothing of a value is in a reason. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { SecretRef } from "../../../runtime/broker/port.ts";
import { changePrivate } from "../../../runtime/broker/private-file.ts";
import { findSecret, keepSecret, listSecrets, removeSecret } from "../../../runtime/broker/secret-file.ts";
import { runSecretProgram } from "../../../runtime/broker/secret-program.ts";
import { makeSecretReader } from "../../../runtime/broker/secret-refs.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { eventually } from "../../support/eventually.ts";
import { isAlive } from "../../support/processes.ts";

const base = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-secrets-")));
afterAll(() => rmSync(base, { recursive: true }));

const canary = "canary-0123456789";
let stateDir = "";
let outside = "";
let nowMs = 0;
let made = 0;
beforeEach(() => {
  const place = path.join(base, String(made++));
  stateDir = path.join(place, "state");
  outside = path.join(place, "outside");
  mkdirSync(stateDir, { recursive: true });
  mkdirSync(outside);
  nowMs = 0;
});

const open = (variables: Readonly<Record<string, string>> = {}) =>
  makeSecretReader(
    () => ({ stateDir, variables }),
    () => nowMs,
  );
const read = (ref: SecretRef) => open().read({ ref });
const put = (name: string, text: string, mode = 0o600): string => {
  const file = path.join(outside, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
};
/** In `secret-programs`, as a script. */
const program = (name: string, script: string, mode = 0o700): void => {
  const folder = path.join(stateDir, "secret-programs");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(path.join(folder, name), mode);
};

describe("a secret in a file", () => {
  it("is its text without the line break, also through a link, and the new one after a change", async () => {
    const file = put("key", `${canary}\n`);
    symlinkSync(file, path.join(outside, "link"));
    const reader = open();
    const ref: SecretRef = { source: "file", id: path.join(outside, "link") };
    expect(await reader.read({ ref })).toEqual({ value: canary });
    put("key", "rotated");
    expect(await reader.read({ ref })).toEqual({ value: "rotated" });
  });

  it.each([
    ["that others may read", () => put("key", canary, 0o640), "mode 640"],
    ["that is not there", () => path.join(outside, "none"), "there is none"],
    ["that is empty", () => put("key", " \n"), "there is none"],
    ["that is too long", () => put("key", "x".repeat(limits.secretBytesMax + 1)), "the bound is"],
    ["that is a folder", () => outside, "is no file"],
    ["by a relative path", () => "key", "not absolute"],
    ["of the state directory", () => path.join(stateDir, "operator.key"), "in the state directory"],
  ])("%s is none, and the operator hears why", async (_what, make, why) => {
    writeFileSync(path.join(stateDir, "operator.key"), canary, { mode: 0o600 });
    expect(await read({ source: "file", id: make() })).toEqual({ missing: expect.stringContaining(why) });
  });

  it("that is in the state directory is none, also where the way to that is a link", async () => {
    writeFileSync(path.join(stateDir, "operator.key"), canary, { mode: 0o600 });
    const link = path.join(outside, "state");
    symlinkSync(stateDir, link);
    const reader = makeSecretReader(
      () => ({ stateDir: link, variables: {} }),
      () => nowMs,
    );
    for (const id of [path.join(link, "operator.key"), path.join(stateDir, "operator.key")])
      expect(await reader.read({ ref: { source: "file", id } })).toEqual({
        missing: expect.stringContaining("in the state directory"),
      });
  });

  it("that is as long as the bound is one", async () => {
    const file = put("key", "x".repeat(limits.secretBytesMax));
    expect(await read({ source: "file", id: file })).toEqual({ value: "x".repeat(limits.secretBytesMax) });
  });

  it("that is a link into the state directory is none, and neither is a pipe that nobody writes", async () => {
    writeFileSync(path.join(stateDir, "operator.key"), canary, { mode: 0o600 });
    symlinkSync(path.join(stateDir, "operator.key"), path.join(outside, "link"));
    expect(await read({ source: "file", id: path.join(outside, "link") })).toEqual({
      missing: expect.stringContaining("in the state directory"),
    });
    const pipe = path.join(outside, "pipe");
    execFileSync("mkfifo", ["-m", "600", pipe]);
    expect(await read({ source: "file", id: pipe })).toEqual({ missing: expect.stringContaining("is no file") });
  });
});

describe("a secret that the gateway keeps", () => {
  it("is there from its set on, in a file of its own, until it is removed", async () => {
    expect(await listSecrets(stateDir)).toEqual([]);
    await keepSecret(stateDir, "b", canary, 5);
    await keepSecret(stateDir, "a", "one", 6);
    await keepSecret(stateDir, "a", "two", 7);
    expect(await listSecrets(stateDir)).toEqual([
      { name: "a", changedAtMs: 7 },
      { name: "b", changedAtMs: 5 },
    ]);
    expect(await read({ source: "store", id: "b" })).toEqual({ value: canary });
    expect(statSync(path.join(stateDir, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(await removeSecret(stateDir, "b")).toBe(true);
    expect(await removeSecret(stateDir, "b")).toBe(false);
    expect(await read({ source: "store", id: "b" })).toEqual({ missing: "store: b: there is none" });
    expect(await findSecret(stateDir, "constructor")).toBeUndefined();
  });

  it("is not lost when several are set at once, nor by a lock of a process that died", async () => {
    const lock = path.join(stateDir, "secrets.json.lock");
    writeFileSync(lock, "");
    utimesSync(lock, 1, 1);
    await Promise.all(Array.from({ length: 10 }, (_, at) => keepSecret(stateDir, `s${at}`, "x", 1)));
    expect(await listSecrets(stateDir)).toHaveLength(10);
    expect(existsSync(lock)).toBe(false);
  });

  it("is set also after a process that died while it removed the lock of one that had died", async () => {
    for (const name of ["secrets.json.lock", "secrets.json.lock.old"]) {
      writeFileSync(path.join(stateDir, name), "");
      utimesSync(path.join(stateDir, name), 1, 1);
    }
    await keepSecret(stateDir, "a", canary, 1);
    expect(await findSecret(stateDir, "a")).toBe(canary);
    expect(readdirSync(stateDir)).toEqual(["secrets.json"]);
  });

  it("is changed under the lock of whoever has it: one that took too long leaves the lock of the next alone", async () => {
    const file = path.join(stateDir, "any.json");
    const taken = async (): Promise<undefined> => {
      writeFileSync(`${file}.lock`, "another's");
      return undefined;
    };
    await changePrivate(file, taken, async () => undefined);
    expect(readFileSync(`${file}.lock`, "utf8")).toBe("another's");
  });

  it.each([
    ["a name with a slash", "a/b", "x", "wanted 1 to 128"],
    ["nothing", "a", "", "wanted 1 to"],
    ["more than the bound", "a", "x".repeat(limits.secretBytesMax + 1), "wanted 1 to"],
  ])("is refused with %s", async (_what, name, value, why) => {
    await expect(keepSecret(stateDir, name, value, 1)).rejects.toThrow(why);
  });

  it("is none when others may read the file, or when it is damaged, which is told without a word of what is in it", async () => {
    await keepSecret(stateDir, "a", canary, 1);
    const file = path.join(stateDir, "secrets.json");
    chmodSync(file, 0o644);
    expect(await read({ source: "store", id: "a" })).toEqual({ missing: expect.stringContaining("mode 644") });
    chmodSync(file, 0o600);
    writeFileSync(file, `{ "${canary}`);
    const { missing } = (await read({ source: "store", id: "a" })) as { readonly missing: string };
    expect(missing).toMatch(/is not a file of secrets/);
    expect(missing).not.toContain("canary");
  });
});

describe("a secret of a program", () => {
  it("is what it writes; its argument is one, whatever it holds, and no variable of the gateway is there", async () => {
    program("vault", 'printf "%s|%s|%s" "$#" "$1" "$CANARY"');
    process.env["CANARY"] = canary;
    try {
      const id = "a b; echo $HOME `id`";
      expect(await read({ source: "exec", provider: "vault", id })).toEqual({ value: `1|${id}|` });
    } finally {
      delete process.env["CANARY"];
    }
  });

  it("is asked for once by calls of the same moment, and again when it is old or was refused, or a while after it failed", async () => {
    const count = path.join(outside, "count");
    program("vault", `printf x >> ${count}; printf k; test "$1" = ok`);
    const reader = open();
    const ask = (id = "ok") => reader.read({ ref: { source: "exec", provider: "vault", id } });
    await Promise.all([ask(), ask(), ask()]);
    await ask();
    expect(readFileSync(count, "utf8")).toHaveLength(1);
    reader.forget();
    await ask();
    nowMs = limits.secretProgramKeepMs;
    await ask();
    expect(readFileSync(count, "utf8")).toHaveLength(3);
    expect(await ask("no")).toEqual({ missing: expect.stringContaining("exit code 1") });
    nowMs += limits.secretProgramRetryMs - 1;
    expect(await ask("no")).toEqual({ missing: expect.stringContaining("exit code 1") });
    expect(readFileSync(count, "utf8")).toHaveLength(4);
    nowMs += 1;
    await ask("no");
    expect(readFileSync(count, "utf8")).toHaveLength(5);
    reader.forget();
    await ask("no");
    expect(readFileSync(count, "utf8")).toHaveLength(6);
  });

  it("that was refused is asked for again, but not sooner than it says", async () => {
    const count = path.join(outside, "count");
    program("vault", `printf x >> ${count}; printf k`);
    const reader = open();
    const ask = () => reader.read({ ref: { source: "exec", provider: "vault", id: "x" } });
    await ask();
    nowMs = 9_999;
    reader.forget(10_000);
    await ask();
    expect(readFileSync(count, "utf8")).toHaveLength(1);
    nowMs = 10_000;
    reader.forget(10_000);
    await ask();
    expect(readFileSync(count, "utf8")).toHaveLength(2);
  });

  it("runs beside a few others at once, and one program leaves places to the others", async () => {
    const started = (): readonly string[] => readdirSync(outside).filter((name) => name.endsWith(".on"));
    const script = (name: string) =>
      `: > ${outside}/${name}-$1.on; while ! test -e ${outside}/go; do sleep 0.02; done; printf k`;
    for (const name of ["slow", "other"]) program(name, script(name));
    const reader = open();
    const ask = (provider: string, id: number) => reader.read({ ref: { source: "exec", provider, id: String(id) } });
    const many = Array.from({ length: 2 * limits.secretProgramsMax }, (_, id) => ask("slow", id));
    await eventually(() => expect(started()).toHaveLength(limits.secretProgramsOfOneMax));
    const others = Array.from({ length: limits.secretProgramsMax }, (_, id) => ask("other", id));
    await eventually(() => expect(started()).toHaveLength(limits.secretProgramsMax));
    put("go", "");
    expect(new Set((await Promise.all([...many, ...others])).map((found) => JSON.stringify(found)))).toEqual(
      new Set(['{"value":"k"}']),
    );
  });

  it.each([
    ["that fails", () => program("p", `echo ${canary}; exit 3`), "exit code 3"],
    ["that writes too much", () => program("p", "yes"), "wrote more than"],
    ["that others may change", () => program("p", "echo x", 0o702), "may be changed by others"],
    ["that its group may change", () => program("p", "echo x", 0o720), "may be changed by others"],
    ["that cannot be run", () => program("p", "echo x", 0o600), "cannot be run: EACCES"],
    [
      "in a folder that others may change",
      () => (program("p", "echo x"), chmodSync(path.join(stateDir, "secret-programs"), 0o777)),
      "may be changed by others",
    ],
    ["that is not there", () => undefined, "is not there"],
    [
      "that is a link",
      () => (program("q", "echo x"), symlinkSync("q", path.join(stateDir, "secret-programs", "p"))),
      "may be changed by others|is no file",
    ],
  ])("%s is none", async (_what, make, why) => {
    make();
    const { missing } = (await read({ source: "exec", provider: "p", id: "" })) as { readonly missing: string };
    expect(missing).toMatch(new RegExp(why));
    expect(missing).not.toContain("canary");
  });

  it.each(["../vault", "/bin/sh", "", "a b"])("is of none that is called %j", async (name) => {
    expect(await read({ source: "exec", provider: name, id: "x" })).toEqual({
      missing: expect.stringContaining("no name of a program"),
    });
  });

  it("ends with its time, and all that it started with it", async () => {
    const pid = path.join(outside, "pid");
    program("slow", `sleep 600 & echo $! > ${pid}; wait`);
    await expect(runSecretProgram(stateDir, "slow", "", 1_000)).rejects.toThrow("did not end within 1000 ms");
    // A machine that is very busy may not have begun with it.
    const child = existsSync(pid) ? Number(readFileSync(pid, "utf8")) : 0;
    await eventually(() => expect(isAlive(child)).toBe(false));
  });

  it("leaves nothing behind that it started", async () => {
    const pid = path.join(outside, "pid");
    program("forks", `sleep 600 & echo $! > ${pid}; echo key`);
    expect((await runSecretProgram(stateDir, "forks", "")).trim()).toBe("key");
    const child = Number(readFileSync(pid, "utf8"));
    await eventually(() => expect(isAlive(child)).toBe(false));
  });
});

describe("a variable", () => {
  it("is one that the broker was given", async () => {
    const reader = open({ WORK_API_KEY: canary });
    expect(await reader.read({ ref: { source: "env", id: "WORK_API_KEY" } })).toEqual({ value: canary });
    for (const id of ["PATH", "constructor"])
      expect(await reader.read({ ref: { source: "env", id } })).toEqual({ missing: `env: ${id}: there is none` });
    expect(await reader.read({ value: "plain" })).toEqual({ value: "plain" });
  });
});
