/**
 * How a question in memory comes and how it is answered: judged once for what one turn asks one session, checked for each (`questions.ts`).
 */
import { judge } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { joinChain, leaveChain, noteChainEnd, whyModelsSpent } from "./chains.ts";
import { noteRoom, policyOf, releaseQuestion, reserve, sessionDepth, whyNoRoomInMemory } from "./depth.ts";
import { hasReady, pump, pumpWanting } from "./dispatch.ts";
import type { Refusal } from "./errors.ts";
import { doneBits, down, type UpRecord } from "./frames.ts";
import type { Limits } from "./limits.ts";
import { postRefusal, postResult } from "./posts.ts";
import { openQuestion, type Question, type Route, settle, tellAnswered, tellAsked } from "./questions.ts";
import { refuse } from "./refusals.ts";
import { admissionOf, checkSend, whyNoMoreAsks } from "./sends.ts";
import { formatHeader } from "./session-choices.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { unknownAgent } from "./unknown-agent.ts";
import { givePlaceBack, takePlaceAgain } from "./waits.ts";

export function sendVolatile(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): void {
  const kept = turn.routes?.get(record.a);
  const route =
    kept !== undefined && holds(k, kept, agent, record, nowMs) ? kept : judgeRoute(k, agent, turn, record, nowMs);
  if (route !== undefined) ask(k, route, record, nowMs);
}

/** Whether what was judged before still is so, and the bounds leave room for one more. What they do not let through `judgeRoute` refuses. */
function holds(
  k: KernelState,
  { slot, slots, spec, target, targetSpec, depthMax, sessionDepthMax, counts, untilMs, header }: Route,
  agent: AgentEntry,
  { slot: named, c: body }: UpRecord,
  nowMs: number,
): boolean {
  const { limits } = k.settings;
  return (
    slot === named &&
    slots === agent.slots &&
    spec === agent.spec &&
    targetSpec === target.spec &&
    target.phase === "live" &&
    target.disabled === undefined &&
    target.leaving === undefined &&
    target.suspects === 0 &&
    target.depth + (target.spill?.count ?? 0) < depthMax &&
    sessionDepth(target, header.sessionKey) < sessionDepthMax &&
    body.length <= limits.bodyCharsMax &&
    k.heldChars + body.length <= limits.heldCharsMax &&
    k.asks.size + k.questions.count < limits.asksMax &&
    k.chains.get(header.trace) === counts &&
    counts.messages < limits.chainMessagesMax &&
    whyModelsSpent(k, counts) === undefined &&
    nowMs <= untilMs
  );
}

/** The route of the record, which its turn keeps; undefined, and refused, when there is none. */
function judgeRoute(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord, nowMs: number): Route | undefined {
  const checked = checkSend(k, agent, turn, record);
  if ("code" in checked) {
    refuse(k, agent, turn, record, checked);
    return undefined;
  }
  const targetId = agentOfKey(record.a) ?? "";
  const target = k.runs.get(record.a) ?? k.agents.get(targetId);
  const request = { via: checked.id, sessionKey: record.a, sourceTool: "request", body: record.c };
  const admission = admissionOf(k, agent, turn.mail.envelope.header, request, "request");
  const refusal =
    judge(k, admission, nowMs) ??
    whyNoMoreAsks(k) ??
    (target === undefined
      ? unknownAgent(targetId)
      : (whyNoRoomInMemory(k, target, record.a) ?? whyNotInMemory(target)));
  if (refusal !== undefined || target === undefined) {
    if (refusal !== undefined) noteChainEnd(k, admission, refusal);
    postRefusal(k, agent.spec.id, agent.incarnation, record.ref, refusal ?? unknownAgent(targetId));
    return undefined;
  }
  const { from, agentId, sessionKey, verb, via, chain, trace, provenance, replyRoute, cause } = admission;
  const header = { from, agentId, sessionKey, verb, via, chain, trace, provenance, replyRoute };
  const { depthMax, sessionDepthMax } = policyOf(k, target);
  const route: Route = {
    turn,
    asker: agent,
    target,
    slot: record.slot,
    slots: agent.slots,
    spec: agent.spec,
    targetSpec: target.spec,
    depthMax,
    sessionDepthMax,
    counts: joinChain(k, cause, trace),
    untilMs: cause.untilMs,
    header,
    facts: {
      subject: turn.mail.envelope.header.sessionKey,
      object: sessionKey,
      verb,
      decision: "allowed",
      via,
      trace,
    },
    text: formatHeader({ ...header, id: "", runId: "", acceptedAtMs: 0 }),
    number: k.questions.nextRoute++,
  };
  turn.routes ??= new Map();
  // A turn that asks more sessions than that is judged anew each time.
  if (turn.routes.size < k.settings.limits.routesPerTurnMax || turn.routes.has(sessionKey))
    turn.routes.set(sessionKey, route);
  return route;
}

