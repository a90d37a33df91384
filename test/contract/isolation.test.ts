/** Faults of one agent stay its own: every way to end a cell, a loop that never turns. `broken-modules.test.ts` has modules that cannot load. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { defaultSupervision } from "../../runtime/kernel/supervision.ts";
import { actor } from "../support/actors.ts";
import { openGatewayAt } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";
import { eventually } from "../support/eventually.ts";

const open = { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" as const };

describe.each(levels)("at level %s", (level) => {
  const openGateway = openGatewayAt(level);
  describe("a cell that ends in the middle of a turn is started again and the message delivered again", () => {
    test.each([
      ["process.exit", "exit once", "crash"],
      ["an uncaught exception", "uncaught once", "crash"],
      ["an unhandled rejection", "rejection once", "crash"],
      // A loop that never turns: A4.2, below.
      ["Atomics.wait", "wait once", "hung"],
    ])("%s", async (_name, text, reason) => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      expect(await gateway.reply("main", text)).toBe("recovered at attempt 2");
      expect(
        gateway.logged
          .filter(({ message }) => message === "a cell ended")
          .map(({ fields }) => (fields as { reason: string }).reason),
      ).toEqual([reason]);
      expect(gateway.agents()[0]).toMatchObject({ restarts: 1 });
      // What the first delivery changed in the state was never committed.
      expect(await gateway.reply("main", "hello")).toBe("handled 2: hello");
    });

    test("twice: the message is a dead letter of fate poison, and the next one is handled", async () => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      const [poison, after] = await Promise.all([gateway.say("main", "exit"), gateway.say("main", "fine")]);
      expect(poison).toMatchObject({ status: "error", refusal: { code: "CLOISTER_MAILBOX_POISON" } });
      expect(after).toMatchObject({ status: "ok", reply: "handled 1: fine" });
      expect(await gateway.store.deadLetters({ limit: 10 })).toMatchObject({
        rows: [{ fate: "poison", preview: "exit", attempts: 3, reason: "it was delivered 2 times and ended its cell" }],
        total: 1,
      });
    });
  });

  test("an error that the actor throws fails the turn, not the cell; the state stays as it was", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
    expect(await gateway.reply("main", "one")).toBe("handled 1: one");
    expect(await gateway.say("main", "throw")).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_AGENT_FAILED", message: "thrown on purpose" },
    });
    expect(await gateway.reply("main", "two")).toBe("handled 2: two");
    expect(gateway.agents()[0]).toMatchObject({ restarts: 0 });
  });

  test.each(["exit", "uncaught", "rejection"])(
    "W-01: %s in A: who asked it hears so, B goes on untouched, and what waits for A is handled once each",
    async (how) => {
      const gateway = await openGateway(
        [
          { id: "main", ...actor("tool-user") },
          { id: "a", ...actor("crasher") },
          { id: "b", ...actor("crasher") },
        ],
        open,
      );
      expect(await gateway.reply("b", "one")).toBe("handled 1: one");
      const before = gateway.driver.kernel.view("b");
      const slow = gateway.say("b", "slow");
      const params = { agentId: "a", message: how, timeoutSeconds: 30 };
      const asked = await gateway.reply("main", JSON.stringify({ tool: "sessions_send", params }));
      expect(JSON.parse(asked)).toMatchObject({ status: "error", code: "worker_unavailable" });
      // They wait behind it: it comes once more to the next cell, after a pause, and ends that too.
      const waiting = ["two", "three"].map((text) => gateway.reply("a", text));
      // Numbers of a state that only a committed turn changes: none of them was lost, and none ran twice.
      expect((await Promise.all(waiting)).toSorted()).toEqual(["handled 1: two", "handled 2: three"]);
      expect(gateway.agents()[1]).toMatchObject({ agentId: "a", restarts: 2 });
      expect(await slow).toMatchObject({ status: "ok", reply: "handled 2: slow" });
      expect(gateway.driver.kernel.view("b")).toMatchObject({ incarnation: before?.incarnation, restarts: 0 });
    },
  );

  test("A4.2: a turn that is stuck is ended in its time: its place goes to who waits, its session goes on in order, and log and audit say who ended what", async () => {
    const gateway = await openGateway(
      [
        { id: "busy", ...actor("crasher") },
        { id: "calm", module: "echo" },
      ],
      { ...open, lanes: { main: 1, subagent: 8, cron: 4, background: 3 } },
    );
    const stuck = gateway.say("busy", "spin once");
    await gateway.until(() => gateway.agents()[0]?.phase === "running");
    const mainLane = () => gateway.driver.kernel.lanes().find(({ lane }) => lane === "main");
    const behind = ["one", "two", "three"].map((text) => gateway.reply("busy", text));
    const other = gateway.reply("calm", "hello");
    await eventually(() => expect(gateway.agents().map(({ queueDepth }) => queueDepth)).toEqual([3, 1]));
    expect(mainLane()).toMatchObject({ places: 1, running: 1 });
    expect(await stuck).toMatchObject({ status: "ok", reply: "recovered at attempt 2" });
    expect(gateway.agents()[0]).toMatchObject({ restarts: 1 });
    expect(await other).toBe("hello");
    // Counted by a state that each turn changes: in the order of their arrival, behind the message that was stuck.
    expect(await Promise.all(behind)).toEqual(["handled 2: one", "handled 3: two", "handled 4: three"]);
    await eventually(() => expect(mainLane()).toMatchObject({ running: 0, waiting: 0 }));
    const ended = gateway.logged.find(({ message }) => message === "a cell ended")?.fields;
    const { envelopes = [] } = (ended ?? {}) as { readonly envelopes?: readonly string[] };
    expect(ended).toMatchObject({ agent: "busy", reason: "hung", sessions: ["agent:busy:main"] });
    const audits = async () => (await gateway.store.audits(50)).filter(({ type }) => type === "cell");
    await eventually(async () =>
      expect(await audits()).toMatchObject([
        {
          subject: "agent:busy",
          object: "agent:busy:main",
          envelopeId: envelopes[0],
          detail: expect.stringMatching(/^hung: its loop did not turn for \d+ ms/),
        },
      ]),
    );
  });

  test("with one agent in while(true){} the other answers, and the busy one is replaced", async () => {
    const gateway = await openGateway(
      [
        { id: "busy", ...actor("crasher") },
        { id: "calm", module: "echo" },
      ],
      open,
    );
    await gateway.reply("calm", "awake");
    const spinning = gateway.say("busy", "spin once");
    await gateway.until(() => gateway.agents()[0]?.phase === "running");
    for (let n = 0; n < 20; n++) expect(await gateway.reply("calm", `still here ${n}`)).toBe(`still here ${n}`);
    expect(gateway.agents()[0]?.restarts).toBe(0);
    expect(await spinning).toMatchObject({ status: "ok", reply: "recovered at attempt 2" });
    expect(gateway.agents()[0]?.restarts).toBe(1);
  });

  test("waiting is not being stuck: a turn that waits for longer than a loop may stand still is left alone", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
    expect(await gateway.reply("main", "slow")).toBe("handled 1: slow");
    expect(gateway.agents()[0]).toMatchObject({ restarts: 0 });
  });

  describe("a turn that says that it will be busy", () => {
    test("may hold the loop for longer, and the next turn may not", async () => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      expect(await gateway.reply("main", "busy")).toBe("handled 1: busy");
      expect(gateway.agents()[0]).toMatchObject({ restarts: 0 });
      expect(await gateway.reply("main", "wait once")).toBe("recovered at attempt 2");
      expect(gateway.logged.find(({ message }) => message === "a cell ended")?.fields).toMatchObject({
        detail: "its loop did not turn for 1000 ms",
      });
    });

    test("for longer than anybody may: fails with the bound", async () => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      expect(await gateway.say("main", "greedy")).toMatchObject({
        status: "error",
        refusal: { code: "CLOISTER_AGENT_FAILED", message: expect.stringMatching(/at most 60000 milliseconds/) },
      });
    });
  });

  describe("the report of a cell that hung", () => {
    const ended = (gateway: Awaited<ReturnType<typeof openGateway>>): Record<string, unknown> =>
      gateway.logged.find(({ message }) => message === "a cell ended")?.fields as Record<string, unknown>;

    test("names the envelope and its session, in log and audit, and has a CPU profile that names the file", async () => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      expect(await gateway.reply("main", "churn once")).toBe("recovered at attempt 2");
      const report = ended(gateway);
      expect(report).toMatchObject({ reason: "hung", sessions: ["agent:main:main"], envelopes: [expect.any(String)] });
      const file = report["profile"] as string;
      expect(path.dirname(file)).toBe(path.join(gateway.config.stateDir, "run", "profiles"));
      const profile = await eventually(() => JSON.parse(readFileSync(file, "utf8")) as { nodes: unknown[] });
      expect(JSON.stringify(profile.nodes)).toContain("crasher.ts");
      const rows = await eventually(async () => {
        const found = (await gateway.store.audits(50)).filter(({ type }) => type === "cell");
        expect(found).toHaveLength(1);
        return found;
      });
      expect(rows[0]).toMatchObject({
        subject: "agent:main",
        object: "agent:main:main",
        envelopeId: (report["envelopes"] as string[])[0],
        detail: `hung: its loop did not turn for 1000 ms; CPU profile: ${file}`,
      });
    });

    // A thread in native code ends when that does, which a busy machine may bring about before the watch does: `stuck-profile.test.ts` has that level.
    test.runIf(level === "process")("says why there is no profile of one that waits in native code", async () => {
      const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
      expect(await gateway.reply("main", "endless once")).toBe("recovered at attempt 2");
      expect(ended(gateway)).toMatchObject({
        reason: "hung",
        noProfile: expect.stringMatching(/did not answer the profiler/),
      });
    });
  });

  test("an ask whose target's cell ends settles with an error that says so", async () => {
    const gateway = await openGateway(
      [
        { id: "main", ...actor("tool-user") },
        { id: "raul", ...actor("crasher") },
      ],
      open,
    );
    const answer = JSON.parse(
      await gateway.reply(
        "main",
        JSON.stringify({ tool: "request", params: { to: "raul", text: "exit once", timeoutMs: 20_000 } }),
      ),
    );
    expect(answer).toMatchObject({ code: "CLOISTER_AGENT_CRASHED" });
  });

  test("an ask that nobody answers settles at its deadline, without anything else that happens", async () => {
    const gateway = await openGateway(
      [
        { id: "main", ...actor("tool-user") },
        { id: "raul", ...actor("crasher") },
      ],
      open,
    );
    const request = { tool: "request", params: { to: "raul", text: "hang", timeoutMs: 30 } };
    expect(JSON.parse(await gateway.reply("main", JSON.stringify(request)))).toMatchObject({
      code: "CLOISTER_ASK_TIMEOUT",
    });
  });

  test("a run that is stopped ends as aborted, and the session goes on", async () => {
    const gateway = await openGateway([{ id: "main", ...actor("crasher") }]);
    const run = gateway.say("main", "hang");
    await gateway.until(() => gateway.agents()[0]?.phase === "running");
    await gateway.doors.rpc({ connId: "t", clientId: "t", mode: "t", scopes: [] }, "chat.abort", {
      sessionKey: "agent:main:main",
    });
    expect(await run).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
    expect(await gateway.reply("main", "on")).toBe("handled 1: on");
  });

  test("an agent that crashes again and again is parked with a reason until an operator unparks it; the other runs", async () => {
    const gateway = await openGateway([
      { id: "main", ...actor("crasher"), supervision: { ...defaultSupervision(limits), intensity: 2 } },
      { id: "calm", module: "echo" },
    ]);
    const runs = Array.from({ length: 2 }, (_, n) => gateway.say("main", `exit ${n}`));
    await gateway.until(() => gateway.agents()[0]?.phase === "parked");
    expect(gateway.agents()[0]?.reason).toMatch(/3 crashes within 60 s, the last: crash: it called process\.exit\(3\)/);
    expect(await gateway.reply("calm", "hello")).toBe("hello");
    const client = { connId: "t", clientId: "t", mode: "t", scopes: ["operator.admin"] };
    const unpark = (agentId: string) => gateway.doors.rpc(client, "agents.unpark", { agentId });
    expect(await unpark("calm")).toMatchObject({ ok: true, payload: { unparked: false } });
    expect(await unpark("nobody")).toMatchObject({ ok: false, refusal: { code: "CLOISTER_AGENT_UNKNOWN" } });
    expect(await unpark("main")).toMatchObject({ ok: true, payload: { unparked: true, before: "parked" } });
    // Its mail goes on: the last message crashes it once more and is set aside as well.
    for (const run of await Promise.all(runs))
      expect(run).toMatchObject({ status: "error", refusal: { code: "CLOISTER_MAILBOX_POISON" } });
  });
});
