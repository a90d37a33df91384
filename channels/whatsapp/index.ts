/**
 * WhatsApp: one connection an account, over Baileys, as another device of the person whose phone was linked. WhatsApp hears that a message
 * arrived when it is stored, and the keys of its conversation move on at the same time: what was not stored is offered again, and can be
 * read again.
 */
import { createHash } from "node:crypto";
import { failure } from "../../runtime/kernel/errors.ts";
import type { ChannelAdapter, ChannelHost, ChannelModule, OutboundMessage, SendResult } from "../port.ts";
import { connect, type Connection, type Ending, identityOf } from "./connection.ts";
import { loadLibrary } from "./library.ts";
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
      const connection = connect({ library, login, settings, host, onCode: showCode, signal });
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

    async send(message) {
      if (open === undefined) return { status: "failed", reason: "the account is not connected", retry: true };
      return sendText(open, message);
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

async function sendText(connection: Connection, message: OutboundMessage): Promise<SendResult> {
  const target = parseTarget(message.peer);
  if (target === undefined)
    return {
      status: "failed",
      reason: `${JSON.stringify(message.peer.id)} is no ${message.peer.kind} chat of WhatsApp: expected ${message.peer.kind === "direct" ? "a number such as +15551230001" : "a group such as 120363000000000000@g.us"}`,
      retry: false,
    };
  const id = makeMessageId(message.idempotencyKey);
  const answer = await connection.send(target, message.text, id, message.inReplyTo);
  if (answer.type === "taken") return { status: "sent", platformMessageId: id };
  if (answer.type === "refused") return judgeRefusal(answer.code, message.peer.id);
  const failed = { status: "failed" } as const;
  if (answer.type === "unknown") return { ...failed, reason: `${message.peer.id} is not on WhatsApp`, retry: false };
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
