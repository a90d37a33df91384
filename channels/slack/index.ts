/**
 * Slack: one adapter an account, over Slack's own clients of socket mode and of the Web API. An account opens a socket, or Slack calls the
 * gateway. Either way Slack hears that something arrived when it is stored.
 */
import {
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebClient,
  type WebClientOptions,
} from "@slack/web-api";
import { failure, isCoded } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { aborted, unlessAborted } from "../aborted.ts";
import { networkFault, neverLeft } from "../network-fault.ts";
import type {
  AccountIdentity,
  ChannelAdapter,
  ChannelHost,
  ChannelModule,
  InboundReaction,
  Peer,
  SendResult,
} from "../port.ts";
import { changeMessage } from "./change.ts";
import { fetchFile, uploadFile } from "./files.ts";
import { at, inTeam, makeEvent, readCallback, type Said, type Self, type SlackEvent, textAt } from "./inbound.ts";
import { makeKnown } from "./known.ts";
import { manifest, type SlackSettings } from "./manifest.ts";
import {
  faultsOfAuthentication,
  isTs,
  judgeFault,
  judgeStatus,
  makePost,
  parsePlace,
  type SlackPlace,
  threadOf,
} from "./outbound.ts";
import { placeReaction, readReaction, type SlackReaction } from "./reactions.ts";
import { runSocket } from "./socket.ts";

export const channel: ChannelModule<SlackSettings> = { manifest, open: openAccount };

