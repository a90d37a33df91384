/**
 * IRC: one connection an account, over irc-framework. IRC acknowledges nothing and keeps nothing: what is said while the account is away
 * is never heard, and a line that was written may have been lost with the connection.
 */
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { Client, type IrcError, type MessageEvent } from "irc-framework";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type {
  AccountIdentity,
  ChannelAdapter,
  ChannelHost,
  ChannelModule,
  OutboundMessage,
  SendResult,
} from "../port.ts";
import { parseMessage } from "./inbound.ts";
import { boundLines } from "./lines.ts";
import { type IrcSettings, manifest } from "./manifest.ts";
import { parseTarget, toLines } from "./outbound.ts";

export const channel: ChannelModule<IrcSettings> = { manifest, open: openAccount };

interface Connection {
  readonly client: Client;
  /** Aborts when it is lost. */
  readonly lost: AbortSignal;
}

function openAccount(settings: IrcSettings, host: ChannelHost): ChannelAdapter {
  let open: Connection | undefined;
  /** Why there is none. */
  let lastFailure: unknown;
  /** The server counts lines of the connection, whoever they are for. */
  let last = Promise.resolve();
  let sentInBurst = 0;
  let lastLineAtMs = 0;

  const hear =
    (client: Client, isAction: boolean) =>
    ({ from_server: fromServer, nick, target, message, tags, time }: MessageEvent): void => {
      if (fromServer) return;
      const said = { nick, target, message, isAction, tags, atMs: time ?? host.nowMs() };
      const event = parseMessage(said, { nick: client.user.nick, fold: (text) => client.caseLower(text) });
      if (event === undefined) return;
      // It will not be said again: all that can be done is to say that it was lost.
      host.receive(event).catch((error: unknown) =>
        host.log("error", "a message of IRC was not taken and is lost", {
          peer: `${event.peer.kind}:${event.peer.id}`,
          error: error instanceof Error ? error.message : "unknown fault",
        }),
      );
    };

  const enterRooms = (client: Client): void => {
    const { nickserv, channels } = settings;
    if (nickserv !== undefined) {
      const words = ["IDENTIFY", ...(nickserv.account === undefined ? [] : [nickserv.account]), nickserv.password];
      client.say(nickserv.service, words.join(" "));
    }
    for (const { name, key } of channels) client.join(name, key);
  };

  /** Servers end the connection of who writes faster: five at once, then one after each pause. */
  async function pace(lost: AbortSignal): Promise<void> {
    const quietMs = host.nowMs() - lastLineAtMs;
    const earned = settings.lineMs === 0 ? sentInBurst : Math.floor(quietMs / settings.lineMs);
    sentInBurst = Math.max(0, sentInBurst - earned);
    if (sentInBurst >= limits.ircBurstLines) await host.pause(settings.lineMs, lost);
    sentInBurst = Math.min(sentInBurst + 1, limits.ircBurstLines);
    lastLineAtMs = host.nowMs();
  }

  async function sendLines(message: OutboundMessage): Promise<SendResult> {
    const target = parseTarget(message.peer);
    if (target === undefined)
      return {
        status: "failed",
        reason: `${JSON.stringify(message.peer.id)} is no target of IRC for a ${message.peer.kind} message: expected ${message.peer.kind === "direct" ? "a nick" : "a #room"}`,
        retry: false,
      };
    const connection = open;
    if (connection === undefined) return { status: "failed", reason: "the account is not connected", retry: true };
    const { client, lost } = connection;
    let refusal: string | undefined;
    const hearRefusal = ({ nick, channel: room, reason, error }: IrcError): void => {
      if (client.caseCompare(nick ?? room ?? "", target)) refusal = reason ?? error;
    };
    client.on("irc error", hearRefusal);
    try {
      const result = await writeAll(client, target, toLines(message.text), lost);
      // The server answers in order: what it does not deliver it has told by then.
      return refusal === undefined ? result : { status: "failed", reason: `${target}: ${refusal}`, retry: false };
    } finally {
      client.removeListener("irc error", hearRefusal);
    }
  }

  async function writeAll(
    client: Client,
    target: string,
    lines: readonly string[],
    lost: AbortSignal,
  ): Promise<SendResult> {
    let written = 0;
    for (const line of lines) {
      await pace(lost);
      if (lost.aborted) break;
      client.say(target, line);
      written++;
    }
    if (written === lines.length && (await roundTrip(client, host, lost))) return { status: "sent" };
    const failed = {
      status: "failed",
      reason: `the connection was lost after ${written} lines of it`,
      retry: true,
    } as const;
    return written === 0 ? failed : { ...failed, mayHaveArrived: true };
  }

  return {
    async run(signal) {
      const client = new Client();
      const losing = new AbortController();
      client.on("privmsg", hear(client, false));
      client.on("action", hear(client, true));
      client.on("kick", ({ kicked, channel: room, nick }) => {
        if (!client.caseCompare(kicked, client.user.nick)) return;
        host.log("warn", "the account was put out of a room of IRC", { room, by: nick });
      });
      client.on("irc error", ({ error, channel: room, nick, reason }) => {
        // What the server says before it ends the connection.
        if (error === "irc") lastError = reason;
        if (room !== undefined)
          host.log("warn", "IRC refused something in a room", { room, error, reason: reason ?? "" });
        const { service } = settings.nickserv ?? {};
        if (error === "no_such_nick" && service !== undefined && client.caseCompare(nick ?? "", service))
          host.log("warn", "the account is not identified with the network: it has no such service", { service });
      });
      let socket: Socket | undefined;
      client.on("raw socket connected", (raw) => {
        socket = raw;
        // A text and the question behind it are two writes: the second would wait until the server's system confirms the first, some 40 ms.
        raw.setNoDelay(true);
        boundLines(raw, limits.ircLineBytesMax);
      });
      const closed = Promise.withResolvers<string>();
      let lastError: string | undefined;
      client.on("ping timeout", () => {
        lastError = "no answer in time";
      });
      client.on("socket close", (error) => {
        lastError = error instanceof Error ? nameOf(error) : lastError;
      });
      client.on("close", () => {
        losing.abort();
        closed.resolve(lastError ?? "the server closed the connection");
      });
      // The library waits for the server to end the connection as well, without end: it ends when the goodbye has left.
      const stop = (): void => {
        client.quit("the gateway stops");
        socket?.destroySoon();
      };
      signal.addEventListener("abort", stop, { once: true });
      try {
        await logIn(client, settings, host, closed.promise, signal);
        lastFailure = undefined;
        if (!signal.aborted) {
          open = { client, lost: losing.signal };
          enterRooms(client);
          host.online(identityOf(client, settings));
        }
        const reason = await closed.promise;
        if (!signal.aborted)
          throw failure("CLOISTER_CHANNEL_OFFLINE", `the connection to ${placeOf(settings)} ended: ${reason}`);
      } catch (error) {
        lastFailure = error;
        throw error;
      } finally {
        signal.removeEventListener("abort", stop);
        losing.abort();
        open = undefined;
        if (client.connected) client.quit("");
        socket?.destroySoon();
        client.removeAllListeners();
      }
    },

    async probe(signal) {
      const connection = open;
      if (connection === undefined)
        throw (
          lastFailure ?? failure("CLOISTER_CHANNEL_OFFLINE", `the account is not connected to ${placeOf(settings)}`)
        );
      const { client, lost } = connection;
      if (!(await roundTrip(client, host, AbortSignal.any([lost, signal]))))
        throw failure("CLOISTER_CHANNEL_OFFLINE", `${placeOf(settings)} does not answer at the moment`);
      return identityOf(client, settings);
    },

    send(message) {
      const sent = last.then(() => sendLines(message));
      // One that failed holds up none of those behind it.
      last = sent.then(
        () => undefined,
        () => undefined,
      );
      return sent;
    },
  };
}

