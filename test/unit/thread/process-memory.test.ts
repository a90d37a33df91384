/** A6.2: what processes hold that run for agents, with all that these have started. Real processes, of which each says when it holds what it is to hold. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { commandOf, commandVariable } from "../../../runtime/launcher/orphans.ts";
import { type ProcessFiles, readHeldMemory } from "../../../runtime/thread/process-memory.ts";
import { eventually } from "../../support/eventually.ts";

const megabyte = 1_048_576;

const system: ProcessFiles = {
  list: () => readdir("/proc"),
  read: (pid, name) => readFile(`/proc/${pid}/${name}`, "latin1"),
  commandOf,
};

/** Holds so many megabytes, says its number, and runs until its input is closed. */
const holding = (mb: number, more = ""): string =>
  `globalThis.kept = Buffer.alloc(${mb} * ${megabyte}, 1); process.stdin.resume().on("end", () => process.exit()); ${more}; console.log(process.pid);`;

/** Starts another one first, and says that one's number. */
const parentOf = (mb: number, child: string, options = "{}"): string =>
  `const { spawn } = require("node:child_process");
   globalThis.kept = Buffer.alloc(${mb} * ${megabyte}, 1);
   const child = spawn(process.execPath, ["-e", ${JSON.stringify(child)}], { stdio: ["pipe", "pipe", "inherit"], ...${options} });
   child.stdout.once("data", (text) => process.stdout.write(text));
   process.stdin.resume().on("end", () => process.exit());`;

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** What it said: its own number, or that of what it started. */
  readonly said: number;
}

/** As our threads start what is an agent's: the leader of a group. */
async function start(code: string, env: Record<string, string> = {}): Promise<Started> {
  const child = spawn(process.execPath, ["-e", code], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env["PATH"] ?? "", ...env },
  });
  const { pid = 0 } = child;
  onTestFinished(() => endAll(pid));
  const said = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (text: Buffer) => resolve(Number(String(text))));
    child.once("exit", () => reject(new Error("it ended before it said its number")));
  });
  return { child, pid, said };
}

async function relationsOf(pid: number): Promise<{ readonly parent: number; readonly session: number }> {
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  const [parent, session] = ["PPid", "NSsid"].map((name) => new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return { parent: Number(parent), session: Number(session) };
}

function endAll(pid: number): void {
  for (const target of [-pid, pid])
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // It has ended.
    }
}

async function end({ child, pid }: Started): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  endAll(pid);
  await gone;
}

