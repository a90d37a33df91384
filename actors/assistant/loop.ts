/**
 * One turn of the model loop: what was said → model → tools → model … → an answer.
 *
 *   asking ──answer without calls──────────────► over
 *     │  └──calls──► calling ──each result──► asking
 *     │                 └──somebody spoke──► the rest is skipped ──► asking
 *     └──too long──► compacting ──► asking
 *
 * Each answer of the model, each result of a tool and each taken message is recorded before it is heard here (ADR 0015). Which call comes
 * next follows from the message, the state and what was recorded, and from nothing else: a turn that is handled again makes the same calls and
 * goes on where it was. What the model is shown beside that (files, date) may differ; nothing is decided by it.
 */
import { isCoded } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { MessagePart } from "../../runtime/thread/actor-port.ts";
import type { ModelAnswer, ModelMessage, ModelPicture, ModelToolCall } from "../../runtime/thread/model-port.ts";
import { compact, isTooLong } from "./compaction.ts";
import { assistantMessage, chosenThinking, noteUsage, userMessage } from "./conversation.ts";
import { heardText } from "./input.ts";
import { internalContext } from "./internal-context.ts";
import { picturesOfMessage, picturesOfResult, see } from "./pictures.ts";
import { shownMessages } from "./pruning.ts";
import { makeStreamGate, type StreamGate } from "./silence.ts";
import { callTool, isErrorResult, pairResults, resultMessage, skipCalls } from "./tool-calls.ts";
import { isBorne, type LoopContext, type Turn } from "./turn.ts";

/** Gives what there is to answer; empty when the turn ends without saying anything. @throws what the model's call rejects with. */
export async function runLoop(ctx: LoopContext, asked: Turn): Promise<string> {
  const { state } = ctx;
  const opening = await seenMessage(ctx, asked, asked.text, asked.pictures ?? []);
  const turn = { ...asked, opening };
  const called: string[] = [];
  const gate = makeStreamGate((text) => ctx.stream(text));
  let said = "";
  state.messages.push(opening);
  try {
    for (let round = 1; ; round++) {
      const answer = await ask(ctx, turn, gate);
      if (answer.text.trim() !== "") said = answer.text;
      if (answer.toolCalls.length === 0) return finalText(answer, said, turn);
      if (round > limits.modelRoundsMax) {
        skipCalls(state.messages, answer.toolCalls, "not called: the turn has had all its rounds");
        return said === "" ? `I stopped after ${limits.modelRoundsMax} rounds of tools without an answer.` : said;
      }
      const end = await callTools(ctx, turn, answer.toolCalls, called);
      if (end === "yielded") return "";
      if (round === limits.modelRoundsMax)
        state.messages.push(userMessage(internalContext("the bound on tools", lastRoundNote)));
    }
  } catch (error) {
    if (turn.failsWhole || called.length === 0 || ctx.signal.aborted || !isBorne(error)) throw error;
    return cutShort(ctx, error, called);
  }
}

const lastRoundNote = `This turn has called tools in ${limits.modelRoundsMax} rounds, which is all it may. Answer now, without a tool: what is done, and what is not.`;

async function seenMessage(
  ctx: LoopContext,
  turn: Turn,
  text: string,
  named: readonly ModelPicture[],
): Promise<ModelMessage> {
  const { words, pictures } = await see(ctx, turn, named);
  return userMessage(`${text}${words}`, pictures);
}

/** Somebody has written meanwhile. */
async function hear(ctx: LoopContext, turn: Turn, said: readonly MessagePart[]): Promise<void> {
  for (const part of said)
    ctx.state.messages.push(await seenMessage(ctx, turn, heardText(part), picturesOfMessage(part)));
}

/** Asks the model, and adds what it answers. Shortens the conversation before, and again when the provider finds it too long. */
async function ask(ctx: LoopContext, turn: Turn, gate: StreamGate): Promise<ModelAnswer> {
  const { state } = ctx;
  if (isTooLong(state, turn.settings)) await compact(ctx, turn, "before");
  const answer = await generateFitting(ctx, turn, gate);
  noteUsage(state, answer.usage);
  // A provider takes no message without content.
  if (answer.text !== "" || answer.toolCalls.length > 0) state.messages.push(assistantMessage(answer));
  return answer;
}

