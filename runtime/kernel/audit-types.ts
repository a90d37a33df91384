/**
 * What the audit trail tells of, and in which of its two logs. What agents, clients or strangers can bring about as often as they
 * like is in `traffic`; what changes who may do what, and what operators do, is in `decisions`. Each log has a bound of its own, so
 * that no amount of traffic pushes a decision out (docs/adr/0031-audit-chain.md).
 */

export const auditLogs = ["decisions", "traffic"] as const;

export type AuditLog = (typeof auditLogs)[number];

export const auditTypes = {
  /** An envelope was accepted: subject to object, by a verb and a capability (`via`). */
  message: "traffic",
  /** A call of a cell lacked a right, or was over a bound. */
  refused: "traffic",
  /** The right that a stored message was sent by had ended when its turn came. */
  revoked: "traffic",
  /** A cell posted what no honest one posts. */
  "forged-frame": "traffic",
  "forged-incarnation": "traffic",
  "forged-record": "traffic",
  "forged-sequence": "traffic",
  "forged-step": "traffic",
  "forged-turn": "traffic",
  "chain-ended": "traffic",
  loop: "traffic",
  spawn: "traffic",
  /** `session.sendPolicy` kept an answer from its channel. */
  answer_withheld: "traffic",
  /** A text was sent to a channel once more, and its platform may have had it already. */
  possible_duplicate: "traffic",
  /** What a cell had in hand when it ended out of order. */
  cell: "traffic",
  /** What was in hand when the last process ended is handled again. */
  redelivered: "traffic",
  /** One agent ended another's turn. */
  cancelled: "traffic",
  /** A connection or request with wrong or missing credentials. */
  auth_failed: "traffic",
  /** A client asked for what its scopes do not cover. */
  access_denied: "traffic",
  /** Refusals at the door beyond the bound, counted. */
  door_flooded: "traffic",
  device_requested: "traffic",
  sender_requested: "traffic",
  grant_requested: "traffic",
  config_proposed: "traffic",
  exec_approval_requested: "traffic",
  /** An agent said something on a channel by its own call. */
  message_sent: "traffic",
  grant_request_expired: "traffic",
  timer_dropped: "traffic",
  monitor_dropped: "traffic",
  "sessions.pruned": "traffic",
  "transcripts.removed": "traffic",

  device_approved: "decisions",
  device_rejected: "decisions",
  device_removed: "decisions",
  device_token_rotated: "decisions",
  device_token_revoked: "decisions",
  device_invited: "decisions",
  node_invoked: "decisions",
  /** People whom a channel's account did not know. */
  sender_approved: "decisions",
  sender_rejected: "decisions",
  sender_removed: "decisions",
  /** Programs that may call agents over HTTP. */
  caller_added: "decisions",
  caller_changed: "decisions",
  caller_rotated: "decisions",
  caller_revoked: "decisions",
  grant_added: "decisions",
  grant_revoked: "decisions",
  grant_request_approved: "decisions",
  grant_request_denied: "decisions",
  /** The time of a right was over. */
  "right-expired": "decisions",
  config_applied: "decisions",
  config_refused: "decisions",
  /** What is behind references to secrets was read anew: the keys that have another one, and those that cannot be read. */
  secrets_reloaded: "decisions",
  config_proposal_applied: "decisions",
  exec_approval_decided: "decisions",
  config_proposal_rejected: "decisions",
  agent_added: "decisions",
  agent_changed: "decisions",
  agent_removed: "decisions",
  order: "decisions",
  stopped: "decisions",
  escalated: "decisions",
  run_cancelled: "decisions",
  timer_removed: "decisions",
  task_cancelled: "decisions",
  /** Jobs that operators set, change, remove and run. */
  cron_changed: "decisions",
  deadletter_replayed: "decisions",
  deadletter_purged: "decisions",
  /** The operator's key was replaced: from here on the log is sealed with another. In the log that it tells of. */
  audit_key: "decisions",
  /** The log does not go on where it ended: rows were removed or replaced, or its head was. In the log that it tells of. */
  audit_broken: "decisions",
} as const satisfies Record<string, AuditLog>;

export type AuditType = keyof typeof auditTypes;

/** What `--kind` takes beside a whole type: its first word. */
export function auditKind(type: string): string {
  return /^[a-z]+/.exec(type)?.[0] ?? type;
}
