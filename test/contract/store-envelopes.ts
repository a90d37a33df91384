/** Envelopes and turns for the tests of the store. */
import type { Envelope, ReplyRoute } from "../../runtime/kernel/envelope.ts";
import type { RunRow } from "../../runtime/kernel/run-rows.ts";
import type { StorePlaces, TurnCommit } from "../../runtime/store/port.ts";
import type { SessionHead } from "../../runtime/store/session-index.ts";

export const agentIds = ["ann", "bob", "cid", "dot", "eve"] as const;

export function placesIn(dir: string): StorePlaces {
  return {
    stateDir: dir,
    agents: agentIds.map((agentId) => ({ agentId, sessionsDir: `${dir}/agents/${agentId}/sessions` })),
  };
}

export const webhookRoute: ReplyRoute = {
  type: "channel",
  channel: "webhook",
  accountId: "biz",
  peerKind: "direct",
  peerId: "+1555",
};

export interface EnvelopeParts {
  readonly agentId?: string;
  readonly session?: string;
  readonly runId?: string;
  readonly body?: string;
  readonly replyRoute?: ReplyRoute;
  readonly inter?: boolean;
}

export function envelope(id: string, parts: EnvelopeParts = {}): Envelope {
  const agentId = parts.agentId ?? "ann";
  return {
    header: {
      id,
      from: { type: "operator", client: "test" },
      agentId,
      sessionKey: `agent:${agentId}:${parts.session ?? "main"}`,
      verb: "send",
      via: "operator",
      chain: [],
      trace: `trace-${id}`,
      runId: parts.runId ?? `run-${id}`,
      acceptedAtMs: 1_000,
      provenance:
        parts.inter === true
          ? {
              kind: "inter_session",
              sourceSessionKey: "agent:bob:main",
              sourceChannel: "internal",
              sourceTool: "sessions_send",
            }
          : { kind: "external_user", sourceChannel: "webhook", senderId: "+1555" },
      replyRoute: parts.replyRoute ?? { type: "none" },
    },
    body: parts.body ?? `body of ${id}`,
  };
}

export function beginOf({ header }: Envelope, wantState = true) {
  return { envelopeId: header.id, agentId: header.agentId, sessionKey: header.sessionKey, wantState };
}

export function commitOf({ header }: Envelope, parts: Partial<TurnCommit> = {}): TurnCommit {
  return {
    envelopeId: header.id,
    agentId: header.agentId,
    sessionKey: header.sessionKey,
    kind: "main",
    channel: "webhook",
    rows: [{ role: "assistant", text: `answer to ${header.id}` }],
    outcomeText: `answer to ${header.id}`,
    atMs: 2_000,
    ...parts,
  };
}

/** Of `agent:ann:main` after so many messages. */
export const sessionHead = (messages: number, parts: Partial<SessionHead> = {}): SessionHead => ({
  key: "agent:ann:main",
  agentId: "ann",
  sessionId: "s1",
  kind: "main",
  channel: "webhook",
  createdAtMs: 1,
  updatedAtMs: messages,
  messages,
  lastPreview: `${messages}`,
  ...parts,
});

/** A run that `agent:ann:main` has asked for. */
export const runRow = (id: string, parts: Partial<RunRow> = {}): RunRow => ({
  id,
  agentId: "ann",
  sessionKey: `agent:ann:subagent:${id}`,
  ownerAgentId: "ann",
  requesterSessionKey: "agent:ann:main",
  requesterRunId: "run-1",
  lineage: ["agent:ann:main"],
  replyRoute: { type: "none" },
  trace: "trace-1",
  task: "do it",
  cleanup: "keep",
  context: "isolated",
  announce: true,
  detached: false,
  archiveAfterMs: 0,
  createdAtMs: 1_000,
  ...parts,
});
