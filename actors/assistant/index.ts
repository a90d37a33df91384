/**
 * The actor behind an agent that has a model: it answers with it, and with the tools that its rights and the policy leave it.
 * What it is told stands in its workspace. Source: behaviour §5.4, §5.6, §6.1 to §6.3.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { Context, ExchangeMessage, IncomingMessage } from "../../runtime/thread/actor-port.ts";
import { defineActor } from "../define-actor.ts";
import { childrenAtWork } from "./children.ts";
import { carryOut } from "./commands.ts";
import { dailyNotes, hasWork, localDate, makeBootstrap, type Wake } from "./bootstrap.ts";
import { type Conversation, conversationSchema } from "./conversation.ts";
import { exchangeText, turnText } from "./input.ts";
import { runLoop } from "./loop.ts";
import { modeOf, systemPrompt } from "./prompt.ts";
import { kindOfSession, type SessionKind } from "./session-kind.ts";
import { spokenText } from "./silence.ts";
import { makeSkillsOf } from "./skills.ts";
import type { Turn } from "./turn.ts";

type Ctx = Context<Conversation>;

export default defineActor<Conversation>({
  state: conversationSchema,
  async message(ctx, message) {
    if (message.signal?.type === "command") {
      ctx.reply(await carryOut(ctx, message.signal, await turnOf(ctx, message, message.text)));
      return;
    }
    const wake = wakeOf(message);
    if (wake !== undefined && !(await hasWork(ctx.workspace, wake))) return;
    const answer = spokenText(await answerOf(ctx, message, turnText(message)), wake?.ackCharsMax);
    if (answer !== "") ctx.reply(answer);
  },
  async exchange(ctx, message) {
    ctx.reply(await answerOf(ctx, message, exchangeText(message)));
  },
});

async function answerOf(ctx: Ctx, message: IncomingMessage | ExchangeMessage, text: string): Promise<string> {
  return runLoop(ctx, await turnOf(ctx, message, text));
}

/** Undefined: somebody has written, or a signal of the agent's own came. */
function wakeOf({ signal }: Pick<IncomingMessage, "signal">): Wake | undefined {
  return signal?.type === "wake" ? signal : undefined;
}

async function turnOf(ctx: Ctx, message: IncomingMessage | ExchangeMessage, text: string): Promise<Turn> {
  const { receivedAtMs } = message;
  const { settings } = ctx.agent;
  const kind = kindOfSession(ctx.session.key, settings.mainSessionKey);
  const tools = await ctx.tools.list();
  return {
    text,
    tools,
    system: await promptOf(ctx, kind, settings, tools, message),
    settings,
    nowMs: receivedAtMs,
    ...modelOf(message),
    failsWhole: kind === "subagent",
  };
}

/** Heartbeats may have one of their own. */
function modelOf(message: IncomingMessage | ExchangeMessage): Pick<Turn, "model"> {
  const model = wakeOf(message)?.model;
  return model === undefined ? {} : { model };
}

/** A cell has one workspace. */
const skillsOf = makeSkillsOf();
const bootstrapOf = makeBootstrap();

/** Looked at anew in each turn: what the agent or its operator writes counts from the next one on. */
async function promptOf(
  ctx: Ctx,
  kind: SessionKind,
  settings: AgentSettings,
  tools: Awaited<ReturnType<Ctx["tools"]["list"]>>,
  message: IncomingMessage | ExchangeMessage,
): Promise<string> {
  const nowMs = message.receivedAtMs;
  const wake = wakeOf(message);
  const { name, emoji, theme, timezone, bootstrap } = settings;
  const isFirst = ctx.state.messages.length === 0;
  const injects =
    wake !== undefined || bootstrap.injection === "always" || (bootstrap.injection === "continuation-skip" && isFirst);
  const notes = isFirst && kind === "main" ? dailyNotes(nowMs, timezone) : [];
  const children = await childrenAtWork(ctx, tools);
  const [files, skills] = await Promise.all([
    injects ? bootstrapOf(ctx.workspace, kind, bootstrap, nowMs, { notes, wake }) : [],
    kind === "subagent" ? [] : skillsOf(ctx.workspace, settings, nowMs),
  ]);
  return systemPrompt({
    mode: modeOf(kind),
    agent: {
      id: ctx.agent.id,
      name,
      ...(emoji === undefined ? {} : { emoji }),
      ...(theme === undefined ? {} : { theme }),
    },
    session: { key: ctx.session.key, kind },
    tools,
    skills,
    skillsCharsMax: limits.skillsPromptCharsMax,
    workspace: ctx.workspace.root,
    files,
    timezone,
    date: localDate(nowMs, timezone),
    model: wake?.model ?? ctx.session.model ?? ctx.agent.model ?? "of the gateway's choice",
    thinking: ctx.session.thinking ?? settings.thinking ?? "off",
    children,
  });
}
