/**
 * Tells of the end of a cell: what it had in hand, and what it computed when it was stuck.
 */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { type ErrorCode, toRefusal } from "../kernel/errors.ts";
import type { AuditEffect, ExitReason } from "../kernel/state.ts";
import type { StuckProfile } from "../thread/stuck-profile.ts";
import type { Logger } from "./driver.ts";
import type { makeProfiles } from "./profiles.ts";

/** Names what the cell had in hand: in the log, and in the audit trail when its end was no order. */
export type ReportEnd = (
  agentId: string,
  incarnation: number,
  inHand: readonly EnvelopeHeader[],
  reason: ExitReason,
  detail: string,
  profile: StuckProfile | undefined,
) => void;

export function makeCellEnds(
  profiles: ReturnType<typeof makeProfiles>,
  log: Logger,
  nowMs: () => number,
  noteAudit: (effect: AuditEffect) => void,
): ReportEnd {
  return (agentId, incarnation, inHand, reason, detail, profile) => {
    const orderly = reason === "normal" || reason === "shutdown";
    const fields: Record<string, unknown> = { agent: agentId, incarnation, reason, detail };
    if (inHand.length > 0) {
      fields["envelopes"] = inHand.map(({ id }) => id);
      fields["sessions"] = inHand.map(({ sessionKey }) => sessionKey);
    }
    if (profile?.type === "taken") {
      const file = profiles.place(agentId, incarnation, nowMs());
      fields["profile"] = file;
      profiles
        .save(file, profile.profile)
        .catch((error: unknown) =>
          log.error({ agent: agentId, file, error: toRefusal(error) }, "a CPU profile could not be written"),
        );
    } else if (profile !== undefined) {
      fields["noProfile"] = profile.why;
    }
    log[orderly ? "debug" : "warn"](fields, "a cell ended");
    if (orderly) return;
    const suffix = typeof fields["profile"] === "string" ? `; CPU profile: ${fields["profile"]}` : "";
    for (const { id, sessionKey, trace } of inHand)
      noteAudit({
        type: "audit",
        event: "cell",
        subject: `agent:${agentId}`,
        object: sessionKey,
        decision: "noted",
        code: "CLOISTER_AGENT_CRASHED" satisfies ErrorCode,
        envelopeId: id,
        trace,
        detail: `${reason}: ${detail}${suffix}`,
      });
  };
}
