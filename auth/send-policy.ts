/**
 * Whether answers of a session leave for its channel, and whether clients may speak in it: what somebody chose for the session, else the
 * rules of `session.sendPolicy`, of which a denial wins, else the policy's default. Pure. Source: behaviour §1.5.
 */
export type SendAction = "allow" | "deny";
export type ChatType = "direct" | "group" | "channel";

/** What is named must hold, whatever its case. */
export interface SendRule {
  readonly action: SendAction;
  readonly match: {
    readonly channel?: string;
    readonly chatType?: ChatType;
    /** Of the session key behind `agent:<id>:`. */
    readonly keyPrefix?: string;
    /** Of the whole session key. */
    readonly rawKeyPrefix?: string;
  };
}

export interface SendPolicy {
  readonly default: SendAction;
  readonly rules: readonly SendRule[];
}

export interface SendFacts {
  readonly sessionKey: string;
  /** Absent: the session belongs to none. */
  readonly channel?: string;
  readonly chatType?: ChatType;
  /** For this session alone. */
  readonly chosen?: SendAction;
}

/** `by`: what says so. */
export interface SendJudgement {
  readonly action: SendAction;
  readonly by: string;
}

export function judgeSending(policy: SendPolicy, facts: SendFacts): SendJudgement {
  if (facts.chosen !== undefined) return { action: facts.chosen, by: "/send in the session" };
  const matching = policy.rules.flatMap(({ action, match }, index) =>
    matches(match, facts) ? [{ action, by: `session.sendPolicy.rules[${index}]` }] : [],
  );
  const found = matching.find(({ action }) => action === "deny") ?? matching[0];
  return found ?? { action: policy.default, by: "session.sendPolicy.default" };
}

function matches(
  { channel, chatType, keyPrefix, rawKeyPrefix }: SendRule["match"],
  { sessionKey, ...facts }: SendFacts,
): boolean {
  const rest = sessionKey.split(":").slice(2).join(":");
  return (
    (channel === undefined || isSame(channel, facts.channel)) &&
    (chatType === undefined || chatType === facts.chatType) &&
    (keyPrefix === undefined || begins(rest, keyPrefix)) &&
    (rawKeyPrefix === undefined || begins(sessionKey, rawKeyPrefix))
  );
}

const isSame = (a: string, b: string | undefined): boolean => a.trim().toLowerCase() === b?.toLowerCase();
const begins = (text: string, prefix: string): boolean => text.toLowerCase().startsWith(prefix.trim().toLowerCase());
