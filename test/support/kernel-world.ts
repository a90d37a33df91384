/**
 * A random world for the kernel's simulation: agents, sessions, programs that agents carry out, and faults; and the checks
 * that hold at its end. A message's body is the program of the turn that handles it, so that every turn is known before.
 */
import { answerOf, type Script, storedOf } from "./fake-cell.ts";
import { type Driver, makeDriver } from "./kernel-driver.ts";
import { leaks } from "./kernel-invariants.ts";
import { makeRandom, type Random } from "./random.ts";

type Step =
  | { readonly op: "send" | "memory"; readonly to: string; readonly program: Program }
  /** `wait: false`: the turn ends without the answer. */
  | { readonly op: "ask"; readonly to: string; readonly program: Program; readonly ms: number; readonly wait: boolean }
  | { readonly op: "tool"; readonly to: string; readonly program: Program; readonly ms: number }
  | { readonly op: "stream" | "fail" }
  /** Ends the cell, in the first `times` deliveries. */
  | { readonly op: "crash"; readonly times: number };

interface Program {
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface WorldReport {
  readonly seed: number;
  readonly trace: string;
  readonly problems: readonly string[];
  readonly accepted: number;
  readonly deadLetters: number;
  readonly crashes: number;
  readonly restarts: number;
}

const script: Script = function* (turn) {
  const program: Program = JSON.parse(turn.body);
  const seen: readonly string[] = JSON.parse(turn.state ?? "[]");
  for (const step of program.steps) {
    if (step.op === "send") yield* storedOf(turn.send(step.to, JSON.stringify(step.program)));
    else if (step.op === "memory")
      yield* answerOf(turn.send(step.to, JSON.stringify(step.program), { inMemory: true, timeoutMs: 2_000 }));
    else if (step.op === "tool")
      yield* answerOf(turn.call("sessions_send", { to: step.to, timeoutMs: step.ms }, JSON.stringify(step.program)));
    else if (step.op === "stream") turn.stream("…");
    else if (step.op === "fail") return { error: "failed as told" };
    else if (step.op === "ask") {
      const ref = turn.send(step.to, JSON.stringify(step.program), { timeoutMs: step.ms });
      if (step.wait) yield* answerOf(ref);
    } else if (step.op === "crash" && turn.attempt <= step.times) {
      turn.crash();
      return undefined;
    }
  }
  return { reply: `did ${program.name}`, state: JSON.stringify([...seen, turn.header.id]) };
};

/** `calm` worlds crash only by their programs, so that every poison has its culprit. */
export function runWorld(seed: number): WorldReport {
  const random = makeRandom(seed);
  const calm = random.chance(0.4);
  const agents = ["main", "raul", "ana", "kim"].slice(0, 1 + random.below(4));
  const sessions = agents.flatMap((id) =>
    ["main", "x", "y"].slice(0, 1 + random.below(3)).map((rest) => `agent:${id}:${rest}`),
  );
  const maxConcurrent = 1 + random.below(4);
  const driver = makeDriver({
    seed: random.below(2 ** 31),
    agents,
    script,
    spec: () => ({ maxConcurrent }),
    mainLaneConcurrent: 1 + random.below(3),
    liveCellsMax: random.chance(0.3) ? Math.max(1, agents.length - 1) : agents.length,
    keepEffects: false,
    limits: {
      sessionsPerCellMax: 1 + random.below(3),
      mailboxDepthMax: random.chance(0.2) ? 6 : 1_000,
      sendCreditsPerCell: random.chance(0.2) ? 1 : 256,
      restartIntensity: 3,
      streamCharsMax: 2,
      // Faults from outside end cells more often than a message may be delivered; that is not what is tested here.
      ...(calm ? {} : { deliveriesMax: 1_000, deliveryAttemptsMax: 50 }),
    },
  });

  let names = 0;
  const killers = new Set<string>();
  const makeProgram = (depth: number): Program => {
    const name = `p${names++}`;
    const steps: Step[] = [];
    const count = random.below(depth === 0 ? 2 : 4);
    for (let index = 0; index < count; index++) steps.push(makeStep(random, sessions, depth, makeProgram));
    if (random.chance(0.06)) {
      // Two deliveries that end the cell are what a message may cost; a third one does not happen.
      steps.push({ op: "crash", times: random.chance(0.5) ? 1 : 99 });
      killers.add(name);
    }
    return { name, steps };
  };

  let crashes = 0;
  let restarts = 0;
  const disturb = (): void => {
    const what = random.below(100);
    if (what < 30) driver.tell(random.pick(sessions), JSON.stringify(makeProgram(2)), tellOptions(random));
    else if (what < 50) driver.advance(random.below(400));
    else if (what < 53) driver.kernel.abort(random.pick(sessions), undefined);
    else if (calm) return;
    else if (what < 68) {
      crashes++;
      driver.crash(random.pick(agents), random.pick(["crash", "hung", "normal", "out_of_memory"]));
    } else if (what < 74) {
      driver.journal.failNext(random.pick(agents), 1 + random.below(3));
    } else if (what < 77) {
      driver.journal.failAppends(1);
    } else if (what < 80 && restarts < 3) {
      restarts++;
      driver.restartProcess();
    } else if (what >= 80 && what < 86) {
      const order = random.chance(0.5) ? { type: "restart" as const } : { type: "park" as const, reason: "test" };
      driver.kernel.order(random.pick(agents), order, driver.nowMs);
    }
  };

  const problems: string[] = [];
  try {
    const told = 3 + random.below(12);
    for (let index = 0; index < told; index++)
      driver.tell(random.pick(sessions), JSON.stringify(makeProgram(2)), tellOptions(random));
    for (let disturbances = 4 + random.below(16); disturbances > 0; ) {
      if (!driver.step() || random.chance(0.08)) {
        disturb();
        disturbances--;
      }
    }
    driver.finish();
    // Whoever was parked comes back, as often as it takes: each killer is buried after two crashes.
    for (let rounds = 0; driver.kernel.views().some(({ phase }) => phase === "parked"); rounds++) {
      if (rounds > 100) throw new Error("agents stay parked");
      for (const { id, phase } of driver.kernel.views()) if (phase === "parked") driver.kernel.unpark(id, driver.nowMs);
      driver.finish();
    }
    problems.push(...checkEnd(driver, restarts, calm, killers));
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return {
    seed,
    trace: driver.trace,
    problems,
    accepted: driver.journal.accepted.size,
    deadLetters: driver.journal.dead.size,
    crashes,
    restarts,
  };
}

function tellOptions(random: Random): {
  readonly replyRoute?: { type: "channel"; channel: string; accountId: string; peerKind: "direct"; peerId: string };
} {
  return random.chance(0.2)
    ? { replyRoute: { type: "channel", channel: "webhook", accountId: "biz", peerKind: "direct", peerId: "p" } }
    : {};
}

function makeStep(
  random: Random,
  sessions: readonly string[],
  depth: number,
  makeProgram: (depth: number) => Program,
): Step {
  const what = depth === 0 ? 99 : random.below(100);
  const to = random.pick(sessions);
  if (what < 20) return { op: "send", to, program: makeProgram(depth - 1) };
  if (what < 65)
    return { op: "ask", to, program: makeProgram(depth - 1), ms: 100 + random.below(5_000), wait: random.chance(0.9) };
  if (what < 75) return { op: "tool", to, program: makeProgram(depth - 1), ms: random.chance(0.3) ? 0 : 1_000 };
  if (what < 85) return { op: "memory", to, program: makeProgram(0) };
  return { op: random.chance(0.2) ? "fail" : "stream" };
}

function checkEnd(driver: Driver, restarts: number, calm: boolean, killers: ReadonlySet<string>): readonly string[] {
  const { journal } = driver;
  const problems: string[] = [
    ...leaks(driver.kernel).map((left) => `left at the end: ${left}`),
    ...driver.wrongAnswers,
  ];
  for (const [id, { header, body }] of journal.accepted) {
    const end = journal.done.get(id);
    const dead = journal.dead.get(id);
    const heard = driver.ends.map((of) => of.get(id) ?? 0);
    if (end === undefined && dead === undefined) problems.push(`${id} neither ended nor is a dead letter`);
    if (end !== undefined && dead !== undefined) problems.push(`${id} is done and a dead letter (${dead.fate})`);
    if (end !== undefined && end.commits !== 1) problems.push(`${id} was committed ${end.commits} times`);
    if (heard.some((times) => times > 1)) problems.push(`the end of ${id} was told ${heard.join(", ")} times`);
    // The process may have died between a commit and what it would have said.
    if (heard.every((times) => times === 0) && restarts === 0) problems.push(`the end of ${id} was not told`);
    const { name }: Program = JSON.parse(body);
    if (dead?.fate === "poison" && calm && !killers.has(name))
      problems.push(`${id} (${name}) is poison and ended no cell: ${dead.reason}`);
    if (dead !== undefined && dead.fate !== "poison" && dead.fate !== "dropped")
      problems.push(`${id} has the fate ${dead.fate}`);
    if (header.agentId === "") problems.push(`${id} has no agent`);
  }
  return [...problems, ...checkOrder(driver), ...checkStates(driver)];
}

/** First in, first out per (sender session, target session). */
function checkOrder({ journal }: Driver): readonly string[] {
  const position = new Map([...journal.accepted.keys()].map((id, index) => [id, index]));
  const problems: string[] = [];
  for (const [session, ids] of journal.committedOrder) {
    const last = new Map<string, number>();
    for (const id of ids) {
      const sender = JSON.stringify(journal.accepted.get(id)?.header.from);
      const at = position.get(id) ?? -1;
      if (at < (last.get(sender) ?? -1)) problems.push(`${id} was overtaken in ${session}`);
      last.set(sender, at);
    }
  }
  return problems;
}

/** Each turn that succeeded is in its session's state once, in the order of the commits: its effect happened once. */
function checkStates({ journal }: Driver): readonly string[] {
  const problems: string[] = [];
  for (const [session, ids] of journal.committedOrder) {
    const expected = ids.filter((id) => journal.done.get(id)?.outcomeText !== null);
    const found = journal.states.get(session) ?? "[]";
    if (found !== JSON.stringify(expected))
      problems.push(`${session} has the state ${found}, its commits are ${JSON.stringify(expected)}`);
  }
  return problems;
}
