/**
 * A server of the Bot API for tests, over HTTP as the real one, and strict: a method, a parameter or a type that the real API does not have,
 * an offset that goes back, and a second poll of one bot are violations, which fail the test. It confirms updates as the real one does: by the
 * offset of the next poll, or by the answer of the webhook, which is called with one update of a chat after the other. Source: the Bot API's
 * documentation.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import type { CallbackQuery, Message, MessageReactionUpdated, Update } from "grammy/types";
import { z } from "zod";
import { openCallingPlatform } from "./calling-platform.ts";
import { makeWatchers } from "./watchers.ts";

export interface Call {
  readonly token: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What the server does instead of answering a call. */
export type Fault =
  | { readonly type: "error"; readonly status: number; readonly description: string; readonly parameters?: object }
  /** Carries it out and drops the connection: the client never hears. */
  | { readonly type: "lose-answer" }
  /** Drops the connection and carries out nothing. */
  | { readonly type: "drop" }
  /** Carries it out, and answers then. */
  | { readonly type: "slow"; readonly until: Promise<void> };

/**
 * A state that the server can see; it goes on when the watcher is done.
 *
 *   came       a call has arrived, and nothing is carried out. A fault that is given happens.
 *   confirmed  a poll's offset has confirmed updates, and the poll is not answered
 *   done       a call is carried out, and not answered
 *   answered   its answer is handed to the operating system
 *
 * Calls of a bot's webhook are told as those of the method `webhook`: `answered` when an update was handed over, `came` when its answer has come.
 */
export interface Step {
  readonly type: "came" | "confirmed" | "done" | "answered";
  readonly call: Call;
  /** Of what is done and answered. */
  readonly result?: unknown;
}
export type Watch = (step: Step) => Fault | undefined | Promise<Fault | undefined>;

interface Bot {
  readonly token: string;
  readonly id: number;
  readonly username: string;
  updates: Update[];
  nextUpdateId: number;
  confirmedUpTo: number;
  webhook: { url: string; secret: string } | undefined;
  /** Undefined: it has none. */
  menu: readonly string[] | undefined;
  poll: (() => void) | undefined;
  /** Updates whose calls are under way. */
  readonly called: Set<Update>;
}

