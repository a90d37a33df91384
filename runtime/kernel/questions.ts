/**
 * Questions in memory (`durability: "accepted"`): no journal, no lane, no transcript, no state. One waits for nothing, so the cell that
 * answers must be live.
 *
 * What makes them quick: as long as nothing becomes of a question but its answer, it is a `Question` in a table and no turn. Whatever else comes about
 * (its cell says anything but a plain answer or ends, its asker's turn is over, a stop, a revoked right, its deadline) finds it
 * as the turn and the wait that any other message has: `unfold` makes them, and who looks at the turns of a cell or at who waits for whom
 * calls that first. And what one turn may ask one session is judged once (`Route`); each question after the first is checked
 * against what may have changed.
 */
import { openWait } from "./asks.ts";
import { type Chain, openInChain, stampWith } from "./chains.ts";
import { makeMail, makeTurn } from "./dispatch.ts";
import type { EnvelopeHeader, Outcome } from "./envelope.ts";
import type { AgentEntry, AskedEffect, KernelState, Turn } from "./state.ts";

/** What was judged for the questions of one turn to one session, and what it was judged by. */
export interface Route {
  readonly turn: Turn;
  readonly asker: AgentEntry;
  readonly target: AgentEntry;
  readonly slot: number;
  readonly slots: AgentEntry["slots"];
  readonly spec: AgentEntry["spec"];
  readonly targetSpec: AgentEntry["spec"];
  readonly depthMax: number;
  readonly sessionDepthMax: number;
  readonly counts: Chain;
  readonly untilMs: number;
  /** Of its questions, all but what is each one's own. */
  readonly header: Omit<EnvelopeHeader, "id" | "runId" | "acceptedAtMs" | "chainStamp">;
  /** For the audit trail. */
  readonly facts: AskedEffect["facts"];
  /** The header as JSON, for the cell; and which one it is, of all so far. */
  readonly text: string;
  readonly number: number;
}

export interface Question {
  /** Of the turn that it would be. */
  readonly number: number;
  readonly id: string;
  readonly route: Route;
  /** Of the asker's call. */
  readonly ref: number;
  /** Of the cell that has it. */
  readonly incarnation: number;
  readonly atMs: number;
  readonly deadlineMs: number;
  /** Messages of its chain so far. */
  readonly messages: number;
  /** It is one of those of a moment that somebody can follow: its answer is among the last answers. */
  isShown: boolean;
  /** Whoever watches has heard of it, and hears of its end. */
  isTold: boolean;
}

export interface Questions {
  /** At the place of its number; one whose place is taken is a turn at once. */
  readonly table: (Question | undefined)[];
  count: number;
  /** Of those that there are, or were since the last look. */
  firstDeadlineMs: number;
  nextRoute: number;
  /** How many were shown since when. */
  shown: number;
  shownSinceMs: number;
}

/** What an agent is asked in memory. */
export interface Asked {
  /** That its cell has in hand, beside its turns. */
  questions: number;
  /** Routes that the cell knows by their numbers. */
  told: { readonly incarnation: number; readonly routes: number[] } | undefined;
  /** Sessions that `AgentEntry.sessionDepth` keeps at 0, since their questions were answered. */
  emptySessions: number;
}

export function makeQuestions(places: number): Questions {
  return {
    table: Array.from({ length: places }),
    count: 0,
    firstDeadlineMs: Number.POSITIVE_INFINITY,
    nextRoute: 0,
    shown: 0,
    shownSinceMs: 0,
  };
}

const placeOf = ({ questions }: KernelState, turn: number): number => turn % questions.table.length;

export function openQuestion(k: KernelState, question: Question): void {
  const { number, route, deadlineMs } = question;
  const { turn, target, counts } = route;
  const { questions } = k;
  turn.questions += 1;
  target.asked.questions += 1;
  counts.questions += 1;
  questions.count += 1;
  if (questions.table[placeOf(k, number)] !== undefined) {
    settle(k, question);
    makeTurnOf(k, question);
    return;
  }
  questions.table[placeOf(k, number)] = question;
  if (deadlineMs >= questions.firstDeadlineMs) return;
  questions.firstDeadlineMs = deadlineMs;
  if (deadlineMs < (k.asks.nextDeadlineMs() ?? Number.POSITIVE_INFINITY))
    k.emit({ type: "deadline", atMs: deadlineMs });
}

/** It is no question any more. */
export function settle(k: KernelState, { number, route: { turn, target, counts } }: Question): void {
  const { table } = k.questions;
  const place = placeOf(k, number);
  if (table[place]?.number === number) table[place] = undefined;
  k.questions.count -= 1;
  turn.questions -= 1;
  target.asked.questions -= 1;
  counts.questions -= 1;
}

/** What the agent's cell has in hand under this number, if it is a question. */
export function questionOf(k: KernelState, agent: AgentEntry, number: number): Question | undefined {
  const question = k.questions.table[placeOf(k, number)];
  return question?.number === number && question.route.target === agent ? question : undefined;
}

