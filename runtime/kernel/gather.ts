/**
 * Mail that joins a turn beside its own: what was collected while it waited (`collect`, and what `summarize` shortened), and what
 * a running turn takes (`ctx.steered`): of people in mode `steer`, and of agents that hold the verb `steer`. It leaves its session's
 * lane for the turn, the store counts its delivery and records which it was, and then the cell hears it:
 *
 *   lane ──gathered──► taking ──recorded──► taken ──the turn is committed──► done, in the same transaction
 *                        └────────┴── the turn is not: back to the lane, in order of arrival
 *
 * The record is a row of the turn's steps (ADR 0015): a turn that is handled again gets the same mail again. Every envelope is counted,
 * marked done and, when its time comes, buried by itself; the answer is that of the turn's own envelope. Source: behaviour §5.3.
 */
import { isFit, joins, queueModeOf } from "./company.ts";
import type { EnvelopeHeader, Outcome } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { down, type UpRecord } from "./frames.ts";
import { postRefusal, postResult } from "./posts.ts";
import { holdsRight } from "./second-check.ts";
import { formatHeader } from "./session-choices.ts";
import type { AgentEntry, Effect, KernelState, Mail, SessionLane, Turn } from "./state.ts";
import { answerFromSteps, type CallId, type StepRow, whyNoMoreSteps } from "./steps.ts";

type Take = Extract<Effect, { type: "take" }>;

/** An envelope, and whether only its beginning is heard. */
export type TakeItem = readonly [id: string, isShortened: 0 | 1];

/** What a turn handles beside its own envelope: the row of its steps is `key` and `name`. */
export interface TurnTake {
  readonly envelopeId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly key: number;
  readonly name: string;
  readonly items: readonly TakeItem[];
}

/** What the store gave of a `take`: what is not among it waits on. */
export type Taken = readonly { readonly id: string; readonly body: string }[];

/** The row of what a turn began with: no call of a cell has this number. */
const firstKey = (k: KernelState): number => k.settings.limits.callsPerTurnMax;

/** The turn's own envelope is read: asks for what joins it. False: nothing does. */
export function takeFirst(k: KernelState, agent: AgentEntry, turn: Turn): boolean {
  const row = turn.steps?.get(firstKey(k));
  // Another delivery was without company, or had this one: a repeated turn must hear what it heard before.
  if (turn.attempt > 1) {
    giveBack(agent, turn, turn.taking.splice(0));
    const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
    if (row === undefined || lane === undefined) return false;
    turn.mail.shortened = row.name === "shortened";
    turn.taking.push(...retake(lane, row));
  }
  if (turn.taking.length === 0) return false;
  emitTake(k, agent, turn, { key: firstKey(k), name: turn.mail.shortened ? "shortened" : "collect", ref: 0 });
  return true;
}

/** The running turn asks for what came meanwhile (`ctx.steered`). */
export function steer(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): void {
  const { ref, num: key } = record;
  const id: CallId = { key, op: "take", name: "steer" };
  const row = turn.steps?.get(key);
  if (row?.op !== "take" && answerFromSteps(k, agent, turn, ref, id)) return;
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  if (lane !== undefined && turn.taking.length === 0 && !turn.mail.volatile && !turn.mail.aborted) {
    if (row !== undefined) turn.taking.push(...retake(lane, row));
    else if (!wentOn(k, turn, key) && whyNoMoreSteps(k, turn) === undefined)
      turn.taking.push(...steered(k, lane, turn, nowMs));
  }
  if (turn.taking.length > 0) emitTake(k, agent, turn, { key, name: "steer", ref });
  else postResult(k, agent.spec.id, agent.incarnation, ref, [1, "ok", ""]);
}

/** In order of arrival. */
function steered(k: KernelState, lane: SessionLane, turn: Turn, nowMs: number): readonly Mail[] {
  const room = k.settings.limits.takenPerTurnMax - turn.taken.length;
  // First, since what people said may stand behind it.
  const sent = steeredByAgents(k, lane, room, nowMs);
  const said = turn.mail.mode === undefined ? [] : steeredByPeople(lane, turn, room - sent.length, nowMs);
  return [...said, ...sent].toSorted((a, b) => a.order - b.order);
}

function steeredByPeople(lane: SessionLane, turn: Turn, room: number, nowMs: number): readonly Mail[] {
  const found: Mail[] = [];
  for (let next = lane.queue[0]; next !== undefined && found.length < room; next = lane.queue[0]) {
    if (next.mode !== "steer" || !joins(turn.mail, next, nowMs)) break;
    found.push(next);
    lane.queue.shift();
  }
  return found;
}

/**
 * What agents steer the turn with, wherever it waits: not past what the same session sent before, and only while the right to it
 * lasts. What is not taken has a turn of its own, whose delivery refuses it then. The ends of sub-agents are among it where the
 * session's queue mode says so.
 */
