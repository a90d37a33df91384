/**
 * Crashes an actor at every point that counts: `checkActor`. A conversation runs once without a crash, which gives the points; then once for each of them,
 * with the gateway ended there and started again. What an actor sees of a crash is the same whether its cell ends or the gateway does, and the gateway's end
 * takes more away: the kernel's memory goes as well. So the gateway is ended.
 */
import { isCoded } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { makeActorKit } from "./actor-kit.ts";
import type { ActorKit, CheckedPoint, CheckFault, CheckLine, CheckOptions, CheckReport } from "./actor-port.ts";
import { type ActorWorld, openActorWorld, pathOfModule } from "./actor-world.ts";
import { driftMs } from "./cell-senses.ts";
import { compareRuns, type LineEnd, type Run, type RunPoint } from "./compare-runs.ts";
import { loadModule } from "./load-module.ts";

/** A turn that is handled again sets its timers so much later at the most. */
const slackMs = 2 * driftMs;

/**
 * Holds the conversation with the actor of this module, and again with a crash at each point: before and after the start and the result of each step, each
 * message that it sends, each timer that it sets and the end of each turn is stored. Tells for each whether the turn that was handled again gave the same
 * answer and state, had its effects once, and made the same calls.
 *
 * ```ts
 * const report = await checkActor("./shopping.ts", { conversation: ["add milk", "list"] });
 * assert.ok(report.ok, formatReport(report).join("\n"));
 * ```
 *
 * Time that passes (`advanceMs`) is two seconds more than what is said, because a timer that was set again comes a little later. At most 400 points.
 *
 * @throws as `openActorKit` does. What is wrong with the actor is told and not thrown.
 */
export async function checkActor(module: string | URL, options: CheckOptions): Promise<CheckReport> {
  const file = pathOfModule(module);
  await loadModule(file, options);
  const plain = await runOnce(file, options, undefined);
  const faults = plain.lines.flatMap((end, at) => faultsOf(end, at + 1, options.conversation[at]));
  const report = { module: file, turns: plain.lines.flatMap(({ turns }) => turns) };
  if (faults.length > 0) return { ...report, ok: false, faults, points: [], left: 0 };
  const points: CheckedPoint[] = [];
  for (const [index, point] of plain.points.slice(0, limits.kitPointsMax).entries())
    points.push(compareRuns(plain, await runOnce(file, options, index), point));
  return {
    ...report,
    ok: points.every(({ result }) => result !== "fault"),
    faults,
    points,
    left: Math.max(0, plain.points.length - limits.kitPointsMax),
  };
}

async function runOnce(file: string, options: CheckOptions, crashAt: number | undefined): Promise<Run> {
  const points: RunPoint[] = [];
  const lines: LineEnd[] = [];
  const world = await openActorWorld(file, options, ({ what, at }) => {
    points.push({ line: lines.length + 1, what, at });
    return points.length - 1 === crashAt;
  });
  try {
    const kit = makeActorKit(world);
    for (const line of options.conversation) {
      const end = await runLine(world, kit, line);
      lines.push(end);
      // What comes after it may be anything: the actor was told that nobody knows.
      if (end.refused !== undefined || world.senses.unknown > 0) break;
    }
    const { diverged, unknown } = world.senses;
    return { lines, points, diverged, unknown, isCrashed: crashAt !== undefined && points.length > crashAt };
  } finally {
    await world.close();
  }
}

async function runLine(world: ActorWorld, kit: ActorKit, line: CheckLine): Promise<LineEnd> {
  const before = { turns: kit.turns.length, sends: kit.sends.length, endings: world.endings.length };
  let refused: string | undefined;
  try {
    if (typeof line === "string") await kit.say(line);
    else if ("advanceMs" in line) await kit.advance(line.advanceMs + slackMs);
    else await kit.say(line.say, line.session === undefined ? {} : { session: line.session });
  } catch (error) {
    if (!isCoded(error)) throw error;
    refused = `${error.code}: ${error.message}`;
  }
  return {
    turns: kit.turns.slice(before.turns),
    sends: kit.sends.slice(before.sends),
    endings: world.endings.slice(before.endings),
    states: Object.fromEntries([...world.book.states].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    timers: await kit.timers(),
    files: await kit.files(),
    refused,
  };
}

/** What is wrong without a crash. */
function faultsOf(end: LineEnd, line: number, said: CheckLine | undefined): readonly CheckFault[] {
  const { endings, refused, turns } = end;
  if (refused !== undefined)
    return [{ type: "failed", line, message: refused, remedy: "look into what the message says" }];
  if (endings.length > 0) return [endedFault(line, endings)];
  const mayFail = typeof said === "object" && "say" in said && said.mayFail === true;
  if (mayFail) return [];
  return turns
    .filter(({ status }) => status === "failed" || status === "dead_letter")
    .map(({ text, from, fate, failure }) => ({
      type: "failed",
      line,
      message: `the turn of ${from === "person" ? JSON.stringify(text) : `a message of ${from}`} ${
        fate === undefined ? `failed with ${failure?.code}` : `became a dead letter (${fate})`
      }: ${failure?.message}`,
      remedy: "what an actor throws fails its turn; where that is right, the line has `mayFail: true`",
    }));
}

function endedFault(line: number, endings: readonly string[]): CheckFault {
  const isHung = endings.some((ending) => ending.startsWith("hung"));
  return {
    type: "ended",
    line,
    message: `its cell was ended: ${[...new Set(endings)].join("; ")}`,
    remedy: isHung
      ? "let a turn that computes for long await between its parts, or say `ctx.busy(ms)` first"
      : "a cell ends by what is thrown outside of a turn, by process.exit and by using up its memory: await every promise in the turn",
  };
}