export interface BotApi {
  readonly root: string;
  readonly calls: Call[];
  readonly violations: string[];
  /** Texts that a bot has sent, in order. */
  sent(token: string): readonly { readonly chat: unknown; readonly text: unknown; readonly params: Call["params"] }[];
  /** Files that a bot has sent, in order. */
  sentFiles(token: string): readonly (SentFile & { readonly chat: unknown })[];
  /** A file that somebody sends: by its id. */
  addFile(id: string, content: string): void;
  addBot(token: string, username: string): { readonly id: number };
  /** Its owner has BotFather make another token: the one from before opens nothing any more. */
  renewToken(token: string, next: string): void;
  /** Somebody writes. Gives the update's number. */
  push(
    token: string,
    update: { readonly [K in keyof Update]?: Message | CallbackQuery | MessageReactionUpdated },
  ): number;
  /** Updates that the bot has not confirmed. */
  unconfirmed(token: string): number;
  webhookOf(token: string): { readonly url: string; readonly secret: string } | undefined;
  /** Where calls of webhooks go: what leads from their addresses to the gateway. Before that they wait. */
  leadTo(origin: string): void;
  /** Names of the commands of the bot's menu. */
  menu(token: string): readonly string[] | undefined;
  /** For the next calls of a method, in turn. */
  fail(method: string, ...faults: readonly Fault[]): void;
  /** Connections that are open. */
  connections(): Promise<number>;
  /** Resolves when the server has seen what is looked for. */
  until(match: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** A file as it was sent. */
export interface SentFile {
  readonly name: string;
  readonly content: string;
}

const aText = z.string();
const aChat = z.union([z.int(), z.string().startsWith("@")]);
const aFile = z.custom<SentFile>((value) => typeof value === "object" && value !== null && "content" in value);
const bytes = (data: string): number => Buffer.byteLength(data);
const entity = { offset: z.int().min(0), length: z.int().min(1) };
const entities = z
  .array(
    z.union([
      z.strictObject({ type: z.enum(["bold", "italic", "strikethrough", "code"]), ...entity }),
      z.strictObject({ type: z.literal("pre"), ...entity, language: z.string().min(1).optional() }),
      z.strictObject({ type: z.literal("text_link"), ...entity, url: z.url() }),
    ]),
  )
  .optional();
const button = z.strictObject({
  text: z.string().min(1),
  callback_data: z.string().refine((data) => bytes(data) >= 1 && bytes(data) <= 64),
});
const sending = {
  chat_id: aChat,
  message_thread_id: z.int().positive().optional(),
  reply_parameters: z
    .strictObject({ message_id: z.int().positive(), allow_sending_without_reply: z.boolean().optional() })
    .optional(),
};
const scope = z.strictObject({ type: z.string() }).optional();
const updates = z
  .array(z.enum(["message", "edited_message", "channel_post", "callback_query", "message_reaction", "my_chat_member"]))
  .optional();
const commands = z
  .array(
    z.strictObject({
      command: z.string().regex(/^[a-z0-9_]{1,32}$/),
      description: z.string().min(1).max(256),
    }),
  )
  .min(1)
  .max(100);

const params: Readonly<Record<string, z.ZodObject>> = {
  getMe: z.strictObject({}),
  getUpdates: z.strictObject({
    offset: z.int().optional(),
    limit: z.int().min(1).max(100).optional(),
    timeout: z.int().min(0).optional(),
    allowed_updates: updates,
  }),
  setWebhook: z.strictObject({
    url: z.url(),
    secret_token: z
      .string()
      .regex(/^[\w-]{1,256}$/)
      .optional(),
    allowed_updates: updates,
  }),
  deleteWebhook: z.strictObject({ drop_pending_updates: z.boolean().optional() }),
  getWebhookInfo: z.strictObject({}),
  setMyCommands: z.strictObject({
    commands,
    scope,
    language_code: z.string().optional(),
  }),
  deleteMyCommands: z.strictObject({ scope, language_code: z.string().optional() }),
  sendMessage: z.strictObject({
    ...sending,
    text: z.string(),
    entities,
    reply_markup: z.strictObject({ inline_keyboard: z.array(z.array(button).min(1).max(8)).max(100) }).optional(),
  }),
  sendPhoto: z.strictObject({ ...sending, photo: aFile }),
  sendAudio: z.strictObject({ ...sending, audio: aFile }),
  sendVideo: z.strictObject({ ...sending, video: aFile }),
  sendDocument: z.strictObject({ ...sending, document: aFile }),
  editMessageText: z.strictObject({ chat_id: aChat, message_id: z.int().positive(), text: z.string(), entities }),
  setMessageReaction: z.strictObject({
    chat_id: aChat,
    message_id: z.int().positive(),
    reaction: z
      .array(z.strictObject({ type: z.literal("emoji"), emoji: z.string().min(1) }))
      .max(1)
      .optional(),
  }),
  deleteMessage: z.strictObject({ chat_id: aChat, message_id: z.int().positive() }),
  answerCallbackQuery: z.strictObject({ callback_query_id: z.string() }),
  getFile: z.strictObject({ file_id: z.string() }),
  sendChatAction: z.strictObject({
    chat_id: aChat,
    action: z.enum(["typing"]),
    message_thread_id: z.int().positive().optional(),
  }),
};

export async function openBotApi(watch: Watch = () => undefined): Promise<BotApi> {
  const bots = new Map<string, Bot>();
  const calls: Call[] = [];
  const violations: string[] = [];
  const faults = new Map<string, Fault[]>();
  const { until, changed } = makeWatchers();
  /** By their ids, which are their paths as well. */
  const files = new Map<string, string>();
  let messageId = 1_000;
  const webhooks = openCallingPlatform();

  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token = "", method = ""] = /^\/bot([^/]+)\/(\w+)$/.exec(request.url ?? "") ?? [];
    const answer = (status: number, body: object, onWritten?: () => void): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body), onWritten);
    };
    const refuse = (status: number, description: string, parameters?: object): undefined => {
      answer(status, {
        ok: false,
        error_code: status,
        description,
        ...(parameters === undefined ? {} : { parameters }),
      });
    };
    const [, fileToken = "", filePath = ""] = /^\/file\/bot([^/]+)\/(.+)$/.exec(request.url ?? "") ?? [];
    if (fileToken !== "") {
      const content = bots.has(fileToken) ? files.get(filePath) : undefined;
      return void response.writeHead(content === undefined ? 404 : 200).end(content);
    }
    const given = await readParams(request, method).catch((error: unknown) => {
      // Whoever called has ended in the middle of it.
      if (!request.complete) return undefined;
      throw error;
    });
    if (given === undefined) return;
    const call = { token, method, params: given };
    calls.push(call);
    const wrong = judge(method, given);
    if (wrong !== undefined) violations.push(`${method}: ${wrong}`);
    const fault = (await watch({ type: "came", call })) ?? faults.get(method)?.shift();
    const bot = bots.get(token);
    try {
      if (bot === undefined) return refuse(401, "Unauthorized");
      if (fault?.type === "error") return refuse(fault.status, fault.description, fault.parameters);
      if (fault?.type === "drop") return void request.socket.destroy();
      const result = await carryOut(bot, call, request, refuse);
      await watch({ type: "done", call, result });
      if (fault?.type === "lose-answer") return void request.socket.destroy();
      if (fault?.type === "slow") await fault.until;
      if (result !== undefined && !response.writableEnded)
        answer(200, { ok: true, result }, () => void watch({ type: "answered", call, result }));
    } finally {
      changed();
    }
  }

  async function carryOut(
    bot: Bot,
    call: Call,
    request: IncomingMessage,
    refuse: (status: number, description: string, parameters?: object) => undefined,
  ): Promise<unknown> {
    const { method, params: given } = call;
    switch (method) {
      case "getMe":
        return { id: bot.id, is_bot: true, first_name: bot.username, username: bot.username };
      case "getUpdates":
        return poll(bot, call, request, refuse);
      case "setWebhook":
        bot.webhook = { url: String(given["url"]), secret: String(given["secret_token"]) };
        callWebhook(bot);
        return true;
      case "deleteWebhook":
        bot.webhook = undefined;
        return true;
      case "getWebhookInfo":
        return { url: bot.webhook?.url ?? "", has_custom_certificate: false, pending_update_count: 0 };
      case "setMyCommands": {
        const menu = commands.safeParse(given["commands"]);
        if (!menu.success) return refuse(400, "Bad Request: BOT_COMMAND_INVALID");
        bot.menu = menu.data.map((one) => one.command);
        return true;
      }
      case "deleteMyCommands":
        bot.menu = undefined;
        return true;
      case "sendChatAction":
        return true;
      case "answerCallbackQuery":
      case "deleteMessage":
      case "setMessageReaction":
        return true;
      case "getFile": {
        const path = String(given["file_id"]);
        const content = files.get(path);
        if (content === undefined) return refuse(400, "Bad Request: invalid file_id");
        return { file_id: path, file_unique_id: path, file_size: content.length, file_path: path };
      }
      case "sendPhoto":
      case "sendAudio":
      case "sendVideo":
      case "sendDocument":
        messageId += 1;
        return { message_id: messageId, date: 1, chat: { id: given["chat_id"], type: "private" } };
      case "editMessageText":
      case "sendMessage": {
        const text = String(given["text"]);
        const reach = (given["entities"] as readonly { offset: number; length: number }[] | undefined) ?? [];
        if (reach.some(({ offset, length }) => length < 1 || offset < 0 || offset + length > text.length))
          violations.push(`${method}: an entity is outside of the text`);
        if (text.length > 4_096) return refuse(400, "Bad Request: message is too long");
        if (text.trim() === "") return refuse(400, "Bad Request: message text is empty");
        messageId += 1;
        return { message_id: messageId, date: 1, chat: { id: given["chat_id"], type: "private" }, text };
      }
      default:
        return refuse(404, "Not Found");
    }
  }

  async function poll(
    bot: Bot,
    call: Call,
    request: IncomingMessage,
    refuse: (status: number, description: string) => undefined,
  ): Promise<unknown> {
    const { params: given } = call;
    if (bot.webhook !== undefined) {
      violations.push("getUpdates: a webhook is set");
      return refuse(409, "Conflict: can't use getUpdates method while webhook is active");
    }
    if (bot.poll !== undefined && given["timeout"] !== 0)
      violations.push("getUpdates: another poll of this bot is open");
    const offset = given["offset"] as number | undefined;
    if (offset !== undefined) {
      if (offset > bot.nextUpdateId)
        violations.push(`getUpdates: the offset ${offset} confirms what was never offered`);
      const confirms = bot.updates.some(({ update_id: id }) => id < offset);
      bot.confirmedUpTo = Math.max(bot.confirmedUpTo, offset);
      bot.updates = bot.updates.filter(({ update_id: id }) => id >= offset);
      changed();
      if (confirms) await watch({ type: "confirmed", call });
    }
    // Of reactions Telegram tells none where they are not asked for by name.
    if (!((given["allowed_updates"] as readonly string[] | undefined) ?? []).includes("message_reaction"))
      bot.updates = bot.updates.filter((update) => update.message_reaction === undefined);
    const timeout = Number(given["timeout"] ?? 0);
    if (bot.updates.length === 0 && timeout > 0 && !request.socket.destroyed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      bot.poll = resolve;
      request.socket.once("close", resolve);
      await promise;
      request.socket.off("close", resolve);
      // The next one may have begun before this connection was seen to end.
      if (bot.poll === resolve) bot.poll = undefined;
    }
    return bot.updates.slice(0, Number(given["limit"] ?? 100));
  }

  /** With each update that it was not called with. */
  function callWebhook(bot: Bot): void {
    const { token, webhook, called } = bot;
    if (webhook === undefined) return;
    for (const update of bot.updates) {
      if (called.has(update)) continue;
      called.add(update);
      const body = JSON.stringify(update);
      const make = () => ({
        path: new URL(webhook.url).pathname,
        headers: { "content-type": "application/json", "x-telegram-bot-api-secret-token": webhook.secret },
        body,
      });
      const call = { token, method: "webhook", params: {} };
      const tell = async (step: Step) => ((await watch(step))?.type === "drop" ? "drop" : undefined);
      const taken = webhooks.call(chatIdOf(update), make, (moment) =>
        tell(moment === "offered" ? { type: "answered", call, result: [update] } : { type: "came", call }),
      );
      void taken.then(() => {
        bot.updates = bot.updates.filter((one) => one !== update);
        changed();
      });
    }
  }

  const botOf = (token: string): Bot => {
    const bot = bots.get(token);
    if (bot === undefined) throw new Error(`no bot has the token ${token}`);
    return bot;
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    root: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    violations,
    sent: (token) =>
      calls
        .filter((call) => call.token === token && call.method === "sendMessage")
        .map(({ params: given }) => ({ chat: given["chat_id"], text: given["text"], params: given })),
    sentFiles: (token) =>
      calls.flatMap(({ token: by, params: given }) =>
        Object.values(given).flatMap((value) => {
          const sent = aFile.safeParse(value);
          return by === token && sent.success ? [{ ...sent.data, chat: given["chat_id"] }] : [];
        }),
      ),
    addFile: (id, content) => void files.set(id, content),
    addBot(token, username) {
      const id = 7_000 + bots.size;
      const none = { webhook: undefined, menu: undefined, poll: undefined, called: new Set<Update>() };
      bots.set(token, { token, id, username, updates: [], nextUpdateId: 500, confirmedUpTo: 0, ...none });
      return { id };
    },
    renewToken(token, next) {
      bots.set(next, { ...botOf(token), token: next, poll: undefined });
      bots.delete(token);
    },
    push(token, update) {
      const bot = botOf(token);
      const id = bot.nextUpdateId++;
      bot.updates.push({ ...(update as object), update_id: id });
      bot.poll?.();
      callWebhook(bot);
      return id;
    },
    unconfirmed: (token) => botOf(token).updates.length,
    webhookOf: (token) => botOf(token).webhook,
    leadTo: (origin) => webhooks.leadTo(origin),
    menu: (token) => botOf(token).menu,
    fail: (method, ...list) => void faults.set(method, [...(faults.get(method) ?? []), ...list]),
    connections: promisify(server.getConnections.bind(server)),
    until,
    close() {
      webhooks.close();
      return closeServer(server, bots.values());
    },
  };
}

