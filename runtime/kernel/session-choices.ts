/**
 * What was chosen for one session alone, over what the configuration says of its agent. It counts from the session's next turn on and ends
 * with its transcript, but for who may hear it. Source: behaviour §1.5, §3.5, §3.7.
 */

import type { EnvelopeHeader } from "./envelope.ts";
import type { SessionNotice } from "./session-notices.ts";

/** How much a model thinks before it answers. */
export const thinkingLevels = ["off", "low", "medium", "high"] as const;
export type ThinkingLevel = (typeof thinkingLevels)[number];

/** What of a turn's work its answer tells: nothing, which tools were called, or what they were asked as well. */
export const verboseLevels = ["off", "on", "full"] as const;
export type VerboseLevel = (typeof verboseLevels)[number];

/** Whether commands leave the session's sandbox (`runtime/supervisor/tools/elevated.ts`). */
export const elevatedLevels = ["off", "on", "ask", "full"] as const;
export type ElevatedLevel = (typeof elevatedLevels)[number];

export interface SessionChoices {
  /** `provider/model`: asked where a turn names none. It is asked alone, unless the configuration gives it fallbacks. */
  readonly model?: string;
  /** The credential that is tried first where `model` is asked, by its name in `auth-profiles.json`. */
  readonly authProfile?: string;
  readonly thinking?: ThinkingLevel;
  readonly verbose?: VerboseLevel;
  /** A sub-agent's model is shown no files of the workspace. */
  readonly light?: true;
  readonly elevated?: ElevatedLevel;
  /** Whether its answers leave (`auth/send-policy.ts`); stays when the session begins anew. */
  readonly sendPolicy?: "allow" | "deny";
}

/** What a message chooses for the turn that handles it, over what was chosen for its session. */
export type TurnChoices = Pick<SessionChoices, "model" | "authProfile" | "thinking" | "elevated">;

/** `null` takes a choice back; what is not named stays. */
export type ChoiceChange = {
  readonly [Name in keyof SessionChoices]?: Exclude<SessionChoices[Name], undefined> | null;
};

/** Undefined: nothing is chosen any more. */
export function changeChoices(chosen: SessionChoices | undefined, change: ChoiceChange): SessionChoices | undefined {
  const left = Object.entries({ ...chosen, ...change }).filter(([, value]) => value !== null && value !== undefined);
  return left.length === 0 ? undefined : (Object.fromEntries(left) as SessionChoices);
}

/** What stays when the session begins anew: nobody hears again what was silenced. */
export function lastingChoices(chosen: SessionChoices | undefined): SessionChoices | undefined {
  return chosen?.sendPolicy === undefined ? undefined : { sendPolicy: chosen.sendPolicy };
}

/** What a turn learns of its session when the store begins it. */
export interface LearnedAtBegin {
  readonly choices?: SessionChoices | undefined;
  readonly notices?: readonly SessionNotice[] | undefined;
  /** Of a direct chat: so many earlier messages its channel lets a model see. */
  readonly historyTurns?: number | undefined;
  readonly room?: ToldRoom | undefined;
}

/** What the configuration says of the group that the conversation is in. */
export interface ToldRoom {
  /** Said to the model beside everything else. */
  readonly systemPrompt?: string;
  /** Names of the skills that may be used there, of those that the agent has; absent: all of them. */
  readonly skills?: readonly string[];
}

export function learn(
  turn: { -readonly [Name in keyof Required<LearnedAtBegin>]: LearnedAtBegin[Name] },
  { choices, notices, historyTurns, room }: LearnedAtBegin,
  own: TurnChoices | undefined,
): void {
  // The credential that was chosen with another model is not meant.
  turn.choices = own === undefined ? choices : { ...(own.model === undefined ? choices : without(choices)), ...own };
  turn.notices = notices;
  turn.historyTurns = historyTurns;
  turn.room = room;
}

function without(choices: SessionChoices | undefined): SessionChoices {
  const { model: _model, authProfile: _profile, ...rest } = choices ?? {};
  return rest;
}

/** What a cell gets of an envelope's header: what its actor is told, and nothing of how the envelope came here or where its answer goes. */
export type ToldHeader = Pick<
  EnvelopeHeader,
  "id" | "agentId" | "sessionKey" | "chain" | "acceptedAtMs" | "provenance" | "signal" | "exchange"
>;

/** The same with what the turn learned of its session. */
export interface DeliveredHeader extends ToldHeader, LearnedAtBegin {}

/** As JSON, which leaves out what is undefined. */
export function formatHeader(header: EnvelopeHeader, learned?: LearnedAtBegin): string {
  const { id, agentId, sessionKey, chain, acceptedAtMs, provenance, signal, exchange } = header;
  return JSON.stringify({
    id,
    agentId,
    sessionKey,
    chain,
    acceptedAtMs,
    provenance,
    signal,
    exchange,
    // Names of credentials are the operator's: some are addresses of people.
    choices: learned?.choices && { ...learned.choices, authProfile: undefined },
    notices: learned?.notices,
    historyTurns: learned?.historyTurns,
    room: learned?.room,
  });
}
