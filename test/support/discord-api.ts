/**
 * A server of Discord's API for tests, over HTTP and WebSocket as the real one, and strict: a path, a field or a type that the real API does
 * not have, a request without the bot's token, and a command that is not acknowledged are violations, which fail the test. It knows a repeated
 * message by its nonce, as the real one does. Source: Discord's developer documentation.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bodies, isCommand, isId, type Json, textOf } from "./discord-bodies.ts";
import { type DiscordGateway, type GatewayBot, openDiscordGateway } from "./discord-gateway.ts";
import { promisify } from "node:util";
import { type WatchChats, watchNothing } from "./chat-steps.ts";
import { makeWatchers } from "./watchers.ts";

export interface DiscordCall {
  readonly token: string | undefined;
  readonly method: string;
  /** Without the version. */
  readonly path: string;
  readonly query: Json;
  readonly body: Json;
  readonly files: readonly DiscordFile[];
}

export interface DiscordFile {
  readonly name: string;
  readonly content: string;
}

/** What the server does instead of answering a request. */
export type DiscordFault =
  | { readonly type: "error"; readonly status: number; readonly code: number; readonly message: string }
  | { readonly type: "rate-limit"; readonly seconds: number; readonly isGlobal?: boolean }
  /** Carries it out and drops the connection: the client never hears. */
  | { readonly type: "lose-answer" }
  /** Carries it out, and answers then. */
  | { readonly type: "slow"; readonly until: Promise<void> }
  /** Carries it out, and ends its answer in the middle, without ending the connection. */
  | { readonly type: "stall" };

export interface TestChannel {
  readonly id: string;
  /** 0 text, 1 direct chat, 11 public thread. */
  readonly type: number;
  readonly guild_id?: string;
  readonly parent_id?: string;
}

export interface TestGuild {
  readonly id: string;
  readonly channels: readonly TestChannel[];
  readonly threads?: readonly TestChannel[];
  readonly roles?: readonly object[];
}

export interface SentMessage {
  readonly token: string;
  readonly id: string;
  /** The person of a direct chat, else the channel. */
  readonly place: string;
  readonly channelId: string;
  readonly body: Json;
  readonly files: readonly DiscordFile[];
}

