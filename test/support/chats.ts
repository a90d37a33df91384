/** People who write to an account of the gateway, each in a direct chat, on the platforms of the tests: what kills and the bench share. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ChatMoment, ChatStep, WatchChats } from "./chat-steps.ts";
import { type Fault, makeMessage, openBotApi, type Step } from "./bot-api.ts";
import { directChatOf, idAt, makeDiscordMessage, openDiscordApi } from "./discord-api.ts";
import { openIrcGate } from "./irc-gate.ts";
import { type IrcPerson, openIrcd } from "./ircd.ts";
import { appToken, botToken, makeSaid, openSlackApi } from "./slack-api.ts";
import { linkForProgram } from "./whatsapp-program.ts";
import { openWhatsApp } from "./whatsapp-socket.ts";
import type { Update } from "grammy/types";

export interface Chats {
  /** Of the configuration: the section of the channel, which says nothing of who may write. */
  readonly channel: string;
  readonly section: object;
  /** What the platform has of these. */
  readonly moments: readonly ChatMoment[];
  /** A repeated answer is known by its key, and people see it once. */
  readonly knowsRepeats: boolean;
  /** Whether what was said while nobody was connected is heard later; where the account was heard before. */
  readonly keeps: boolean;
  /** The person of a place, as steps name it. */
  personAt(place: string): number;
  /** As the end of the key of the person's session. */
  peerOf(person: number): string;
  /** `agoMs`: as written so long ago, where the platform tells when. */
  say(person: number, text: string, agoMs?: number): void;
  /** Messages that the platform would offer again. */
  unconfirmed(): number;
  /** Whether somebody would hear what is said now. */
  readonly isOnline: () => boolean;
  connections(): Promise<number>;
  /** Where the program is that the platform may call. */
  leadTo(origin: string): void;
  readonly violations: readonly string[];
  close(): Promise<void>;
}

export type OpenChats = (people: number, watch: WatchChats) => Promise<Chats>;

const chatMoments: readonly ChatMoment[] = ["offered", "unconfirmed", "confirmed", "lost", "sent", "answered"];

/** Of the section, where everybody may write. */
export const openToAll = { dmPolicy: "open", allowFrom: ["*"] };

const nobodyIsCalled = (): void => undefined;

const openTelegram =
  (wayIn: "polling" | "webhook"): OpenChats =>
  async (_, watch) => {
    const token = "7000:SECRET";
    let messages = 0;
    const api = await openBotApi(async (step) => {
      const seen = telegramStep(step);
      const fault = seen === undefined ? undefined : await watch(seen);
      return fault === "drop" ? ({ type: "drop" } satisfies Fault) : undefined;
    });
    api.addBot(token, "helper_bot");
    return {
      channel: "telegram",
      section: {
        botToken: token,
        apiRoot: api.root,
        ...(wayIn === "polling"
          ? {}
          : { webhookUrl: "https://example.org/channels/telegram/default", webhookSecret: "S3CRET" }),
      },
      moments: wayIn === "polling" ? chatMoments : chatMoments.filter((moment) => moment !== "confirmed"),
      knowsRepeats: false,
      keeps: true,
      personAt: (place) => Number(place) - 1_000,
      peerOf: (person) => String(1_000 + person),
      say(person, text, agoMs = 0) {
        const about = { id: 1_000 + person, first_name: "Ana" };
        messages += 1;
        const message = makeMessage({
          message_id: messages,
          date: Math.floor((Date.now() - agoMs) / 1_000),
          from: { ...about, is_bot: false },
          chat: { ...about, type: "private" },
          text,
        });
        api.push(token, { message });
      },
      unconfirmed: () => api.unconfirmed(token),
      isOnline: () => true,
      connections: () => api.connections(),
      leadTo: (origin) => api.leadTo(origin),
      violations: api.violations,
      close: () => api.close(),
    };
  };

function telegramStep({ type, call: { method, params }, result }: Step): ChatStep | undefined {
  if (method === "sendMessage") {
    const moment = ({ came: "lost", done: "sent", answered: "answered", confirmed: undefined } as const)[type];
    return moment === undefined
      ? undefined
      : { moment, places: [String(params["chat_id"])], text: String(params["text"]) };
  }
  if (method !== "getUpdates" && method !== "webhook") return undefined;
  if (type === "came")
    return method === "getUpdates" && params["offset"] === undefined ? undefined : { moment: "unconfirmed" };
  if (type === "confirmed") return { moment: "confirmed" };
  const places = (result as readonly Update[]).map(({ message }) => String(message?.chat.id));
  return type === "answered" && places.length > 0 ? { moment: "offered", places } : undefined;
}

