/**
 * Calls of models (`ctx.model`). The kernel judges the call, books what it took and records its answer; who answers is the broker's
 * matter, and neither request nor answer is read here.
 *
 *   judged ──► effect `model` ──► pieces of text (lossy) ──► answer: booked, recorded, then heard
 *
 * The start is not recorded: an answer that was not kept is asked for again, which costs tokens and changes nothing else. What
 * the model took is counted when its answer arrives, whatever became of the turn: the provider has counted it too.
 */
import { countTokens, whyNoChainModel } from "./chains.ts";
import { hasCell } from "./dispatch.ts";
import type { Refusal } from "./errors.ts";
import { down, type UpRecord } from "./frames.ts";
import type { ModelCall, ModelEnd } from "./model-call.ts";
import { postRefusal } from "./posts.ts";
import { refuse } from "./refusals.ts";
import { isCallNumber, noCallNumber, slotPairing } from "./call-slots.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { answerFromSteps, type CallId, hear, whyNoMoreSteps } from "./steps.ts";
import { bookTokens, noteContext } from "./usage.ts";

export function modelCall(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): void {
  const { ref, num: key, a: model, b, c: request } = record;
  if (!isCallNumber(k, key)) {
    refuse(k, agent, turn, record, noCallNumber(k, String(key)));
    return;
  }
  const id: CallId = { key, op: "model", name: model };
  if (answerFromSteps(k, agent, turn, ref, id)) return;
  const denied = whyNoModel(k, agent, turn, record);
  if (denied !== undefined) {
    refuse(k, agent, turn, record, denied, id);
    return;
  }
  const spent = whyNoChainModel(k, turn.mail.envelope.header);
  if (spent !== undefined) {
    refuse(k, agent, turn, record, spent, id);
    return;
  }
  const [wants, list] = splitAtBlank(b);
  const tools = list === "=" ? turn.told?.text : list;
  if (tools === undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, ref, nothingTold);
    return;
  }
  const impossible = whyNotNow(k, agent, turn, record, request.length + tools.length);
  if (impossible !== undefined) {
    postRefusal(k, agent.spec.id, agent.incarnation, ref, impossible);
    return;
  }
  agent.openCalls.add(ref);
  agent.modelChars += request.length + tools.length;
  k.modelChars += request.length + tools.length;
  k.emit({
    type: "model",
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref,
    turn: turn.number,
    sinceMs: turn.work.sinceMs,
    header: turn.mail.envelope.header,
    key,
    named: model,
    // The record keeps the name that the actor gave: a repeated turn finds its answer when another model was chosen meanwhile.
    model: model === "" ? (turn.choices?.model ?? "") : model,
    ...(model === "" && turn.choices?.authProfile !== undefined ? { authProfile: turn.choices.authProfile } : {}),
    wantsText: wants === "text",
    request,
    tools,
  });
}

const nothingTold: Refusal = {
  code: "CLOISTER_REQUEST_INVALID",
  message: "the request means the list of tools that its turn was told, and it was told none",
};

function splitAtBlank(text: string): readonly [string, string] {
  const blank = text.indexOf(" ");
  return blank === -1 ? [text, ""] : [text.slice(0, blank), text.slice(blank + 1)];
}

function whyNoModel(k: KernelState, agent: AgentEntry, turn: Turn, { slot }: UpRecord): Refusal | undefined {
  const pairing = slotPairing(k, agent, slot);
  if (pairing?.object === "gateway" && pairing.verbs.includes("model")) return undefined;
  return {
    code: "CLOISTER_CAPABILITY_DENIED",
    message: `${turn.mail.envelope.header.sessionKey} holds no capability to use a model`,
  };
}

/** Not kept as the call's answer: a later delivery may be luckier. */
function whyNotNow(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  { num, a: model }: UpRecord,
  chars: number,
): Refusal | undefined {
  const { modelNameCharsMax, modelRequestCharsMax, callsPerCellMax } = k.settings.limits;
  if (model.length > modelNameCharsMax)
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: `the name of a model has at most ${modelNameCharsMax} characters, found ${model.length}`,
    };
  if (chars > modelRequestCharsMax)
    return {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `the request to the model has ${chars} characters; the bound is ${modelRequestCharsMax}`,
      remedy: "leave out or shorten the oldest messages",
    };
  if (agent.openCalls.size >= callsPerCellMax)
    return {
      code: "CLOISTER_MAILBOX_FULL",
      message: `${agent.openCalls.size} calls of this cell wait for their answers; the bound is reached`,
      retryAfterMs: 100,
    };
  return (
    whyTooMuchWaits(k, agent, chars) ??
    (turn.mail.volatile || turn.steps?.has(num) === true ? undefined : whyNoMoreSteps(k, turn))
  );
}

function whyTooMuchWaits(k: KernelState, agent: AgentEntry, chars: number): Refusal | undefined {
  const { modelRequestsPerCellCharsMax, modelRequestsCharsMax } = k.settings.limits;
  const isCells = agent.modelChars + chars > modelRequestsPerCellCharsMax;
  if (!isCells && k.modelChars + chars <= modelRequestsCharsMax) return undefined;
  const [whose, bound] = isCells ? ["this cell", modelRequestsPerCellCharsMax] : ["all cells", modelRequestsCharsMax];
  return {
    code: "CLOISTER_MAILBOX_FULL",
    message: `requests to models of ${whose} wait for their answers, and with this one they would have more than ${bound} characters`,
    remedy: "wait for the answers of earlier calls",
    retryAfterMs: 1_000,
  };
}

/** A piece of the answer, while the call waits for it. */
export function modelText(k: KernelState, call: ModelCall, text: string): void {
  const agent = k.agents.get(call.agentId);
  if (agent?.incarnation !== call.incarnation || !hasCell(agent) || !agent.openCalls.has(call.ref)) return;
  if (agent.turns.get(call.turn)?.mail.aborted !== false) return;
  const record = [down.text, call.ref, 0, 1, text, "", ""] as const;
  k.emit({ type: "post", agentId: call.agentId, incarnation: call.incarnation, record });
}

export function modelAnswered(k: KernelState, call: ModelCall, end: ModelEnd): void {
  const chars = call.request.length + call.tools.length;
  k.modelChars -= chars;
  const agent = k.agents.get(call.agentId);
  const isItsCell = agent?.incarnation === call.incarnation && hasCell(agent);
  const turn = isItsCell ? agent.turns.get(call.turn) : undefined;
  if (end.used !== undefined) {
    bookTokens(k, call.header.agentId, agent, turn, end.used);
    countTokens(k, call.header, end.used, turn !== undefined);
  }
  if (agent === undefined || !isItsCell) return;
  agent.openCalls.delete(call.ref);
  agent.modelChars -= chars;
  if (turn === undefined) return;
  if (end.ok) {
    turn.answered = (turn.answered ?? new Set()).add(end.model);
    noteContext(turn, call.key, end.used);
  }
  const facts = { ...(end.used && { used: end.used }), ...(end.ok ? { answeredBy: end.model } : {}) };
  const id = { key: call.key, op: "model", name: call.named, ...facts } as const;
  hear(k, agent, turn, call.ref, id, end.ok ? [1, "ok", end.json] : [0, JSON.stringify(end.refusal), ""]);
}
