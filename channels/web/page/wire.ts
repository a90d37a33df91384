/**
 * The page's side of the wire: frames, and readers that turn what arrives into typed rows.
 *
 * The readers are lenient on purpose. The page is served by one gateway version and may be answered by a newer one after a
 * restart, so a row that lacks an optional field is kept and a row without its identity is skipped; nothing here throws.
 */
import type { AgentStatus, ChatEvent, Flow } from "../../../runtime/edge/port.ts";

export type { AgentStatus, ChatEvent, Flow };

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  /** The finer reason, e.g. `AUTH_TOKEN_MISSING`. */
  readonly detailCode?: string;
}

export type Incoming =
  | { readonly type: "res"; readonly id: string; readonly ok: true; readonly payload: unknown }
  | { readonly type: "res"; readonly id: string; readonly ok: false; readonly error: WireError }
  | { readonly type: "event"; readonly event: string; readonly payload: unknown; readonly seq?: number };

/** One conversation of an agent, as the list of sessions shows it. */
export interface SessionEntry {
  readonly key: string;
  readonly agentId: string;
  readonly label?: string;
  readonly kind: string;
  readonly channel: string;
  readonly updatedAtMs: number;
}

/** One row of `chat.history`. `source` is set when the message did not come from this page. */
export interface HistoryEntry {
  readonly role: "user" | "assistant" | "tool";
  readonly text: string;
  readonly atMs: number;
  readonly source?: MessageSource;
}

export type MessageSource =
  /** The operator, at another client: the command line, a terminal. */
  | { readonly type: "operator"; readonly client: string }
  | { readonly type: "agent"; readonly agentId: string; readonly sessionKey: string }
  | { readonly type: "channel"; readonly channel: string; readonly sender?: string };

/** One message that will not be handled, and why. */
export interface DeadLetterEntry {
  readonly id: string;
  readonly fate: string;
  readonly reason: string;
  readonly sessionKey: string;
  /** The beginning of the message. */
  readonly preview: string;
  readonly atMs: number;
}

/** The newest of them, newest first, and how many there are. */
export interface DeadLetters {
  readonly letters: readonly DeadLetterEntry[];
  readonly total: number;
}

export type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** The fields of an object; anything else has none. */
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;
export const count = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** The texts of a list. */
export const texts = (value: unknown): readonly string[] => list(value).flatMap((one) => text(one) ?? []);

/** A text frame, or undefined when it is not one of ours. */
export function parseFrame(raw: string): Incoming | undefined {
  let frame: Fields;
  try {
    frame = fieldsOf(JSON.parse(raw));
  } catch {
    return undefined;
  }
  if (frame["type"] === "event" && typeof frame["event"] === "string") {
    const head = { type: "event", event: frame["event"], payload: frame["payload"] } as const;
    return typeof frame["seq"] === "number" ? { ...head, seq: frame["seq"] } : head;
  }
  if (frame["type"] !== "res" || typeof frame["id"] !== "string") return undefined;
  if (frame["ok"] === true) return { type: "res", id: frame["id"], ok: true, payload: frame["payload"] };
  return { type: "res", id: frame["id"], ok: false, error: parseError(frame["error"]) };
}

function parseError(value: unknown): WireError {
  const error = fieldsOf(value);
  const details = fieldsOf(error["details"]);
  const detailCode = text(details["code"]);
  const message = text(error["message"]) ?? "The gateway refused without a reason.";
  const remedy = text(error["remedy"]) ?? text(details["remedy"]) ?? text(details["remediationHint"]);
  return {
    code: text(error["code"]) ?? "UNKNOWN",
    message: remedy === undefined || message.includes(remedy) ? message : `${message} ${remedy}`,
    ...(typeof error["retryable"] === "boolean" ? { retryable: error["retryable"] } : {}),
    ...(typeof error["retryAfterMs"] === "number" ? { retryAfterMs: error["retryAfterMs"] } : {}),
    ...(detailCode === undefined ? {} : { detailCode }),
  };
}

const phases: readonly AgentStatus["phase"][] = [
  "dormant",
  "starting",
  "live",
  "running",
  "stopping",
  "parked",
  "disabled",
];

/** From `{agents: […]}`: the answer of `agents.list` and the event `agents`. */
export function parseAgents(payload: unknown): readonly AgentStatus[] {
  return list(fieldsOf(payload)["agents"]).flatMap((value) => {
    const row = fieldsOf(value);
    const agentId = text(row["agentId"]) ?? text(row["id"]);
    if (agentId === undefined) return [];
    const reason = text(row["reason"]);
    return [
      {
        agentId,
        name: text(row["name"]) ?? agentId,
        isDefault: row["isDefault"] === true,
        module: text(row["module"]) ?? "",
        workspace: text(row["workspace"]) ?? "",
        phase: phases.find((phase) => phase === row["phase"]) ?? "dormant",
        ...(reason === undefined ? {} : { reason }),
        activeRuns: count(row["activeRuns"]),
        queueDepth: count(row["queueDepth"]),
        restarts: count(row["restarts"]),
        ...(typeof row["lastActivityAtMs"] === "number" ? { lastActivityAtMs: row["lastActivityAtMs"] } : {}),
        mainSessionKey: text(row["mainSessionKey"]) ?? `agent:${agentId}:main`,
      },
    ];
  });
}