const openDiscord: OpenChats = async (people, watch) => {
  const token = "BOT.SECRET";
  const first = 100_000_000_000_001_000n;
  const api = await openDiscordApi(watch);
  api.addBot(token, { id: "200000000000000001", username: "helper" });
  const idOf = (person: number): string => String(first + BigInt(person));
  for (let person = 0; person < people; person++) api.addChannel({ id: directChatOf(idOf(person)), type: 1 });
  let lastId = 0n;
  const nextId = (atMs: number): string => {
    const now = BigInt(idAt(atMs));
    lastId = now > lastId ? now : lastId + 1n;
    return String(lastId);
  };
  return {
    channel: "discord",
    section: { token, apiRoot: api.root },
    moments: ["offered", "lost", "sent", "answered"],
    knowsRepeats: true,
    keeps: true,
    personAt: (place) => Number(BigInt(place) - first),
    peerOf: idOf,
    say(person, content, agoMs = 0) {
      const atMs = Date.now() - agoMs;
      const author = { id: idOf(person), username: "ana", global_name: "Ana", discriminator: "0", avatar: null };
      const timestamp = new Date(atMs).toISOString();
      const said = { id: nextId(atMs), channel_id: directChatOf(author.id), author, content, timestamp };
      api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage(said));
    },
    unconfirmed: () => 0,
    // Of a chat that was never heard nothing is fetched later.
    isOnline: () => api.gateway.sessions(token) > 0,
    connections: () => api.connections(),
    leadTo: nobodyIsCalled,
    violations: api.violations,
    close: () => api.close(),
  };
};

const openSlack =
  (wayIn: "socket" | "calls"): OpenChats =>
  async (people, watch) => {
    const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5";
    const api = await openSlackApi({ watch, ...(wayIn === "socket" ? {} : { signingSecret }) });
    for (let person = 0; person < people; person++) api.addPerson(`U10${person}`, `D10${person}`, `Ana ${person}`);
    return {
      channel: "slack",
      section: {
        botToken,
        apiRoot: api.root,
        ...(wayIn === "socket" ? { appToken } : { mode: "http", signingSecret }),
      },
      moments: wayIn === "socket" ? chatMoments : chatMoments.filter((moment) => moment !== "confirmed"),
      knowsRepeats: false,
      keeps: true,
      personAt: (place) => Number(place.slice("D10".length)),
      peerOf: (person) => `u10${person}`,
      say: (person, text, agoMs) => api.say(makeSaid({ user: `U10${person}`, channel: `D10${person}`, text }, agoMs)),
      unconfirmed: () => api.unconfirmed(),
      isOnline: () => true,
      connections: () => api.connections(),
      leadTo: (origin) => api.leadTo(origin),
      violations: api.violations,
      close: () => api.close(),
    };
  };

const openWhatsAppChats: OpenChats = async (people, watch) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-whatsapp-"));
  const server = await openWhatsApp({ watch });
  const numberOf = (person: number): string => `1555000${1_000 + person}`;
  const known = Array.from({ length: people }, (_, person) =>
    server.person(numberOf(person), String(70_000 + person), `Ana ${person}`),
  );
  const login = await linkForProgram(server, folder);
  return {
    channel: "whatsapp",
    section: { ...login, sendReadReceipts: false },
    moments: chatMoments,
    knowsRepeats: true,
    keeps: true,
    personAt: (place) => known.findIndex(({ jid, lid }) => place === jid || place === lid),
    peerOf: (person) => `+${numberOf(person)}`,
    say(person, text, agoMs = 0) {
      const by = known[person];
      if (by !== undefined) void server.say(by, text, { sentAtS: Math.floor((Date.now() - agoMs) / 1_000) });
    },
    unconfirmed: () => server.unconfirmed(),
    isOnline: () => true,
    connections: async () => server.connections(),
    leadTo: nobodyIsCalled,
    violations: server.violations,
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

const openIrc: OpenChats = async (people, watch) => {
  const ircd = await openIrcd();
  const gate = await openIrcGate(ircd, watch);
  const nicks: IrcPerson[] = [];
  // One after the other: the server lets ten connections wait to be accepted, and what comes beyond may never be.
  for (let person = 0; person < people; person++) nicks.push(await ircd.person(`ana${person}`));
  return {
    channel: "irc",
    section: { host: "127.0.0.1", port: gate.port, tls: false, nick: "helper", lineMs: 0 },
    moments: ["offered", "lost", "sent", "answered"],
    knowsRepeats: false,
    keeps: false,
    personAt: (place) => Number(place.slice("ana".length)),
    peerOf: (person) => `ana${person}`,
    say: (person, text) => nicks[person]?.write(`PRIVMSG ${gate.nick()} :${text}`),
    unconfirmed: () => 0,
    isOnline: () => gate.isOnline(),
    connections: () => gate.connections(),
    leadTo: nobodyIsCalled,
    violations: [],
    async close() {
      await gate.close();
      await ircd.close();
    },
  };
};

/** By what the bench and the tests call them. */
export const platforms = {
  "Telegram, long polling": openTelegram("polling"),
  "Telegram, webhook": openTelegram("webhook"),
  Discord: openDiscord,
  "Slack, socket mode": openSlack("socket"),
  "Slack, signed calls": openSlack("calls"),
  WhatsApp: openWhatsAppChats,
  IRC: openIrc,
} as const satisfies Readonly<Record<string, OpenChats>>;
export type PlatformName = keyof typeof platforms;
export const platformNames = Object.keys(platforms) as readonly PlatformName[];
