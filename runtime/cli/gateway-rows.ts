/**
 * What the gateway's methods answer, checked. Lenient: a field that a gateway of another version leaves out gets a neutral
 * value, one that it adds is dropped; a row without its identity fails with `CLOISTER_REQUEST_INVALID`.
 */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";

const text = z.string().catch("");
const count = z.number().catch(0);
const maybeText = z.string().min(1).optional().catch(undefined);

const agentRow = z.object({
  agentId: z.string(),
  name: text,
  isDefault: z.boolean().catch(false),
  module: text,
  workspace: text,
  phase: z.string().catch("unknown"),
  reason: maybeText,
  activeRuns: count,
  queueDepth: count,
  restarts: count,
  mainSessionKey: text,
});

export type AgentRow = z.infer<typeof agentRow>;

const heldRow = z.object({ processes: count, residentBytes: count }).optional().catch(undefined);
const maybeCount = z.number().optional().catch(undefined);

const agentMemoryRow = z.object({
  agentId: z.string(),
  heldBytes: count,
  cells: count,
  heapBytes: maybeCount,
  externalBytes: maybeCount,
  processes: z.object({ cells: heldRow, commands: heldRow, mcp: heldRow }).catch({}),
});

const agentMemory = z.object({
  /** Kinds of processes whose memory is known. */
  read: z.array(z.string()).catch([]),
  /** Of the gateway's own process. */
  residentBytes: count,
  agents: z.array(agentMemoryRow),
});

export type AgentMemoryRows = z.infer<typeof agentMemory>;

const laneRow = z.object({
  lane: z.string(),
  per: z.string().catch("gateway"),
  places: count,
  running: count,
  waiting: count,
});

export type LaneEntry = z.infer<typeof laneRow>;

const sessionRow = z
  .object({
    key: z.string(),
    agentId: text,
    classification: text,
    channel: text,
    label: maybeText,
    messages: count,
    lastMessagePreview: maybeText,
    updatedAt: count,
    updatedAtMs: count,
  })
  .transform(({ updatedAt, updatedAtMs, classification, ...row }) => ({
    ...row,
    kind: classification,
    updatedAtMs: updatedAtMs || updatedAt,
  }));

export type SessionEntry = z.infer<typeof sessionRow>;

const content = z.union([z.string(), z.array(z.object({ text }))]).catch("");
const plainContent = content.transform((parts) =>
  typeof parts === "string"
    ? parts
    : parts
        .map((part) => part.text)
        .filter((part) => part !== "")
        .join("\n"),
);

const provenance = z
  .object({
    kind: text,
    sourceSessionKey: maybeText,
    sourceChannel: maybeText,
    senderId: maybeText,
    senderName: maybeText,
  })
  .optional()
  .catch(undefined);

const historyRow = z.object({ role: text, content: plainContent, timestamp: count, provenance });

export type HistoryRow = z.infer<typeof historyRow>;

const chatEvent = z.object({
  runId: z.string(),
  sessionKey: z.string(),
  state: z.enum(["delta", "final", "aborted", "error"]),
  deltaText: maybeText,
  message: z.object({ content: plainContent }).optional().catch(undefined),
  errorMessage: maybeText,
});

export type ChatRow = z.infer<typeof chatEvent>;

const deadLetterRow = z.object({
  id: z.string(),
  fate: text,
  reason: text,
  sessionKey: text,
  from: text,
  attempts: count,
  acceptedAtMs: count,
  atMs: count,
  bodyChars: count,
  preview: text,
});

export type DeadLetterEntry = z.infer<typeof deadLetterRow>;

const deadLetterText = deadLetterRow.extend({ body: text, answer: maybeText });

export type DeadLetterText = z.infer<typeof deadLetterText>;

const deadLetterCounts = z
  .object({ total: count, byFate: z.record(z.string(), z.number()).catch({}) })
  .catch({ total: 0, byFate: {} });

export type DeadLetterCounts = z.infer<typeof deadLetterCounts>;

const timerRow = z.object({ id: z.string(), sessionKey: text, name: text, dueAtMs: count, everyMs: count });

export type TimerEntry = z.infer<typeof timerRow>;

const taskRow = z.object({
  taskId: z.string(),
  status: text,
  code: maybeText,
  childSessionKey: text,
  requesterSessionKey: text,
  label: maybeText,
  task: text,
  createdAt: count,
  runtimeMs: z.number().optional(),
});

export type TaskEntry = z.infer<typeof taskRow>;

const grantRow = z.object({
  id: z.string(),
  from: text,
  to: text,
  verbs: z.array(z.string()),
  untilMs: z.number().optional(),
  createdAtMs: count,
  by: text,
});

export type GrantEntry = z.infer<typeof grantRow>;

const explainedVerb = z.object({
  verb: z.string(),
  allowed: z.boolean(),
  rule: text,
  message: text,
  config: z.string().optional(),
  command: z.string().optional(),
});

export type ExplainedEntry = z.infer<typeof explainedVerb>;

const accepted = z.object({ runId: z.string(), sessionKey: maybeText });

