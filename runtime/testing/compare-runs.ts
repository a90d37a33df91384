/** Two runs of one conversation, one of them with a crash: what is not the same, in words for the actor's author. */
import type { CheckedPoint, CheckFault, KitSend, KitTimer, KitTurn } from "./actor-port.ts";
import type { StorePoint } from "./watched-store.ts";

/** What there was after a line of the conversation. */
export interface LineEnd {
  /** Of this line. */
  readonly turns: readonly KitTurn[];
  readonly sends: readonly KitSend[];
  readonly endings: readonly string[];
  /** By session key. */
  readonly states: Readonly<Record<string, unknown>>;
  readonly timers: readonly KitTimer[];
  readonly files: Readonly<Record<string, string>>;
  /** Why it could not be said, or did not end. */
  readonly refused: string | undefined;
}

export interface RunPoint extends StorePoint {
  /** From 1. */
  readonly line: number;
}

export interface Run {
  readonly lines: readonly LineEnd[];
  readonly points: readonly RunPoint[];
  /** Refusals that the actor was given. */
  readonly diverged: number;
  readonly unknown: number;
  /** It came to the point where it was to be crashed. */
  readonly isCrashed: boolean;
}

const shownChars = 120;

const remedies = {
  answer:
    "let an answer depend on the message, the state and the results of recorded calls; put time, chance and what a file says into a step",
  later:
    "after a restart `ctx.state` and files are left: no variables of the module, and of the state what JSON keeps (no Map, Set, Date or class)",
  state:
    "let the state depend on the message, the state before and the results of recorded calls; put time and chance into a step",
  effect: "put what has an effect outside of the turn into `ctx.step`, or write it so that twice is as good as once",
  diverged:
    "let the calls of a turn depend on the message, the state and earlier results alone; put time and chance into a step",
} as const;

export function compareRuns(plain: Run, crashed: Run, point: RunPoint): CheckedPoint {
  const faults = findFaults(plain, crashed, point.line);
  const result = faults.length > 0 ? "fault" : crashed.unknown > 0 ? "unknown" : "same";
  return { ...point, result, faults };
}

function findFaults(plain: Run, crashed: Run, crashLine: number): readonly CheckFault[] {
  const type = "diverged";
  if (!crashed.isCrashed) {
    const message = "the conversation made other calls than the time before, without any crash";
    return [{ type, line: crashLine, message, remedy: remedies.diverged }];
  }
  if (crashed.diverged > 0) {
    const message =
      "the turn that was handled again made another call in the place of one on record (CLOISTER_TURN_DIVERGED)";
    return [{ type, line: crashLine, message, remedy: remedies.diverged }];
  }
  const [wanted, found] = [named(plain.lines), named(crashed.lines)];
  if (crashed.unknown > 0) return findTwice(wanted, found, crashLine);
  for (const [at, line] of wanted.entries()) {
    const faults = compareLine(line, found[at], at + 1, crashLine);
    // What follows from it is not told as well.
    if (faults.length > 0) return faults;
  }
  return [];
}

function compareLine(
  wanted: LineEnd,
  found: LineEnd | undefined,
  line: number,
  crashLine: number,
): readonly CheckFault[] {
  if (found === undefined) return [];
  const isLater = line > crashLine;
  const fault = (type: "answer" | "state" | "effect", message: string): CheckFault => ({
    type,
    line,
    message,
    remedy: isLater && type !== "effect" ? remedies.later : remedies[type],
  });
  const faults: CheckFault[] = [];
  if (found.refused !== undefined) return [fault("answer", found.refused)];
  const answers = differing(wanted.turns.map(formatEnd), found.turns.map(formatEnd), "answered");
  if (answers !== undefined) faults.push(fault("answer", answers));
  const sends = countDifference(wanted.sends.map(formatSend), found.sends.map(formatSend));
  if (sends !== undefined) faults.push(fault("effect", sends));
  const timers = countDifference(wanted.timers.map(formatTimer), found.timers.map(formatTimer));
  if (timers !== undefined) faults.push(fault("effect", timers));
  for (const name of new Set([...Object.keys(wanted.files), ...Object.keys(found.files)])) {
    const [was, is] = [wanted.files[name], found.files[name]];
    if (was !== is) faults.push(fault("effect", `the file ${name} has ${show(is)} instead of ${show(was)}`));
  }
  for (const key of new Set([...Object.keys(wanted.states), ...Object.keys(found.states)])) {
    const [was, is] = [JSON.stringify(wanted.states[key]), JSON.stringify(found.states[key])];
    if (was !== is) faults.push(fault("state", `the state of ${key} is ${show(is)} instead of ${show(was)}`));
  }
  return faults;
}