export interface DiscordApi {
  readonly root: string;
  readonly calls: DiscordCall[];
  readonly violations: string[];
  readonly gateway: DiscordGateway;
  /** What arrived, in order; a repeated one not again. */
  sent(token?: string): readonly SentMessage[];
  /** Names of the commands of the bot's menu. */
  menu(token: string): readonly string[] | undefined;
  addBot(token: string, bot: { readonly id: string; readonly username: string; readonly flags?: number }): void;
  /** Told to bots that log in after it. */
  addGuild(guild: TestGuild): void;
  /** What a person is in a guild. */
  addMember(
    guildId: string,
    userId: string,
    member: { readonly roles: readonly string[]; readonly nick?: string },
  ): void;
  /** A channel that bots are not told of. */
  addChannel(channel: TestChannel): void;
  /** Keeps a file; the address that Discord would give it. */
  keepFile(file: DiscordFile): string;
  /** Somebody presses a button, or gives a command. Resolves with the answer that Discord gets, which it wants once. */
  interact(token: string, interaction: object): Promise<Json>;
  /** The bot has logged in as often as it may, until so much later. It is told so once. */
  forbidLogin(resetAfterMs: number): void;
  /** Connections that are open. */
  connections(): Promise<number>;
  /** For the next requests whose method and path begin so, in turn. */
  fail(request: string, ...faults: readonly DiscordFault[]): void;
  /** Resolves when the server has seen what is looked for. */
  until(match: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export const contentFlag = 1 << 19;

/** The direct chat of a person. */
export const directChatOf = (userId: string): string => `9${userId.slice(1)}`;

export async function openDiscordApi(watch: WatchChats = watchNothing): Promise<DiscordApi> {
  const bots = new Map<string, GatewayBot>();
  const guilds: TestGuild[] = [];
  const channels = new Map<string, TestChannel>();
  const calls: DiscordCall[] = [];
  const violations: string[] = [];
  const faults = new Map<string, DiscordFault[]>();
  const { until, changed } = makeWatchers();
  const sent: SentMessage[] = [];
  /** All of each channel, oldest first, as a request for it shows them. */
  const history = new Map<string, Json[]>();
  const members = new Map<string, object>();
  const byNonce = new Map<string, SentMessage>();
  const kept = new Map<string, string>();
  const menus = new Map<string, readonly string[]>();
  /** By id: with the secret by which each is answered, and who waits for that. */
  const interactions = new Map<string, { readonly secret: string; readonly answered: (answer: Json) => void }>();
  /** Of the bot's own, by message. */
  const reactions = new Map<string, Set<string>>();
  let loginResetMs = 0;
  let lastId = 1_100_000_000_000_000_000n;

  const server = createServer((request, response) => void serve(request, response));
  const gateway = openDiscordGateway({
    server,
    bots,
    welcome: () =>
      guilds.map((d) => ({
        t: "GUILD_CREATE",
        d: { roles: [], ...d, channels: d.channels.map(withLast), threads: (d.threads ?? []).map(withLast) },
      })),
    happened: (t, d) => {
      if (t === "MESSAGE_CREATE") note(d as Json);
    },
    sent: (t, d) => {
      if (t === "MESSAGE_CREATE") void watch({ moment: "offered", places: [placeOf((d as Json)["channel_id"])] });
    },
    url: () => `ws://127.0.0.1:${(server.address() as AddressInfo).port}/gateway`,
    violations,
    changed,
  });

  /** As the request for a channel's messages tells it: without what only the gateway says. */
  function note({ guild_id: _guild, member: _member, ...message }: Json): void {
    const place = String(message["channel_id"]);
    const list = history.get(place) ?? [];
    history.set(place, list);
    if (list.every(({ id }) => id !== message["id"])) list.push(message);
  }

  const withLast = (channel: TestChannel): object => ({
    ...channel,
    last_message_id: history.get(channel.id)?.at(-1)?.["id"] ?? null,
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "" } = request;
    const { pathname, searchParams } = new URL(request.url ?? "", "http://local");
    const path = pathname.replace(/^\/api\/v10/, "");
    const query = Object.fromEntries(searchParams);
    const [, token] = /^Bot (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
    const { body, files } = await readBody(request);
    const file = kept.get(path);
    if (file !== undefined) return void response.end(file);
    if (path === pathname) violations.push(`${method} ${path}: not below /api/v10`);
    if (request.headers["user-agent"]?.startsWith("DiscordBot (") !== true) violations.push(`${path}: no user agent`);
    calls.push({ token, method, path, query, body, files });
    const answer = (status: number, given?: object, headers: Readonly<Record<string, string>> = {}): void => {
      response.writeHead(status, {
        ...headers,
        ...(given === undefined ? {} : { "content-type": "application/json" }),
      });
      response.end(given === undefined ? undefined : JSON.stringify(given));
    };
    const fault = takeFault(`${method} ${path}`);
    try {
      if (fault?.type === "error") return answer(fault.status, { code: fault.code, message: fault.message });
      if (fault?.type === "rate-limit") return limit(fault, answer);
      const [, interactionId, secret] = /^\/interactions\/(\d+)\/([\w-]+)\/callback$/.exec(path) ?? [];
      if (interactionId !== undefined && method === "POST") return answer(...reply(interactionId, secret, token, body));
      const bot = token === undefined ? undefined : bots.get(token);
      if (bot === undefined) return answer(401, { code: 0, message: "401: Unauthorized" });
      const [, channelId, messages] = /^\/channels\/(\d+)\/(messages)$/.exec(path) ?? [];
      const place = messages === undefined ? undefined : placeOf(channelId);
      const said = { places: [place ?? ""], text: textOf(body["content"]) };
      const isPost = place !== undefined && method === "POST";
      if (isPost && (await watch({ moment: "lost", ...said })) === "drop") return void request.socket.destroy();
      const before = sent.length;
      const [status, given] = carryOut(bot, { token, method, path, query, body, files });
      if (isPost) await watch({ moment: "sent", ...said, isRepeated: sent.length === before });
      if (fault?.type === "lose-answer") return void request.socket.destroy();
      if (fault?.type === "slow") await fault.until;
      if (fault?.type === "stall")
        return void response.writeHead(status, { "content-type": "application/json" }).write("{");
      // Of messages that it asks for, it gets those that it missed.
      const isOffer = place !== undefined && Array.isArray(given) && given.length > 0;
      if (isPost || isOffer)
        response.on(
          "finish",
          () => void watch(isPost ? { moment: "answered", ...said } : { moment: "offered", places: said.places }),
        );
      answer(status, given);
    } finally {
      changed();
    }
  }

  /** The person of a direct chat, else the channel. */
  const placeOf = (channelId: unknown): string => {
    const id = String(channelId);
    return channels.get(id)?.type === 1 ? `1${id.slice(1)}` : id;
  };

  const takeLoginLimit = (): object => {
    const resetMs = loginResetMs;
    loginResetMs = 0;
    return { remaining: resetMs === 0 ? 999 : 0, reset_after: resetMs };
  };

  const takeFault = (request: string): DiscordFault | undefined => {
    for (const [begins, list] of faults) if (request.startsWith(begins) && list.length > 0) return list.shift();
    return undefined;
  };

  type Answer = readonly [status: number, body?: object];
  const refuse = (status: number, code: number, message: string): Answer => [status, { code, message }];

  /** It is asked without the bot's token: the secret is in the address. */
  function reply(id: string, secret: string | undefined, token: string | undefined, body: Json): Answer {
    const found = interactions.get(id);
    if (token !== undefined) violations.push("an interaction is answered without the bot's token");
    if (found === undefined || found.secret !== secret) return refuse(404, 10_062, "Unknown interaction");
    judge("reply", "POST", "/interactions", body);
    interactions.delete(id);
    found.answered(body);
    return [204];
  }

  function react(messageId: string, emoji: string, isWanted: boolean): Answer {
    const name = decodeURIComponent(emoji);
    if (sent.every(({ id }) => id !== messageId)) return refuse(404, 10_008, "Unknown Message");
    if (!/^\p{Extended_Pictographic}/u.test(name) && !/^\w{2,32}:\d{15,20}$/.test(name))
      return refuse(400, 10_014, "Unknown Emoji");
    const own = reactions.get(messageId) ?? new Set();
    reactions.set(messageId, own);
    if (isWanted) own.add(name);
    else if (!own.delete(name)) return refuse(404, 10_014, "Unknown Emoji");
    return [204];
  }

  function carryOut(bot: GatewayBot, { method, path, query, body, files }: DiscordCall): Answer {
    const [, channelId = "", what, messageId = "", emoji = ""] =
      /^\/channels\/(\d+)(?:\/(messages|typing)(?:\/(\d+)(?:\/reactions\/([^/]+)\/@me)?)?)?$/.exec(path) ?? [];
    const pattern = (emoji === "" ? path : path.replace(emoji, "emoji")).replaceAll(/\d{15,20}/g, "*");
    switch (`${method} ${pattern}`) {
      case "GET /users/@me":
        return [200, { id: bot.id, username: bot.username, discriminator: "0", avatar: null, bot: true }];
      case "GET /applications/@me":
        return [200, { id: bot.id, name: bot.username, flags: bot.flags }];
      case "PUT /applications/*/commands": {
        const list: unknown = body;
        const fits = Array.isArray(list) && list.length <= 100 && list.every(isCommand);
        if (!fits || !path.includes(bot.id)) violations.push(`${path}: no menu of this bot: ${JSON.stringify(list)}`);
        else
          menus.set(
            bot.token,
            list.map(({ name }: Json) => textOf(name)),
          );
        return [200, []];
      }
      case "GET /gateway/bot":
        return [
          200,
          {
            url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/gateway`,
            shards: 1,
            session_start_limit: { total: 1_000, ...takeLoginLimit(), max_concurrency: 1 },
          },
        ];
      case "POST /users/@me/channels": {
        judge("direct", method, path, body);
        const id = directChatOf(String(body["recipient_id"]));
        const found = channels.get(id);
        return found === undefined ? refuse(400, 50_033, "Invalid Recipient(s)") : [200, found];
      }
      case "GET /channels/*": {
        const found = channels.get(channelId);
        return found === undefined ? refuse(404, 10_003, "Unknown Channel") : [200, found];
      }
      case "GET /guilds/*/members/*": {
        const found = members.get(path);
        return found === undefined ? refuse(404, 10_007, "Unknown Member") : [200, found];
      }
      case "GET /channels/*/messages":
        return channels.has(channelId) ? read(channelId, query) : refuse(404, 10_003, "Unknown Channel");
      case "POST /channels/*/typing":
      case "POST /channels/*/messages":
        if (!channels.has(channelId)) return refuse(404, 10_003, "Unknown Channel");
        judge(what === "typing" ? "none" : "message", method, path, body);
        return what === "typing" ? [204] : post(bot, channelId, body, files);
      case "PUT /channels/*/messages/*/reactions/emoji/@me":
      case "DELETE /channels/*/messages/*/reactions/emoji/@me":
        return react(messageId, emoji, method === "PUT");
      case "GET /channels/*/messages/*":
        return [200, { id: messageId, channel_id: channelId, reactions: reactionsOf(messageId) }];
      case "PATCH /channels/*/messages/*":
      case "DELETE /channels/*/messages/*": {
        judge(method === "PATCH" ? "edit" : "none", method, path, body);
        const found = sent.find(({ id }) => id === messageId);
        if (found === undefined) return refuse(404, 10_008, "Unknown Message");
        if (found.token !== bot.token) return refuse(403, 50_005, "Cannot edit a message authored by another user");
        return method === "PATCH" ? [200, { id: messageId, channel_id: channelId }] : [204];
      }
      default:
        violations.push(`there is no ${method} ${path}`);
        return refuse(404, 0, "404: Not Found");
    }
  }

  /** Of those behind `after` the oldest, else the newest; the newest first. */
  function read(channelId: string, { after, limit: wanted, ...others }: Json): Answer {
    const count = Number(wanted ?? 50);
    if (Object.keys(others).length > 0 || !(count >= 1 && count <= 100) || !(after === undefined || isId(after)))
      return refuse(400, 50_035, "Invalid Form Body");
    const list = history.get(channelId) ?? [];
    const from = BigInt(textOf(after) || 0);
    const behind = list.filter(({ id }) => BigInt(textOf(id)) > from);
    return [200, (from === 0n ? behind.slice(-count) : behind.slice(0, count)).toReversed()];
  }

  /** One of somebody else beside the own ones. */
  const reactionsOf = (messageId: string): readonly object[] => [
    ...[...(reactions.get(messageId) ?? [])].map((name) => {
      const [own = "", id = null] = name.split(":");
      return { count: 1, me: true, emoji: { id, name: own } };
    }),
    { count: 1, me: false, emoji: { id: null, name: "🎉" } },
  ];

  function post(
    { token, id: botId, username }: GatewayBot,
    channelId: string,
    body: Json,
    files: readonly DiscordFile[],
  ): Answer {
    const content = textOf(body["content"]);
    if (content.trim() === "" && files.length === 0) return refuse(400, 50_006, "Cannot send an empty message");
    if (content.length > 2_000) return refuse(400, 50_035, "Invalid Form Body");
    const key = body["enforce_nonce"] === true ? `${token} ${String(body["nonce"])}` : undefined;
    const before = key === undefined ? undefined : byNonce.get(key);
    if (before !== undefined) return [200, { id: before.id, channel_id: channelId, content }];
    lastId += 1n;
    const message: SentMessage = { token, id: String(lastId), place: placeOf(channelId), channelId, body, files };
    sent.push(message);
    if (key !== undefined) byNonce.set(key, message);
    const author = { id: botId, username, discriminator: "0", avatar: null, bot: true };
    note(makeDiscordMessage({ id: message.id, channel_id: channelId, author, content }) as Json);
    return [200, { id: message.id, channel_id: channelId, content }];
  }

  function judge(kind: string, method: string, path: string, body: Json): void {
    const known = bodies[kind] ?? {};
    for (const [name, value] of Object.entries(body)) {
      const fits = known[name];
      if (fits === undefined) violations.push(`${method} ${path}: there is no field ${name}`);
      else if (!fits(value)) violations.push(`${method} ${path}: ${name} is ${JSON.stringify(value)}`);
    }
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    root: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    calls,
    violations,
    gateway,
    sent: (token) => sent.filter((message) => token === undefined || message.token === token),
    menu: (token) => menus.get(token),
    addBot: (token, { id, username, flags = contentFlag }) => void bots.set(token, { token, id, username, flags }),
    addGuild(guild) {
      guilds.push(guild);
      for (const one of [...guild.channels, ...(guild.threads ?? [])])
        channels.set(one.id, { ...one, guild_id: guild.id });
    },
    addMember: (guildId, userId, member) => void members.set(`/guilds/${guildId}/members/${userId}`, member),
    addChannel: (one) => void channels.set(one.id, one),
    keepFile({ name, content }) {
      const path = `/attachments/${kept.size + 1}/${encodeURIComponent(name)}`;
      kept.set(path, content);
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    },
    async interact(token, interaction) {
      lastId += 1n;
      const [id, secret] = [String(lastId), `interaction-${lastId}`];
      const { promise, resolve } = Promise.withResolvers<Json>();
      interactions.set(id, { secret, answered: resolve });
      gateway.dispatch(token, "INTERACTION_CREATE", { ...interaction, id, token: secret, version: 1 });
      return promise;
    },
    forbidLogin: (resetAfterMs) => void (loginResetMs = resetAfterMs),
    connections: promisify(server.getConnections.bind(server)),
    fail: (request, ...list) => void faults.set(request, [...(faults.get(request) ?? []), ...list]),
    until,
    close() {
      gateway.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function limit(
  { seconds, isGlobal = false }: Extract<DiscordFault, { type: "rate-limit" }>,
  answer: (status: number, body: object, headers: Readonly<Record<string, string>>) => void,
): void {
  answer(
    429,
    { message: "You are being rate limited.", retry_after: seconds, global: isGlobal },
    {
      "retry-after": String(seconds),
      "x-ratelimit-scope": isGlobal ? "global" : "user",
      ...(isGlobal ? { "x-ratelimit-global": "true" } : {}),
    },
  );
}

async function readBody(
  request: IncomingMessage,
): Promise<{ readonly body: Json; readonly files: readonly DiscordFile[] }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const type = request.headers["content-type"] ?? "";
  if (!type.startsWith("multipart/")) {
    const text = bytes.toString("utf8");
    return { body: text === "" ? {} : (JSON.parse(text) as Json), files: [] };
  }
  const form = await new Response(bytes, { headers: { "content-type": type } }).formData();
  const files: DiscordFile[] = [];
  for (const [key, value] of form)
    if (typeof value !== "string" && /^files\[\d\]$/.test(key))
      files.push({ name: value.name, content: await value.text() });
  return { body: JSON.parse(textOf(form.get("payload_json"))) as Json, files };
}

export const ana = {
  id: "100000000000000042",
  username: "ana",
  global_name: "Ana Lee",
  discriminator: "0",
  avatar: null,
};

/** Of a message that would have been written then. Discord's ids begin with the milliseconds since its own epoch. */
export const idAt = (atMs: number): string => String(BigInt(Math.max(0, Math.floor(atMs) - 1_420_070_400_000)) << 22n);

/** Somebody's message, as Discord tells it. */
export const makeDiscordMessage = (changes: object = {}): object => ({
  id: "1200000000000000001",
  channel_id: directChatOf(ana.id),
  author: ana,
  content: "hello",
  timestamp: new Date().toISOString(),
  edited_timestamp: null,
  tts: false,
  mention_everyone: false,
  mentions: [],
  mention_roles: [],
  attachments: [],
  embeds: [],
  pinned: false,
  type: 0,
  ...changes,
});