describe("A6.2: the memory of processes", () => {
  it("is that of each agent's own, with what they have started, until they end", async () => {
    const plain = await start(holding(60));
    const family = await start(parentOf(20, holding(120)));
    const owned = [
      { agentId: "ana", pid: plain.pid },
      { agentId: "raul", pid: family.pid },
    ];
    const found = new Map((await readHeldMemory(owned))?.map((row) => [row.agentId, row]));
    expect(found.get("ana")?.processes).toBe(1);
    expect(found.get("raul")?.processes).toBe(2);
    const [ana = 0, raul = 0] = ["ana", "raul"].map((id) => found.get(id)?.residentBytes);
    // Beside what it was told to hold, each is a Node process of some fifty megabytes.
    expect(ana).toBeGreaterThan(60 * megabyte);
    expect(ana).toBeLessThan(160 * megabyte);
    expect(raul).toBeGreaterThan(140 * megabyte);
    expect(raul).toBeLessThan(360 * megabyte);
    await end(plain);
    expect((await readHeldMemory(owned))?.map(({ agentId }) => agentId)).toEqual(["raul"]);
    await end(family);
    expect(await readHeldMemory(owned)).toEqual([]);
  });

  it("counts two roots of one agent together", async () => {
    const [one, other] = [await start(holding(1)), await start(holding(1))];
    const owned = [one, other].map(({ pid }) => ({ agentId: "ana", pid }));
    expect(await readHeldMemory(owned)).toMatchObject([{ agentId: "ana", processes: 2 }]);
  });

  it("counts what has left the group, and by the name of its command what has left everything", async () => {
    const own = await start(parentOf(1, holding(40), "{ detached: true }"));
    expect(await readHeldMemory([{ agentId: "ana", pid: own.pid }])).toMatchObject([{ processes: 2 }]);
    // The shell leads a session of its own, and has ended when the one that it started says its number.
    const stays = `globalThis.kept = Buffer.alloc(40 * ${megabyte}, 1); setInterval(() => 0, 60_000); console.log(process.pid);`;
    const left = await start(
      `const { spawn } = require("node:child_process");
       const shell = spawn("/bin/sh", ["-c", '"$0" -e "$1" & exit', process.execPath, ${JSON.stringify(stays)}], { detached: true, stdio: ["ignore", "inherit", "inherit"] });
       process.stdin.resume().on("end", () => process.exit());`,
      { [commandVariable]: "test-1" },
    );
    onTestFinished(() => endAll(left.said));
    // Adopted: its parent is neither the first process nor the shell, which leads its session.
    await eventually(async () => {
      const { parent, session } = await relationsOf(left.said);
      expect([left.pid, session]).not.toContain(parent);
    });
    const owned = [{ agentId: "ana", pid: left.pid }];
    expect(await readHeldMemory(owned)).toMatchObject([{ processes: 1 }]);
    const [named] = (await readHeldMemory(owned.map((one) => ({ ...one, command: "test-1" })))) ?? [];
    expect(named?.processes).toBe(2);
    expect(named?.residentBytes).toBeGreaterThan(80 * megabyte);
    expect(await readHeldMemory(owned.map((one) => ({ ...one, command: "test-2" })))).toMatchObject([{ processes: 1 }]);
  });

  it("passes over a process that vanishes between two looks at it", async () => {
    const stays = await start(holding(1));
    const goes = await start(holding(1));
    const owned = [
      { agentId: "ana", pid: stays.pid },
      { agentId: "raul", pid: goes.pid },
    ];
    const found = await readHeldMemory(owned, {
      ...system,
      async read(pid, name) {
        if (pid === goes.pid && name === "status") await end(goes);
        return system.read(pid, name);
      },
    });
    expect(found).toMatchObject([{ agentId: "ana", processes: 1 }]);
    expect(await readHeldMemory(owned, { ...system, read: () => Promise.reject(new Error("gone")) })).toEqual([]);
  });

  it("is not known where there is no /proc, nor with more processes than are read; without any nothing is read", async () => {
    const owned = [{ agentId: "ana", pid: process.pid }];
    const none = { ...system, list: () => Promise.reject(new Error("ENOENT")) };
    expect(await readHeldMemory(owned, none)).toBeUndefined();
    const many = Array.from({ length: limits.processesReadMax + 1 }, (_, n) => String(n + 1));
    const read = () => Promise.reject(new Error("nothing is to be read"));
    expect(await readHeldMemory(owned, { ...system, list: async () => many, read })).toBeUndefined();
    expect(await readHeldMemory([], none)).toEqual([]);
  });

  it("takes no process for an agent's that was given the number of one that has ended", async () => {
    const stat = (group: number) => `4711 (a ) b) S 1 ${group} ${group} 0 -1 0${" 0".repeat(12)} 99 0 5`;
    const files = (group: number): ProcessFiles => ({
      list: async () => ["4711", "self"],
      read: async (_, name) => (name === "stat" ? stat(group) : "Name:\tx\nVmRSS:\t    12 kB\n"),
      commandOf: async () => undefined,
    });
    const owned = [{ agentId: "ana", pid: 4_711 }];
    expect(await readHeldMemory(owned, files(4_711))).toEqual([
      { agentId: "ana", processes: 1, residentBytes: 12_288 },
    ]);
    expect(await readHeldMemory(owned, files(17))).toEqual([]);
  });
});
