/** The bounds of commands over all agents, with processes that end by hand. */
import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { type CommandsDeps, makeCommands } from "../../../../runtime/tools/exec/commands.ts";
import { makeProbe } from "../../../../runtime/tools/exec/probe.ts";
import { eventually } from "../../../support/eventually.ts";

interface Told {
  readonly status: string;
  readonly processId: string;
}

describe("commands of all agents together", () => {
  const place = { type: "host", folder: "/" } as const;
  const vector = { argv: ["true"], cwd: place.folder, env: {} };
  const ownerOf = (agentId: string) => ({ agentId, sessionKey: `agent:${agentId}:main`, entry: agentId, turn: 1 });
  const of = (agentId: string) => ({
    vector,
    place,
    owner: ownerOf(agentId),
    tellsEnd: false,
    yieldMs: 0,
    timeoutMs: 60_000,
  });
  const setUpAll = (bounds: CommandsDeps["bounds"], ready: Promise<void> = Promise.resolve()) => {
    const children: ChildProcess[] = [];
    let now = 0;
    const commands = makeCommands({
      nowMs: () => now++,
      name: "cloister-test",
      facts: makeProbe().facts,
      gateway: undefined,
      bounds: { execEndMs: 5, ...bounds },
      launch: async () => {
        await ready;
        const child = Object.assign(new EventEmitter(), { pid: 1, stdin: null, stdout: null, stderr: null });
        children.push(child as ChildProcess);
        return { child: child as ChildProcess, end: async () => undefined, failed: () => undefined };
      },
    });
    return { commands, children, start: (agentId: string) => commands.start(of(agentId)) as Promise<Told> };
  };
  const close = (child: ChildProcess | undefined): void => {
    child?.emit("exit", 0, null);
    child?.emit("close");
  };

  it("are bounded, those that are being started included: a further one is refused until one has ended", async () => {
    const ready = Promise.withResolvers<void>();
    const { children, start } = setUpAll({ execPerAgentMax: 2, execMax: 3 }, ready.promise);
    const first = ["kim", "lee", "raul"].map(start);
    const busy = { result: { code: "busy", error: expect.stringContaining("0 commands of zoe and 3 in all") } };
    await expect(start("zoe")).rejects.toMatchObject(busy);
    ready.resolve();
    await Promise.all(first);
    await expect(start("zoe")).rejects.toMatchObject(busy);
    close(children[0]);
    expect(await start("zoe")).toMatchObject({ status: "running" });
  });

  it("that have ended are kept up to a bound: the oldest are forgotten, whoever's they were", async () => {
    const { commands, children, start } = setUpAll({ execEndedPerAgentMax: 2, execEndedMax: 2 });
    const agents = ["kim", "lee", "raul"];
    const started = await Promise.all(agents.map(start));
    for (const child of children) close(child);
    const seen = (at: number): Promise<Told> => {
      const asked = { action: "poll", processId: started[at]?.processId ?? "", timeoutMs: 0 } as never;
      return commands.process(asked, ownerOf(agents[at] ?? "")) as Promise<Told>;
    };
    await eventually(async () => expect(await seen(2)).toMatchObject({ status: "exited" }));
    const kept = await Promise.allSettled([0, 1, 2].map(seen));
    expect(kept.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(kept.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { result: { code: "not_found" } },
    });
  });
});
