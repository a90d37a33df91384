/** Stopping an agent, a run with what came of it, and everything (A11.2). */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { answerOf, gate, type Script, scripted, storedOf } from "../../support/fake-cell.ts";
import { makeDriver } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const noParameters = z.object({});

const main = "agent:main:main";
const raul = "agent:raul:main";
const stopped = { status: "error", code: "CLOISTER_ASK_ABORTED", message: "the run was stopped" };
const blocked: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};
const never: Script = function* () {
  yield* gate("never");
  return {};
};

describe("stopping an agent", () => {
  it("ends what waits and then what runs, of that agent alone, and says how much it was", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: blocked });
    for (const body of ["a", "b", "c"]) driver.tell(main, body, { runId: body });
    driver.tell("agent:main:x", "d", { runId: "d" });
    driver.tell(raul, "other");
    driver.settle();
    expect(driver.kernel.stop({ type: "agent", agentId: "main" }, "cli", driver.nowMs)).toEqual({
      queued: ["b", "c"],
      active: ["a", "d"],
      senders: 0,
      backlog: 0,
      subagents: 0,
      kept: [],
    });
    driver.settle();
    driver.open("go on");
    driver.open("go on");
    for (const body of ["a", "b", "c", "d"]) expect(driver.outcomes(body)).toEqual([stopped]);
    expect(driver.outcomes("other")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.ofType("audit").filter(({ event }) => event === "stopped")).toEqual([
      expect.objectContaining({
        subject: "cli",
        object: "agent:main",
        detail: expect.stringContaining("2 that waited"),
      }),
    ]);
    // It is in service as before.
    driver.tell(main, "after");
    driver.settle();
    driver.open("go on");
    expect(driver.outcomes("after")).toEqual([{ status: "ok", text: "done" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("ends the cell of a turn that takes no notice; what others had in it is handled again without blame", () => {
    const driver = makeDriver({ script: scripted({ stuck: never, other: blocked }) });
    driver.tell("agent:main:a", "stuck", { runId: "stuck" });
    driver.tell("agent:main:b", "other");
    driver.settle();
    driver.kernel.stop({ type: "run", runId: "stuck" }, "cli", driver.nowMs);
    driver.advance(driver.kernel.state.settings.limits.stopGraceMs - 50);
    expect(driver.outcomes("stuck")).toEqual([]);
    driver.advance(400);
    expect(driver.outcomes("stuck")).toEqual([stopped]);
    expect(driver.kernel.view("main")?.restarts).toBe(0);
    expect(driver.kernel.state.agents.get("main")?.suspects).toBe(0);
    driver.open("go on");
    expect(driver.outcomes("other")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.handled.filter(({ body }) => body === "other").map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("lets no further call of a stopped turn through: no send, no tool, no step, no timer", () => {
    const heard: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      tools: { probe: { repeat: "reads", parameters: noParameters, run: () => Promise.resolve({ status: "ok" }) } },
      script: scripted({
        go: function* (turn) {
          yield* gate("go on");
          const refs = [
            turn.send(raul, "late"),
            turn.send(raul, "late", { timeoutMs: 1_000 }),
            turn.send(raul, "late", { inMemory: true, timeoutMs: 1_000 }),
            turn.call("probe", {}),
            turn.model("[1]"),
            turn.step("late").ref,
            turn.schedule({ inMs: 1_000 }, "late"),
            turn.monitor("raul"),
          ];
          for (const ref of refs) {
            const answer = yield* answerOf(ref);
            heard.push(answer.type === "refused" ? answer.refusal.code : answer.type);
          }
          return {};
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    driver.kernel.stop({ type: "all" }, "cli", driver.nowMs);
    driver.open("go on");
    expect(heard).toEqual(Array.from({ length: 8 }, () => "CLOISTER_ASK_ABORTED"));
    expect(driver.handled.map(({ body }) => body)).toEqual(["go"]);
    expect(driver.ofType("call")).toEqual([]);
    expect(driver.ofType("model")).toEqual([]);
  });

  it("ends what was on its way to the journal, so that a circle of messages does not outlive it", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: function* (turn) {
        yield* storedOf(turn.send(turn.header.agentId === "main" ? raul : main, "on"));
        return {};
      },
    });
    driver.tell(main, "begin");
    driver.stepUntil(() => driver.ofType("append").length === 2);
    driver.kernel.stop({ type: "all" }, "cli", driver.nowMs);
    driver.finish();
    expect(driver.handled.map(({ body }) => body)).toEqual(["begin"]);
    expect(driver.dead("on")?.fate).toBe("dropped");
    // What is said afterwards is new work.
    driver.tell(main, "again");
    driver.stepUntil(() => driver.handled.length > 4);
    driver.kernel.stop({ type: "all" }, "cli", driver.nowMs);
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("settles the waits of the turns that it stops, and refuses who waits for a place", () => {
    const answers: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      spec: (id) => (id === "raul" ? { mailbox: { depthMax: 1, overflow: "park" } } : {}),
      script: scripted({
        busy: blocked,
        ask: function* (turn) {
          const answer = yield* answerOf(turn.send(raul, "queued", { timeoutMs: 60_000 }));
          answers.push(answer.type === "refused" ? answer.refusal.code : answer.type);
          return { reply: "went on" };
        },
      }),
    });
    driver.tell(raul, "busy");
    driver.settle();
    driver.tell(main, "ask");
    const outside = driver.tell(raul, "from outside");
    driver.settle();
    expect(driver.kernel.stop({ type: "agent", agentId: "raul" }, "cli", driver.nowMs)).toMatchObject({ senders: 2 });
    driver.settle();
    expect(driver.accepted(outside)).toMatchObject({ status: "refused", refusal: { code: "CLOISTER_ASK_ABORTED" } });
    expect(answers).toEqual(["CLOISTER_ASK_ABORTED"]);
    expect(driver.outcomes("ask")).toEqual([{ status: "ok", text: "went on" }]);
    driver.open("go on");
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("ends what lies on the disk when it is read", () => {
    const driver = makeDriver({
      spec: () => ({ mailbox: { depthMax: 2, overflow: "spill" } }),
      script: blocked,
    });
    for (let n = 0; n < 8; n++) driver.tell(main, `m${n}`);
    driver.settle();
    expect(driver.kernel.stop({ type: "agent", agentId: "main" }, "cli", driver.nowMs).backlog).toBeGreaterThan(3);
    driver.settle();
    driver.open("go on");
    driver.advance(2_000);
    expect(driver.handled.map(({ body }) => body)).toEqual(["m0"]);
    for (let n = 0; n < 8; n++) expect(driver.outcomes(`m${n}`)).toEqual([stopped]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

describe("stopping a run", () => {
  it("ends what came of it in other agents as well, and nothing else of them", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      script: scripted({
        ask: function* (turn) {
          yield* answerOf(turn.send(raul, "part of it", { timeoutMs: 60_000 }));
          return {};
        },
        "part of it": blocked,
      }),
    });
    driver.tell(main, "ask", { runId: "named" });
    driver.settle();
    driver.tell(raul, "its own");
    driver.settle();
    const { active, queued } = driver.kernel.stop({ type: "run", runId: "named" }, "cli", driver.nowMs);
    expect(active).toHaveLength(2);
    expect(queued).toEqual([]);
    driver.settle();
    driver.open("go on");
    expect(driver.outcomes("part of it")).toEqual([stopped]);
    expect(driver.outcomes("ask")).toEqual([stopped]);
    expect(driver.outcomes("its own")).toEqual([{ status: "ok", text: "re: its own" }]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});
