/**
 * WhatsApp: one connection an account, over Baileys, as another device of the person whose phone was linked. WhatsApp hears that a message
 * arrived when it is stored, and the keys of its conversation move on at the same time: what was not stored is offered again, and can be
 * read again.
 */
import { createHash, randomUUID } from "node:crypto";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type {
  ChannelAction,
  ChannelAdapter,
  ChannelHost,
  ChannelModule,
  OutboundPart,
  Peer,
  SendResult,
} from "../port.ts";
import { connect, type Connection, type Ending, identityOf, makeMemory } from "./connection.ts";
import { contentOf, fetchFile } from "./files.ts";
import { loadLibrary, type SentContent } from "./library.ts";
import { type Login, openLogin } from "./login.ts";
import { manifest, type WhatsAppSettings } from "./manifest.ts";
import { idLength, idPrefix, judgeRefusal, parseTarget } from "./outbound.ts";

export const channel: ChannelModule<WhatsAppSettings> = { manifest, open: openAccount };

/** What the library means by the numbers with which a connection ends. */
const ends = { loggedOut: 401, forbidden: 403, outdated: 405, mismatch: 411, replaced: 440, restart: 515 } as const;

function openAccount(settings: WhatsAppSettings, host: ChannelHost): ChannelAdapter {
  let open: Connection | undefined;
  /** Somebody stands ready to scan a code. */
  let mayLink = false;
  let forgets = false;
  const memory = makeMemory();
  const name = `channels.whatsapp account ${host.accountId}`;
  const howToLink = `cloister channels login --channel whatsapp --account ${host.accountId}`;

  const refuse = (reason: string, remedy: string = howToLink) =>
    failure("CLOISTER_CHANNEL_CREDENTIAL", `${name}: ${reason}`, remedy);

  const judgeEnd = ({ code, reason }: Ending, login: Login): Error => {
    switch (code) {
      case ends.loggedOut:
        login.clear();
        return refuse("the link with the phone was ended, there or here");
      case ends.forbidden:
        return refuse("WhatsApp has blocked the account", `see the app on the phone for the reason; then ${howToLink}`);
      case ends.outdated:
        return refuse(
          "WhatsApp does not take this version of the library any more",
          "install a newer version of Cloister",
        );
      case ends.mismatch:
        return refuse("the phone does not allow linked devices", `update the app on the phone; then ${howToLink}`);
      case ends.replaced:
        return refuse("another program uses the same login", `end it; then ${howToLink}`);
      default:
        return failure("CLOISTER_CHANNEL_OFFLINE", `the connection to WhatsApp ended: ${reason} (${code})`);
    }
  };

  const showCode = (text: string, livesMs: number): void => host.linking({ text, expiresAtMs: host.nowMs() + livesMs });

  async function live(login: Login, signal: AbortSignal): Promise<void> {
    const library = await loadLibrary(settings.libraryDir);
    // The phone was linked: WhatsApp wants the same login once more, with what it gave.
    for (let wasLinked = false; ; wasLinked = true) {
      const connection = connect({ library, login, settings, host, memory, onCode: showCode, signal });
      let isOpen = false;
      void connection.opened.then(() => {
        isOpen = true;
        mayLink = false;
        if (signal.aborted) return;
        open = connection;
        host.online(identityOf(login));
      });
      const ending = await connection.ended;
      open = undefined;
      if (signal.aborted) return;
      if (ending.code === ends.restart && !wasLinked) continue;
      if (!isOpen && !login.isLinked()) {
        mayLink = false;
        throw refuse(`nobody scanned the code in time (${ending.reason})`);
      }
      throw judgeEnd(ending, login);
    }
  }

  return {
    async run(signal) {
      const library = await loadLibrary(settings.libraryDir);
      const login = openLogin(settings.authDir, library);
      try {
        if (forgets) login.clear();
        const wasForgotten = forgets;
        forgets = false;
        if (wasForgotten || (!login.isLinked() && !mayLink)) throw refuse("it is not linked with a phone");
        await live(login, signal);
      } finally {
        open = undefined;
        login.close();
      }
    },

    async probe(signal) {
      if (open === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", `${name} is not connected`);
      return open.probe(signal);
    },

    send: async (part) => (open === undefined ? notConnected : sendPart(open, part)),
    act: async (action) => (open === undefined ? notConnected : changeMessage(open, action)),

    async fetch(media, bytesMax, signal) {
      if (open === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", `${name} is not connected`);
      const library = await loadLibrary(settings.libraryDir);
      return fetchFile(library, await open.fileHost(), media, bytesMax, signal);
    },

    async typing(peer) {
      const target = parseTarget(peer);
      if (target !== undefined) await open?.atWork(target);
    },

    link() {
      mayLink = true;
    },

    async unlink() {
      mayLink = false;
      forgets = true;
      // The connection ends with it.
      await open?.logOut();
    },
  };
}

const notConnected: SendResult = { status: "failed", reason: "the account is not connected", retry: true };

const sendPart = (connection: Connection, { peer, text, file, idempotencyKey, inReplyTo }: OutboundPart) =>
  inChat(peer, (target) => {
    const id = makeMessageId(idempotencyKey);
    return said(connection, peer, target, file === undefined ? { text } : contentOf(file), id, inReplyTo);
  });

const changeMessage = (connection: Connection, { peer, messageId, change }: ChannelAction) =>
  inChat(peer, async (target) => {
    if (change.type === "edit" && !connection.wasSent(messageId))
      return {
        status: "failed",
        reason: `the message ${messageId} is none of the last ${limits.whatsappKeptMax} that were sent since the channel started; others are not changed`,
        retry: false,
      };
    const key = { remoteJid: target, fromMe: true, id: messageId };
    const known = change.type === "react" ? connection.findKey(target, messageId) : key;
    if (known === undefined)
      return {
        status: "failed",
        reason: `the message ${messageId} is none of the last ${limits.whatsappKeptMax} since the channel started: WhatsApp wants to know who wrote it`,
        retry: false,
      };
    const content: SentContent =
      change.type === "edit"
        ? { text: change.text, edit: known }
        : change.type === "react"
          ? { react: { text: change.emoji, key: known } }
          : { delete: known };
    const result = await said(connection, peer, target, content, makeMessageId(randomUUID()));
    return result.status === "sent" ? { status: "sent", platformMessageId: messageId } : result;
  });

async function inChat(peer: Peer, work: (target: string) => Promise<SendResult>): Promise<SendResult> {
  const target = parseTarget(peer);
  if (target !== undefined) return work(target);
  const wanted = peer.kind === "direct" ? "a number such as +15551230001" : "a group such as 120363000000000000@g.us";
  return {
    status: "failed",
    reason: `${JSON.stringify(peer.id)} is no ${peer.kind} chat of WhatsApp: expected ${wanted}`,
    retry: false,
  };
}

async function said(
  connection: Connection,
  peer: Peer,
  target: string,
  content: SentContent,
  id: string,
  inReplyTo?: string,
): Promise<SendResult> {
  const answer = await connection.send(target, content, id, inReplyTo);
  if (answer.type === "taken") return { status: "sent", platformMessageId: id };
  if (answer.type === "refused") return judgeRefusal(answer.code, peer.id);
  const failed = { status: "failed" } as const;
  if (answer.type === "unknown") return { ...failed, reason: `${peer.id} is not on WhatsApp`, retry: false };
  const silent = { ...failed, reason: `WhatsApp did not confirm it: ${answer.reason}`, retry: true };
  return answer.wasWritten ? { ...silent, mayHaveArrived: true } : silent;
}

const makeMessageId = (key: string): string =>
  idPrefix +
  createHash("sha256")
    .update(key)
    .digest("hex")
    .toUpperCase()
    .slice(0, idLength - idPrefix.length);
