/**
 * What a world's turns did and heard, over all their deliveries: the effects of steps happen once for each step that is on
 * record as finished, and a repeated turn hears what it heard before.
 */
import type { Answer, FakeTurn, Part } from "./fake-cell.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { stoppedRefusal } from "../../runtime/kernel/posts.ts";
import type { Driver } from "./driver-port.ts";

export interface StepBook {
  /** The effect of a step: gives its result, which tells one run from the next. */
  run(turn: FakeTurn, number: number, isIdempotent: boolean): string;
  /** The answer to the call `index` of the turn. */
  hear(turn: FakeTurn, index: number, answer: Answer): void;
  /** The same, of what may be asked for again as long as nothing that the turn did after it is on record; by the number of the call. */
  hearLate(turn: FakeTurn, number: number, answer: Answer): void;
  /** Messages that came to the turn beside its own. A repeated turn gets the same, without what has become a dead letter. */
  hearParts(turn: FakeTurn, when: string, parts: readonly Part[]): void;
  readonly problems: readonly string[];
}

export function makeStepBook({ journal, watch }: Pick<Driver, "journal" | "watch">): StepBook {
  const runsOf = new Map<string, number>();
  const heard = new Map<string, string>();
  const partsOf = new Map<string, readonly string[]>();
  const problems: string[] = [];

  const hear = (turn: FakeTurn, call: string, answer: Answer, isOpen: boolean): void => {
    const text = JSON.stringify(answer);
    // What could not be recorded is told as it is, and a later delivery begins that call again.
    if (turn.attempt === 0 || text.includes("CLOISTER_STORE_FAILED") || text.includes("could not commit")) return;
    // A stopped turn hears this of every call; only a crash of the process before its end was kept lets it run again.
    if (answer.type === "refused" && answer.refusal.message === stoppedRefusal.message) return;
    const name = `${turn.header.id}:${call}`;
    const before = heard.get(name);
    if (before === undefined || isOpen) heard.set(name, text);
    else if (before !== text) problems.push(`call ${name} heard ${before}, and in delivery ${turn.attempt} ${text}`);
    if (before !== undefined) watch.reached.add(`${before === text ? "heard again" : "asked again"}:${answer.type}`);
  };

  return {
    run({ header }, number, isIdempotent) {
      const name = `${header.id}:${number}`;
      const times = (runsOf.get(name) ?? 0) + 1;
      runsOf.set(name, times);
      watch.reached.add(times > 1 ? "step:again" : "step:run");
      const row = journal.recorded(header.id, number);
      if (row === undefined) problems.push(`step ${name} runs, and its start is not on record`);
      if (row?.result !== undefined) problems.push(`step ${name} runs again, and its result is on record`);
      if (times > 1 && !isIdempotent) problems.push(`step ${name} ran ${times} times`);
      return `${name} run ${times}`;
    },
    hear: (turn, index, answer) => hear(turn, String(index), answer, false),
    hearLate(turn, number, answer) {
      const after = journal.stepsOf(turn.header.id).filter(({ key }) => key > number && key < limits.callsPerTurnMax);
      hear(turn, `late ${number}`, answer, after.length === 0);
    },
    hearParts({ header, attempt }, when, parts) {
      const name = `${header.id} at its ${when}`;
      const ids = parts.map(({ id, shortened }) => `${id}${shortened ? " shortened" : ""}`);
      const before = partsOf.get(name);
      if (ids.length > 0) watch.reached.add(`parts:${before === undefined ? when : "again"}`);
      if (before === undefined) {
        // What was not there is not on record: the next delivery may get it.
        if (ids.length > 0) partsOf.set(name, ids);
        return;
      }
      const isDead = (id: string): boolean => journal.dead.has(id) || watch.buried.has(id);
      const left = before.filter((part) => !isDead(part.split(" ")[0] ?? ""));
      // Alone, the turn's own message is no part.
      const expected = left.join() === header.id ? [] : left;
      if (JSON.stringify(ids) !== JSON.stringify(expected))
        problems.push(`${name} got ${before.join(", ")}, and in delivery ${attempt} ${ids.join(", ")}`);
    },
    problems,
  };
}
