/**
 * What a cell may not do, power by power, on the Node that runs this suite (`.ci/run` runs it on 24 and 26). The actor under
 * test is real code in a real confined cell.
 */
import { closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { doneBits } from "../../runtime/kernel/frames.ts";
import { actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { levels } from "../support/levels.ts";

const root = mkdtempSync(path.join(os.tmpdir(), "cloister-confine-"));
const workspace = path.join(root, "workspace");
const processDir = path.join(root, "process");
const outside = path.join(root, "other-agent", "secret.txt");
const module = actorPath("powers");
const startedIn = process.cwd();

describe.each(levels)("at level %s", (level) => {
  let cell: HandCell;
  let descriptor: number;

  beforeAll(async () => {
    for (const folder of [workspace, processDir, path.dirname(outside)]) mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(workspace, "hello.txt"), "hello");
    writeFileSync(outside, "canary");
    writeFileSync(path.join(processDir, "main-thread.txt"), "canary");
    copyFileSync(realAddon(), path.join(workspace, "addon.node"));
    descriptor = openSync(outside, "r+");
    // As the gateway does: an empty directory, because a confined worker may read below the process's own.
    const empty = path.join(root, "empty");
    mkdirSync(empty, { recursive: true });
    process.chdir(empty);
    cell = await startCell(
      {
        workspace,
        module: { kind: "file", url: pathToFileURL(module).href },
        options: { outside, processDir, descriptor },
      },
      [module],
      { level },
    );
    expect(await cell.started).toEqual({ status: "ready" });
  });

  afterAll(() => {
    process.chdir(startedIn);
    closeSync(descriptor);
  });

  /** An add-on that loads where it may: the one that the store uses. */
  function realAddon(): string {
    const store = createRequire(import.meta.url).resolve("lmdb");
    const folder = path.join(path.dirname(store), "../../@lmdb");
    const [file] = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".node"));
    if (file === undefined) throw new Error(`no add-on below ${folder}`);
    return path.join(folder, file);
  }

  async function tryPower(name: string): Promise<string> {
    const end = await cell.turn(name);
    expect(end.num & doneBits.error, end.a).toBe(0);
    return end.a;
  }

  const denied = [
    "read outside",
    "read outside, promises",
    "read outside, stream",
    "write outside",
    "list outside",
    "stat outside",
    "watch outside",
    "link to outside",
    "read below the process's directory",
    "read a relative path of the process's directory",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/fd",
    "/proc/thread-self",
    "/proc/thread-self/environ",
    "foreign descriptor, read",
    "foreign descriptor, write",
    "foreign descriptor, readFile",
    "foreign descriptor, stream",
    "foreign descriptor, ReadStream",
    "foreign descriptor, close",
    "exec",
    "exec by require",
    "exec by getBuiltinModule",
    "exec by Module._load",
    "process.execve",
    "add-on",
    "add-on by require",
    "nested worker",
    "inspector",
    "sqlite",
    "wasi",
    "cluster",
    "process.kill",
    "process.abort",
    "process.chdir",
    "process.binding",
    "process._linkedBinding",
    "process._getActiveHandles",
    "process.report",
    "BroadcastChannel",
    "BroadcastChannel of worker_threads",
    "postMessageToThread",
    "setEnvironmentData",
    "locks",
    "parentPort",
    "workerData",
    "v8 flags",
    "v8 heap snapshot",
    "crypto engine",
    "os.setPriority",
    "module hooks",
    "network, net",
    "network, http",
    "network, dns",
    "network, dgram",
    "network, fetch",
    "network, WebSocket",
    "redefine a stub",
    "replace a stub",
  ];

  describe("a cell may not", () => {
    test.each(denied)("%s", async (name) => {
      // A relative path resolves in the process's directory, which is empty; what is taken away altogether is a TypeError.
      const how = name.includes("relative path")
        ? /^denied: ENOENT /
        : /^denied: (ERR_ACCESS_DENIED|ERR_DLOPEN_DISABLED|TypeError) /;
      expect(await tryPower(name)).toMatch(how);
    });

    test("reach the canary of another agent by any of these", async () => {
      for (const name of denied) expect(await tryPower(name)).not.toContain("canary");
    });
  });

  describe("a cell may", () => {
    test.each([
      ["read workspace", "open: hello"],
      ["write workspace", "open: made"],
      ["own descriptor", "open: hello"],
      ["own stream", "open: hello"],
      ["environment", "open: {}"],
      ["zod", "open: function"],
      ["crypto", "open: 2d711642"],
    ])("%s", async (name, expected) => {
      expect(await tryPower(name)).toBe(expected);
    });

    test("see its workspace as the working directory", async () => {
      expect(await tryPower("cwd")).toBe(`open: ${workspace}`);
    });
  });
});
