/**
 * The models of a kit: what the actor's was told to answer, and what speaks for the agents beside it. It stands where a gateway has the broker's thread, so
 * that all that the kernel does with a model's answer (records, budgets, the answer that a repeated turn hears) is real.
 */
import { nothingRead } from "../broker/secrets-read.ts";
import type { BrokerAsk, BrokerForKernel } from "../broker/port.ts";
import { type ErrorCode, failure, isErrorCode, toRefusal } from "../kernel/errors.ts";
import type { ModelEnd } from "../kernel/model-call.ts";
import type { StepRecord } from "../store/port.ts";
import type { BrokerThread } from "../supervisor/models.ts";
import type { ModelAnswer, ModelRequest } from "../thread/model-port.ts";
import type { ScriptedAnswer, ScriptedModel, Sibling } from "./actor-port.ts";

export const kitModel = "kit/scripted";

export interface KitModels {
  /** What the actor's model was asked, in order. */
  readonly asked: readonly ModelRequest[];
  start(): Promise<BrokerThread>;
  /** The kernel has these answers on record. */
  recorded(steps: StepRecord): void;
  /** The gateway has ended: what is asked again is answered again. */
  restarted(): void;
  /** What was said is handled: nothing of it is asked again. */
  settled(): void;
}

interface Given {
  readonly request: string;
  readonly end: ModelEnd;
  isRecorded: boolean;
  isAsked: boolean;
}

const usual = { inputTokens: 1, outputTokens: 1 };

export function makeKitModels(
  agentId: string,
  model: ScriptedModel | undefined,
  siblings: Readonly<Record<string, Sibling>>,
): KitModels {
  const asked: ModelRequest[] = [];
  let given: Given[] = [];
  let next = 0;

  const answer = (request: ModelRequest): ScriptedAnswer => {
    const index = next++;
    if (typeof model === "function") return model(request, index);
    const scripted = model?.[index];
    if (scripted !== undefined) return scripted;
    throw failure(
      "CLOISTER_MODEL_REFUSED",
      `the model was asked a ${index + 1}. time, and the kit was given ${model?.length ?? 0} answers`,
      "give `model` as many answers as the conversation asks for, or a function",
    );
  };

  const askModel = (json: string, tools: string): ModelEnd => {
    const request = JSON.parse(json) as ModelRequest;
    asked.push(tools === "" ? request : { ...request, tools: JSON.parse(tools) as ModelRequest["tools"] & object });
    const before = given.find((one) => one.isAsked && !one.isRecorded && one.request === json);
    if (before !== undefined) {
      before.isAsked = false;
      return before.end;
    }
    const end = endOf(() => answer(request));
    given.push({ request: json, end, isRecorded: false, isAsked: false });
    return end;
  };

  const askSibling = async ({ agentId: id, request }: BrokerAsk): Promise<ModelEnd> => {
    const sibling = siblings[id];
    const { messages } = JSON.parse(request) as ModelRequest;
    try {
      const text = typeof sibling === "function" ? await sibling(messages.at(-1)?.text ?? "") : sibling;
      return toEnd({ text: typeof text === "string" ? text : "" });
    } catch (error) {
      const { message } = toRefusal(error);
      return { ok: false, refusal: { code: "CLOISTER_MODEL_FAILED", message } };
    }
  };

  const remote: BrokerForKernel = {
    ask: async (ask) => (ask.agentId === agentId ? askModel(ask.request, ask.tools) : askSibling(ask)),
    cancel: async () => undefined,
    embed: async () => ({
      ok: false,
      refusal: { code: "CLOISTER_MODEL_UNAVAILABLE", message: "the kit has no model for embeddings" },
    }),
    configure: async () => undefined,
    profileNames: async () => [],
    profileType: async () => undefined,
    readSecrets: async () => nothingRead,
  };
  return {
    asked,
    start: async () => ({ remote, stop: async () => undefined }),
    recorded({ rows }) {
      for (const { op, result } of rows) {
        if (op !== "model" || result === undefined) continue;
        const one = given.find((each) => !each.isRecorded && result.includes(textOf(each.end)));
        if (one !== undefined) one.isRecorded = true;
      }
    },
    restarted() {
      for (const one of given) one.isAsked = true;
    },
    settled() {
      given = [];
    },
  };
}

/** As a record of it has it. */
const textOf = (end: ModelEnd): string => (end.ok ? end.json : JSON.stringify(end.refusal));

function endOf(answer: () => ScriptedAnswer): ModelEnd {
  try {
    const scripted = answer();
    if (typeof scripted === "string") return toEnd({ text: scripted });
    if (!("fail" in scripted)) return toEnd(scripted);
    const { fail, message = "the script of the kit says so" } = scripted;
    const code: ErrorCode = isErrorCode(fail) ? fail : "CLOISTER_MODEL_FAILED";
    return { ok: false, refusal: { code, message } };
  } catch (error) {
    return { ok: false, refusal: toRefusal(error) };
  }
}

function toEnd({ text = "", toolCalls = [], usage = usual }: Partial<ModelAnswer>): ModelEnd {
  const answer: ModelAnswer = {
    text,
    toolCalls,
    finish: toolCalls.length === 0 ? "stop" : "tool_calls",
    usage,
    model: kitModel,
  };
  return {
    ok: true,
    json: JSON.stringify(answer),
    used: { input: usage.inputTokens, output: usage.outputTokens },
    model: kitModel,
  };
}
