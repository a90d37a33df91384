/**
 * The actor behind an agent that has a model: it answers with it, and with the tools that its rights and the policy leave it.
 * What it is told stands in its workspace. Source: behaviour §5.4, §5.6, §6.1 to §6.3.
 */
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { Context, ExchangeMessage, IncomingMessage } from "../../runtime/thread/actor-port.ts";
import { settingsFor } from "../../runtime/kernel/model-context.ts";
import { defineActor } from "../define-actor.ts";
import { childrenAtWork } from "./children.ts";
import { carryOut } from "./commands.ts";
import { dailyNotes, hasWork, localDate, makeBootstrap, type Wake } from "./bootstrap.ts";
import { type Conversation, conversationSchema } from "./conversation.ts";
import { exchangeText, noticesText, turnText } from "./input.ts";
import { runLoop } from "./loop.ts";
import { picturesOfMessage } from "./pictures.ts";
import { makeSystemPrompt, modeOf } from "./prompt.ts";
import { sandboxOf, seesWorkspace } from "./sandbox.ts";
import { kindOfSession, type SessionKind } from "./session-kind.ts";
import { spokenText } from "./silence.ts";
import { makeSkillsOf, skillsThere } from "./skills.ts";
import { makeToldWork } from "./told-work.ts";
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
    const { notices } = ctx.session;
    const told = notices === undefined ? "" : `${noticesText(notices)}\n\n`;
    const turn = await turnOf(ctx, message, `${told}${turnText(message)}`);
    const answer = spokenText(await runLoop(ctx, turn), wake?.ackCharsMax);
    if (answer !== "") ctx.reply(turn.work.with(answer));
  },
  async exchange(ctx, message) {
    ctx.reply(await runLoop(ctx, await turnOf(ctx, message, exchangeText(message))));
  },
});

/** Undefined: somebody has written, or a signal of the agent's own came. */
function wakeOf({ signal }: Pick<IncomingMessage, "signal">): Wake | undefined {
  return signal?.type === "wake" ? signal : undefined;
}

async function turnOf(ctx: Ctx, message: IncomingMessage | ExchangeMessage, text: string): Promise<Turn> {
  const { receivedAtMs } = message;
  const model = wakeOf(message)?.model ?? ctx.session.model ?? ctx.agent.model;
  const settings = settingsFor(ctx.agent.settings, model);
  const kind = kindOfSession(ctx.session.key, settings.mainSessionKey);
  const tools = await ctx.tools.list();
  return {
    text,
    pictures: picturesOfMessage(message),
    tools,
    system: await promptOf(ctx, kind, settings, tools, message),
    settings,
    nowMs: receivedAtMs,
    ...modelOf(message),
    // What another agent or the gateway hears is an answer and nothing beside it.
    work: makeToldWork(
      message.provenance.kind === "external_user" ? (ctx.session.verbose ?? settings.verbose ?? "off") : "off",
    ),
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
const systemPrompt = makeSystemPrompt();

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
    ctx.session.light !== true &&
    (wake !== undefined ||
      bootstrap.injection === "always" ||
      (bootstrap.injection === "continuation-skip" && isFirst));
  const notes = isFirst && kind === "main" ? dailyNotes(nowMs, timezone) : [];
  const sandbox = sandboxOf(settings, kind);
  const children = await childrenAtWork(ctx, tools);
  const [files, skills] = await Promise.all([
    injects ? bootstrapOf(ctx.workspace, kind, bootstrap, nowMs, { notes, wake }) : [],
    kind === "subagent"
      ? []
      : skillsOf(
          ctx.workspace,
          { ...settings, ...skillsThere(settings, ctx.session.room) },
          nowMs,
          seesWorkspace(sandbox) ? undefined : ctx.workspace.root,
        ),
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
    skillsCharsMax: settings.skillsCharsMax,
    workspace: ctx.workspace.root,
    sandbox,
    files,
    timezone,
    date: localDate(nowMs, timezone),
    machine: settings.machine,
    model: wake?.model ?? ctx.session.model ?? ctx.agent.model ?? "of the gateway's choice",
    thinking: ctx.session.thinking ?? settings.thinking ?? "off",
    handsOn: settings.handsOn,
    groupPrompt: ctx.session.room?.systemPrompt,
    children,
  });
}