const finalAnswer = z.object({
  runId: text,
  status: text,
  summary: maybeText,
  result: z
    .object({ payloads: z.array(z.object({ text: maybeText })).catch([]) })
    .optional()
    .catch(undefined),
});

export const parseAgents = (payload: unknown): readonly AgentRow[] =>
  parse("agents.list", z.object({ agents: z.array(agentRow) }), payload).agents;

export const parseAgentMemory = (payload: unknown): AgentMemoryRows => parse("agents.memory", agentMemory, payload);

export const parseSessions = (payload: unknown): readonly SessionEntry[] =>
  parse("sessions.list", z.object({ sessions: z.array(sessionRow) }), payload).sessions;

export const parseChangedSession = (method: string, payload: unknown): { readonly key: string } =>
  parse(method, z.object({ key: z.string() }), payload);

const cleanup = z.object({
  enforced: z.boolean(),
  agents: z.array(
    z.object({
      agentId: z.string(),
      sessions: count,
      transcripts: count,
      messages: count,
      tooMany: count,
      bytesOver: count,
      more: z.boolean(),
      error: maybeText,
    }),
  ),
});

export const parseCleanup = (payload: unknown): z.infer<typeof cleanup> => parse("sessions.cleanup", cleanup, payload);

export const parseHistory = (payload: unknown): readonly HistoryRow[] =>
  parse("chat.history", z.object({ messages: z.array(historyRow) }), payload).messages;

export const parseDeadLetters = (
  payload: unknown,
): { readonly letters: readonly DeadLetterEntry[]; readonly total: number } =>
  parse("deadletters.list", z.object({ letters: z.array(deadLetterRow), total: count }), payload);

export const parseDeadLetter = (payload: unknown): DeadLetterText =>
  parse("deadletters.show", z.object({ letter: deadLetterText }), payload).letter;

/** Without an `envelopeId` the channel has the letter's answer, and there was no turn. */
export const parseReplayed = (
  payload: unknown,
): { readonly envelopeId?: string | undefined; readonly sessionKey: string } =>
  parse("deadletters.replay", z.object({ envelopeId: maybeText, sessionKey: z.string() }), payload);

export const parsePurged = (payload: unknown): number =>
  parse("deadletters.purge", z.object({ purged: z.number() }), payload).purged;

export const parseTimers = (payload: unknown): { readonly timers: readonly TimerEntry[]; readonly total: number } =>
  parse("timers.list", z.object({ timers: z.array(timerRow), total: count }), payload);

export const parseRemovedTimer = (payload: unknown): { readonly name: string; readonly sessionKey: string } =>
  parse("timers.remove", z.object({ name: text, sessionKey: z.string() }), payload);

export const parseTasks = (payload: unknown): readonly TaskEntry[] =>
  parse("subagents.list", z.object({ tasks: z.array(taskRow) }), payload).tasks;

export const parseCancelledTask = (payload: unknown): { readonly sessionKey: string; readonly cancelled: number } =>
  parse("subagents.cancel", z.object({ sessionKey: z.string(), cancelled: count }), payload);

const toolsExplained = z.object({
  sessionKey: text,
  sandbox: z.object({
    mode: text,
    sandboxed: z.boolean().catch(false),
    scope: text,
    workspaceAccess: text,
    root: text,
    /** A gateway of an earlier version ran none. */
    commands: z
      .object({
        in: text,
        folder: text.optional(),
        security: text,
        ask: text,
        bounds: z.array(text).optional(),
        broken: text.optional(),
      })
      .optional(),
    /** In a sandbox: whether commands may leave it. */
    elevated: z
      .object({
        allowed: z.boolean(),
        key: text.optional(),
        level: text.optional(),
        security: text.optional(),
        ask: text.optional(),
      })
      .optional(),
  }),
  allowed: z.array(z.string()),
  removed: z.array(z.object({ rule: text, key: text, tools: z.array(z.string()), remedy: text })),
});

export type ToolsExplained = z.infer<typeof toolsExplained>;

export const parseToolsExplained = (payload: unknown): ToolsExplained =>
  parse("tools.effective", toolsExplained, payload);

const mcpServers = z.object({
  servers: z.array(
    z.object({
      server: text,
      type: text,
      agents: count,
      connections: z.array(
        z.object({
          agentId: text,
          state: text,
          tools: count,
          calls: count,
          pid: z.number().optional(),
          reason: z.string().optional(),
        }),
      ),
    }),
  ),
});

export type McpServers = z.infer<typeof mcpServers>["servers"];

export const parseMcpServers = (payload: unknown): McpServers => parse("mcp.list", mcpServers, payload).servers;

export const parseGrants = (payload: unknown): readonly GrantEntry[] =>
  parse("grants.list", z.object({ grants: z.array(grantRow) }), payload).grants;

export const parseGrant = (method: string, payload: unknown): GrantEntry =>
  parse(method, z.object({ grant: grantRow }), payload).grant;

