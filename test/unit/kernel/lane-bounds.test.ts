/** Places of an agent in one lane: its own bound there, and what the others wait for behind a flood of it. */
import { describe, expect, it } from "vitest";
import { agentOfKey } from "../../../runtime/kernel/agent-of-key.ts";
import type { SharedLane } from "../../../runtime/kernel/lanes.ts";
import type { Pairing } from "../../../runtime/kernel/pairings.ts";
import { answerOf, gate, type Script } from "../../support/fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "../../support/kernel-driver.ts";
import { leaks } from "../../support/kernel-invariants.ts";

const blocked: Script = function* (turn) {
  // News of the ends of runs are heard and nothing more.
  if (turn.body.startsWith("[")) return {};
  yield* gate("go on");
  return { reply: "done" };
};

/** `spawn N`: starts so many children that wait for the gate, and ends. */
const spawner: Script = function* (turn) {
  const [word, count = "0", asked = "{}"] = turn.body.split(" ");
  if (word !== "spawn") return yield* blockedTurn(turn);
  for (let index = 0; index < Number(count); index++)
    yield* answerOf(turn.call("sessions_spawn", JSON.parse(asked) as object, `work of ${turn.header.sessionKey}`));
  return {};
};
const blockedTurn = blocked as (turn: Parameters<Script>[0]) => Generator<never, object>;

const spawning = (id: string): Pairing => ({
  id: `spawning:${id}`,
  subject: `agent:${id}`,
  object: "gateway",
  verbs: ["tool:sessions_spawn"],
  delegable: ["tool:sessions_spawn"],
  origin: "config",
});

type Bounds = Readonly<Record<string, Partial<Record<SharedLane, number>>>>;

function world(bounds: Bounds, more: Partial<Parameters<typeof makeDriver>[0]> = {}): Driver {
  const agents = ["busy", "quiet"];
  return makeDriver({
    agents,
    script: spawner,
    pairings: [...openPairings(agents), ...agents.map(spawning)],
    spec: (id) => ({ maxConcurrent: 100, lanes: bounds[id] ?? {} }),
    ...more,
  });
}

const running = (driver: Driver, lane: SharedLane): readonly (readonly [string, number])[] => [
  ...(driver.kernel.state.lanes.get(lane)?.held ?? []),
];
const timer = (agentId: string) => ({ from: { type: "timer", agentId, timerId: "t" } as const });

/** Work of one agent in a lane, in sessions of their own; none of it ends before its gate. */
const inLane: Readonly<Record<SharedLane, (driver: Driver, agentId: string, count: number) => void>> = {
  main: (driver, agentId, count) => tellEach(driver, agentId, count, {}),
  cron: (driver, agentId, count) => tellEach(driver, agentId, count, timer(agentId)),
  background: (driver, agentId, count) => tellEach(driver, agentId, count, { lane: "background" }),
  subagent: (driver, agentId, count) => {
    for (let index = 0; index < count; index++) driver.tell(`agent:${agentId}:s${index}`, "spawn 1");
    driver.settle();
  },
};

function tellEach(driver: Driver, agentId: string, count: number, told: object): void {
  const name = "lane" in told ? "b" : "from" in told ? "t" : "m";
  for (let index = 0; index < count; index++) driver.tell(`agent:${agentId}:${name}${index}`, `x ${index}`, told);
  driver.settle();
}

