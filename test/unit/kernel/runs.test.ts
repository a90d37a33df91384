import { describe, expect, it } from "vitest";
import { neverAtTheDepthBound, neverForSubagents, subagentTools } from "../../../auth/subagent-tools.ts";
import { sessionTools } from "../../../auth/tool-names.ts";
import { up } from "../../../runtime/kernel/frames.ts";
import { matchesPattern, type Pairing } from "../../../runtime/kernel/pairings.ts";
import { answerOf, gate, type Script } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { makeRandom } from "../../support/random.ts";

const main = "agent:main:main";

/** By the first word of the message; news of ends are heard and nothing more. */
const scripted =
  (scripts: Readonly<Record<string, Script>>): Script =>
  (turn) =>
    scripts[turn.body.split(" ")[0] ?? ""]?.(turn) ?? {};

/** The right to the tools of runs, for each agent. */
const spawning = (
  agents: readonly string[],
  tools: readonly string[] = ["sessions_spawn", "subagents", "sessions_yield"],
) =>
  agents.map(
    (id): Pairing => ({
      id: `spawning:${id}`,
      subject: `agent:${id}`,
      object: "gateway",
      verbs: tools.map((tool) => `tool:${tool}` as const),
      delegable: tools.map((tool) => `tool:${tool}` as const),
      origin: "config",
    }),
  );

const world = (script: Script, more: Partial<Parameters<typeof makeDriver>[0]> = {}): Driver => {
  const agents = ["main", "raul"];
  return makeDriver({ agents, script, pairings: [...openPairings(agents), ...spawning(agents)], ...more });
};

const ends = (driver: Driver) => [...driver.runs.rows.values()].map(({ end }) => end?.outcome);
const workers = (driver: Driver) =>
  driver.handled.filter(({ sessionKey }) => sessionKey.includes(":subagent:")).map(({ body }) => body);

/** `spawn N`: starts so many children, whose tasks are `work 0`, `work 1` and so on, and ends. */
const spawner: Script = scripted({
  spawn: function* (turn) {
    const [, count = "1", params = "{}"] = turn.body.split(" ");
    for (let index = 0; index < Number(count); index++)
      yield* answerOf(turn.call("sessions_spawn", JSON.parse(params) as object, `work ${index}`));
    return {};
  },
  work: function* () {
    yield* gate("go on");
    return { reply: "done" };
  },
  nest: function* (turn) {
    const depth = Number(turn.body.split(" ")[1]);
    if (depth === 0) return { reply: "leaf" };
    const spawned = yield* answerOf(turn.call("sessions_spawn", { announce: false }, `nest ${depth - 1}`));
    const { runId } = JSON.parse(spawned.type === "result" ? spawned.text : "{}") as { runId: string };
    const waited = yield* answerOf(turn.call("subagents", { runIds: [runId], timeoutMs: 60_000 }));
    return { reply: waited.type === "result" ? waited.text : "none" };
  },
});

it("A11.1: the end of a run goes on in its chain, from what its turns have taken of models and of calls", () => {
  const driver = world(
    scripted({
      go: function* (turn) {
        yield* answerOf(turn.call("sessions_spawn", {}, "work"));
        return {};
      },
      work: function* (turn) {
        yield* answerOf(turn.call("subagents", { runIds: [], timeoutMs: 1 }));
        turn.raw(up.usage, 0, 0, 20, "4");
        return { reply: "done" };
      },
    }),
  );
  driver.tell(main, "go");
  driver.finish();
  const told = [...driver.journal.accepted.values()].find(({ header }) => header.signal?.type === "completion");
  expect(told?.header.chainStamp).toMatchObject({ messages: 1, calls: 2, tokens: 24 });
  expect(driver.kernel.state.chains.size).toBe(0);
});

describe("lane subagent", () => {
  it("AC-05.2: of 10 spawns 8 run and 2 wait, and they start in the order of the spawns", () => {
    const driver = world(spawner);
    driver.tell(main, "spawn 10");
    driver.settle();
    expect(workers(driver).toSorted()).toEqual(Array.from({ length: 8 }, (_, index) => `work ${index}`));
    expect(driver.kernel.lanes().find(({ lane }) => lane === "subagent")).toMatchObject({
      places: 8,
      running: 8,
      waiting: 2,
    });
    // What waits costs no cell.
    expect(driver.kernel.state.liveCells).toBe(9);
    driver.cell("run:r1")?.open("go on");
    driver.settle();
    expect(workers(driver).slice(8)).toEqual(["work 8"]);
    driver.cell("run:r2")?.open("go on");
    driver.settle();
    expect(workers(driver).slice(8)).toEqual(["work 8", "work 9"]);
  });

  it("A4.4: with one place a tree of any depth comes to its end, whoever waits", () => {
    for (let seed = 0; seed < 10; seed++) {
      const driver = world(spawner, { lanes: { subagent: 1 }, mainLaneConcurrent: 1, seed });
      driver.tell(main, "nest 5");
      driver.finish();
      expect(ends(driver)).toEqual(Array.from({ length: 5 }, () => "succeeded"));
      expect(driver.outcomes("nest 5")[0]).toMatchObject({ status: "ok" });
    }
  });
});