function openAccount(settings: SlackSettings, host: ChannelHost): ChannelAdapter {
  const { botToken, apiRoot, transport, reactions } = settings;
  const options = makeOptions(apiRoot, limits.slackCallMs);
  const api = new WebClient(botToken, options);
  const known = makeKnown(new WebClient(botToken, makeOptions(apiRoot, limits.slackLookupMs)), api, host);
  /** The last event of each conversation whose names are asked for: none overtakes another. */
  const lanes = new Map<string, Promise<unknown>>();
  let self: Self | undefined;

  const hear = async (payload: unknown, me: Self): Promise<void> => {
    const reaction = read(payload, () => readReaction(payload, me));
    if (reaction !== undefined) {
      // Without the right to hear of them nobody is asked about the person.
      if (reactions === undefined) return;
      const described = inLane(reaction.channelId, () => describeReaction(reaction, me));
      return described.then((found) => (found === undefined ? undefined : host.reacted(found)));
    }
    const said = read(payload, () => readCallback(payload, me, settings, host.nowMs()));
    if (said === undefined) return;
    await inLane(said.channelId, () => describe(said, me)).then((event) => host.receive(event));
  };

  const inLane = <T>(channelId: string, ask: () => Promise<T>): Promise<T> => {
    const asked = (lanes.get(channelId) ?? Promise.resolve()).then(ask);
    lanes.set(channelId, asked);
    void asked.finally(() => {
      if (lanes.get(channelId) === asked) lanes.delete(channelId);
    });
    return asked;
  };

  /** One that cannot be read must not hold up all that come behind it. */
  const read = <T>(payload: unknown, parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      host.log("error", "an event of Slack cannot be read and is left out", {
        event: textAt(payload, "event_id"),
        error: error instanceof Error ? error.message : "unknown fault",
      });
      return undefined;
    }
  };

  /** Undefined: nobody knows of which workspace the person is, who may be a stranger with the id of somebody else. */
  const describeReaction = async (reaction: SlackReaction, me: Self): Promise<InboundReaction | undefined> => {
    const { channelId, facts } = reaction;
    const isDirect = channelId.startsWith("D");
    const [kind, person] = await Promise.all([
      isDirect ? ("direct" as const) : known.kindOf(channelId),
      known.personOf(facts.sender.id),
    ]);
    const senderTeamId = reaction.senderTeamId ?? person?.teamId;
    if (senderTeamId === undefined) {
      host.log("warn", "a reaction on Slack is left out: users.info does not tell the workspace of the person", {
        peer: `${kind}:${channelId}`,
      });
      return undefined;
    }
    const placed = placeReaction(reaction, kind, person?.name);
    return { ...placed, sender: inTeam(placed.sender, senderTeamId, me) };
  };

  const describe = async (said: Said, me: Self): Promise<SlackEvent> => {
    const { channelId, userId, sender, senderTeamId, threadId } = said;
    const isNameless = sender.name === undefined && sender.isBot !== true;
    if (said.kind !== undefined) known.learn(channelId, said.kind);
    const [kind, person] = await Promise.all([
      said.kind ?? known.kindOf(channelId),
      isNameless || senderTeamId === undefined ? known.personOf(userId) : undefined,
    ]);
    const isInThread = threadId !== undefined && known.threads.has(channelId, threadId);
    return makeEvent(said, { kind, name: person?.name, senderTeamId: person?.teamId, isInThread }, me, settings);
  };

  const listen = async (me: Self, appToken: string, signal: AbortSignal): Promise<void> => {
    for (;;) {
      const sinceMs = host.nowMs();
      const onOpen = (): void => host.online(identityOf(me));
      const take = (payload: unknown): Promise<void> => hear(payload, me);
      const end = await runSocket({ appToken, options, onOpen, take, host }, signal).catch(async (error: unknown) => {
        await pauseAsTold(error, signal);
        throw toCoded(error, host.accountId, "appToken");
      });
      if (end === "ended") return;
      if (host.nowMs() - sinceMs < limits.slackRefreshMs)
        throw failure("CLOISTER_CHANNEL_OFFLINE", "Slack ended the connection soon after its greeting");
    }
  };

  const pauseAsTold = async (error: unknown, signal: AbortSignal): Promise<void> => {
    if (!(error instanceof WebAPIRateLimitedError)) return;
    const { retryAfter: seconds } = error;
    host.log("warn", "Slack asks for a pause before the next login", { seconds });
    await host.pause(seconds * 1000, signal);
  };

  const conversationOf = ({ type, id }: SlackPlace): Promise<string> =>
    type === "person" ? known.directOf(id) : Promise.resolve(id);

  return {
    async run(signal) {
      try {
        const me = await unlessAborted(logIn(api), signal);
        if (me === undefined) return;
        self = me;
        if (transport.type === "socket") return await listen(me, transport.appToken, signal);
        host.online(identityOf(me));
        await aborted(signal);
      } catch (error) {
        if (signal.aborted) return;
        await pauseAsTold(error, signal);
        throw toCoded(error, host.accountId, "botToken");
      }
    },

    async probe() {
      try {
        return identityOf(await logIn(api));
      } catch (error) {
        throw toCoded(error, host.accountId, "botToken");
      }
    },

    async send(part) {
      const place = parsePlace(part.peer);
      if (place === undefined) return noSuchPlace(part.peer);
      try {
        const to = await conversationOf(place);
        const thread = threadOf(part, settings);
        if (thread !== undefined) known.threads.add(to, thread);
        if (part.file !== undefined) {
          await uploadFile(api, to, part.file, thread);
          return { status: "sent" };
        }
        const { ts } = await api.chat.postMessage(makePost(to, part, thread));
        return { status: "sent", ...(ts === undefined ? {} : { platformMessageId: ts }) };
      } catch (error) {
        return judge(error);
      }
    },

    async act({ peer, messageId, change }) {
      const place = parsePlace(peer);
      if (place === undefined) return noSuchPlace(peer);
      if (!isTs(messageId))
        return { status: "failed", reason: `${JSON.stringify(messageId)} is no message of Slack`, retry: false };
      try {
        await changeMessage(api, await conversationOf(place), messageId, change, self?.userId);
        return { status: "sent", platformMessageId: messageId };
      } catch (error) {
        return isCoded(error) ? { status: "failed", reason: error.message, retry: false } : judge(error);
      }
    },

    fetch: ({ ref }, bytesMax, signal) => fetchFile(ref, settings, bytesMax, signal),

    async called(payload) {
      if (transport.type !== "http")
        throw failure("CLOISTER_CHANNEL_UNKNOWN", "this account opens a socket itself; it is not called");
      // Before Slack takes the address it asks whether somebody is there; the account need not be.
      const challenge = at(payload, "type") === "url_verification" ? textAt(payload, "challenge") : undefined;
      if (challenge !== undefined) return { challenge };
      if (self === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "the account is not connected yet");
      const pressed = textAt(payload, "payload");
      await hear(pressed === undefined ? payload : JSON.parse(pressed), self);
      return undefined;
    },
  };
}

