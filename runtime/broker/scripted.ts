/**
 * The provider `scripted`: answers by the rules of the config (`models.providers.<id>.models[].script`), the same way every time and
 * without a network. For tests, demonstrations and dry runs: tool calls, streams in pieces and failures included.
 */
import type { ModelMessage } from "../thread/model-port.ts";
import type { ScriptRule } from "./port.ts";
import { failureOfStatus, ProviderFailure } from "./provider-failure.ts";
import type { Speaker } from "./speaker.ts";

/** Characters that count as one token. */
const charsPerToken = 4;

export function makeScripted(model: string, script: readonly ScriptRule[]): Speaker {
  return async (request, _signal, onText) => {
    const { messages } = request;
    const last = messages.at(-1);
    const rule = script.find(({ when }) => last !== undefined && fits(when, last));
    if (rule === undefined || last === undefined)
      throw new ProviderFailure("refused", `no rule of ${model} answers ${JSON.stringify(last?.text.slice(0, 80))}`);
    if (rule.fail !== undefined) {
      const { status, message, retryAfterMs } = rule.fail;
      throw failureOfStatus(status, message, message, retryAfterMs);
    }
    const text = (rule.say ?? "").replaceAll("{{text}}", last.text);
    const calls = rule.call ?? [];
    for (const piece of piecesOf(text, rule.pieceChars)) onText(piece);
    return {
      text,
      toolCalls: calls.map(({ name, input }, index) => ({ id: `call-${messages.length}-${index + 1}`, name, input })),
      finish: calls.length === 0 ? "stop" : "tool_calls",
      usage: {
        inputTokens: tokensOf(JSON.stringify(messages) + (request.system ?? "")),
        outputTokens: tokensOf(text + (calls.length === 0 ? "" : JSON.stringify(calls))),
      },
    };
  };
}

function fits(when: ScriptRule["when"], last: ModelMessage): boolean {
  if (when?.tool !== undefined && (last.role !== "tool" || last.name !== when.tool)) return false;
  return when?.text === undefined || last.text.toLowerCase().includes(when.text.toLowerCase());
}

function piecesOf(text: string, chars = text.length): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += chars) pieces.push(text.slice(at, at + chars));
  return pieces;
}

const tokensOf = (text: string): number => Math.ceil(text.length / charsPerToken);