describe("the end of a run", () => {
  it("A3.1, A3.2: is stored with the message to its requester before anything of it is freed", () => {
    const driver = world(spawner);
    driver.tell(main, "spawn 1");
    driver.settle();
    driver.runs.failEnds(1);
    driver.cell("run:r1")?.open("go on");
    driver.settle();
    // The store did not take it: the run keeps its entry and its rights.
    expect(ends(driver)).toEqual([undefined]);
    expect(driver.kernel.runViews()).toHaveLength(1);
    expect(driver.pairings.isLive("spawn:r1")).toBe(true);
    driver.finish();
    expect(ends(driver)).toEqual(["succeeded"]);
    expect(driver.kernel.runViews()).toEqual([]);
    expect(driver.pairings.isLive("spawn:r1")).toBe(false);
    const heard = driver.handled.filter(({ body }) => body.startsWith("[Subagent Completion]"));
    expect(heard).toMatchObject([{ sessionKey: main }]);
    expect(heard[0]?.body).toContain("\ndone\n");
  });

  it("A3.2: waits for a requester whose mailbox is full, and comes then", () => {
    const driver = world(spawner, { spec: (id) => (id === "main" ? { mailbox: { depthMax: 2 } } : {}) });
    driver.tell(main, "spawn 1");
    driver.settle();
    driver.tell(main, "work a");
    driver.tell(main, "work b");
    driver.settle();
    driver.cell("run:r1")?.open("go on");
    driver.settle();
    expect(driver.runs.rows.get("r1")?.end).toMatchObject({ outcome: "succeeded", delivery: "pending" });
    driver.open("go on");
    driver.open("go on");
    driver.finish();
    expect(driver.runs.rows.get("r1")?.end).toMatchObject({ delivery: "delivered" });
    expect(driver.handled.filter(({ body }) => body.startsWith("[Subagent"))).toHaveLength(1);
  });

  it("A3.4: of a parent ends what it started, but not what is detached", () => {
    const driver = world(
      scripted({
        top: function* (turn) {
          yield* answerOf(turn.call("sessions_spawn", {}, "middle"));
          return {};
        },
        middle: function* (turn) {
          yield* answerOf(turn.call("sessions_spawn", {}, "work a"));
          yield* answerOf(turn.call("sessions_spawn", { detached: true }, "work b"));
          yield* gate("never");
          return {};
        },
        work: function* () {
          yield* gate("go on");
          return { reply: "done" };
        },
      }),
    );
    driver.tell(main, "top");
    driver.settle();
    expect(driver.kernel.cancelRun("agent:main:subagent:r1", "test", false, driver.nowMs)).toBe(2);
    driver.settle();
    expect(ends(driver)).toEqual(["cancelled", "cancelled", undefined]);
    driver.open("go on");
    driver.finish();
    expect(ends(driver)).toEqual(["cancelled", "cancelled", "succeeded"]);
    // The root hears of the one that was ended, and of what went on without its requester.
    const heard = driver.handled.filter(({ body }) => body.startsWith("[Subagent")).map(({ sessionKey }) => sessionKey);
    expect(heard).toEqual([main, main]);
  });

  it("takes no message once its end is decided, though its cell has not ended yet", () => {
    const driver = world(spawner);
    driver.tell(main, "spawn 1");
    driver.settle();
    const child = "agent:main:subagent:r1";
    expect(driver.kernel.cancelRun(child, "test", false, driver.nowMs)).toBe(1);
    const ticket = driver.tell(child, "late");
    driver.finish();
    expect(driver.accepted(ticket)).toMatchObject({
      status: "refused",
      refusal: { code: "CLOISTER_SESSION_UNKNOWN" },
    });
    expect(driver.dead("late")).toBeUndefined();
    expect(ends(driver)).toEqual(["cancelled"]);
  });

  it("A3.5: is told after a restart: interrupted, or lost when its time was over", () => {
    const driver = world(spawner);
    driver.tell(main, "spawn 1");
    driver.tell("agent:raul:main", 'spawn 1 {"timeoutMs":5000}');
    driver.settle();
    driver.stallStore("journal", 10_000);
    driver.restartProcess();
    driver.finish();
    expect(ends(driver).every((outcome) => outcome === "failed" || outcome === "lost")).toBe(true);
    expect(workers(driver)).toHaveLength(2);
    expect(driver.handled.filter(({ body }) => body.startsWith("[Subagent"))).toHaveLength(2);
  });
});

