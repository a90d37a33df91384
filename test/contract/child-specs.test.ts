/** Child specs, groups and monitors with real cells: who has a cell after which end, and who hears of it. */
import { readlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { type AgentGroup, defaultSupervision, type Supervision } from "../../runtime/kernel/supervision.ts";
import { actor } from "../support/actors.ts";
import { openGatewayAt, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";
import { cellProcessesOf, isAlive } from "../support/processes.ts";

const open = { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" as const };
/** Without a wait between two cells, so that what happens next is the child spec's doing alone. */
const spec = (changes: Partial<Supervision>): Supervision => ({
  ...defaultSupervision(limits),
  backoffMinMs: 0,
  backoffMaxMs: 0,
  ...changes,
});
const view = (gateway: TestGateway, agentId: string) => gateway.driver.kernel.view(agentId);
const phase = (gateway: TestGateway, agentId: string) => expect.poll(() => view(gateway, agentId)?.phase);
/** Why cells have ended so far, by agent. */
const ends = (gateway: TestGateway): readonly string[] =>
  gateway.logged
    .filter(({ message }) => message === "a cell ended")
    .map(({ fields }) => fields as { readonly agent: string; readonly reason: string })
    .map(({ agent, reason }) => `${agent} ${reason}`);

describe.each(levels)("at level %s", (level) => {
  const openGateway = openGatewayAt(level);

  describe("an agent that is", () => {
    const one = (restart: Supervision["restart"], changes: Partial<Supervision> = {}) =>
      openGateway([{ id: "main", ...actor("crasher"), supervision: spec({ restart, ...changes }) }]);

    test("permanent has a cell before its first message, and the next one after every end, without a message", async () => {
      const gateway = await one("permanent");
      await phase(gateway, "main").toBe("live");
      expect(view(gateway, "main")).toMatchObject({ incarnation: 1 });
      expect(await gateway.reply("main", "later")).toBe("handled 1: later");
      await expect.poll(() => view(gateway, "main")).toMatchObject({ phase: "live", incarnation: 2, restarts: 1 });
      gateway.driver.kernel.order("main", { type: "restart" }, Date.now());
      await expect.poll(() => view(gateway, "main")).toMatchObject({ phase: "live", incarnation: 3, restarts: 1 });
      expect(ends(gateway)).toEqual(["main crash", "main shutdown"]);
      expect(await gateway.reply("main", "hello")).toBe("handled 2: hello");
    });

    test("transient has none until mail comes, after an abnormal end as well", async () => {
      const gateway = await one("transient");
      expect(view(gateway, "main")).toMatchObject({ phase: "dormant", incarnation: 0 });
      expect(await gateway.reply("main", "later")).toBe("handled 1: later");
      await expect.poll(() => view(gateway, "main")).toMatchObject({ phase: "dormant", incarnation: 1, restarts: 1 });
      expect(await gateway.reply("main", "hello")).toBe("handled 2: hello");
      expect(view(gateway, "main")).toMatchObject({ phase: "live", incarnation: 2 });
    });

    test("temporary gets none after an abnormal end; its mail waits until an operator starts it", async () => {
      const gateway = await one("temporary");
      expect(await gateway.reply("main", "one")).toBe("handled 1: one");
      gateway.driver.kernel.order("main", { type: "restart" }, Date.now());
      await phase(gateway, "main").toBe("dormant");
      // An orderly end is none of its failures.
      expect(await gateway.reply("main", "two")).toBe("handled 2: two");
      const ended = gateway.say("main", "exit once");
      await phase(gateway, "main").toBe("parked");
      const after = gateway.say("main", "three");
      await expect.poll(() => view(gateway, "main")?.queueDepth).toBe(2);
      expect(view(gateway, "main")).toMatchObject({
        phase: "parked",
        incarnation: 2,
        reason: expect.stringMatching(/^it is temporary and ended: crash: it called process\.exit\(3\)/),
      });
      gateway.driver.kernel.unpark("main", Date.now());
      expect(await ended).toMatchObject({ status: "ok", reply: "recovered at attempt 2" });
      expect(await after).toMatchObject({ status: "ok", reply: "handled 4: three" });
    });

    test("parked after more abnormal ends than its intensity has lost none of its mail", async () => {
      const gateway = await one("transient", { intensity: 1 });
      expect(await gateway.reply("main", "exit once")).toBe("recovered at attempt 2");
      const said = ["rejection once", "fine"].map((text, n) => gateway.say("main", text, `agent:main:s${n}`));
      await phase(gateway, "main").toBe("parked");
      expect(view(gateway, "main")?.reason).toMatch(/^2 crashes within 60 s, the last: crash:/);
      gateway.driver.kernel.unpark("main", Date.now());
      expect(await Promise.all(said)).toMatchObject([
        { reply: "recovered at attempt 2" },
        { reply: "handled 1: fine" },
      ]);
    });
  });

  describe("in a group", () => {
    const ids = ["a", "b", "c", "d"];
    const grouped = async (
      strategy: AgentGroup["strategy"],
      changes: Partial<Supervision> = {},
    ): Promise<TestGateway> => {
      const member = (id: string): TestAgent => ({
        id,
        ...actor("crasher"),
        supervision: spec(changes),
        // The last one is in no group.
        ...(id === "d" ? {} : { group: { name: "g", strategy } }),
      });
      const gateway = await openGateway(ids.map(member));
      await everybody(gateway, 1);
      return gateway;
    };
    const everybody = async (gateway: TestGateway, nth: number): Promise<void> => {
      const said = ids.map((id) => gateway.reply(id, "hello", `agent:${id}:talk`));
      expect(await Promise.all(said)).toEqual(ids.map(() => `handled ${nth}: hello`));
    };

    test.each([
      ["one_for_one", ["b crash"], [1, 2, 1, 1]],
      ["one_for_all", ["a shutdown", "b crash", "c shutdown"], [2, 2, 2, 1]],
      ["rest_for_one", ["b crash", "c shutdown"], [1, 2, 2, 1]],
    ] as const)("%s: the crash of the second of three ends %j", async (strategy, expected, incarnations) => {
      const gateway = await grouped(strategy);
      expect(await gateway.reply("b", "exit once")).toBe("recovered at attempt 2");
      await expect.poll(() => ends(gateway).toSorted()).toEqual(expected);
      // Everybody has its state again, in a new cell or in the old one.
      await everybody(gateway, 2);
      expect(ids.map((id) => view(gateway, id)?.incarnation)).toEqual(incarnations);
      expect(ids.map((id) => view(gateway, id)?.restarts)).toEqual([0, 1, 0, 0]);
      expect(ends(gateway).toSorted()).toEqual(expected);
    });

    test("stop-group parks its members with the one that crashed too often, and their mail waits", async () => {
      const gateway = await grouped("one_for_one", { intensity: 0, escalate: "stop-group" });
      const ended = gateway.say("b", "exit once");
      for (const id of ["a", "b", "c"]) await phase(gateway, id).toBe("parked");
      expect(view(gateway, "c")?.reason).toMatch(
        /^its group g was stopped, because b was parked: 1 crashes within 60 s/,
      );
      expect(view(gateway, "d")?.phase).toBe("live");
      const kept = gateway.reply("c", "kept");
      await expect.poll(() => view(gateway, "c")?.queueDepth).toBe(1);
      for (const id of ["a", "b", "c"]) gateway.driver.kernel.unpark(id, Date.now());
      expect(await ended).toMatchObject({ reply: "recovered at attempt 2" });
      expect(await kept).toBe("handled 1: kept");
      await everybody(gateway, 2);
    });
  });

  describe("an agent with three monitors on it", () => {
    interface Seen {
      readonly signal: { readonly ref: string; readonly reason: string; readonly agentId: string };
    }
    const watched = async (
      name: string,
    ): Promise<{ readonly gateway: TestGateway; readonly refs: readonly string[] }> => {
      const gateway = await openGateway(
        [
          { id: "target", ...actor(name), supervision: spec({}) },
          { id: "main", ...actor("clock-user") },
          { id: "ana", ...actor("clock-user") },
        ],
        open,
      );
      const watch = async (id: string): Promise<string> =>
        JSON.parse(await gateway.reply(id, JSON.stringify({ do: "monitor", target: "target" }))) as string;
      return { gateway, refs: [await watch("main"), await watch("main"), await watch("ana")] };
    };
    const heard = async (gateway: TestGateway): Promise<readonly string[]> => {
      const told = await Promise.all(["main", "ana"].map((id) => gateway.reply(id, JSON.stringify({ do: "seen" }))));
      return told
        .flatMap((json) => JSON.parse(json) as readonly Seen[])
        .map(({ signal: { ref, reason, agentId } }) => `${ref} ${agentId} ${reason}`)
        .toSorted();
    };
    /** One message for each monitor with this reason, and none more after another end. */
    const heardOnce = async (gateway: TestGateway, refs: readonly string[], reason: string): Promise<void> => {
      const expected = refs.map((ref) => `${ref} target ${reason}`).toSorted();
      await expect.poll(() => heard(gateway)).toEqual(expected);
      const before = view(gateway, "target")?.restarts ?? 0;
      await gateway.say("target", "exit once");
      await gateway.say("target", "process.exit");
      expect(view(gateway, "target")?.restarts).toBe(before + 1);
      // The news of an end comes before what is accepted after it.
      expect(await gateway.store.due(Date.now() + 1e9, 10)).toMatchObject({ rows: [] });
      expect(await heard(gateway)).toEqual(expected);
    };

    test.each([
      ["calls process.exit", "crasher", "exit once", "crash"],
      ["throws where nobody catches", "crasher", "uncaught once", "crash"],
      ["leaves a rejection unhandled", "crasher", "rejection once", "crash"],
      ["is stuck in a loop", "crasher", "spin once", "hung"],
      ["is stuck in Atomics.wait", "crasher", "wait once", "hung"],
      ["floods its heap", "flooder", "Buffer flood from a timer, the loop turning", "out_of_memory"],
      ["is restarted by an operator", "crasher", "", "shutdown"],
    ])("that %s: each monitor tells it, and once", async (_what, name, text, reason) => {
      const { gateway, refs } = await watched(name);
      if (text === "") {
        expect(await gateway.reply("target", "hello")).toBe("handled 1: hello");
        gateway.driver.kernel.order("target", { type: "restart" }, Date.now());
      } else expect(await gateway.reply("target", text)).toBe("recovered at attempt 2");
      await heardOnce(gateway, refs, reason);
    });

    test("that throws in a turn is not down", async () => {
      const { gateway } = await watched("crasher");
      expect(await gateway.say("target", "throw")).toMatchObject({ refusal: { code: "CLOISTER_AGENT_FAILED" } });
      expect(await gateway.reply("target", "on")).toBe("handled 1: on");
      expect(await heard(gateway)).toEqual([]);
    });

    // A thread cannot be killed from outside.
    if (level === "process")
      test("whose process is killed from outside: each monitor tells it, and once", async () => {
        const { gateway, refs } = await watched("crasher");
        expect(await gateway.reply("target", "hello")).toBe("handled 1: hello");
        const workspace = path.join(gateway.config.stateDir, "workspace-target");
        const [pid] = cellProcessesOf(process.pid).filter(
          (child) => isAlive(child) && readlinkSync(`/proc/${child}/cwd`) === workspace,
        );
        process.kill(pid ?? Number.NaN, "SIGKILL");
        await heardOnce(gateway, refs, "killed");
      });
  });
});