async function generateFitting(ctx: LoopContext, turn: Turn, gate: StreamGate): Promise<ModelAnswer> {
  for (let shortened = 0; ; shortened++) {
    try {
      return await generate(ctx, turn, gate);
    } catch (error) {
      const isFull = isCoded(error) && error.code === "CLOISTER_MODEL_CONTEXT_FULL";
      if (!isFull || shortened === limits.overflowCompactionsMax || (await compact(ctx, turn, "overflow")) !== "done")
        throw error;
    }
  }
}

async function generate(ctx: LoopContext, turn: Turn, gate: StreamGate): Promise<ModelAnswer> {
  const { state } = ctx;
  const { tools, system, settings, nowMs, model } = turn;
  const messages = shownMessages(ctx, turn);
  let hasStreamed = false;
  const answer = await ctx.model.generate(
    {
      ...(model === undefined ? {} : { model }),
      system,
      messages,
      tools,
      ...chosenThinking(ctx.session, settings),
    },
    {
      onText(part) {
        hasStreamed = true;
        gate.push(part);
      },
    },
  );
  // What an earlier delivery of the turn recorded comes whole, and is shown from its beginning again.
  if (!hasStreamed) gate.push(answer.text);
  gate.end();
  state.calledAtMs = nowMs;
  return answer;
}

/** In order, one after the other. What somebody says meanwhile is heard before the next one begins; then the rest is skipped. */
async function callTools(
  ctx: LoopContext,
  turn: Turn,
  calls: readonly ModelToolCall[],
  called: string[],
): Promise<"yielded" | "done"> {
  const { messages } = ctx.state;
  let charsLeft = limits.roundResultsCharsShown;
  for (const [index, call] of calls.entries()) {
    if (index === limits.callsPerRoundMax) {
      skipCalls(messages, calls.slice(index), `not called: at most ${limits.callsPerRoundMax} calls at a time`);
      break;
    }
    const said = await ctx.steered();
    if (said.length > 0) {
      skipCalls(messages, calls.slice(index), "not called: somebody has written meanwhile. Read it first");
      await hear(ctx, turn, said);
      return "done";
    }
    const result = await callTool(ctx, turn, call);
    called.push(call.name);
    const { words, pictures } = await see(ctx, turn, picturesOfResult(result));
    const message = resultMessage(call, result, { charsLeft, words, pictures });
    turn.work.note({ ...call, isError: isErrorResult(result) });
    messages.push(message);
    charsLeft -= message.text.length;
    if (call.name === "sessions_yield" && result["status"] === "yielded") {
      skipCalls(messages, calls.slice(index + 1), "not called: the turn has ended");
      return "yielded";
    }
  }
  await hear(ctx, turn, await ctx.steered());
  return "done";
}

/** A sub-agent's answer is what it ends with; with people, what was said on the way stands for a last answer without text. */
function finalText({ text, finish }: ModelAnswer, said: string, { failsWhole }: Turn): string {
  if (text.trim() !== "")
    return finish === "length" ? `${text}\n\n[The answer was cut at the model's bound on its length.]` : text;
  if (finish === "content_filter") return "The model's provider withheld the answer.";
  return failsWhole ? "" : said;
}

/** The turn is kept, so that the model knows later what it has done; a failed turn would leave its effects and forget them. */
function cutShort({ state, log }: LoopContext, error: unknown, called: readonly string[]): string {
  const { code, message } = error as { readonly code: string; readonly message: string };
  log.warn(`the turn is cut short after ${called.length} calls of tools: ${code}: ${message}`);
  const text = `I could not finish: ${message} (${code}). Before that I called: ${[...new Set(called)].join(", ")}.`;
  pairResults(state);
  state.messages.push({ role: "assistant", text });
  return text;
}
