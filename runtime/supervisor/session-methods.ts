/** What clients ask of sessions: `sessions.*`, `chat.*`, `agent` and `agent.wait`. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Client } from "../edge/port.ts";
import { failure, fromRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Readers } from "../readers/readers.ts";
import type { SessionRow, Store } from "../store/port.ts";
import type { Ingress } from "./ingress.ts";
import type { Handlers, Params } from "./method-handlers.ts";
import type { SessionTarget, Targets } from "./method-targets.ts";
import type { Retention } from "./retention.ts";
import type { Runs } from "./runs.ts";
import type { SessionCare } from "./session-care.ts";
import type { StopWork } from "./stop-work.ts";

export interface SessionMethodDeps {
  readonly config: Pick<ResolvedConfig, "defaultAgentId">;
  readonly targets: Targets;
  readonly nowMs: () => number;
  readonly store: Pick<Store, "sessions" | "session" | "findSession" | "sessionsWithLabel" | "history">;
  readonly readers: Pick<Readers, "history">;
  readonly care: SessionCare;
  readonly retention: Pick<Retention, "sweep">;
  readonly ingress: Pick<Ingress, "said">;
  readonly runs: Pick<Runs, "wait">;
  readonly stopWork: StopWork;
  readonly isRunning: (sessionKey: string) => boolean;
}

type SessionMethods =
  | "sessions.list"
  | "sessions.describe"
  | "sessions.preview"
  | "sessions.subscribe"
  | "sessions.resolve"
  | "sessions.patch"
  | "sessions.reset"
  | "sessions.compact"
  | "sessions.cleanup"
  | "sessions.delete"
  | "sessions.send"
  | "sessions.steer"
  | "sessions.abort"
  | "chat.history"
  | "chat.send"
  | "chat.abort"
  | "runs.stop"
  | "agent"
  | "agent.wait";

export function makeSessionMethods(deps: SessionMethodDeps): Handlers<SessionMethods> {
  const { targets, store, nowMs, stopWork } = deps;

  const view = (row: SessionRow) => viewSession(row, deps.isRunning(row.key));

  const say = async (
    client: Client,
    target: SessionTarget,
    { message, idempotencyKey, ttlMs }: Pick<Params<"chat.send">, "message" | "idempotencyKey" | "ttlMs">,
    steers: boolean,
  ) => {
    const result = await deps.ingress.said({
      client,
      ...target,
      message,
      ...(steers ? { steers } : {}),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
    });
    if (result.status === "refused") throw fromRefusal(result.refusal);
    return { runId: result.runId, ...target, isRepeated: result.status === "duplicate" };
  };

  const start = async (client: Client, target: SessionTarget, message: Parameters<typeof say>[2], steers = false) => {
    const { isRepeated, ...said } = await say(client, target, message, steers);
    return { ...said, status: isRepeated ? ("in_flight" as const) : ("started" as const) };
  };

  const readHistory = async ({ agentId, sessionKey }: SessionTarget, limit: number) => {
    const page = await store.history(agentId, sessionKey, limit, 0, limits.historyReadCharsMax);
    const shown = await deps.readers.history(page, { offset: 0, includeTools: false, framed: false });
    return { sessionId: page.sessionId, ...shown };
  };

  /** `undefined`: nobody spoke to it. */
  const find = async ({ key, sessionId, label, agentId }: Params<"sessions.resolve">) => {
    if (label !== undefined) {
      const rows = await store.sessionsWithLabel(label);
      return rows.find((row) => agentId === undefined || row.agentId === agentId);
    }
    const reference = sessionId ?? key ?? "";
    return (await store.findSession(reference)) ?? (await store.session(targets.session(reference).sessionKey));
  };

  const preview = async (key: string, limit: number, charsMax: number) => {
    try {
      const target = targets.session(key);
      const row = await store.session(target.sessionKey);
      if (row === undefined) return { key, status: "missing" as const, items: [] };
      const { messages } = await readHistory(target, limit);
      const items = messages.map(({ role, content: [{ text }] }) => ({
        role,
        text: text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text,
      }));
      return { key, status: items.length === 0 ? ("empty" as const) : ("ok" as const), items };
    } catch {
      // One key that is none, or a store that fails, leaves the others their answer.
      return { key, status: "error" as const, items: [] };
    }
  };

  return {
    "sessions.list": async ({ limit, offset = 0, agentId, search, label, archived, activeMinutes }) => {
      const limitApplied = Math.min(limit ?? limits.sessionsListDefault, limits.historyMessagesMax);
      const { rows, total } = await store.sessions({
        limit: limitApplied,
        offset,
        ...(agentId === undefined ? {} : { agentIds: [agentId.toLowerCase()] }),
        ...(search === undefined ? {} : { search }),
        ...(label === undefined ? {} : { label }),
        ...(archived === undefined ? {} : { archived }),
        ...(activeMinutes === undefined ? {} : { activeSinceMs: nowMs() - activeMinutes * 60_000 }),
      });
      const hasMore = offset + rows.length < total;
      return {
        ts: nowMs(),
        path: "(multiple)",
        count: rows.length,
        total,
        totalCount: total,
        limitApplied,
        nextOffset: hasMore ? offset + rows.length : null,
        hasMore,
        defaults: noModel,
        sessions: rows.map(view),
      };
    },
    "sessions.describe": async ({ key }) => {
      const row = await store.session(targets.session(key).sessionKey);
      return { session: row === undefined ? null : view(row) };
    },
    "sessions.preview": async ({ keys, limit, maxChars }) => {
      const previews = await Promise.all(
        keys.map((key) => preview(key, limit ?? limits.previewMessagesDefault, maxChars ?? limits.previewCharsDefault)),
      );
      return { ts: nowMs(), previews };
    },
    // Events go to every client that may read.
    "sessions.subscribe": () => ({ subscribed: true }),
    "sessions.resolve": async (asked) => {
      const row = await find(asked);
      if (row !== undefined) return { ok: true, key: row.key, session: view(row) };
      throw failure(
        "CLOISTER_SESSION_UNKNOWN",
        asked.label === undefined
          ? `no session is known as ${asked.sessionId ?? asked.key}`
          : `No session found with label: ${asked.label}`,
        "cloister sessions",
      );
    },
    "sessions.patch": async ({ key, label, archived, pinned, model, thinkingLevel, verboseLevel, sendPolicy }) => {
      const { sessionKey, agentId } = targets.session(key);
      const row = await deps.care.patch(sessionKey, agentId, {
        ...(label === undefined ? {} : { label }),
        ...(archived === undefined ? {} : { archived }),
        ...(pinned === undefined ? {} : { pinned }),
        ...(model === undefined ? {} : { model }),
        ...(thinkingLevel === undefined ? {} : { thinking: thinkingLevel }),
        ...(verboseLevel === undefined ? {} : { verbose: verboseLevel }),
        ...(sendPolicy === undefined ? {} : { sendPolicy }),
      });
      return { ok: true, key: row.key, session: view(row) };
    },
    "sessions.reset": async ({ key }) => {
      const { sessionKey, agentId } = targets.session(key);
      const row = await deps.care.reset(sessionKey, agentId);
      return { ok: true, key: row.key, session: view(row) };
    },
    "sessions.compact": async ({ key, focus = "", timeoutMs, idempotencyKey }, client) => {
      const target = targets.session(key);
      const { sessionKey } = target;
      const before = await store.session(sessionKey);
      if (before === undefined)
        throw failure("CLOISTER_SESSION_UNKNOWN", `no session is known as ${sessionKey}`, "cloister sessions");
      const command = {
        message: `/compact ${focus}`,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      };
      const { runId } = await say(client, target, command, false);
      const end = await deps.runs.wait(runId, timeoutMs ?? limits.askTimeoutMsDefault);
      if (end.status === "error") throw fromRefusal(end.refusal);
      const after = await store.session(sessionKey);
      // A session that began anew meanwhile counts from 0.
      const compacted =
        (after?.compactions ?? 0) > (after?.sessionId === before.sessionId ? (before.compactions ?? 0) : 0);
      const told = end.status === "ok" && end.reply !== null ? { reason: end.reply } : {};
      return { ok: true, key: sessionKey, runId, status: end.status, compacted, ...told };
    },
    "sessions.cleanup": ({ enforce }) => deps.retention.sweep(enforce),
    "sessions.delete": async ({ key }) => {
      const { sessionKey, agentId } = targets.session(key);
      const row = await deps.care.delete(sessionKey, agentId);
      return { ok: true, key: row.key, sessionId: row.sessionId, messages: row.messages };
    },
    "sessions.send": ({ key, ...message }, client) => start(client, targets.session(key), message),
    "sessions.steer": ({ key, ...message }, client) => start(client, targets.session(key), message, true),
    "sessions.abort": async ({ key, runId }, client) => {
      const stopped =
        key === undefined
          ? (await stopWork(runId ?? "", client.clientId)).runIds
          : await stopWork.session(targets.session(key).sessionKey, runId, client.clientId);
      const [abortedRunId = null] = stopped;
      return { ok: true, abortedRunId, status: abortedRunId === null ? "no-active-run" : "aborted" };
    },
    "chat.history": async ({ sessionKey: reference, limit }) => {
      const target = targets.session(reference);
      const [history, row] = await Promise.all([
        readHistory(target, Math.min(limit ?? limits.historyMessagesDefault, limits.historyMessagesMax)),
        store.session(target.sessionKey),
      ]);
      const sessionInfo = row === undefined ? {} : { sessionInfo: view(row) };
      return { sessionKey: target.sessionKey, ...history, defaults: noModel, ...sessionInfo };
    },
    "chat.send": ({ sessionKey, ...message }, client) => start(client, targets.session(sessionKey), message),
    "chat.abort": async ({ sessionKey, runId }, client) => {
      const stopped = await stopWork.session(targets.session(sessionKey).sessionKey, runId, client.clientId);
      return { ok: true, aborted: stopped.length > 0, runIds: stopped };
    },
    "runs.stop": async ({ target }, client) => ({ ok: true, ...(await stopWork(target, client.clientId)) }),
    agent: async ({ agentId, sessionKey, ...message }, client) => {
      const target = sessionKey === undefined ? targets.main(targets.agent(agentId)) : targets.session(sessionKey);
      const { isRepeated: _, ...said } = await say(client, target, message, false);
      return { ...said, status: "accepted", acceptedAt: nowMs() };
    },
    "agent.wait": async ({ runId, timeoutMs }) => {
      const result = await deps.runs.wait(runId, timeoutMs ?? limits.askTimeoutMsDefault);
      if (result.status !== "error") return result;
      const { code, message } = result.refusal;
      return { runId: result.runId, status: result.status, error: message, code };
    },
  };
}