/** From here on it is a turn, and a wait of the one who asked. */
export function unfold(k: KernelState, question: Question): void {
  if (k.isWatched) tellOpen(k, question);
  settle(k, question);
  makeTurnOf(k, question);
}

function makeTurnOf(k: KernelState, question: Question): void {
  const { number, id, ref, route, incarnation, atMs, deadlineMs } = question;
  const { turn, asker, target } = route;
  const header = headerOf(question);
  openInChain(k, header);
  const mail = makeMail(k, { header, atMs, volatile: true, suspect: false, mode: undefined });
  const own = makeTurn(target, mail, number, incarnation, atMs);
  own.stage = "delivered";
  openWait(k, {
    envelopeId: id,
    fromSession: turn.mail.envelope.header.sessionKey,
    toSession: header.sessionKey,
    deadlineMs,
    agentId: asker.spec.id,
    incarnation: turn.incarnation,
    ref,
    turn: turn.number,
    openedAtMs: atMs,
    call: undefined,
    isFollowed: false,
  });
}

/** As any other message has it. */
export function headerOf({ id, atMs, messages, route: { header, counts, untilMs } }: Question): EnvelopeHeader {
  const chainStamp = stampWith({ ...counts, messages }, untilMs);
  return { ...header, id, runId: id, acceptedAtMs: atMs, chainStamp };
}

/** Call it before the turns of the agent's cell are looked at. */
export function unfoldOf(k: KernelState, agent: AgentEntry): void {
  if (agent.isMade && agent.asked.questions > 0) unfoldWhere(k, ({ route }) => route.target === agent);
}

/** Call it when the turn that asks is over. */
export function unfoldAskedBy(k: KernelState, turn: Turn): void {
  if (turn.questions > 0) unfoldWhere(k, ({ route }) => route.turn === turn);
}

/** Call it before it is looked at who waits for whom. */
export function unfoldAll(k: KernelState): void {
  if (k.questions.count > 0) unfoldWhere(k, () => true);
}

/** Deadlines that have passed are those of waits. */
export function unfoldDue(k: KernelState, nowMs: number): void {
  if (nowMs < k.questions.firstDeadlineMs) return;
  k.questions.firstDeadlineMs = Number.POSITIVE_INFINITY;
  unfoldAll(k);
}

function unfoldWhere(k: KernelState, isMeant: (question: Question) => boolean): void {
  for (const question of k.questions.table) if (question !== undefined && isMeant(question)) unfold(k, question);
}

/** Whether anybody is told of questions: of all that there are then, and of those that come (`tellAsked`). */
export function watch(k: KernelState, isWatched: boolean): void {
  k.isWatched = isWatched;
  if (isWatched) tellWhere(k, () => true);
}

/**
 * Tells of one that has come, unless as many have come in this moment as anybody can follow: an event for each client costs
 * more than a question does. What is left out and waits for longer is told of by `tellWaiting`.
 */
export function tellAsked(k: KernelState, question: Question, nowMs: number): void {
  const { questions } = k;
  const { toldQuestionsMs, toldQuestionsMax } = k.settings.limits;
  if (nowMs - questions.shownSinceMs >= toldQuestionsMs) {
    questions.shownSinceMs = nowMs;
    questions.shown = 0;
  }
  if (questions.shown >= toldQuestionsMax) return;
  questions.shown += 1;
  question.isShown = true;
  if (k.isWatched) tellOpen(k, question);
}

/** Tells of its answer. */
export function tellAnswered(k: KernelState, question: Question, outcome: Outcome): void {
  const { isTold, isShown } = question;
  if (isTold || isShown) tellFlow(k, question, "ok");
  if (isTold) k.emit({ type: "ended", header: headerOf(question), seq: 1, outcome, aborted: false, inMemory: true });
}

/** Call it in each tick. */
export function tellWaiting(k: KernelState, nowMs: number): void {
  const { toldQuestionsMs } = k.settings.limits;
  if (k.isWatched && k.questions.count > 0) tellWhere(k, ({ atMs }) => nowMs - atMs >= toldQuestionsMs);
}

function tellWhere(k: KernelState, isMeant: (question: Question) => boolean): void {
  for (const question of k.questions.table) if (question !== undefined && isMeant(question)) tellOpen(k, question);
}

/** Once. */
function tellOpen(k: KernelState, question: Question): void {
  if (question.isTold) return;
  question.isTold = true;
  tellFlow(k, question, "open");
  k.emit({ type: "agent-changed", agentId: question.route.target.spec.id });
}

function tellFlow(k: KernelState, { id, route: { turn, header } }: Question, state: "open" | "ok"): void {
  const fromSession = turn.mail.envelope.header.sessionKey;
  k.emit({ type: "flow", envelopeId: id, fromSession, toSession: header.sessionKey, state });
}
