/** Agents that come, change and go while the kernel runs. */
import { describe, expect, it } from "vitest";
import { makeKernel } from "../../../runtime/kernel/kernel.ts";
import { makePairingRegistry, type Pairing } from "../../../runtime/kernel/pairings.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { defaultSupervision } from "../../../runtime/kernel/supervision.ts";
import type { AgentSpec } from "../../../runtime/kernel/state.ts";
import { answerOf, gate, type Script, storedOf } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const main = "agent:main:main";
const raul = "agent:raul:main";

const spec = (id: string, over: Partial<AgentSpec> = {}): AgentSpec => ({
  id,
  maxConcurrent: 4,
  clamp: "none",
  supervision: defaultSupervision(limits),
  ...over,
});

const held: Script = function* () {
  yield* gate("go on");
  return { reply: "done" };
};

/** One script per body; the others wait for the gate. */
const orHeld =
  (scripts: Readonly<Record<string, Script>>): Script =>
  (turn) =>
    scripts[turn.body]?.(turn) ?? held(turn);

const gone = (driver: Driver): readonly string[] => driver.ofType("agent-gone").map(({ agentId }) => agentId);

describe("an agent that is added", () => {
  it("takes mail at once, with the rights that it has by then", () => {
    const driver = makeDriver({ agents: ["main"], script: held });
    expect(driver.accepted(driver.tell("agent:new:main", "early"))).toMatchObject({ status: "refused" });
    driver.kernel.addAgent(spec("new"), driver.nowMs);
    driver.tell("agent:new:main", "hello");
    driver.settle();
    driver.open("go on");
    expect(driver.outcomes("hello")).toEqual([{ status: "ok", text: "done" }]);
  });

  it("has its cell before any mail when it is permanent", () => {
    const driver = makeDriver({ agents: ["main"], script: held });
    const supervision = { ...defaultSupervision(limits), restart: "permanent" as const };
    driver.kernel.addAgent(spec("new", { supervision }), driver.nowMs);
    driver.settle();
    expect(driver.kernel.view("new")?.phase).toBe("live");
  });
});