/** Not told by these methods: an agent may be a module without a model. `session_status` and `/status` name the one that it has. */
const noModel = { modelProvider: null, model: null, contextTokens: null };

/** A session as clients see it. `kind` is the peer's word, `classification` ours. */
function viewSession(row: SessionRow, isRunning: boolean) {
  const { key, sessionId, agentId, kind, channel, label, spawnedBy, lastRoute } = row;
  const chat = kind === "group" ? ("group" as const) : ("direct" as const);
  const through = lastRoute !== undefined && "channel" in lastRoute ? { lastChannel: lastRoute.channel } : {};
  return {
    key,
    sessionId,
    agentId,
    kind: chat,
    chatType: chat,
    classification: kind,
    isMain: kind === "main",
    isBackground: kind === "cron" || kind === "hook" || spawnedBy !== undefined,
    channel,
    ...through,
    ...(label === undefined ? {} : { label, displayName: label }),
    createdAt: row.createdAtMs,
    updatedAt: row.updatedAtMs,
    compactionCount: row.compactions ?? 0,
    ...(row.interactedAtMs === undefined ? {} : { lastInteractionAt: row.interactedAtMs }),
    ...(row.startedAtMs === undefined ? {} : { startedAt: row.startedAtMs }),
    ...(spawnedBy === undefined ? {} : { spawnedBy }),
    // What was chosen for this session alone.
    ...(row.choices?.model === undefined ? {} : { model: row.choices.model }),
    ...(row.choices?.authProfile === undefined ? {} : { authProfile: row.choices.authProfile }),
    ...(row.choices?.thinking === undefined ? {} : { thinkingLevel: row.choices.thinking }),
    ...(row.choices?.verbose === undefined ? {} : { verboseLevel: row.choices.verbose }),
    ...(row.choices?.sendPolicy === undefined ? {} : { sendPolicy: row.choices.sendPolicy }),
    messages: row.messages,
    lastMessagePreview: row.lastPreview,
    status: isRunning ? ("running" as const) : ("done" as const),
    hasActiveRun: isRunning,
    archived: row.archivedAtMs !== undefined,
    pinned: row.pinned === true,
  };
}
