/** What people tell the module and not the model: `/compact`, `/context`. The gateway has judged who may. */
import type { Context, IncomingSignal } from "../../runtime/thread/actor-port.ts";
import { compact } from "./compaction.ts";
import { type Conversation, estimateTokens, sumChars } from "./conversation.ts";
import type { Turn } from "./turn.ts";

type Command = Extract<IncomingSignal, { type: "command" }>;

/** Gives the answer. */
export async function carryOut(ctx: Context<Conversation>, { name, rest }: Command, turn: Turn): Promise<string> {
  return commands[name](ctx, turn, rest);
}

type Act = (ctx: Context<Conversation>, turn: Turn, rest: string) => string | Promise<string>;

const commands: Readonly<Record<Command["name"], Act>> = {
  compact: compactNow,
  context: contextReport,
};

async function compactNow(ctx: Context<Conversation>, turn: Turn, focus: string): Promise<string> {
  const before = ctx.state.messages.length;
  const done = await compact(ctx, turn, "asked", focus === "" ? undefined : focus);
  const after = ctx.state.messages.length;
  if (done === "done") return `Compacted: ${before - after} messages are a summary now, ${after} stay as they are.`;
  return done === "nothing"
    ? "Nothing was compacted: the conversation has nothing old."
    : "Nothing was compacted: the model gave no summary.";
}

function contextReport({ state }: Context<Conversation>, { system, tools, settings }: Turn): string {
  const count = (role: string): number => state.messages.filter((message) => message.role === role).length;
  const tokens = estimateTokens(state);
  return [
    `Context: about ${tokens} of ${settings.contextTokens} tokens (${Math.round((100 * tokens) / settings.contextTokens)} %)${state.measured === undefined ? ", estimated" : ""}`,
    `Prompt: ${system.length} characters`,
    `Tools: ${tools.length}, ${JSON.stringify(tools).length} characters`,
    `Messages: ${state.messages.length} (${count("user")} said to the agent, ${count("assistant")} of its own, ${count("tool")} results), ${sumChars(state.messages)} characters`,
    `Summary: ${state.summary === undefined ? "none" : `${state.summary.length} characters`}`,
    `🧹 Compactions: ${state.compactions}`,
  ].join("\n");
}
