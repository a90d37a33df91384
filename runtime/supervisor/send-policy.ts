/** `session.sendPolicy` at work: asked before an answer leaves for its channel, and before a client's message to a session is taken. */
import { judgeSending, type ChatType, type SendFacts, type SendJudgement } from "../../auth/send-policy.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Refusal } from "../kernel/errors.ts";
import { parseSessionKey, sessionChannel } from "../routing/index.ts";
import type { SessionRow, Store } from "../store/port.ts";
import type { ChannelRoute } from "./answers.ts";

export interface SendPolicyDeps {
  readonly config: Pick<ResolvedConfig, "session">;
  readonly store: Pick<Store, "session" | "chosenSending">;
}

/** Undefined: it may. With a route: of an answer that goes this way. */
export type WhyNoSending = (sessionKey: string, route?: ChannelRoute) => Promise<Refusal | undefined>;

export function makeWhyNoSending({ config, store }: SendPolicyDeps): WhyNoSending {
  /** Where its last message came from matters to rules alone. */
  const rowOf = async (speaker: string): Promise<Parameters<typeof sendingOf>[2]> => {
    if (config.session.sendPolicy.rules.length > 0) return store.session(speaker);
    const sendPolicy = await store.chosenSending(speaker);
    return sendPolicy === undefined ? undefined : { choices: { sendPolicy } };
  };
  return async (sessionKey, route) => {
    for (const speaker of new Set([sessionKey, route?.onBehalfOf ?? sessionKey])) {
      const { action, by } = sendingOf(config, speaker, await rowOf(speaker), route);
      if (action === "allow") continue;
      return {
        code: "CLOISTER_CAPABILITY_DENIED",
        message: `send blocked by session policy: ${by} denies it for ${speaker}`,
        remedy: `cloister sessions set ${speaker} --send allow, or change session.sendPolicy`,
      };
    }
    return undefined;
  };
}

export function sendingOf(
  { session }: SendPolicyDeps["config"],
  sessionKey: string,
  row: Pick<SessionRow, "choices" | "lastRoute"> | undefined,
  route: Pick<ChannelRoute, "channel" | "peerKind"> | undefined = channelOf(row?.lastRoute),
): SendJudgement {
  const chosen = row?.choices?.sendPolicy;
  return judgeSending(session.sendPolicy, {
    sessionKey,
    ...(route === undefined ? factsOfKey(sessionKey) : { channel: route.channel, chatType: route.peerKind }),
    ...(chosen === undefined ? {} : { chosen }),
  });
}

const channelOf = (route: SessionRow["lastRoute"]): ChannelRoute | undefined =>
  route?.type === "channel" ? route : undefined;

/** Of a session that no channel has spoken to yet. */
function factsOfKey(sessionKey: string): Pick<SendFacts, "channel" | "chatType"> {
  const parsed = parseSessionKey(sessionKey);
  const session = parsed.shape === "agent" ? parsed.session : undefined;
  const chatType: ChatType | undefined =
    session?.type === "room" ? session.kind : session?.type === "dm" || session?.type === "main" ? "direct" : undefined;
  return { channel: sessionChannel(sessionKey), ...(chatType === undefined ? {} : { chatType }) };
}