function steeredByAgents(k: KernelState, lane: SessionLane, room: number, nowMs: number): readonly Mail[] {
  const found: Mail[] = [];
  const passed = new Set<string>();
  for (const mail of lane.queue) {
    const { header } = mail.envelope;
    const sender = senderOf(header);
    const steers = header.steers === true && (header.signal === undefined || queueModeOf(k, header) === "steer");
    const isMeant = steers && !passed.has(sender) && isFit(mail, nowMs) && holdsRight(k, header.via);
    if (isMeant && found.length < room) found.push(mail);
    else passed.add(sender);
  }
  for (const mail of found) lane.queue.splice(lane.queue.indexOf(mail), 1);
  return found;
}

function senderOf({ from }: EnvelopeHeader): string {
  return from.type === "agent" ? from.sessionKey : from.type;
}

/** An earlier delivery of the turn made later calls after it had heard of nothing here. */
function wentOn(k: KernelState, turn: Turn, key: number): boolean {
  for (const known of turn.steps?.keys() ?? []) if (known > key && known !== firstKey(k)) return true;
  return false;
}

/** What an earlier delivery took; one that is done, stopped or on the disk alone is not in the lane. */
function retake(lane: SessionLane, row: StepRow): readonly Mail[] {
  const items = itemsOf(row);
  const found = lane.queue.filter(({ envelope }) => items.has(envelope.header.id));
  for (const mail of found) {
    mail.shortened = items.get(mail.envelope.header.id) === 1;
    lane.queue.splice(lane.queue.indexOf(mail), 1);
  }
  return found;
}

/** What earlier deliveries of the turn took, by their records; `hearTaken` leaves none of what this one has taken again. */
export function takenBefore(turn: Turn | undefined): ReadonlySet<string> {
  const rows = [...(turn?.steps?.values() ?? [])].filter(({ op }) => op === "take");
  return new Set(rows.flatMap((row) => [...itemsOf(row).keys()]));
}

function itemsOf({ result }: StepRow): ReadonlyMap<string, 0 | 1> {
  return new Map(result === undefined ? [] : (JSON.parse(result[2]) as readonly TakeItem[]));
}

function emitTake(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  { key, name, ref }: { readonly key: number; readonly name: string; readonly ref: number },
): void {
  const { id, sessionKey } = turn.mail.envelope.header;
  k.emit({
    type: "take",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    turn: turn.number,
    envelopeId: id,
    sessionKey,
    key,
    name,
    ref,
    items: turn.taking.map((mail): TakeItem => [mail.envelope.header.id, mail.shortened ? 1 : 0]),
  });
}

/** The store has recorded what the turn takes, or it has not: then that waits on. */
export function hearTaken(k: KernelState, agent: AgentEntry, turn: Turn, take: Take, result: Taken | Refusal): void {
  const asked = turn.taking.splice(0);
  const bodies = new Map("code" in result ? [] : result.map(({ id, body }) => [id, body] as const));
  const got = asked.filter(({ envelope }) => bodies.has(envelope.header.id));
  giveBack(
    agent,
    turn,
    asked.filter((mail) => !got.includes(mail)),
  );
  if ("code" in result) {
    if (take.ref !== 0) postRefusal(k, agent.spec.id, agent.incarnation, take.ref, result);
    return;
  }
  turn.taken.push(...got);
  turn.steps ??= new Map();
  turn.steps.set(take.key, { key: take.key, op: "take", name: take.name });
  for (const mail of got) postPart(k, agent, turn, take.ref, mail, bodies.get(mail.envelope.header.id) ?? "");
  if (take.ref !== 0) postResult(k, agent.spec.id, agent.incarnation, take.ref, [1, "ok", ""]);
}

/** One message of several, before the delivery or the answer that it belongs to. */
export function postPart(k: KernelState, agent: AgentEntry, turn: Turn, ref: number, mail: Mail, body: string): void {
  const { queueSummaryChars } = k.settings.limits;
  const text = mail.shortened ? body.slice(0, queueSummaryChars).replace(/[\ud800-\udbff]$/u, "") : body;
  k.emit({
    type: "post",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    record: [down.part, ref, turn.number, mail.shortened ? 1 : 0, formatHeader(mail.envelope.header), text, ""],
  });
}

/** Back to where it was in the lane of the running turn. */
export function giveBack(agent: AgentEntry, turn: Turn, mails: readonly Mail[]): void {
  if (mails.length === 0) return;
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  if (lane === undefined) return;
  lane.queue.push(...mails);
  lane.queue.sort((a, b) => a.order - b.order);
}

/** All that the turn has beside its own mail. */
export function letGo(turn: Turn): readonly Mail[] {
  return [...turn.taken.splice(0), ...turn.taking.splice(0)];
}

/** What the lane of a disabled agent kept for the turn (`cells.ts`: `disable`), taken out of it. */
export function keptFor(agent: AgentEntry, turn: Turn): readonly Mail[] {
  const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
  return agent.disabled !== undefined && lane?.running === turn ? lane.queue.splice(0) : [];
}

/** How mail ended that a turn took: its answer is that of the turn's own message. */
export function outcomeOfTaken(outcome: Outcome): Outcome {
  return outcome.status === "error" ? outcome : { status: "no_reply" };
}