describe("an agent that is removed (W-10)", () => {
  it("takes no more mail, ends its turns and its cell, and what waits is a dead letter with a fate", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: held });
    for (const body of ["running", "waiting"]) driver.tell(raul, body);
    driver.tell(main, "another's");
    driver.settle();
    driver.kernel.removeAgent("raul", driver.nowMs);
    driver.settle();
    expect(driver.dead("waiting")).toMatchObject({
      fate: "undeliverable",
      reason: "the agent raul is no longer configured",
    });
    expect(driver.outcomes("waiting")).toEqual([
      { status: "error", code: "CLOISTER_AGENT_UNKNOWN", message: "agent not found: raul" },
    ]);
    const late = driver.tell(raul, "late");
    driver.settle();
    expect(driver.accepted(late)).toMatchObject({ status: "refused", refusal: { code: "CLOISTER_AGENT_UNKNOWN" } });
    expect(driver.kernel.view("raul")?.phase).toBe("running");
    expect(gone(driver)).toEqual([]);
    driver.open("go on");
    driver.finish();
    expect(driver.outcomes("running")).toEqual([{ status: "ok", text: "done" }]);
    expect(driver.outcomes("another's")).toEqual([{ status: "ok", text: "done" }]);
    expect(gone(driver)).toEqual(["raul"]);
    expect(driver.kernel.view("raul")).toBeUndefined();
    expect(driver.pairings.of("agent:raul")).toEqual([]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("whose turn does not end in time loses its cell, and the turn's message is a dead letter", () => {
    const driver = makeDriver({ agents: ["main", "raul"], limits: { agentStopMs: 1_000 }, script: held });
    driver.tell(raul, "stuck");
    driver.settle();
    driver.kernel.removeAgent("raul", driver.nowMs);
    driver.advance(900);
    expect(gone(driver)).toEqual([]);
    driver.advance(300);
    expect(gone(driver)).toEqual(["raul"]);
    expect(driver.dead("stuck")?.fate).toBe("undeliverable");
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("answers whoever waits for it: a turn in hand with its reply, a message that waits with a refusal", () => {
    const answers: string[] = [];
    const ask = (body: string): Script =>
      function* (turn) {
        const answer = yield* answerOf(turn.send(raul, body, { timeoutMs: 60_000 }));
        answers.push(`${body}: ${JSON.stringify(answer)}`);
        return { reply: "asked" };
      };
    const driver = makeDriver({
      agents: ["main", "ana", "raul"],
      script: orHeld({ first: ask("in hand"), second: ask("behind it") }),
    });
    driver.tell(main, "first");
    driver.settle();
    driver.tell("agent:ana:main", "second");
    driver.settle();
    driver.kernel.removeAgent("raul", driver.nowMs);
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(answers.toSorted()).toEqual([
      expect.stringMatching(/^behind it: .*CLOISTER_AGENT_UNKNOWN/),
      expect.stringMatching(/^in hand: .*done/),
    ]);
    expect(driver.wrongAnswers).toEqual([]);
  });

  it("and is added again before it is gone stays, with the cell of what it is now", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: held });
    driver.tell(raul, "before");
    driver.settle();
    driver.kernel.removeAgent("raul", driver.nowMs);
    driver.kernel.addAgent(spec("raul"), driver.nowMs);
    driver.tell(raul, "after");
    driver.settle();
    driver.open("go on");
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(driver.handled.map(({ body, incarnation }) => [body, incarnation])).toEqual([
      ["before", 1],
      ["after", 2],
    ]);
    expect(gone(driver)).toEqual([]);
  });

  it("ends what lies on the disk alone as well", () => {
    const driver = makeDriver({
      agents: ["main", "raul"],
      spec: () => ({ mailbox: { depthMax: 2, overflow: "spill" } }),
      script: held,
    });
    const bodies = Array.from({ length: 12 }, (_, index) => `m${index}`);
    for (const body of bodies) driver.tell(raul, body);
    driver.settle();
    driver.kernel.removeAgent("raul", driver.nowMs);
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(bodies.slice(1).map((body) => driver.dead(body)?.fate)).toEqual(bodies.slice(1).map(() => "undeliverable"));
    expect(gone(driver)).toEqual(["raul"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("takes the runs of sub-agents along that it asked for, and those that work as it for others", () => {
    const spawn = (params: object): Script =>
      function* (turn) {
        yield* answerOf(turn.call("sessions_spawn", params, "work"));
        return {};
      };
    const tools = ["tool:sessions_spawn"] as const;
    const spawning = ["main", "raul"].map(
      (id): Pairing => ({
        id: `spawning:${id}`,
        subject: `agent:${id}`,
        object: "gateway",
        verbs: tools,
        delegable: tools,
        origin: "config",
      }),
    );
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [...openPairings(["main", "raul"]), ...spawning],
      script: (turn) =>
        turn.body === "own" ? spawn({})(turn) : turn.body === "as raul" ? spawn({ agentId: "raul" })(turn) : held(turn),
    });
    driver.tell(raul, "own");
    driver.tell(main, "as raul");
    driver.settle();
    expect(driver.kernel.runViews()).toHaveLength(2);
    driver.kernel.removeAgent("raul", driver.nowMs);
    // Who asked for a run hears what became of it, as of any other.
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect([...driver.runs.rows.values()].map(({ agentId, end }) => [agentId, end?.outcome, end?.code])).toEqual(
      expect.arrayContaining([
        ["raul", "cancelled", undefined],
        ["raul", "failed", "CLOISTER_AGENT_UNKNOWN"],
      ]),
    );
    expect(gone(driver)).toEqual(["raul"]);
    expect(leaks(driver.kernel)).toEqual([]);
  });
});

describe("an agent that changes", () => {
  it("keeps its cell and its turns when nothing of its cell has changed, and the next turn has the new bounds", () => {
    const driver = makeDriver({ agents: ["main"], script: held });
    for (const session of ["main", "two", "three"]) driver.tell(`agent:main:${session}`, session);
    driver.settle();
    expect(driver.handled).toHaveLength(3);
    driver.kernel.changeAgent(spec("main", { maxConcurrent: 1 }), false, driver.nowMs);
    driver.tell("agent:main:four", "four");
    driver.settle();
    expect(driver.handled).toHaveLength(3);
    for (let turn = 0; turn < 4; turn++) {
      driver.open("go on");
      driver.settle();
    }
    driver.finish();
    expect(driver.handled.map(({ incarnation }) => incarnation)).toEqual([1, 1, 1, 1]);
  });

  it("ends its turns under the old cell and begins the next in a new one, in order, when the cell has to change (A2.5)", () => {
    const driver = makeDriver({ agents: ["main", "raul"], script: held });
    for (const body of ["a", "b"]) driver.tell(main, body);
    driver.tell(raul, "another's");
    driver.settle();
    driver.kernel.changeAgent(spec("main"), true, driver.nowMs);
    driver.tell(main, "c");
    driver.settle();
    expect(driver.kernel.view("main")?.phase).toBe("running");
    for (let turn = 0; turn < 4; turn++) {
      driver.open("go on");
      driver.settle();
    }
    driver.finish();
    const own = driver.handled.filter(({ agentId }) => agentId === "main");
    expect(own.map(({ body, incarnation, attempt }) => [body, incarnation, attempt])).toEqual([
      ["a", 1, 1],
      ["b", 2, 1],
      ["c", 2, 1],
    ]);
    expect(driver.kernel.view("raul")?.incarnation).toBe(1);
    expect(driver.kernel.view("main")?.restarts).toBe(0);
  });
});

describe("rights of a changed configuration (W-07)", () => {
  const row = (subject: string, object: string): Pairing => ({
    id: `config:a2a:${subject}>${object}`,
    subject: `agent:${subject}`,
    object: `agent:${object}`,
    verbs: ["send", "request"],
    origin: "config",
  });

  function world() {
    let allowed: readonly Pairing[] = [row("main", "raul")];
    const registry = () =>
      makePairingRegistry({
        of: (subject) => allowed.filter((pairing) => pairing.subject === subject),
        subjectOf: (id) => `agent:${/^config:a2a:(\w+)>/.exec(id)?.[1] ?? ""}`,
      });
    return { registry, allow: (rows: readonly Pairing[]) => (allowed = rows) };
  }

  it("the next send is forbidden, while the run in hand is finished and its answer heard", () => {
    const { registry, allow } = world();
    const answers: string[] = [];
    const driver = makeDriver({
      agents: ["main", "raul"],
      pairings: [],
      kernel: { makeKernel, makePairingRegistry: registry },
      script: orHeld({
        go: function* (turn) {
          answers.push(JSON.stringify(yield* answerOf(turn.send(raul, "first", { timeoutMs: 60_000 }))));
          answers.push((yield* storedOf(turn.send(raul, "second"))).type);
          return { reply: "finished" };
        },
      }),
    });
    driver.tell(main, "go");
    driver.settle();
    allow([]);
    driver.kernel.restate(driver.kernel.state.settings.lanes, driver.nowMs);
    driver.settle();
    driver.open("go on");
    driver.finish();
    expect(answers).toEqual([expect.stringContaining("done"), "refused"]);
    expect(driver.pairings.of("agent:main")).toEqual([]);
    allow([row("main", "raul")]);
    driver.kernel.restate(driver.kernel.state.settings.lanes, driver.nowMs);
    expect(driver.pairings.find("agent:main", "send", "agent:raul")?.id).toBe("config:a2a:main>raul");
  });

  it("what waits for its turn is refused when that comes", () => {
    const { registry, allow } = world();
    const pairings = registry();
    expect(pairings.find("agent:main", "send", "agent:raul")).toBeDefined();
    allow([row("main", "ana")]);
    const { gone: ended, come } = pairings.restated();
    expect([ended, come].map((rows) => rows.map(({ id }) => id))).toEqual([
      ["config:a2a:main>raul"],
      ["config:a2a:main>ana"],
    ]);
  });
});

it("a lane gets the places of the new configuration, and what waits for one begins", () => {
  const driver = makeDriver({ agents: ["main"], mainLaneConcurrent: 1, script: held });
  for (const session of ["one", "two", "three"]) driver.tell(`agent:main:${session}`, session);
  driver.settle();
  expect(driver.handled).toHaveLength(1);
  driver.kernel.restate({ ...driver.kernel.state.settings.lanes, main: 2 }, driver.nowMs);
  driver.settle();
  expect(driver.handled).toHaveLength(2);
  driver.kernel.restate({ ...driver.kernel.state.settings.lanes, main: 1 }, driver.nowMs);
  for (let turn = 0; turn < 3; turn++) {
    driver.open("go on");
    driver.settle();
  }
  driver.finish();
  expect(driver.handled).toHaveLength(3);
  expect(leaks(driver.kernel)).toEqual([]);
});
