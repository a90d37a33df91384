/** What must hold once all mail of a world has ended. */
import { leaks } from "./kernel-invariants.ts";
import type { World } from "./kernel-world.ts";
import type { Driver } from "./kernel-driver.ts";

export function checkEnd(world: World): readonly string[] {
  const { driver } = world;
  return [
    ...leaks(driver.kernel).map((left) => `left at the end: ${left}`),
    ...driver.wrongAnswers,
    ...checkAccepted(world),
    ...checkAnswers(world),
    ...checkOrder(driver),
    ...checkStates(driver),
    ...world.book.problems,
    ...checkSignals(world),
    ...driver.journal.requests.problems(),
  ];
}

/** Everything that was accepted ended, once, and for a reason that there was. */
function checkAccepted({ driver, restarts, calm, programs, revoked, expiring }: World): readonly string[] {
  const { journal, watch } = driver;
  const problems: string[] = [];
  for (const id of watch.acknowledged)
    if (!journal.accepted.has(id)) problems.push(`${id} was acknowledged and is lost`);
  for (const [id, { header, body }] of journal.accepted) {
    const end = journal.done.get(id);
    const dead = journal.dead.get(id);
    const heard = driver.ends.map((of) => of.get(id) ?? 0);
    if (end === undefined && dead === undefined && !journal.replayed.has(id))
      problems.push(`${id} neither ended nor is a dead letter`);
    if (end !== undefined && dead !== undefined) problems.push(`${id} is done and a dead letter (${dead.fate})`);
    if (end !== undefined && end.commits !== 1) problems.push(`${id} was committed ${end.commits} times`);
    if (heard.some((times) => times > 1)) problems.push(`the end of ${id} was told ${heard.join(", ")} times`);
    // The process may have died between a commit and what it would have said.
    if (heard.every((times) => times === 0) && restarts === 0) problems.push(`the end of ${id} was not told`);
    if (dead === undefined) continue;
    if (dead.fate === "poison" && calm && !programs.isKiller(body))
      problems.push(`${id} is poison and ended no cell: ${dead.reason}`);
    const isReason =
      dead.fate === "poison" ||
      dead.fate === "dropped" ||
      (dead.fate === "unhandled" && programs.isRefuser(body)) ||
      (dead.fate === "refused" && revoked.has(header.via)) ||
      (dead.fate === "expired" && expiring);
    if (!isReason) problems.push(`${id} has the fate ${dead.fate}`);
  }
  return problems;
}

/** Each answer that a channel has to carry was handed to it; once, unless the process died in between. */
function checkAnswers({ driver, restarts }: World): readonly string[] {
  const { journal } = driver;
  const problems = [...journal.outbound.keys()].map((id) => `the answer of ${id} has not left`);
  for (const [id, { outcomeText }] of journal.done) {
    const isRouted = outcomeText !== null && journal.accepted.get(id)?.header.replyRoute.type === "channel";
    const times = driver.sent.get(id) ?? 0;
    const fine = isRouted ? times === 1 || (times > 1 && restarts > 0) : times === 0;
    if (!fine) problems.push(`the answer of ${id} left ${times} times`);
  }
  return problems;
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

/** Each time of a timer came once, alone or in the next one's `missed`; each monitor told one end. */
function checkSignals({ driver: { journal, signals } }: World): readonly string[] {
  const problems: string[] = [];
  const times = new Map<string, { readonly dueAtMs: number; readonly missed: number }[]>();
  const downs = new Map<string, number>();
  for (const { header } of journal.accepted.values()) {
    const { signal } = header;
    if (signal?.type === "down") downs.set(signal.ref, (downs.get(signal.ref) ?? 0) + 1);
    if (signal?.type === "timer") times.set(signal.id, [...(times.get(signal.id) ?? []), signal]);
  }
  for (const [id, { firstMs, everyMs }] of signals.timers) {
    const fired = times.get(id) ?? [];
    // Recurring ones are removed at the end, maybe before their first time.
    if (everyMs === undefined && fired.length !== 1) problems.push(`the timer ${id} fired ${fired.length} times`);
    let expected = firstMs;
    for (const { dueAtMs, missed } of fired) {
      if (dueAtMs !== expected) problems.push(`the timer ${id} fired for ${dueAtMs}, its time was ${expected}`);
      expected = dueAtMs + (missed + 1) * (everyMs ?? 0);
    }
  }
  for (const ref of signals.monitors.keys())
    if (downs.get(ref) !== 1) problems.push(`the monitor ${ref} told ${downs.get(ref) ?? 0} ends`);
  return problems;
}
