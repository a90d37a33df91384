/** Requests for rights as data: the message that is kept with one, and what an operator is shown of it. */
import type { SessionVerb } from "../../auth/policy.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { CallId } from "../kernel/steps.ts";
import type { GrantRequest, KeptHead, KeptMessage } from "../store/port.ts";

/** A call that was refused for want of a right. */
export interface RefusedCall {
  /** Of the turn that made it. */
  readonly header: EnvelopeHeader;
  readonly verb: SessionVerb;
  readonly toSession: string;
  /** What is kept until the decision; absent: the call carries no message. */
  readonly message?: { readonly call: CallId; readonly body: string; readonly sourceTool: string };
}

/** As operators see it. */
export interface ShownRequest {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly verb: SessionVerb;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly calls: number;
  /** Changes with every message that is added. */
  readonly revision: number;
  readonly messages: readonly Omit<KeptHead, "by" | "n">[];
  /** Approved, and this many of its messages wait for room in a mailbox. */
  readonly releasing: boolean;
  /** What an approval would do, in plain words. */
  readonly consequences: { readonly once: readonly string[]; readonly grant: readonly string[] };
}

/** A further message makes another one. */
export const revisionOf = ({ next }: GrantRequest): number => next;

/** The envelope that it will be is made at the release; as a dead letter it has no right that a replay could use. */
export function makeKept(
  id: string,
  requestId: string,
  { header, verb, toSession }: RefusedCall,
  { call, body, sourceTool }: NonNullable<RefusedCall["message"]>,
  nowMs: number,
): KeptMessage {
  return {
    header: {
      id,
      from: { type: "agent", agentId: header.agentId, sessionKey: header.sessionKey },
      agentId: agentOfKey(toSession) ?? "",
      sessionKey: toSession,
      verb: verb === "request" ? "request" : "send",
      via: `request:${requestId}`,
      chain: [...header.chain, header.sessionKey],
      trace: header.trace,
      runId: id,
      acceptedAtMs: nowMs,
      provenance: { kind: "inter_session", sourceSessionKey: header.sessionKey, sourceChannel: "internal", sourceTool },
      replyRoute: { type: "none" },
      ...(header.chainStamp === undefined ? {} : { chainStamp: header.chainStamp }),
    },
    body,
    by: { turn: header.id, call },
  };
}

const previewCharsMax = 200;

export function headOf({ header, body, by }: KeptMessage, n: number): KeptHead {
  const { chain, sessionKey, acceptedAtMs } = header;
  return {
    n,
    fromSession: chain.at(-1) ?? "",
    toSession: sessionKey,
    bodyChars: body.length,
    preview: body.slice(0, previewCharsMax),
    atMs: acceptedAtMs,
    by,
  };
}

export function showRequest(row: GrantRequest): ShownRequest {
  const { id, from, to, verb, createdAtMs, expiresAtMs, calls } = row;
  const messages = row.messages.map(({ fromSession, toSession, bodyChars, preview, atMs }) => {
    return { fromSession, toSession, bodyChars, preview, atMs };
  });
  return {
    id,
    from,
    to,
    verb,
    createdAtMs,
    expiresAtMs,
    calls,
    revision: revisionOf(row),
    messages,
    releasing: row.decision?.type === "approved",
    consequences: consequencesOf(row),
  };
}

const meanings: Readonly<Record<SessionVerb, string>> = {
  send: "write to it, without waiting for an answer",
  request: "ask it and wait for its answer, which it then reads",
  list: "see that its sessions exist",
  history: "read what was said in its sessions",
  spawn: "start runs of it",
  steer: "interrupt and redirect its runs",
  cancel: "end its runs",
};

function consequencesOf({ from, to, verb, messages }: GrantRequest): ShownRequest["consequences"] {
  const count = messages.length;
  const kept =
    count === 0
      ? []
      : [
          `${count === 1 ? "The kept message is" : `The ${count} kept messages are`} delivered to ${to} once, as sent by ${from}.`,
        ];
  return {
    once: [...kept, `${from} gets no right: its next call is refused as before.`],
    grant: [
      ...kept,
      `From now on every session of ${from} may ${meanings[verb]} (agent ${to}, any session), unless a sandbox clamps it.`,
      "It holds over restarts until it ends or is revoked (cloister grants revoke), and gives no other right.",
    ],
  };
}

export function describeRequest({ from, to, verb, messages }: GrantRequest): string {
  return `${from} → ${to}: ${verb}, ${messages.length} messages kept`;
}
