/** A6.2: how often the processes of agents are read, and what is told when somebody who started them does not answer. */
import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeAgentMemory } from "../../../runtime/supervisor/agent-memory.ts";
import type { CellFigures } from "../../../runtime/thread/cell-host.ts";
import type { HeldMemory } from "../../../runtime/thread/process-port.ts";

const held = (agentId: string, residentBytes: number, processes = 1): HeldMemory => ({
  agentId,
  processes,
  residentBytes,
});

function open(
  commands: () => Promise<readonly HeldMemory[] | undefined>,
  mcp: () => Promise<readonly HeldMemory[] | undefined> = async () => [],
  cells: readonly CellFigures[] = [],
  readMs = 1,
) {
  let nowMs = 0;
  const memory = makeAgentMemory({
    cells: () => cells,
    commands: { heldMemory: commands },
    mcp: { heldMemory: mcp },
    nowMs: () => nowMs,
    readMs,
  });
  return { memory, pass: (ms: number) => void (nowMs += ms) };
}

describe("A6.2: the memory of agents", () => {
  it("is read when somebody asks, once for all who ask within its age, and then anew", async () => {
    let reads = 0;
    const { memory, pass } = open(async () => [held("main", 1_000 * ++reads)], undefined, [], 60_000);
    expect(reads).toBe(0);
    const both = await Promise.all([memory.rows(), memory.held()]);
    expect(both[1].commands?.get("main")?.residentBytes).toBe(1_000);
    pass(limits.processMemoryMs - 1);
    expect((await memory.rows()).agents).toMatchObject([{ agentId: "main", heldBytes: 1_000 }]);
    expect(reads).toBe(1);
    pass(1);
    expect((await memory.rows()).agents).toMatchObject([{ agentId: "main", heldBytes: 2_000 }]);
    expect(reads).toBe(2);
  });

  it("is not known where who started them does not answer in time, or is lost; the others' is told", async () => {
    const late = Promise.withResolvers<readonly HeldMemory[]>();
    let reads = 0;
    const slow = () => {
      reads++;
      return late.promise;
    };
    const { memory, pass } = open(slow, () => Promise.reject(new Error("the thread ended")));
    expect(await memory.rows("main")).toMatchObject({ read: ["cells"], agents: [{ agentId: "main", processes: {} }] });
    // It is not asked again before it has answered.
    pass(limits.processMemoryMs);
    expect((await memory.held()).commands).toBeUndefined();
    expect(reads).toBe(1);
    late.resolve([]);
    await late.promise;
    pass(limits.processMemoryMs);
    await expect.poll(async () => (pass(limits.processMemoryMs), (await memory.rows()).read)).toContain("commands");
    expect(reads).toBeGreaterThan(1);
  });

  it("is that of cells in threads and of processes together, who holds most first; the heap of a process is in it", async () => {
    const inThread = (agentId: string, heapUsed: number): CellFigures => ({
      agentId,
      memory: { heapUsed, external: 5 },
      loopDelayMs: 0,
    });
    const own = {
      agentId: "boxed",
      memory: { heapUsed: 70, external: 7, resident: 900 },
      loopDelayMs: 0,
      pid: 2 ** 30,
    };
    const { memory } = open(
      async () => [held("small", 20, 2)],
      async () => [held("large", 5_000)],
      [inThread("small", 100), inThread("small", 1_000), { ...inThread("small", 0), memory: undefined }, own],
      60_000,
    );
    const { read, agents } = await memory.rows();
    expect(read).toEqual(expect.arrayContaining(["commands", "mcp"]));
    expect(agents).toEqual([
      { agentId: "large", cells: 0, processes: { mcp: { processes: 1, residentBytes: 5_000 } }, heldBytes: 5_000 },
      {
        agentId: "small",
        cells: 3,
        heapBytes: 1_100,
        externalBytes: 10,
        processes: { commands: { processes: 2, residentBytes: 20 } },
        heldBytes: 1_130,
      },
      // No process has this number: the one that it was is gone.
      { agentId: "boxed", cells: 1, heapBytes: 70, externalBytes: 7, processes: {}, heldBytes: 0 },
    ]);
    expect((await memory.rows("nobody")).agents).toEqual([
      { agentId: "nobody", cells: 0, processes: {}, heldBytes: 0 },
    ]);
  });
});