function whyNotInMemory(target: AgentEntry): Refusal | undefined {
  if (target.run !== undefined)
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: "a sub-agent takes no messages in memory",
      remedy: "send it durably",
    };
  const id = target.spec.id;
  if (target.phase !== "live") {
    return {
      code: "CLOISTER_AGENT_CRASHED",
      message: `${id} has no live cell (it is ${target.phase}); a message in memory cannot wait for one`,
      remedy: "send it durably",
    };
  }
  if (target.suspects > 0) {
    return {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${id} handles what was with its crashed cell one by one; a message in memory cannot wait for that`,
      remedy: "send it durably",
      retryAfterMs: 1_000,
    };
  }
  return undefined;
}

function ask(k: KernelState, route: Route, { ref, num, c: body }: UpRecord, nowMs: number): void {
  const { asker, target, turn, header, counts } = route;
  const { limits } = k.settings;
  const id = k.settings.newId(nowMs);
  reserve(target, header.sessionKey);
  counts.messages += 1;
  const question: Question = {
    number: k.nextTurn++,
    id,
    route,
    ref,
    incarnation: target.incarnation,
    atMs: nowMs,
    deadlineMs: nowMs + Math.min(num === 0 ? limits.askTimeoutMsDefault : num, limits.askTimeoutMsMax),
    messages: counts.messages,
    isShown: false,
    isTold: false,
  };
  const isIdle = target.asked.questions === 0;
  const isWaitingAlready = turn.questions > 0;
  openQuestion(k, question);
  k.emit({ type: "asked", facts: route.facts, bytes: k.settings.bytesOf(body), envelopeId: id });
  target.lastActivityMs = nowMs;
  const [place, told] = tellRoute(route, limits);
  k.emit({
    type: "post",
    agentId: target.spec.id,
    incarnation: target.incarnation,
    record: [down.question, place, question.number, nowMs, id, body, told],
  });
  tellAsked(k, question, nowMs);
  if (isIdle && !question.isTold) k.emit({ type: "agent-changed", agentId: target.spec.id });
  if (isWaitingAlready) return;
  givePlaceBack(k, turn);
  pumpWanting(k, nowMs);
  pump(k, asker, nowMs);
}

/** The header of the route as far as the cell of its target does not know it, under its number there. */
function tellRoute({ number, target, text }: Route, { routesPerCell }: Limits): readonly [place: number, text: string] {
  const { incarnation, asked } = target;
  if (asked.told?.incarnation !== incarnation) asked.told = { incarnation, routes: [] };
  const { routes } = asked.told;
  const place = number % routesPerCell;
  const isTold = routes[place] === number;
  routes[place] = number;
  return [place, isTold ? "" : text];
}

/** Whether the end of a turn is a plain answer. */
export function isPlainAnswer(k: KernelState, { num, a: text }: UpRecord): boolean {
  return num === 0 || (num === doneBits.reply && text.length <= k.settings.limits.replyCharsMax);
}

/** The cell has answered, and nothing else came about. */
export function answerQuestion(k: KernelState, question: Question, { num, a: text }: UpRecord, nowMs: number): void {
  const { route, ref } = question;
  const { asker, target, turn, header } = route;
  settle(k, question);
  target.lastActivityMs = nowMs;
  leaveChain(k, header.trace, route.counts);
  releaseQuestion(k, target, header.sessionKey);
  noteRoom(k, target);
  if (turn.questions === 0) takePlaceAgain(k, turn);
  // A cell that is about to end hears nothing (`waits.ts`: `respond`).
  if (asker.phase !== "stopping")
    postResult(k, asker.spec.id, asker.incarnation, ref, num === 0 ? [1, "no_reply", ""] : [1, "ok", text]);
  tellAnswered(k, question, num === 0 ? { status: "no_reply" } : { status: "ok", text });
  if (question.isTold || target.asked.questions === 0) k.emit({ type: "agent-changed", agentId: target.spec.id });
  if (target.order !== undefined || hasReady(target)) pump(k, target, nowMs);
}
