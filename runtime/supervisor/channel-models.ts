/** Which model answers in a conversation, where `channels.modelByChannel` says it. Source: behaviour §1.8. */
import type { ChannelModels } from "../config/resolved.ts";
import { type ConversationFacts, conversationIds } from "../groups/index.ts";
import type { EnvelopeHeader, ReplyRoute } from "../kernel/envelope.ts";
import type { SessionChoices } from "../kernel/session-choices.ts";
import type { Conversation } from "./thread-bindings.ts";
import { factsOfSession, factsOfTurn } from "./conversation-facts.ts";

/** The conversation itself, the room of its topic, the room that its thread hangs from, then every other one of the channel. */
export function findChannelModel(models: ChannelModels, facts: ConversationFacts | undefined): string | undefined {
  if (facts === undefined || !Object.hasOwn(models, facts.channel)) return undefined;
  const ofChannel = models[facts.channel] ?? {};
  const id = [...conversationIds(facts).map((one) => one.toLowerCase()), "*"].find((one) =>
    Object.hasOwn(ofChannel, one),
  );
  return id === undefined ? undefined : ofChannel[id];
}

/** What is chosen for a turn: for its session, else for the conversation that it is in. */
export function choicesOfTurn(
  models: ChannelModels,
  header: Pick<EnvelopeHeader, "from" | "sessionKey">,
  choices: SessionChoices | undefined,
): SessionChoices | undefined {
  if (choices?.model !== undefined) return choices;
  const model = findChannelModel(models, factsOfTurn(header));
  return model === undefined ? choices : { ...choices, model };
}

/** What answers where people read the session, unless something was chosen for it. `here`: where somebody asks; absent: where it was last written to. */
export function channelModelOf(
  models: ChannelModels,
  sessionKey: string,
  route: ReplyRoute | undefined,
  here?: Conversation,
): string | undefined {
  const isThere = route?.type === "channel" && route.channel === here?.channel && route.peerId === here.peerId;
  return findChannelModel(
    models,
    factsOfSession(sessionKey, here === undefined || isThere ? route : { type: "channel", ...here }),
  );
}
