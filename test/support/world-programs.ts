/**
 * What the agents of a world do. A message's body is the program of the turn that handles it, so that every turn is known
 * before; each turn adds its envelope's id to its session's state, so that the state tells what happened, how often and when.
 */
import { up } from "../../runtime/kernel/frames.ts";
import type { TellOptions } from "./driver-port.ts";
import { type Answer, answerOf, type FakeTurn, type Script, stepOf, storedOf, type Wait } from "./fake-cell.ts";
import type { Random } from "./random.ts";
import type { StepBook } from "./step-book.ts";

type Step =
  | { readonly op: "send" | "memory"; readonly to: string; readonly program: Program }
  /** `wait: false`: the turn ends without the answer. */
  | { readonly op: "ask"; readonly to: string; readonly program: Program; readonly ms: number; readonly wait: boolean }
  | { readonly op: "tool"; readonly to: string; readonly program: Program; readonly ms: number }
  /** In the first `crashes` deliveries its effect happens and the cell ends before it says so. */
  | { readonly op: "step"; readonly idempotent: boolean; readonly crashes: number }
  /** For a session of the own agent. */
  | {
      readonly op: "timer";
      readonly session: string;
      readonly program: Program;
      readonly inMs: number;
      readonly everyMs?: number;
    }
  | { readonly op: "watch"; readonly to: string }
  /** `silent` ends the turn without an answer. */
  | { readonly op: "stream" | "log" | "fail" | "silent" | "unhandled" }
  /** Ends the cell, in the first `times` deliveries. */
  | { readonly op: "crash"; readonly times: number };

interface Program {
  readonly name: string;
  readonly steps: readonly Step[];
}

export interface Programs {
  /** A program as the body of a message. */
  make(random: Random, sessions: readonly string[]): string;
  tellOptions(random: Random): TellOptions;
  /** Whether the program that is this body may say that it is not handled. */
  isRefuser(body: string): boolean;
  /** Whether the program that is this body ends cells. */
  isKiller(body: string): boolean;
}

/**
 * `takes`: turns ask for what came meanwhile, before their first step and after their last one; what they send by tool without
 * waiting is to steer. `thinks`: turns ask which tools there are, and a model before each step.
 */
export const makeScript = (book: () => StepBook, takes = false, thinks = false): Script =>
  function* (turn) {
    const [own] = turn.parts;
    // Of a message that is shortened there is no program left.
    const program = own?.shortened === true ? { name: "shortened", steps: [] } : programOf(own?.body ?? turn.body);
    const seen: readonly string[] = JSON.parse(turn.state ?? "[]");
    book().hearParts(turn, "begin", turn.parts);
    if (takes) yield* take(turn, book(), "first");
    if (thinks) book().hearLate(turn, turn.calls(), yield* answerOf(turn.tools()));
    for (const [index, step] of program.steps.entries()) {
      if (thinks) book().hearLate(turn, turn.calls(), yield* answerOf(turn.model("what next?")));
      if (step.op === "send")
        book().hear(turn, index, yield* storedOf(turn.send(step.to, JSON.stringify(step.program))));
      else if (step.op === "timer") {
        const { inMs, everyMs } = step;
        const session = `agent:${turn.header.agentId}:${step.session}`;
        const when = everyMs === undefined ? { inMs } : { inMs, everyMs };
        yield* answerOf(turn.schedule(when, JSON.stringify(step.program), session));
      } else if (step.op === "watch") yield* answerOf(turn.monitor(step.to));
      else if (step.op === "memory") yield* askInMemory(turn, step.to, JSON.stringify(step.program));
      else if (step.op === "tool") {
        const params = { to: step.to, timeoutMs: step.ms, ...(takes && step.ms === 0 ? { steers: true } : {}) };
        book().hear(turn, index, yield* answerOf(turn.call("sessions_send", params, JSON.stringify(step.program))));
      } else if (step.op === "step") {
        const run = (): string => {
          const result = book().run(turn, turn.calls() - 1, step.idempotent);
          if (turn.attempt <= step.crashes) turn.crash();
          return result;
        };
        book().hear(turn, index, yield* stepOf(turn, `s${index}`, run, step.idempotent));
      } else if (step.op === "stream") turn.stream("…");
      else if (step.op === "log") turn.raw(up.log, 0, 0, 30, "a line");
      else if (step.op === "fail") return { error: "failed as told" };
      else if (step.op === "unhandled") return { unhandled: "not what it is for" };
      else if (step.op === "silent") return {};
      else if (step.op === "ask") {
        const ref = turn.send(step.to, JSON.stringify(step.program), { timeoutMs: step.ms });
        if (step.wait) book().hear(turn, index, yield* answerOf(ref));
      } else if (step.op === "crash" && turn.attempt <= step.times) {
        turn.crash();
        return undefined;
      }
    }
    if (takes) yield* take(turn, book(), "last");
    return { reply: `did ${program.name}`, state: JSON.stringify([...seen, turn.header.id]) };
  };

