/**
 * The register of error codes. Each failure that a person, a client or an agent can meet has one row: what it says, whether
 * trying again helps, and how it looks on HTTP. Nothing in the project matches on message text; `docs/reference/errors.md`
 * is held against this table by `test/repo`.
 *
 * Two forms carry a code. A mistake at a door throws: `throw failure("CLOISTER_CONFIG_INVALID", …)`. An expected refusal is
 * a value, `Refusal`, which crosses threads as plain data.
 */

export type Retry = "never" | "later" | "after-change";

interface Row {
  readonly summary: string;
  readonly retry: Retry;
  readonly http: number;
}

export const errorRegister = {
  CLOISTER_CONFIG_INVALID: {
    summary: "The configuration has a key or value that is not valid.",
    retry: "after-change",
    http: 400,
  },
  CLOISTER_CONFIG_UNREADABLE: {
    summary: "The configuration file cannot be read or parsed.",
    retry: "after-change",
    http: 400,
  },
  CLOISTER_CONFIG_STALE: {
    summary: "The configuration is not the one any more that the change was made for.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_CONFIG_GUARDED: {
    summary: "The change would lose much of the configuration, and nobody said that this is meant.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_STATE_LOCKED: { summary: "Another gateway uses this state directory.", retry: "after-change", http: 409 },
  CLOISTER_STATE_UNUSABLE: { summary: "The state directory cannot be used.", retry: "after-change", http: 500 },
  CLOISTER_BACKUP_RUNNING: { summary: "The gateway is making a backup already.", retry: "later", http: 409 },
  CLOISTER_BACKUP_DAMAGED: {
    summary: "The backup is incomplete, or a file of it is not what was written.",
    retry: "never",
    http: 500,
  },
  CLOISTER_BACKUP_PLACE: {
    summary: "The folder to back up into, or to restore to, cannot be used.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_STATE_VERSION: {
    summary: "The store was written by a version that this one does not read.",
    retry: "after-change",
    http: 500,
  },
  CLOISTER_EDGE_BIND: {
    summary: "The gateway cannot listen on the configured address.",
    retry: "after-change",
    http: 500,
  },
  CLOISTER_EDGE_UNAUTHENTICATED: {
    summary: "The request carries no valid credential.",
    retry: "after-change",
    http: 401,
  },
  CLOISTER_EDGE_FORBIDDEN: { summary: "The client may not do this.", retry: "after-change", http: 403 },
  CLOISTER_EDGE_NOT_FOUND: { summary: "There is nothing at this address.", retry: "never", http: 404 },
  CLOISTER_EDGE_TOO_LARGE: { summary: "The request is larger than its limit.", retry: "never", http: 413 },
  CLOISTER_EDGE_RATE_LIMITED: { summary: "Too many failed attempts from this address.", retry: "later", http: 429 },
  CLOISTER_EDGE_BUSY: { summary: "As many clients are connected as may be.", retry: "later", http: 503 },
  CLOISTER_EDGE_HOST: {
    summary: "The Host header names no address of this gateway.",
    retry: "after-change",
    http: 421,
  },
  CLOISTER_EDGE_METHOD: { summary: "This address does not answer this HTTP method.", retry: "never", http: 405 },
  CLOISTER_EDGE_TIMEOUT: { summary: "The request did not arrive completely in time.", retry: "later", http: 408 },
  CLOISTER_REQUEST_INVALID: {
    summary: "A parameter is missing or has the wrong form.",
    retry: "after-change",
    http: 400,
  },
  CLOISTER_AGENT_UNKNOWN: { summary: "No agent has this id.", retry: "after-change", http: 404 },
  CLOISTER_AGENT_DISABLED: { summary: "The agent's module could not be loaded.", retry: "after-change", http: 503 },
  CLOISTER_AGENT_PARKED: {
    summary: "The agent crashed too often and waits for an operator.",
    retry: "after-change",
    http: 503,
  },
  CLOISTER_AGENT_CRASHED: { summary: "The agent's cell ended before the turn was done.", retry: "later", http: 503 },
  CLOISTER_AGENT_FAILED: { summary: "The actor threw while it handled the message.", retry: "never", http: 500 },
  CLOISTER_SESSION_UNKNOWN: { summary: "No session has this key or label.", retry: "after-change", http: 404 },
  CLOISTER_CAPABILITY_DENIED: {
    summary: "The subject holds no capability for this verb on this object.",
    retry: "after-change",
    http: 403,
  },
  CLOISTER_CAPABILITY_REVOKED: {
    summary: "The capability was revoked before the message was handled.",
    retry: "after-change",
    http: 403,
  },
  CLOISTER_CAPABILITY_FORGED: {
    summary: "A frame named a slot, sender or incarnation that its cell does not hold.",
    retry: "never",
    http: 403,
  },
  CLOISTER_SPAWN_LIMIT: {
    summary: "The session may start no further sub-agent: of its depth, or of its children.",
    retry: "after-change",
    http: 429,
  },
  CLOISTER_BUDGET_SPENT: {
    summary: "The budget of the run, or of one above it, is used up.",
    retry: "never",
    http: 429,
  },
  CLOISTER_RUN_UNKNOWN: { summary: "No sub-agent's run has this id.", retry: "never", http: 404 },
  CLOISTER_RUN_TIMED_OUT: { summary: "The sub-agent's run did not end in its time.", retry: "after-change", http: 504 },
  CLOISTER_BUSY: { summary: "As much of this work waits as may wait.", retry: "later", http: 503 },
  CLOISTER_MAILBOX_FULL: { summary: "The mailbox holds as many envelopes as it may.", retry: "later", http: 429 },
  CLOISTER_RUN_LOOP: {
    summary: "The run repeats a call that fails, or its messages go in a circle.",
    retry: "after-change",
    http: 508,
  },
  CLOISTER_CHAIN_SPENT: {
    summary:
      "What one message caused among agents has used up its messages, its tool calls, its tokens or money for models, or its time.",
    retry: "never",
    http: 508,
  },
  CLOISTER_MAILBOX_HOPS: { summary: "The message passed through too many agents.", retry: "never", http: 508 },
  CLOISTER_MAILBOX_POISON: {
    summary: "The message ended its cell as often as it may and is a dead letter.",
    retry: "never",
    http: 500,
  },
  CLOISTER_MAILBOX_EXPIRED: {
    summary: "The message waited longer than it may and is a dead letter.",
    retry: "later",
    http: 504,
  },
  CLOISTER_MESSAGE_UNHANDLED: {
    summary: "The actor says that it does not handle this message, which is a dead letter.",
    retry: "never",
    http: 422,
  },
  CLOISTER_MESSAGE_TOO_LARGE: { summary: "The message is longer than its limit.", retry: "never", http: 413 },
  CLOISTER_ASK_TIMEOUT: {
    summary: "The answer did not come before the deadline; the work goes on.",
    retry: "later",
    http: 504,
  },
  CLOISTER_ASK_DEADLOCK: {
    summary: "The target waits, directly or not, for the asking session.",
    retry: "never",
    http: 409,
  },
  CLOISTER_ASK_ABORTED: { summary: "The run was stopped.", retry: "never", http: 409 },
  CLOISTER_OUTCOME_UNKNOWN: {
    summary: "A step was started before, and how it ended is not known.",
    retry: "never",
    http: 409,
  },
  CLOISTER_STEP_FAILED: { summary: "The function of a step threw.", retry: "never", http: 500 },
  CLOISTER_TURN_DIVERGED: {
    summary: "A repeated turn made another call than before at the same place.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_TURN_FULL: { summary: "The turn has made or recorded as many calls as it may.", retry: "never", http: 413 },
  CLOISTER_DEADLETTER_UNKNOWN: { summary: "No dead letter has this id (any more).", retry: "never", http: 404 },
  CLOISTER_GRANT_UNKNOWN: { summary: "No grant in force has this id (any more).", retry: "never", http: 404 },
  CLOISTER_CALLER_UNKNOWN: { summary: "No caller in force has this name.", retry: "never", http: 404 },
  CLOISTER_GRANT_REQUEST_UNKNOWN: {
    summary: "No request for a right that waits has this id (any more).",
    retry: "never",
    http: 404,
  },
  CLOISTER_GRANT_REQUEST_CHANGED: {
    summary: "The request is not the one that was shown any more.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_CONFIG_PROPOSAL_UNKNOWN: {
    summary: "No proposed change of the configuration that waits has this id (any more).",
    retry: "never",
    http: 404,
  },
  CLOISTER_DEVICE_UNKNOWN: { summary: "No approved device has this id.", retry: "never", http: 404 },
  CLOISTER_DEVICE_REQUEST_UNKNOWN: {
    summary: "No request of a device that waits has this id (any more).",
    retry: "never",
    http: 404,
  },
  CLOISTER_DEVICE_REQUEST_CHANGED: {
    summary: "The request of the device asks for something else than what was shown.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_SENDER_UNKNOWN: {
    summary: "No sender waits with this code, or none was approved with this id.",
    retry: "never",
    http: 404,
  },
  CLOISTER_NODE_OFFLINE: { summary: "The node is not connected, or its connection ended.", retry: "later", http: 503 },
  CLOISTER_NODE_COMMAND_DENIED: {
    summary: "The node did not declare the command, or nobody approved it.",
    retry: "never",
    http: 403,
  },
  CLOISTER_NODE_FAILED: { summary: "The node says that it could not do it.", retry: "never", http: 502 },
  CLOISTER_DEVICE_DENIED: {
    summary: "The change of a device would give more than was approved, or than the caller has.",
    retry: "never",
    http: 403,
  },
  CLOISTER_SIGNAL_UNKNOWN: { summary: "No timer or monitor has this id (any more).", retry: "never", http: 404 },
  CLOISTER_ENVELOPE_UNKNOWN: {
    summary: "The journal does not hold this envelope (any more).",
    retry: "never",
    http: 404,
  },
  CLOISTER_STORE_FAILED: { summary: "The store could not commit.", retry: "later", http: 503 },
  CLOISTER_STORE_FULL: {
    summary: "The disk of the store is full, or its quota or file size limit is reached.",
    retry: "later",
    http: 507,
  },
  CLOISTER_CHANNEL_UNKNOWN: {
    summary: "There is no such channel or account, or this version does not have it.",
    retry: "after-change",
    http: 404,
  },
  CLOISTER_CHANNEL_CREDENTIAL: {
    summary: "The platform does not take the account as it is configured.",
    retry: "after-change",
    http: 502,
  },
  CLOISTER_SECRET_MISSING: {
    summary: "A key of the configuration refers to a secret that cannot be read where it says.",
    retry: "after-change",
    http: 503,
  },
  CLOISTER_CHANNEL_OFFLINE: { summary: "The account of a channel is not connected.", retry: "later", http: 503 },
  CLOISTER_CHANNEL_BUSY: { summary: "More waits in this channel than may.", retry: "later", http: 503 },
  CLOISTER_GATEWAY_DRAINING: { summary: "The gateway is shutting down.", retry: "later", http: 503 },
  CLOISTER_GATEWAY_BUSY: { summary: "Turns are running, and none was to be interrupted.", retry: "later", http: 409 },
  CLOISTER_GATEWAY_NO_LAUNCHER: {
    summary: "The gateway runs without a launcher that would start it again.",
    retry: "after-change",
    http: 409,
  },
  CLOISTER_GATEWAY_UNREACHABLE: { summary: "No gateway answers at this address.", retry: "later", http: 503 },
  CLOISTER_MODULE_INVALID: {
    summary: "The module of an actor or a channel is missing, does not parse or has no valid default export.",
    retry: "after-change",
    http: 500,
  },
  CLOISTER_WORKSPACE_ESCAPE: { summary: "A path leaves the agent's workspace.", retry: "never", http: 403 },
  CLOISTER_MODEL_UNAVAILABLE: {
    summary: "No model is configured for the agent, or its provider is not, or does not have it.",
    retry: "after-change",
    http: 503,
  },
  CLOISTER_MODEL_CREDENTIAL: {
    summary: "There is no credential for the model's provider, or the provider refuses it or wants to be paid.",
    retry: "after-change",
    http: 502,
  },
  CLOISTER_MODEL_RATE_LIMITED: {
    summary: "The model's provider refuses further calls for a while.",
    retry: "later",
    http: 429,
  },
  CLOISTER_MODEL_FAILED: {
    summary: "The model's provider failed or could not be reached, also when tried again.",
    retry: "later",
    http: 502,
  },
  CLOISTER_MODEL_REFUSED: { summary: "The model's provider refuses the request.", retry: "never", http: 400 },
  CLOISTER_MODEL_CONTEXT_FULL: {
    summary: "The conversation is longer than the model takes.",
    retry: "never",
    http: 400,
  },
  CLOISTER_MODEL_OUTPUT_INVALID: {
    summary: "The answer of a model is not of the form that was asked for, or beyond its bounds.",
    retry: "later",
    http: 502,
  },
  CLOISTER_THREAD_LOST: {
    summary: "A thread of the gateway ended while a call to it was pending.",
    retry: "later",
    http: 500,
  },
  CLOISTER_INTERNAL: { summary: "A fault of the gateway itself.", retry: "later", http: 500 },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof errorRegister;

/** A refusal that is expected: plain data, so that it crosses threads and is stored. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** The exact command or config line that would change the answer. */
  readonly remedy?: string;
  readonly retryAfterMs?: number;
  /** The scope that the client would need. */
  readonly missingScope?: string;
}

/** An error with one of our codes. Match on `code`, never on the class or the text. */
export interface CodedError extends Error {
  readonly code: ErrorCode;
  readonly remedy?: string;
  readonly retryAfterMs?: number;
  readonly missingScope?: string;
}

export function failure(code: ErrorCode, message: string, remedy?: string, cause?: unknown): CodedError {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, remedy === undefined ? { code } : { code, remedy });
}

export function isCoded(error: unknown): error is CodedError {
  return error instanceof Error && "code" in error && isErrorCode(error.code);
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorRegister, code);
}

/** Any thrown value as a refusal: coded errors keep their code, the rest become `CLOISTER_INTERNAL`. */
export function toRefusal(error: unknown): Refusal {
  if (!isCoded(error))
    return { code: "CLOISTER_INTERNAL", message: error instanceof Error ? error.message : String(error) };
  const { code, message, remedy, retryAfterMs, missingScope } = error;
  return {
    code,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(missingScope === undefined ? {} : { missingScope }),
  };
}

/** A refusal as an error, for callers that await. */
export function fromRefusal({ code, message, remedy, ...facts }: Refusal): CodedError {
  return Object.assign(failure(code, message, remedy), facts);
}