describe.each(["main", "subagent", "cron", "background"] as const)("an agent's places in lane %s", (lane) => {
  const lanes = { main: 4, subagent: 4, cron: 4, background: 4 };
  const places = { lanes, mainLaneConcurrent: lane === "main" ? 4 : 1_000 };

  it("A4.3: are as many as its own bound there says, and the others have the rest", () => {
    const driver = world({ busy: { [lane]: 1 } }, places);
    inLane[lane](driver, "busy", 10);
    expect(running(driver, lane)).toEqual([["busy", 1]]);
    inLane[lane](driver, "quiet", 10);
    expect(running(driver, lane)).toEqual([
      ["busy", 1],
      ["quiet", 3],
    ]);
    expect(driver.kernel.lanes().find((row) => row.lane === lane)).toMatchObject({ running: 4, waiting: 16 });
    for (let rounds = 0; rounds < 30; rounds++) {
      driver.open("go on");
      expect(driver.kernel.state.lanes.get(lane)?.held.get("busy") ?? 0).toBeLessThanOrEqual(1);
    }
    driver.finish();
    expect(leaks(driver.kernel)).toEqual([]);
  });

  it("A4.3: come to it by turns behind a flood of another agent, whether that has 20 or 100 waiting", () => {
    for (const flood of [20, 100]) {
      const driver = world({}, { ...places, limits: { runsMax: 1_000 } });
      inLane[lane](driver, "busy", flood);
      inLane[lane](driver, "quiet", 2);
      expect(running(driver, lane)).toEqual([["busy", 4]]);
      driver.open("go on");
      expect(new Map(running(driver, lane)).get("quiet"), `behind ${flood}`).toBe(2);
    }
  });

  it("A4.3: are more at once when the configuration gives it more", () => {
    const driver = world({ busy: { [lane]: 1 } }, places);
    inLane[lane](driver, "busy", 10);
    const { spec } = driver.kernel.state.agents.get("busy") ?? { spec: undefined };
    if (spec === undefined) throw new Error("there is no agent busy");
    driver.kernel.changeAgent({ ...spec, lanes: { [lane]: 3 } }, false, driver.nowMs);
    driver.settle();
    expect(running(driver, lane)).toEqual([["busy", 3]]);
    driver.kernel.changeAgent({ ...spec, lanes: {} }, false, driver.nowMs);
    driver.settle();
    expect(running(driver, lane)).toEqual([["busy", 4]]);
  });
});

it("A4.3: a bound in one lane leaves the agent's places in the others alone", () => {
  const driver = world({ busy: { cron: 1 } }, { mainLaneConcurrent: 3 });
  inLane.cron(driver, "busy", 5);
  inLane.main(driver, "busy", 5);
  expect(running(driver, "cron")).toEqual([["busy", 1]]);
  expect(running(driver, "main")).toEqual([["busy", 3]]);
});

it("A4.3: a sub-agent takes the places of the agent as which it works, whoever asked for it", () => {
  const driver = world({ quiet: { subagent: 1 } });
  driver.tell("agent:busy:main", `spawn 3 ${JSON.stringify({ agentId: "quiet" })}`);
  driver.tell("agent:busy:other", "spawn 3");
  driver.settle();
  expect(new Map(running(driver, "subagent"))).toEqual(
    new Map([
      ["quiet", 1],
      ["busy", 3],
    ]),
  );
});

it("A4.3: go to the agents by their weights, also in lane subagent", () => {
  const driver = world(
    {},
    { lanes: { subagent: 1 }, spec: (id) => ({ maxConcurrent: 100, weight: id === "busy" ? 3 : 1 }) },
  );
  for (const agentId of ["busy", "quiet"]) inLane.subagent(driver, agentId, 16);
  for (let rounds = 0; rounds < 12; rounds++) driver.open("go on");
  const order = driver.handled.flatMap(({ sessionKey }) =>
    sessionKey.includes(":subagent:") ? [agentOfKey(sessionKey)] : [],
  );
  const begin = order.findIndex((agentId) => agentId !== order[0]);
  expect(begin).toBeGreaterThan(0);
  const counted = order.slice(begin, begin + 8);
  expect(counted.filter((agentId) => agentId === "busy")).toHaveLength(6);
});

it("A4.4: a tree of runs comes to its end also with one place for its agent", () => {
  const nest: Script = function* (turn) {
    const depth = Number(turn.body.split(" ")[1]);
    if (turn.body.startsWith("[") || depth === 0) return { reply: "leaf" };
    const spawned = yield* answerOf(turn.call("sessions_spawn", { announce: false }, `nest ${depth - 1}`));
    const { runId } = JSON.parse(spawned.type === "result" ? spawned.text : "{}") as { runId: string };
    yield* answerOf(turn.call("subagents", { runIds: [runId], timeoutMs: 60_000 }));
    return { reply: "done" };
  };
  const driver = world({ busy: { subagent: 1 } }, { script: nest, mainLaneConcurrent: 1 });
  driver.tell("agent:busy:main", "nest 5");
  driver.finish();
  expect([...driver.runs.rows.values()].map(({ end }) => end?.outcome)).toEqual(Array(5).fill("succeeded"));
  expect(leaks(driver.kernel)).toEqual([]);
});
