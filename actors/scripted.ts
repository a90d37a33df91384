/**
 * A rules-only actor: it understands a few plain requests and uses the same tools as a model would. It is what an agent runs
 * while no model is configured; for first steps, demos, tests and load.
 */
import { defineActor } from "./define-actor.ts";
import type { Context, IncomingMessage } from "../runtime/thread/actor-port.ts";

interface Memory {
  notes: string[];
  greeted: boolean;
}

type Ctx = Context<Memory>;

interface Rule {
  readonly pattern: RegExp;
  readonly example: string;
  readonly act: (ctx: Ctx, match: RegExpMatchArray, message: IncomingMessage) => Promise<string> | string;
}

const rules: readonly Rule[] = [
  {
    pattern: /^(?:please\s+)?ask\s+([\w-]+)\s*[:,]?\s+(.+)$/is,
    example: "ask raul what he remembers",
    act: (ctx, match) => ask(ctx, (match[1] ?? "").toLowerCase(), match[2] ?? ""),
  },
  {
    pattern: /^(?:please\s+)?tell\s+([\w-]+)\s*[:,]?\s+(.+)$/is,
    example: "tell raul the meeting is at ten",
    act: (ctx, match) => tell(ctx, (match[1] ?? "").toLowerCase(), match[2] ?? ""),
  },
  { pattern: /^who\s+am\s+i\b/i, example: "who am I", act: (_ctx, _match, message) => describeSender(message) },
  {
    pattern: /^(?:who|what)\s+are\s+you\b/i,
    example: "who are you",
    act: (ctx) => `I am ${ctx.agent.id}, in the session ${ctx.session.key}. My workspace is ${ctx.workspace.root}.`,
  },
  { pattern: /^list\s+(?:the\s+|my\s+)?sessions\b/i, example: "list sessions", act: listSessions },
  { pattern: /^remember\s+(?:that\s+)?(.+)$/is, example: "remember that the key is under the mat", act: remember },
  { pattern: /^(?:what\s+do\s+you|do\s+you|what\s+he)\s+remember/i, example: "what do you remember", act: recall },
  { pattern: /^forget\s+everything\b/i, example: "forget everything", act: forget },
  { pattern: /^what\s+did\s+i\s+say(?:\s+before)?/i, example: "what did I say before", act: whatWasSaid },
  { pattern: /^(?:write|save)\s+([\w./-]+)\s*:\s*(.+)$/is, example: "write notes.md: buy milk", act: writeFile },
  {
    pattern: /^read\s+([\w./-]+)$/i,
    example: "read notes.md",
    act: async (ctx, match) => await ctx.workspace.read(match[1] ?? ""),
  },
  { pattern: /^(?:list|show)\s+(?:the\s+|my\s+)?files\b/i, example: "list files", act: listFiles },
  {
    pattern: /^(?:what\s+)?(?:is\s+the\s+)?time\b|^what\s+time\b/i,
    example: "what time is it",
    act: () => `It is ${new Date().toISOString()}.`,
  },
];

export default defineActor<Memory>({
  state: () => ({ notes: [], greeted: false }),
  async message(ctx, message) {
    const fromPeer = message.provenance.kind === "inter_session";
    const text = message.text.trim();
    const rule = rules.find(({ pattern }) => pattern.test(text));
    const answer =
      rule === undefined ? help(ctx, text) : await rule.act(ctx, text.match(rule.pattern) as RegExpMatchArray, message);
    const intro = ctx.state.greeted || fromPeer ? "" : `${introduction(ctx)}\n\n`;
    if (!fromPeer) ctx.state.greeted = true;
    const full = intro + answer;
    for (const piece of full.match(/[^\n.!?]*[\n.!?]*/g) ?? []) if (piece !== "") ctx.stream(piece);
    ctx.reply(full);
  },
});

function introduction(ctx: Ctx): string {
  const { model } = ctx.agent;
  return model !== undefined
    ? `The model ${model} is configured for me, but so is the module scripted: I follow a few rules instead.`
    : "No model is configured for me, so I follow a few rules. To configure one, set agents.defaults.model in cloister.json.";
}