/** The actor was told that nobody knows whether a step was done. What it makes of that is its own; nothing may have happened twice. */
function findTwice(wanted: readonly LineEnd[], found: readonly LineEnd[], line: number): readonly CheckFault[] {
  const faults: CheckFault[] = [];
  const fault = (message: string): void => void faults.push({ type: "effect", line, message, remedy: remedies.effect });
  const before = countOf(wanted.flatMap(({ sends }) => sends.map(formatSend)));
  for (const [what, count] of countOf(found.flatMap(({ sends }) => sends.map(formatSend))))
    if (count > Math.max(1, before.get(what) ?? 0))
      fault(`${what}: ${times(count)} instead of ${times(before.get(what) ?? 1)}`);
  const end = found[line - 1];
  // One that went on may have written what it knows now.
  if (end === undefined || !end.turns.some(({ status }) => status === "failed")) return faults;
  const [past, next] = [wanted[line - 2]?.files ?? {}, wanted[line - 1]?.files ?? {}];
  for (const [name, text] of Object.entries(end.files))
    if (text !== past[name] && text !== next[name])
      fault(`the file ${name} has ${show(text)}, and without the crash ${show(next[name])}`);
  return faults;
}

/** With names in place of ids, by the order in which they appear: ids of two runs differ. */
function named(lines: readonly LineEnd[]): readonly LineEnd[] {
  const names = new Map<string, string>();
  const json = JSON.stringify(lines).replaceAll(
    /\b(?:[0-9a-z]{9}-[0-9a-z]{4,}-[0-9a-f]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/g,
    (id) => {
      const name = names.get(id) ?? `<id ${names.size + 1}>`;
      names.set(id, name);
      return name;
    },
  );
  return JSON.parse(json) as readonly LineEnd[];
}

function formatEnd({ status, reply, failure, fate }: KitTurn): string {
  if (status === "ok") return show(reply);
  if (status === "no_reply") return "nothing";
  return fate === undefined ? `with a failure (${failure?.message})` : `with a dead letter (${fate})`;
}

const formatSend = ({ to, text }: KitSend): string => `the message ${show(text)} to ${to}`;
const formatTimer = ({ name, body, everyMs }: KitTimer): string =>
  `the timer ${name}${everyMs === undefined ? "" : ` every ${everyMs} ms`}${body === "" ? "" : ` with ${show(body)}`}`;

function differing(wanted: readonly string[], found: readonly string[], did: string): string | undefined {
  for (let at = 0; at < Math.max(wanted.length, found.length); at++) {
    const [was, is] = [wanted[at], found[at]];
    if (was === is) continue;
    if (is === undefined) return `a turn is missing, which ${did} ${was}`;
    return was === undefined ? `there is one turn more, which ${did} ${is}` : `it ${did} ${is} instead of ${was}`;
  }
  return undefined;
}

function countDifference(wanted: readonly string[], found: readonly string[]): string | undefined {
  const [before, after] = [countOf(wanted), countOf(found)];
  for (const what of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(what) ?? 0, after.get(what) ?? 0];
    if (was !== is) return `${what}: ${times(is)} instead of ${times(was)}`;
  }
  return undefined;
}

function countOf(all: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
}

const times = (count: number): string => (count === 0 ? "not at all" : count === 1 ? "once" : `${count} times`);

function show(text: string | undefined): string {
  if (text === undefined) return "nothing";
  const json = JSON.stringify(text);
  return json.length > shownChars ? `${json.slice(0, shownChars)}… (${text.length} characters)` : json;
}