/** Resolves when the server has let the account in. */
async function logIn(
  client: Client,
  settings: IrcSettings,
  { log, accountId }: ChannelHost,
  closed: Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const registered = Promise.withResolvers<void>();
  let tries = 0;
  client.once("registered", () => registered.resolve());
  client.on("nick in use", ({ nick }) => {
    tries++;
    if (tries > limits.ircNickTriesMax) return registered.reject(nickFailure(settings, `${nick} is in use`));
    const next = `${settings.nick}${"_".repeat(tries)}`;
    log("warn", "the nick is in use on IRC; another one is tried", { nick, next });
    client.changeNick(next);
  });
  client.on("nick invalid", ({ nick, reason }) => registered.reject(nickFailure(settings, `${nick}: ${reason}`)));
  client.on("irc error", ({ error, reason }) => {
    if (error === "password_mismatch" || error === "banned_from_network")
      registered.reject(
        failure(
          "CLOISTER_CHANNEL_CREDENTIAL",
          `${placeOf(settings)} does not let the account in: ${reason ?? error}`,
          passwordRemedy(accountId),
        ),
      );
  });
  const { host, port, tls, nick, username, realname, password } = settings;
  client.connect({
    host,
    port,
    tls,
    nick,
    username,
    gecos: realname,
    ...(password === undefined ? {} : { password }),
    account: {},
    auto_reconnect: false,
    version: null,
    ping_interval: limits.ircPingSeconds,
    ping_timeout: limits.ircPingTimeoutSeconds,
  });
  const ended = closed.then((reason) => {
    if (signal.aborted) return;
    // Some servers say it in words alone.
    const remedy = /password/i.test(reason) ? passwordRemedy(accountId) : undefined;
    throw failure("CLOISTER_CHANNEL_OFFLINE", `${placeOf(settings)} was not reached: ${reason}`, remedy);
  });
  await Promise.race([registered.promise, ended]);
}

const passwordRemedy = (accountId: string): string =>
  `set channels.irc.accounts.${accountId}.password to the password of the server`;

function nickFailure({ nick }: IrcSettings, reason: string) {
  return failure(
    "CLOISTER_CHANNEL_CREDENTIAL",
    `the server does not give the account its nick: ${reason}`,
    `choose another one than ${nick}: channels.irc.nick, or that of the account`,
  );
}

/** True when the server has answered, and with it handled all that was written before. */
async function roundTrip(client: Client, { pause }: ChannelHost, lost: AbortSignal): Promise<boolean> {
  const token = randomUUID();
  const answered = new AbortController();
  const hear = ({ message }: { readonly message?: string }): void => {
    if (message === token) answered.abort();
  };
  client.on("pong", hear);
  client.ping(token);
  await pause(limits.ircAnswerMs, AbortSignal.any([answered.signal, lost]));
  client.removeListener("pong", hear);
  return answered.signal.aborted;
}

const placeOf = ({ host, port }: IrcSettings): string => `${host}:${port}`;

const identityOf = (client: Client, settings: IrcSettings): AccountIdentity => ({
  id: client.caseLower(client.user.nick),
  name: `${client.user.nick} on ${settings.host}`,
});

function nameOf(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : error.message;
}