describe("what a run may", () => {
  it("AC-06.1: is among what its parent may hand on, without what no sub-agent has, over random trees", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = makeRandom(seed);
      const held = sessionTools.filter((tool) => tool === "sessions_spawn" || random.chance(0.6));
      const bound = 1 + random.below(4);
      const script: Script = function* (turn) {
        const level = Number(turn.body.split(" ")[1]);
        if (level < bound + 1 && turn.header.sessionKey !== "") {
          const tools = subagentTools(level + 1 >= bound, { deny: random.chance(0.3) ? ["sessions_search"] : [] }, []);
          for (let children = 1 + random.below(2); children > 0; children--)
            yield* answerOf(turn.call("sessions_spawn", { depthMax: bound, tools }, `tree ${level + 1}`));
        }
        yield* gate("end");
        return { reply: "x" };
      };
      const driver = makeDriver({ seed, script, pairings: [...openPairings(["main"]), ...spawning(["main"], held)] });
      driver.tell(main, "tree 0");
      driver.settle();
      const views = driver.kernel.runViews();
      expect(views.length).toBeGreaterThan(0);
      for (const { run } of views) {
        const verbs = driver.pairings.of(`run:${run.id}`).flatMap((pairing) => pairing.verbs);
        const parent = run.lineage.length === 1 ? "agent:main" : `run:${run.requesterSessionKey.split(":")[3]}`;
        const above = new Set(driver.pairings.of(parent).flatMap((pairing) => pairing.delegable ?? []));
        for (const verb of verbs) expect(above.has(verb), `seed ${seed}: ${verb} of ${run.id}`).toBe(true);
        const denied = [...neverForSubagents, ...(run.lineage.length >= bound ? neverAtTheDepthBound : [])];
        for (const verb of verbs)
          expect(
            denied.some((pattern) => matchesPattern(`tool:${pattern}`, verb)),
            `seed ${seed}: ${verb}`,
          ).toBe(false);
      }
    }
  });

  it("AC-06.2: spawn and announce succeed when the parent holds the right to spawn alone", () => {
    const driver = makeDriver({ script: spawner, pairings: spawning(["main"], ["sessions_spawn"]) });
    driver.tell(main, "spawn 1");
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(driver.runs.rows.get("r1")?.end).toMatchObject({ outcome: "succeeded", delivery: "delivered" });
    expect(driver.handled.some(({ body, sessionKey }) => sessionKey === main && body.includes("\ndone\n"))).toBe(true);
  });

  it("A11.1: what it may not start is refused with the code of the bound: depth, children, and the budget of one above", () => {
    const told: unknown[] = [];
    const driver = world(
      scripted({
        top: function* (turn) {
          yield* answerOf(turn.call("sessions_spawn", { depthMax: 3, budget: { children: 1 } }, "try"));
          return {};
        },
        try: function* (turn) {
          for (const bounds of [{ depthMax: 1 }, { depthMax: 3, childrenMax: 0 }, { depthMax: 3 }, { depthMax: 3 }]) {
            const answer = yield* answerOf(turn.call("sessions_spawn", { announce: false, ...bounds }, "work"));
            told.push(JSON.parse(answer.type === "result" ? answer.text : "{}"));
          }
          return {};
        },
      }),
    );
    driver.tell(main, "top");
    driver.finish();
    expect(told).toMatchObject([
      { status: "forbidden", code: "CLOISTER_SPAWN_LIMIT" },
      { status: "forbidden", code: "CLOISTER_SPAWN_LIMIT" },
      { status: "accepted" },
      { status: "forbidden", code: "CLOISTER_BUDGET_SPENT" },
    ]);
  });

  it("A11.1: that is not over in its time fails its turn with a code of its own", () => {
    const driver = world(
      scripted({
        top: function* (turn) {
          yield* answerOf(turn.call("sessions_spawn", { timeoutMs: 1_000 }, "work"));
          return {};
        },
        work: function* () {
          yield* gate("never");
          return {};
        },
      }),
    );
    driver.tell(main, "top");
    driver.advance(2_000);
    expect(ends(driver)).toEqual(["timed_out"]);
    driver.finish();
    expect(driver.outcomes("work")).toMatchObject([{ status: "error", code: "CLOISTER_RUN_TIMED_OUT" }]);
  });

  it("A11.1: a budget is the run's with all that it starts, and is judged before the call", () => {
    const driver = world(
      scripted({
        top: function* (turn) {
          yield* answerOf(turn.call("sessions_spawn", { budget: { toolCalls: 3, children: 5 } }, "use"));
          return {};
        },
        use: function* (turn) {
          // Three calls of the run and of what is below it: this one, and two of the child's.
          const first = yield* answerOf(turn.call("sessions_spawn", { announce: false }, "below"));
          const { runId } = JSON.parse(first.type === "result" ? first.text : "{}") as { runId: string };
          yield* gate("child is done");
          const last = yield* answerOf(turn.call("subagents", { runIds: [runId], timeoutMs: 1 }));
          return { reply: last.type };
        },
        below: function* (turn) {
          const heard = [];
          for (let left = 3; left > 0; left--)
            heard.push((yield* answerOf(turn.call("subagents", { runIds: [], timeoutMs: 0 }))).type);
          return { reply: heard.join(" ") };
        },
      }),
    );
    driver.tell(main, "top");
    driver.settle();
    expect(driver.runs.rows.get("r2")?.end?.result).toBe("result result refused");
    driver.open("child is done");
    driver.finish();
    expect(driver.runs.rows.get("r1")?.end?.result).toBe("refused");
  });
});
