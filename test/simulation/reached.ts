/** What the worlds must come to: an effect, refusal, fate or end that no seed reaches would be one that nobody checks. */
import { expect } from "vitest";
import { faults } from "../support/world-faults.ts";

const expected: Readonly<Record<string, readonly string[]>> = {
  accepted: ["stored", "duplicate"],
  effect: [
    "append",
    "accepted",
    "spilled",
    "refill",
    "begin",
    "record",
    "commit",
    "outbound",
    "settle",
    "bury",
    "recall",
    "start-cell",
    "stop-cell",
    "post",
    "call",
    "cancel",
    "streamed",
    "ended",
    "flow",
    "cell-log",
    "agent-changed",
    "audit",
  ],
  ended: ["ok", "no_reply", "error"],
  flow: ["open", "ok", "timeout", "error"],
  fate: ["dropped", "expired", "poison", "refused"],
  exit: ["normal", "shutdown", "crash", "hung", "out_of_memory", "killed"],
  stop: ["normal", "shutdown", "hung"],
  audit: ["message", "order", "refused", "revoked", "forged-incarnation", "forged-sequence"],
  outcome: [
    "CLOISTER_AGENT_CRASHED",
    "CLOISTER_AGENT_DISABLED",
    "CLOISTER_AGENT_FAILED",
    "CLOISTER_ASK_ABORTED",
    "CLOISTER_CAPABILITY_REVOKED",
    "CLOISTER_MAILBOX_EXPIRED",
    "CLOISTER_MAILBOX_POISON",
  ],
  refusal: [
    "CLOISTER_AGENT_CRASHED",
    "CLOISTER_AGENT_DISABLED",
    "CLOISTER_AGENT_FAILED",
    "CLOISTER_AGENT_PARKED",
    "CLOISTER_ASK_ABORTED",
    "CLOISTER_ASK_DEADLOCK",
    "CLOISTER_ASK_TIMEOUT",
    "CLOISTER_CAPABILITY_DENIED",
    "CLOISTER_GATEWAY_DRAINING",
    "CLOISTER_MAILBOX_EXPIRED",
    "CLOISTER_MAILBOX_FULL",
    "CLOISTER_MAILBOX_HOPS",
    "CLOISTER_OUTCOME_UNKNOWN",
    "CLOISTER_STORE_FAILED",
  ],
  parked: ["ingress", "cell"],
  step: ["run", "again"],
  "heard again": ["stored", "result", "refused"],
  fault: faults.map(({ name }) => name),
};

export function expectReached(reached: ReadonlySet<string>): void {
  const wanted = Object.entries(expected).flatMap(([kind, names]) => names.map((name) => `${kind}:${name}`));
  expect(wanted.filter((each) => !reached.has(each))).toEqual([]);
}