/** Requests that wait and that are allowed with the grant that was added; a gateway of an earlier version tells none. */
export const parseAllowedRequests = (payload: unknown): readonly string[] =>
  parse("grants.add", z.object({ waiting: z.array(z.string()).default([]) }), payload).waiting;

export const parseExplained = (payload: unknown): readonly ExplainedEntry[] =>
  parse("grants.explain", z.object({ verbs: z.array(explainedVerb) }), payload).verbs;

/** From the answers of `status` and `health`; a gateway that does not count them has none. */
export const parseDeadLetterCounts = (payload: Readonly<Record<string, unknown>>): DeadLetterCounts =>
  deadLetterCounts.parse(payload["deadLetters"]);

/** A gateway of an earlier version tells none. */
export const parseLanes = (payload: Readonly<Record<string, unknown>>): readonly LaneEntry[] =>
  z.array(laneRow).catch([]).parse(payload["lanes"]);

export const parseAccepted = (payload: unknown): z.infer<typeof accepted> =>
  parse("the accepted run", accepted, payload);

export interface FinalAnswer {
  readonly status: string;
  readonly runId: string;
  /** All visible text; empty when the agent chose to say nothing. */
  readonly text: string;
  readonly summary: string | undefined;
}

export function parseFinalAnswer(payload: unknown): FinalAnswer {
  const { status, runId, summary, result } = parse("agent", finalAnswer, payload);
  const texts = result?.payloads.flatMap(({ text: part }) => part ?? []) ?? [];
  return { status, runId, summary, text: texts.join("\n") };
}

/** Undefined for events of other kinds, which the command line does not show. */
export function findChatEvent({ event, payload }: { event: string; payload: unknown }): ChatRow | undefined {
  return event === "chat" ? chatEvent.safeParse(payload).data : undefined;
}

export function parse<T>(what: string, schema: z.ZodType<T>, payload: unknown): T {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Reading the gateway's answer to ${what}: ${z.prettifyError(parsed.error)}`,
    "Use a cloister command of the same version as the gateway.",
  );
}

const gatewayProcess = z.object({
  pid: count,
  bootId: text,
  startedAtMs: count,
  /** It has taken up what the process before it left. */
  ready: z.boolean().catch(true),
  /** Turns in flight. */
  runs: count,
  launcher: z
    .object({ pid: count, restarts: count, lastEnd: maybeText })
    .nullish()
    .transform((found) => found ?? undefined)
    .catch(undefined),
});

export type GatewayProcess = z.infer<typeof gatewayProcess>;

const stopping = z.object({ pid: count, bootId: text, drainMs: count, runs: count });

const shownRequest = z.object({
  id: text,
  from: text,
  to: text,
  verb: text,
  createdAtMs: count,
  expiresAtMs: count,
  calls: count,
  revision: count,
  messages: z.array(
    z.object({ fromSession: text, toSession: text, bodyChars: count, preview: z.string(), atMs: count }),
  ),
  releasing: z.boolean(),
  consequences: z.object({ once: z.array(text), grant: z.array(text) }),
});

export type RequestEntry = z.infer<typeof shownRequest>;

/** Of `grants.requests`. */
export const parseRequests = (payload: unknown): readonly RequestEntry[] =>
  parse("grants.requests", z.object({ requests: z.array(shownRequest) }), payload).requests;

const approved = z.object({
  delivered: count,
  waiting: count,
  buried: count.optional(),
  why: text.optional(),
  grant: grantRow.optional(),
});

/** Of `grants.approve`. */
export const parseApproved = (payload: unknown): z.infer<typeof approved> => parse("grants.approve", approved, payload);

/** Of `grants.deny`. */
export const parseDenied = (payload: unknown): number =>
  parse("grants.deny", z.object({ buried: count }), payload).buried;

const stoppedWork = z.object({
  scope: text,
  queued: count,
  active: count,
  senders: count,
  backlog: count,
  ending: count,
});

export type StoppedWorkRow = z.infer<typeof stoppedWork>;

/** Of `runs.stop`. */
export const parseStoppedWork = (payload: unknown): StoppedWorkRow => parse("runs.stop", stoppedWork, payload);

/** Of `gateway.status`. */
export const parseGatewayProcess = (payload: unknown): GatewayProcess =>
  parse("gateway.status", gatewayProcess, payload);

/** Of `gateway.stop` and `gateway.restart`. */
export const parseStopping = (payload: unknown): z.infer<typeof stopping> => parse("gateway.stop", stopping, payload);

const waiting = z.object({
  requests: z.array(
    z.object({
      id: z.string(),
      agentId: text,
      sessionKey: text,
      place: text,
      shown: z.object({ words: text, folder: text, variables: z.array(z.string()).catch([]) }),
      input: z.boolean().catch(false),
      allowed: z.boolean().catch(false),
      createdAtMs: count,
    }),
  ),
});

/** Commands that wait for an operator, or were allowed and have not run. */
export const parseApprovals = (payload: unknown): z.infer<typeof waiting>["requests"] =>
  parse("exec.approval.list", waiting, payload).requests;
