/**
 * A random world of sub-agents for the kernel's simulation: trees of runs that answer, fail, wait, yield and crash, under random
 * ends of cells, stops, failing stores and deaths of the process. Everything follows from the seed.
 */
import { up } from "../../runtime/kernel/frames.ts";
import type { Pairing } from "../../runtime/kernel/pairings.ts";
import type { DriverOptions } from "./driver-port.ts";
import { answerOf, gate, type Script } from "./fake-cell.ts";
import { type Driver, makeDriver, openPairings } from "./kernel-driver.ts";
import { leaks } from "./kernel-invariants.ts";
import { runTools } from "./kernel-runs.ts";
import { makeRandom, type Random } from "./random.ts";

/** What a session does: the body of its task, or of a message from outside. */
interface Plan {
  readonly name: string;
  readonly children: readonly { readonly params: object; readonly plan: Plan; readonly waits: boolean }[];
  /** Reported before each child and at the end. */
  readonly tokens: number;
  readonly end: "answer" | "silent" | "fail" | "crash" | "hang" | "yield";
}

const tools = runTools.map((tool) => `tool:${tool}` as const);

export function runRunWorld(
  seed: number,
  kernel?: DriverOptions["kernel"],
): { readonly problems: readonly string[]; readonly reached: ReadonlySet<string>; readonly runs: number } {
  const random = makeRandom(seed);
  const agents = ["main", "raul"].slice(0, 1 + random.below(2));
  const seedOfDriver = random.below(2 ** 31);
  /** Places of lane `subagent` for each agent; 0: no bound of its own. */
  const bound = makeRandom(seedOfDriver + 1).below(3);
  const driver = makeDriver({
    seed: seedOfDriver,
    agents,
    spec: () => (bound === 0 ? {} : { lanes: { subagent: bound } }),
    script: act,
    pairings: [
      ...openPairings(agents),
      ...agents.map(
        (id): Pairing => ({
          id: `spawning:${id}`,
          subject: `agent:${id}`,
          object: "gateway",
          verbs: tools,
          delegable: tools,
          origin: "config",
        }),
      ),
    ],
    lanes: { subagent: 1 + random.below(3) },
    mainLaneConcurrent: 1 + random.below(2),
    liveCellsMax: 2 + random.below(20),
    keepEffects: false,
    limits: { deliveriesMax: 1_000, deliveryAttemptsMax: 50, mailboxDepthMax: random.chance(0.3) ? 3 : 1_000 },
    ...(kernel === undefined ? {} : { kernel }),
  });
  const problems: string[] = [];
  try {
    for (let told = 1 + random.below(3); told > 0; told--)
      driver.tell(`agent:${random.pick(agents)}:main`, JSON.stringify(makePlan(random, agents, 3)));
    for (let left = 3 + random.below(10); left > 0; ) {
      checkRights(driver, problems);
      if (driver.step() && !random.chance(0.06)) continue;
      left--;
      strike(driver, random);
    }
    driver.restartProcess();
    // Who hangs is let go until nobody does: what waits for a place in a full mailbox waits for that.
    for (let rounds = 0; driver.kernel.state.mail.size > 0 || driver.runs.nextMs() !== undefined; rounds++) {
      if (rounds > 200) throw new Error("the world does not come to rest");
      driver.advance(1_000);
      driver.open("hang");
    }
    driver.finish();
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  problems.push(...checkEnd(driver), ...driver.watch.problems);
  return { problems, reached: driver.watch.reached, runs: driver.runs.rows.size };
}

const act: Script = function* (turn) {
  if (!turn.body.startsWith("{")) return { reply: "heard" };
  const plan = JSON.parse(turn.body) as Plan;
  const report = (): void => turn.raw(up.usage, 0, 0, plan.tokens, "1");
  for (const child of plan.children) {
    report();
    const answer = yield* answerOf(turn.call("sessions_spawn", child.params, JSON.stringify(child.plan)));
    const { runId } = JSON.parse(answer.type === "result" ? answer.text : "{}") as { runId?: string };
    if (child.waits && runId !== undefined)
      yield* answerOf(turn.call("subagents", { runIds: [runId], timeoutMs: 3_000 }));
  }
  if (plan.end === "crash") turn.crash();
  else if (plan.end === "hang") yield* gate("hang");
  else if (plan.end === "yield") yield* answerOf(turn.call("sessions_yield", {}));
  report();
  turn.stream("so far");
  if (plan.end === "fail") return { error: "failed as told" };
  return plan.end === "silent" || plan.end === "yield" ? {} : { reply: plan.name };
};

function makePlan(random: Random, agents: readonly string[], depth: number): Plan {
  const children = Array.from({ length: depth === 0 ? 0 : random.below(4) }, () => ({
    params: {
      agentId: random.pick(agents),
      announce: random.chance(0.7),
      detached: random.chance(0.1),
      ...(random.chance(0.3) ? { timeoutMs: 200 + random.below(3_000) } : {}),
      ...(random.chance(0.2) ? { budget: { toolCalls: random.below(4), children: random.below(3) } } : {}),
      ...(random.chance(0.2) ? { budget: { tokens: random.below(60) } } : {}),
    },
    plan: makePlan(random, agents, depth - 1),
    waits: random.chance(0.4),
  }));
  const end = random.chance(0.5)
    ? "answer"
    : random.pick(["silent", "fail", depth < 3 ? "crash" : "answer", "hang", "yield"] as const);
  return { name: `p${random.below(1_000)}`, children, tokens: random.below(20), end };
}

function strike(driver: Driver, random: Random): void {
  const live = driver.kernel.runViews();
  const one = live.length === 0 ? undefined : random.pick(live).run;
  const dice = random.below(100);
  if (dice < 20 && one !== undefined)
    driver.crash(`run:${one.id}`, random.pick(["crash", "hung", "out_of_memory"] as const));
  else if (dice < 35 && one !== undefined)
    driver.kernel.cancelRun(one.sessionKey, "test", random.chance(0.5), driver.nowMs);
  else if (dice < 45) driver.kernel.stop({ type: "session", sessionKey: "agent:main:main" }, "test", driver.nowMs);
  else if (dice < 55) driver.crash("main");
  else if (dice < 65) driver.runs.failEnds(1 + random.below(2));
  else if (dice < 75) driver.restartProcess();
  else if (dice < 85) driver.open("hang");
  else driver.advance(100 + random.below(2_000));
}

/** No right of a live run is beyond what the root may hand on. */
function checkRights(driver: Driver, problems: string[]): void {
  for (const { run } of driver.kernel.runViews())
    for (const { verbs } of driver.pairings.of(`run:${run.id}`))
      for (const verb of verbs)
        if (!(tools as readonly string[]).includes(verb)) problems.push(`${run.id} may ${verb}`);
}

function checkEnd(driver: Driver): readonly string[] {
  const problems: string[] = [];
  for (const run of driver.runs.rows.values()) {
    const ends = driver.runs.ends.get(run.id) ?? [];
    if (run.end === undefined || ends.length !== 1) problems.push(`${run.id} has ${ends.length} ends`);
    const told = [...driver.journal.accepted.values()].filter(
      ({ header }) => header.signal?.type === "completion" && header.signal.runId === run.id,
    ).length;
    const wanted = run.end?.delivery === "delivered" ? 1 : 0;
    if (told !== wanted) problems.push(`the end of ${run.id} (${run.end?.delivery}) was told ${told} times`);
    if (run.end?.delivery === "pending") problems.push(`the end of ${run.id} waits to be told`);
  }
  if (driver.kernel.runViews().length > 0) problems.push("runs are left");
  for (const { spec } of driver.kernel.state.agents.made())
    if (spec.id.startsWith("run:")) problems.push(`${spec.id} is left`);
  return [...problems, ...leaks(driver.kernel)];
}