/** From `{sessions: […]}`, newest first. */
export function parseSessions(payload: unknown): readonly SessionEntry[] {
  return list(fieldsOf(payload)["sessions"])
    .flatMap((value): SessionEntry[] => {
      const row = fieldsOf(value);
      const key = text(row["key"]);
      if (key === undefined) return [];
      const label = text(row["label"]) ?? text(row["displayName"]);
      return [
        {
          key,
          agentId: text(row["agentId"]) ?? agentOfSession(key),
          ...(label === undefined ? {} : { label }),
          kind: text(row["classification"]) ?? "other",
          channel: text(row["channel"]) ?? "",
          updatedAtMs: count(row["updatedAt"]) || count(row["updatedAtMs"]),
        },
      ];
    })
    .toSorted((a, b) => b.updatedAtMs - a.updatedAtMs);
}

/** From `{messages: […]}`, oldest first. Messages without text are left out. */
export function parseHistory(payload: unknown): readonly HistoryEntry[] {
  return list(fieldsOf(payload)["messages"]).flatMap((value): HistoryEntry[] => {
    const row = fieldsOf(value);
    const body = parseContent(row["content"]);
    if (body === "") return [];
    const role = row["role"] === "user" ? "user" : row["role"] === "assistant" ? "assistant" : "tool";
    const source = parseSource(row["provenance"]);
    return [{ role, text: body, atMs: count(row["timestamp"]), ...(source === undefined ? {} : { source }) }];
  });
}

function parseContent(value: unknown): string {
  if (typeof value === "string") return value;
  return list(value)
    .flatMap((block) => text(fieldsOf(block)["text"]) ?? [])
    .join("\n\n");
}

/** The page's name in the handshake, by which its own messages are known again in the history. */
export const clientId = "cloister-page";
/** The channel that the gateway writes down for what an operator's client sends. */
const operatorChannel = "webchat";

export function parseSource(value: unknown): MessageSource | undefined {
  const provenance = fieldsOf(value);
  const sessionKey = text(provenance["sourceSessionKey"]);
  if (provenance["kind"] === "inter_session" && sessionKey !== undefined) {
    return { type: "agent", agentId: agentOfSession(sessionKey), sessionKey };
  }
  const channel = text(provenance["sourceChannel"]);
  if (provenance["kind"] !== "external_user" || channel === undefined) return undefined;
  const sender = text(provenance["senderName"]) ?? text(provenance["senderId"]);
  if (channel === operatorChannel) {
    return sender === undefined || sender === clientId ? undefined : { type: "operator", client: sender };
  }
  return sender === undefined ? { type: "channel", channel } : { type: "channel", channel, sender };
}

const chatStates: ReadonlySet<unknown> = new Set(["delta", "final", "aborted", "error"]);

/** A chat event that the page shows; events of other states (progress notes) give undefined. */
export const parseChat = (payload: unknown): ChatEvent | undefined => (isChat(payload) ? payload : undefined);

function isChat(payload: unknown): payload is ChatEvent {
  const { runId, sessionKey, state } = fieldsOf(payload);
  return text(runId) !== undefined && text(sessionKey) !== undefined && chatStates.has(state);
}

/** All text of a chat event so far, or undefined when the event carries none. */
export function chatText(event: ChatEvent): string | undefined {
  const { content } = fieldsOf(event.message);
  return content === undefined ? undefined : parseContent(content);
}

const flowStates: ReadonlySet<unknown> = new Set(["open", "ok", "timeout", "error"]);

export const parseFlow = (payload: unknown): Flow | undefined => (isFlow(payload) ? payload : undefined);

function isFlow(payload: unknown): payload is Flow {
  const { id, fromAgent, toAgent, state, atMs } = fieldsOf(payload);
  const isNamed = [id, fromAgent, toAgent].every((value) => text(value) !== undefined);
  return isNamed && flowStates.has(state) && typeof atMs === "number";
}

/** The answer of `flow.recent`. */
export interface RecentFlows {
  readonly flows: readonly Flow[];
  /** More than are listed, where very many wait. */
  readonly openTotal: number;
}

export function parseFlows(payload: unknown): RecentFlows {
  const { flows, openTotal } = fieldsOf(payload);
  return {
    flows: list(flows).flatMap((value) => parseFlow(value) ?? []),
    openTotal: typeof openTotal === "number" ? openTotal : 0,
  };
}

/** The answer of `deadletters.list`. */
export function parseDeadLetters(payload: unknown): DeadLetters {
  const fields = fieldsOf(payload);
  const letters = list(fields["letters"]).flatMap((value): DeadLetterEntry[] => {
    const row = fieldsOf(value);
    const id = text(row["id"]);
    if (id === undefined) return [];
    return [
      {
        id,
        fate: text(row["fate"]) ?? "",
        reason: text(row["reason"]) ?? "no reason was given",
        sessionKey: text(row["sessionKey"]) ?? "",
        preview: text(row["preview"]) ?? "",
        atMs: count(row["atMs"]),
      },
    ];
  });
  return { letters, total: Math.max(count(fields["total"]), letters.length) };
}

/** The run id of an accepted `chat.send`. */
export function parseRunId(payload: unknown): string | undefined {
  return text(fieldsOf(payload)["runId"]);
}

export function parseSessionKeyOf(payload: unknown): string | undefined {
  return text(fieldsOf(payload)["sessionKey"]);
}

/** The agent of a session key `agent:<id>:…`; for display, so an unknown form gives the key itself. */
export function agentOfSession(key: string): string {
  const [head, agentId] = key.split(":");
  return head === "agent" && agentId !== undefined && agentId !== "" ? agentId : key;
}