const chatIdOf = ({ message, callback_query: pressed, message_reaction: reaction }: Update): string =>
  String((message ?? pressed?.message ?? reaction)?.chat.id);

function closeServer(server: Server, bots: Iterable<Bot>): Promise<void> {
  for (const bot of bots) bot.poll?.();
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function readParams(request: IncomingMessage, method: string): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const type = request.headers["content-type"] ?? "";
  if (type.startsWith("multipart/form-data")) return readForm(body, type, method);
  return body.length === 0 ? {} : (JSON.parse(body.toString("utf8")) as Record<string, unknown>);
}

/** A form says everything as text; files are parts that other parts name. */
async function readForm(body: Buffer, type: string, method: string): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const given: Record<string, unknown> = {};
  for (const [name, value] of form) {
    if (typeof value !== "string") continue;
    const isText = (params[method]?.shape[name] ?? aText) instanceof z.ZodString;
    const attached = /^attach:\/\/(.+)$/.exec(value)?.[1];
    const file = attached === undefined ? null : form.get(attached);
    if (file !== null && typeof file !== "string") given[name] = { name: file.name, content: await file.text() };
    else given[name] = isText ? value : (JSON.parse(value) as unknown);
  }
  return given;
}

function judge(method: string, given: Call["params"]): string | undefined {
  const known = params[method];
  if (known === undefined) return "there is no such method";
  const { error } = known.safeParse(given);
  return error === undefined ? undefined : `${z.prettifyError(error)} in ${JSON.stringify(given)}`;
}

/** Somebody's message, as Telegram tells it. */
export function makeMessage(changes: Partial<Message> & { readonly text?: string } = {}): Message {
  const from = { id: 42, is_bot: false, first_name: "Ana", last_name: "Lee" };
  const chat = { id: 42, type: "private", first_name: "Ana" } as const;
  return { message_id: 1, date: Math.floor(Date.now() / 1_000), from, chat, text: "hello", ...changes };
}