/** Its texts may hold what somebody wrote, or the address of a socket, which opens it. */
const quiet: NonNullable<WebClientOptions["logger"]> = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined,
};

/** Pauses and further attempts are the host's, once for all channels. */
const makeOptions = (apiRoot: string, timeout: number): WebClientOptions => ({
  slackApiUrl: apiRoot,
  timeout,
  retryConfig: { retries: 0 },
  rejectRateLimitedCalls: true,
  allowAbsoluteUrls: false,
  logger: quiet,
});

const requiredScopes = ["chat:write"];

async function logIn(api: WebClient): Promise<Self & { readonly team: string }> {
  const told = await api.auth.test();
  const { user_id: userId, bot_id: botId, user: name, team, team_id: teamId, response_metadata: more } = told;
  if (userId === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "Slack does not say who the account is");
  const scopes: unknown = at(more, "scopes");
  const lacking = Array.isArray(scopes) ? requiredScopes.filter((scope) => !scopes.includes(scope)) : [];
  if (lacking.length > 0)
    throw failure(
      "CLOISTER_CHANNEL_CREDENTIAL",
      `the bot token has no scope ${lacking.join(", ")}, without which nothing can be answered`,
      "add it below OAuth & Permissions of the application, and install it again (docs/guides/slack.md)",
    );
  return { userId, botId, name: name ?? userId, team: team ?? "", teamId, enterpriseId: told.enterprise_id };
}

const identityOf = ({ userId, name, team }: Self & { readonly team?: string }): AccountIdentity => ({
  id: userId,
  name: team ? `@${name} in ${team}` : `@${name}`,
});

const noSuchPlace = (peer: Peer): SendResult => ({
  status: "failed",
  reason: `${JSON.stringify(peer.id)} is no ${peer.kind === "direct" ? "person" : "channel"} of Slack: expected an id that begins with ${peer.kind === "direct" ? "U or W" : "C or G"}`,
  retry: false,
});

function judge(error: unknown): SendResult {
  if (error instanceof WebAPIRateLimitedError)
    return {
      status: "failed",
      reason: "Slack answered that there are too many calls",
      retry: true,
      retryAfterMs: error.retryAfter * 1000,
    };
  if (error instanceof WebAPIPlatformError) return judgeFault(error.data.error);
  if (error instanceof WebAPIHTTPError) return judgeStatus(error.statusCode);
  const name = networkFault(error);
  const reason = `the request to Slack failed: ${name}`;
  return neverLeft.has(name)
    ? { status: "failed", reason, retry: true }
    : { status: "failed", reason, retry: true, mayHaveArrived: true };
}

/** Faults that stay until somebody changes the configuration, or the application's page. */
const faultsOfTokens: ReadonlySet<string> = new Set([
  ...faultsOfAuthentication,
  "not_allowed_token_type",
  "missing_scope",
]);

const origins = {
  botToken:
    "the bot token (xoxb-…) from OAuth & Permissions of the application (for the default account SLACK_BOT_TOKEN does as well)",
  appToken:
    "an app-level token (xapp-…) with the scope connections:write, from Basic Information (for the default account SLACK_APP_TOKEN does as well)",
} as const;

function toCoded(error: unknown, accountId: string, key: keyof typeof origins): unknown {
  if (error instanceof WebAPIPlatformError) {
    const fault = error.data.error;
    if (!faultsOfTokens.has(fault)) return failure("CLOISTER_CHANNEL_OFFLINE", `Slack answered ${fault}`);
    return failure(
      "CLOISTER_CHANNEL_CREDENTIAL",
      `Slack does not take the ${key} of account ${accountId} (${fault})`,
      `set channels.slack.accounts.${accountId}.${key} to ${origins[key]}`,
    );
  }
  if (error instanceof WebAPIRateLimitedError)
    return failure("CLOISTER_CHANNEL_OFFLINE", `Slack wants a pause of ${error.retryAfter} s before the next attempt`);
  if (error instanceof WebAPIHTTPError)
    return failure("CLOISTER_CHANNEL_OFFLINE", `Slack answered with status ${error.statusCode}`);
  if (isCoded(error)) return error;
  return failure("CLOISTER_CHANNEL_OFFLINE", `Slack was not reached: ${networkFault(error)}`);
}
