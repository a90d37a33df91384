/** What trust opens to a module, at each level, and what it does not: ports, the line between agents, and every watch. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Server } from "node:net";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { levels } from "../support/levels.ts";

const module = actorPath("trusted");
const root = mkdtempSync(path.join(os.tmpdir(), "cloister-trust-"));
const workspace = path.join(root, "workspace");
const outside = path.join(root, "secret.txt");
let server: Server;
let descriptor: number;

beforeAll(async () => {
  mkdirSync(workspace);
  writeFileSync(outside, "canary");
  descriptor = openSync(outside, "r");
  server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  closeSync(descriptor);
});

/** One that loads where it may: the store's. */
function realAddon(): string {
  const folder = path.join(path.dirname(createRequire(import.meta.url).resolve("lmdb")), "../../@lmdb");
  const [file] = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".node"));
  return path.join(folder, file ?? "");
}

describe.each(levels)("a trusted module at level %s", (level) => {
  let cell: HandCell;
  const start = async (): Promise<void> => {
    const { port } = server.address() as AddressInfo;
    cell = await startCell(
      {
        workspace,
        module: { kind: "file", url: pathToFileURL(module).href },
        options: { outside, addon: realAddon(), port, descriptor },
      },
      [module],
      { level, trust: "trusted" },
    );
    expect(await cell.started).toEqual({ status: "ready" });
  };
  beforeAll(start);

  test.each([
    ["read outside", "canary"],
    ["start a program", "ran\n"],
    ["load an add-on", "object"],
    ["reach the network", "connected"],
    ["fetch", "function"],
  ])("may %s", async (act, expected) => {
    expect((await cell.turn(act)).a).toBe(expected);
  });

  test.each(["open a channel to other threads", "post to another thread"])("may not %s", async (act) => {
    expect((await cell.turn(act)).a).toMatch(/^denied: (ERR_ACCESS_DENIED|TypeError: BroadcastChannel is not)/);
  });

  test("does not get at the port that its stamps depend on, and starts with an empty environment", async () => {
    expect((await cell.turn("find its port")).a).toBe("undefined");
    expect((await cell.turn("see secrets in its environment")).a).toBe("{}");
  });

  test("acts on its process when that is its own, and on no process that others share", async () => {
    const signal = (await cell.turn("signal its process")).a;
    const read = (await cell.turn("read a foreign descriptor")).a;
    expect(read).not.toContain("canary");
    if (level === "thread") {
      expect([signal, read]).toEqual(["denied: ERR_ACCESS_DENIED", "denied: ERR_ACCESS_DENIED"]);
      return;
    }
    // A process has a table of descriptors of its own: that number is none of it, or another thing.
    expect(signal).toBe("true");
  });

  test.each([
    ["spin", "hung"],
    ["flood its memory", "out_of_memory"],
  ])("is watched like every other: %s", async (act, reason) => {
    await start();
    void cell.turn(act);
    await cell.ending;
    // It is told when it is decided, which is before it has come about.
    expect(cell.host.size).toBe(1);
    expect(await cell.exited).toMatchObject({ reason });
    expect(cell.endings).toEqual([reason]);
  });
});