/** With others beside it: of another session, by what was judged before, and one that nobody waits for. */
function* askInMemory(turn: FakeTurn, to: string, body: string): Generator<Wait, void, Answer> {
  const options = { inMemory: true, timeoutMs: 2_000 };
  const idle = JSON.stringify({ name: "idle", steps: [] });
  const aside = Array.from({ length: 6 }, (_, at) => turn.send(to.replace(/[^:]+$/u, `aside${at % 3}`), idle, options));
  yield* answerOf(turn.send(to, body, options));
  for (const ref of aside) {
    yield* answerOf(ref);
    turn.send(to, idle, options);
  }
}

function* take(turn: FakeTurn, book: StepBook, when: string): Generator<Wait, void, Answer> {
  const ref = turn.take();
  const answer = yield* answerOf(ref);
  if (answer.type === "result") book.hearParts(turn, when, turn.takenAt(ref));
}

/** The news of an end is no program. */
function programOf(body: string): Program {
  return body.startsWith("the agent ") ? { name: "down", steps: [] } : JSON.parse(body);
}

/** `people`: dice for who writes and how. */
export function makePrograms(people: Random): Programs {
  let names = 0;
  const killers = new Set<string>();

  const make = (random: Random, sessions: readonly string[], depth: number): Program => {
    const name = `p${names++}`;
    const steps: Step[] = [];
    for (let count = random.below(depth === 0 ? 2 : 4); count > 0; count--)
      steps.push(makeStep(random, sessions, depth));
    if (steps.some((step) => step.op === "step" && step.crashes > 0)) killers.add(name);
    if (random.chance(0.06)) {
      // Two deliveries that end the cell are what a message may cost; a third one does not happen.
      steps.push({ op: "crash", times: random.chance(0.5) ? 1 : 99 });
      killers.add(name);
    }
    return { name, steps };
  };

  const makeStep = (random: Random, sessions: readonly string[], depth: number): Step => {
    const what = depth === 0 ? 99 : random.below(100);
    const to = random.pick(sessions);
    if (what < 20) return { op: "send", to, program: make(random, sessions, depth - 1) };
    if (what < 65) {
      const program = make(random, sessions, depth - 1);
      return { op: "ask", to, program, ms: 100 + random.below(5_000), wait: random.chance(0.9) };
    }
    if (what < 75) {
      const program = make(random, sessions, depth - 1);
      return { op: "tool", to, program, ms: random.chance(0.3) ? 0 : 1_000 };
    }
    if (what < 80) return { op: "step", idempotent: random.chance(0.5), crashes: random.chance(0.1) ? 1 : 0 };
    if (what < 86) return { op: "memory", to, program: make(random, sessions, 0) };
    if (what < 92) {
      const program = make(random, sessions, 0);
      const every = random.chance(0.3) ? { everyMs: 1_000 + random.below(2_000) } : {};
      return { op: "timer", session: random.pick(["main", "x"]), program, inMs: random.below(3_000), ...every };
    }
    if (what < 97) return { op: "watch", to };
    return { op: random.pick(["fail", "silent", "log", "stream", "stream", "unhandled"]) };
  };

  return {
    make: (random, sessions) => JSON.stringify(make(random, sessions, 2)),
    tellOptions: (random) => ({
      ...(random.chance(0.2) ? { replyRoute } : {}),
      ...(random.chance(0.2) ? { dedupeKey: `k${random.below(6)}` } : {}),
      ...(people.chance(0.2) ? { from: { ...person, senderId: people.pick(["ann", "bob"]) } } : {}),
      ...(people.chance(0.2) ? { holdMs: people.pick([100, 1_000]) } : {}),
    }),
    isRefuser: (body) => programOf(body).steps.some(({ op }) => op === "unhandled"),
    isKiller(body) {
      return killers.has(programOf(body).name);
    },
  };
}

const person = { type: "channel", channel: "webhook", accountId: "biz", peer: "direct:p" } as const;

const replyRoute = {
  type: "channel",
  channel: "webhook",
  accountId: "biz",
  peerKind: "direct",
  peerId: "p",
} as const;
