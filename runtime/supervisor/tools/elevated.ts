/**
 * Commands outside of the sandbox: who may have them, and what a session chose with `/elevated`. Every gate has to let through each message that a
 * turn handles; what was chosen opens none of them. Source: behaviour §7.5.
 *
 *   nothing chosen   a call that says `elevated: true` leaves the sandbox, judged by `tools.exec` as on the host
 *   off              none does
 *   on               every call does, likewise judged
 *   ask              every call does, and an operator is asked about each
 *   full             every call does, and nobody is asked; `tools.exec.security: "deny"` stays
 *
 * A call that does not say `elevated` and whose turn the gates do not let through runs in the sandbox, whatever was chosen.
 */
import type { ExecRules } from "../../../auth/exec-policy.ts";
import type { ExecSettings, ResolvedAgent } from "../../config/resolved.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import type { ElevatedLevel } from "../../kernel/session-choices.ts";
import { forbidden, type ToolRefusal } from "./table.ts";

/** As the channel names both. */
export interface ElevatedSender {
  readonly channel: string;
  readonly senderId: string;
}

export function isElevatedSender(
  { allowFrom }: ExecSettings["elevated"],
  { channel, senderId }: ElevatedSender,
): boolean {
  return allowFrom.every((gate) =>
    [...(gate[channel.toLowerCase()] ?? []), ...(gate["*"] ?? [])].some((one) => one === "*" || one === senderId),
  );
}

export const elevatedKeys = {
  enabled: (agentId: string): string =>
    `tools.elevated.enabled, and agents.list[id=${agentId}].tools.elevated.enabled not false`,
  allowFrom: (agentId: string): string =>
    `tools.elevated.allowFrom, and agents.list[id=${agentId}].tools.elevated.allowFrom where it is set`,
};

/** Why no call of the turn may leave the sandbox: nobody borrows it from whoever began. */
export function whyNotElevated(
  { exec: { elevated }, id }: ResolvedAgent,
  messages: readonly Pick<EnvelopeHeader, "from">[],
): ToolRefusal | undefined {
  if (!elevated.enabled)
    return forbidden("exec: elevated: commands outside of the sandbox are off", elevatedKeys.enabled(id));
  const isLet = ({ from }: Pick<EnvelopeHeader, "from">): boolean =>
    from.type === "operator" || (from.type === "channel" && isElevatedSender(elevated, from));
  return messages.length > 0 && messages.every(isLet)
    ? undefined
    : forbidden("exec: elevated: whoever this turn is for may not leave the sandbox", elevatedKeys.allowFrom(id));
}

/** What holds for a session: what was chosen for it, else what the config says. */
export const levelOf = (
  { elevated }: Pick<ExecSettings, "elevated">,
  chosen: ElevatedLevel | undefined,
): ElevatedLevel | undefined => chosen ?? elevated.usual;

/** What leads back, for a session in which it is off. */
export const switchOn = (chosen: ElevatedLevel | undefined): string =>
  chosen === undefined ? "agents.defaults.elevatedDefault, or /elevated on" : "/elevated default, in the session";

/** Of a call that names it although its session has it switched off. */
export const switchedOff = (chosen: ElevatedLevel | undefined): ToolRefusal =>
  forbidden("exec: elevated: it is switched off for this session", switchOn(chosen));

/** Every call of the session leaves the sandbox where the gates are open. */
export const leavesAlways = (level: ElevatedLevel | undefined): boolean => level !== undefined && level !== "off";

/** What judges a call that leaves the sandbox. */
export function rulesOutside(onHost: ExecRules, level: ElevatedLevel | undefined): ExecRules {
  if (onHost.security === "deny") return onHost;
  if (level === "ask") return { ...onHost, ask: "always" };
  return level === "full" ? { ...onHost, security: "full", ask: "off" } : onHost;
}