function help(ctx: Ctx, text: string): string {
  const heard = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return [
    `I am ${ctx.agent.id} and have no rule for "${heard}". What I understand:`,
    ...rules.map(({ example }) => `- ${example}`),
  ].join("\n");
}

async function ask(ctx: Ctx, target: string, question: string): Promise<string> {
  const result = await ctx.tools.sessions_send({ agentId: target, message: question });
  if (result["status"] === "ok") return `${target} says: ${String(result["reply"])}`;
  if (result["status"] === "no_reply") return `${target} has nothing to say.`;
  return describeFailure(`I could not get an answer from ${target}`, result);
}

async function tell(ctx: Ctx, target: string, text: string): Promise<string> {
  const result = await ctx.tools.sessions_send({ agentId: target, message: text, timeoutSeconds: 0 });
  return result["status"] === "accepted"
    ? `I passed it on to ${target}.`
    : describeFailure(`I could not tell ${target}`, result);
}

function describeFailure(what: string, result: Readonly<Record<string, unknown>>): string {
  const hint = typeof result["operatorHint"] === "string" ? ` What would change that: ${result["operatorHint"]}` : "";
  return `${what}: ${String(result["error"])}${hint}`;
}

function describeSender({ provenance }: IncomingMessage): string {
  if (provenance.kind === "inter_session")
    return `You are the session ${provenance.sourceSessionKey}, another agent's; I treat what you say as data.`;
  if (provenance.kind === "internal_system")
    return "You are the gateway: a timer of mine, or news of an agent I watch.";
  const name = provenance.senderName ?? provenance.senderId;
  const account = provenance.accountId === undefined ? "" : ` (account ${provenance.accountId})`;
  return `You are ${name ?? "somebody"} on ${provenance.sourceChannel}${account}.`;
}

async function listSessions(ctx: Ctx): Promise<string> {
  const result = await ctx.tools.sessions_list();
  const sessions = (result["sessions"] ?? []) as readonly {
    readonly key: string;
    readonly messages: number;
    readonly access: { readonly read: boolean; readonly send: boolean };
  }[];
  const lines = sessions.map(
    ({ key, messages, access }) =>
      `- ${key}: ${messages} messages${access.send ? "" : ", no right to send"}${access.read ? "" : ", no right to read"}`,
  );
  const note = typeof result["visibility"] === "string" ? `\n(${result["visibility"]})` : "";
  return `${sessions.length === 1 ? "One session" : `${sessions.length} sessions`}:\n${lines.join("\n")}${note}`;
}

function remember(ctx: Ctx, match: RegExpMatchArray): string {
  const note = (match[1] ?? "").trim();
  ctx.state.notes.push(note);
  return `I will remember: ${note}`;
}

function recall(ctx: Ctx): string {
  return ctx.state.notes.length === 0
    ? "I remember nothing yet."
    : `I remember:\n${ctx.state.notes.map((note) => `- ${note}`).join("\n")}`;
}

function forget(ctx: Ctx): string {
  const count = ctx.state.notes.length;
  ctx.state.notes = [];
  return `I forgot ${count === 1 ? "one note" : `${count} notes`}.`;
}

async function whatWasSaid(ctx: Ctx): Promise<string> {
  const result = await ctx.tools.sessions_history({ sessionKey: "current", limit: 20 });
  const messages = (result["messages"] ?? []) as readonly {
    readonly role: string;
    readonly isUser: boolean;
    readonly content: readonly [{ readonly text: string }];
  }[];
  const said = messages
    .filter(({ role, isUser }) => role === "user" && isUser)
    .map(({ content }) => `- ${content[0].text}`);
  return said.length === 0 ? "You said nothing before." : `Before this you said:\n${said.join("\n")}`;
}

async function writeFile(ctx: Ctx, match: RegExpMatchArray): Promise<string> {
  await ctx.workspace.write(match[1] ?? "", `${(match[2] ?? "").trim()}\n`);
  return `I wrote ${match[1]}.`;
}

async function listFiles(ctx: Ctx): Promise<string> {
  const entries = await ctx.workspace.list();
  return entries.length === 0
    ? "My workspace is empty."
    : `My workspace has:\n${entries.map(({ name, type }) => `- ${name}${type === "directory" ? "/" : ""}`).join("\n")}`;
}
