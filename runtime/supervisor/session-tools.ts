/**
 * The session tools as agents call them: `sessions_list`, `sessions_history`, `sessions_send`. Who asks comes from the turn
 * and never from the parameters. Order of the checks: reference, sandbox clamp, visibility, agent-to-agent, then the rest;
 * policy is judged before anything of the target is read. Source: behaviour §3.1–§3.4, §3.8.
 */
import { z } from "zod";
import {
  judgeSession,
  type Judgement,
  type Policy,
  type Requester,
  type SessionVerb,
  type Target,
  isClampedSession,
} from "../../auth/policy.ts";
import { toolsPairingId } from "../../auth/compile-pairings.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { limits } from "../kernel/limits.ts";
import type { PairingRegistry } from "../kernel/pairings.ts";
import type { Kernel } from "../kernel/kernel.ts";
import {
  agentIdForm,
  isThreadKey,
  isValidAgentId,
  mainSessionKey,
  parentSessionKey,
  resolveSessionReference,
  sessionChannel,
  sessionKind,
} from "../routing/index.ts";
import type { Readers } from "../readers/readers.ts";
import type { SessionRow, Store } from "../store/port.ts";
import { fault, type ToolCall, type ToolRefusal, type ToolTable } from "./tools.ts";

export interface SessionToolsDeps {
  readonly config: ResolvedConfig;
  readonly policy: Policy;
  readonly store: Store;
  readonly readers: Readers;
  readonly kernel: () => Kernel;
  readonly pairings: () => PairingRegistry;
  readonly nowMs: () => number;
}

interface Resolved {
  readonly key: string;
  readonly agentId: string;
  readonly row: SessionRow | undefined;
}

const sendParams = z.object({
  sessionKey: z.string().optional(),
  label: z.string().min(1).max(limits.labelCharsMax).optional(),
  agentId: z.string().optional(),
  timeoutSeconds: z
    .number()
    .int()
    .min(0)
    .default(limits.askTimeoutMsDefault / 1_000),
  hasMessage: z.boolean(),
});

const listParams = z.object({
  kinds: z.array(z.enum(["main", "group", "cron", "hook", "node", "other"])).optional(),
  limit: z.number().int().min(1).default(limits.sessionsListDefault),
  offset: z.number().int().min(0).default(0),
  activeMinutes: z.number().positive().optional(),
  label: z.string().optional(),
  agentId: z.string().optional(),
  search: z.string().optional(),
});

const historyParams = z.object({
  sessionKey: z.string().min(1),
  limit: z.number().int().min(1).default(limits.historyMessagesDefault),
  offset: z.number().int().min(0).default(0),
  includeTools: z.boolean().default(false),
});

export function makeSessionTools(deps: SessionToolsDeps): ToolTable {
  const { config, policy, store } = deps;
  const agents = new Map(config.agents.map((agent) => [agent.id, agent]));

  const requesterOf = (call: ToolCall): Requester => {
    const mainKey = mainSessionKey(call.agentId, config.session);
    const mode = agents.get(call.agentId)?.sandboxMode ?? "off";
    return {
      agentId: call.agentId,
      sessionKey: call.header.sessionKey,
      mainSessionKey: mainKey,
      sandboxed: mode === "all" || (mode === "non-main" && call.header.sessionKey !== mainKey),
    };
  };

  /** Step 1 of §3.1 as far as it needs no store: what the reference means, or the refusal. */
  const resolveReference = (
    requester: Requester,
    reference: string,
  ): { key: string; agentId: string } | ToolRefusal => {
    const resolved = resolveSessionReference(reference, {
      agentId: requester.agentId,
      sessionKey: requester.sessionKey,
      mainKey: config.session.mainKey,
      scope: config.session.scope,
    });
    return resolved.status === "malformed"
      ? fault("invalid", resolved.refusal.message)
      : { key: resolved.key, agentId: resolved.agentId };
  };

  const judge = (requester: Requester, target: Resolved, verb: SessionVerb): Judgement =>
    judgeSession(
      policy,
      requester,
      {
        agentId: target.agentId,
        sessionKey: target.key,
        ancestors: target.row?.spawnedBy === undefined ? [] : [target.row.spawnedBy],
      } satisfies Target,
      verb,
    );

  /** A key that exists or not, an alias, or a session id. */
  const findByKey = async (requester: Requester, reference: string): Promise<Resolved | ToolRefusal> => {
    if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/i.test(reference)) {
      const row = await store.findSession(reference);
      if (row !== undefined) return { key: row.key, agentId: row.agentId, row };
    }
    const resolved = resolveReference(requester, reference);
    if ("status" in resolved) return resolved;
    if (!agents.has(resolved.agentId))
      return fault("not_found", `agent not found: ${resolved.agentId}`, "cloister agents list");
    // The index row tells the lineage; it is the supervisor's and not the target's store.
    return { ...resolved, row: await store.session(resolved.key) };
  };

  /** An agent's main session, which every agent has, as far as no store has to be asked. */
  const mainOf = (agentId: string): Resolved => ({
    key: mainSessionKey(agentId, config.session),
    agentId,
    row: undefined,
  });

  const findByLabel = async (
    requester: Requester,
    label: string,
    agentId: string | undefined,
    verb: SessionVerb,
  ): Promise<Resolved | ToolRefusal> => {
    if (agentId !== undefined && agentId !== requester.agentId) {
      if (isClampedSession(policy, requester))
        return forbidden(
          "Sandboxed sessions_send label lookup is limited to this agent",
          'agents.defaults.sandbox.sessionToolsVisibility: "all"',
        );
      const pair = judge(requester, mainOf(agentId), verb);
      if (!pair.allowed) return forbidden(pair.message, pair.remedy);
    }
    const rows = (await store.sessionsWithLabel(label)).filter(
      (row) => agentId === undefined || row.agentId === agentId,
    );
    const own = rows.find((row) => row.agentId === requester.agentId);
    const row = own ?? rows[0];
    if (row === undefined)
      return fault("not_found", `No session found with label: ${label}`, "sessions_list shows labels");
    return { key: row.key, agentId: row.agentId, row };
  };

  async function send(call: ToolCall): Promise<object | undefined> {
    const params = parse(sendParams, call);
    if ("status" in params) return params;
    const requester = requesterOf(call);
    if (params.agentId !== undefined && !isValidAgentId(params.agentId)) {
      return fault("invalid", `Invalid agentId "${params.agentId}". Agent IDs must match ${agentIdForm}`);
    }
    const agentId = params.agentId?.toLowerCase();
    if (agentId !== undefined && !agents.has(agentId))
      return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    const verb = params.timeoutSeconds > 0 ? "request" : "send";
    const target =
      params.sessionKey !== undefined
        ? await findByKey(requester, params.sessionKey)
        : params.label !== undefined
          ? await findByLabel(requester, params.label, agentId, verb)
          : agentId !== undefined
            ? await findByKey(requester, mainSessionKey(agentId, config.session))
            : fault("invalid", "Either sessionKey or label is required");
    if ("status" in target) return target;
    const request = {
      sessionKey: target.key,
      timeoutMs: params.timeoutSeconds * 1_000,
      call: { key: call.key, op: "tool" as const, name: call.tool, to: target.key },
      body: call.body,
      ref: call.ref,
      sourceTool: call.tool,
    };
    // What an earlier delivery of the turn was allowed to send is sent.
    if (deps.kernel().repeatFor(call.agentId, call.turn, request, deps.nowMs())) return undefined;
    if (!params.hasMessage) return fault("invalid", "message is required: the text to send");
    const judged = judge(requester, target, verb);
    if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    if (isThreadKey(target.key)) {
      return fault(
        "invalid",
        `sessions_send cannot target a thread session; use the parent channel session key ${parentSessionKey(target.key)}`,
      );
    }
    const missing = whyMissing(target);
    if (missing !== undefined) return missing;
    const cross = target.agentId !== requester.agentId;
    const pairing = cross
      ? deps.pairings().find(`agent:${requester.agentId}`, verb, `agent:${target.agentId}`)
      : undefined;
    // Own children of another agent and own sessions are reached by the right to the tool itself.
    const via = pairing?.id ?? toolsPairingId(requester.agentId);
    const isOpen = deps.kernel().sendFor(call.agentId, call.turn, { ...request, via }, deps.nowMs());
    return isOpen ? undefined : fault("invalid", "the turn that called sessions_send is over");
  }

  /** An agent's main session is there from the start; any other key has to be one that was spoken to: a typo makes no session. */
  function whyMissing({ key, agentId, row }: Resolved): ToolRefusal | undefined {
    if (row !== undefined || key === mainSessionKey(agentId, config.session)) return undefined;
    return fault("not_found", `No session found with key: ${key}`, "sessions_list shows the sessions");
  }

  async function list(call: ToolCall): Promise<object> {
    const params = parse(listParams, call);
    if ("status" in params) return params;
    const requester = requesterOf(call);
    const agentId = params.agentId?.toLowerCase();
    if (agentId !== undefined && !agents.has(agentId))
      return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    if (agentId !== undefined && agentId !== requester.agentId) {
      const judged = judge(requester, mainOf(agentId), "list");
      if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    }
    const visibleAgents = [...agents.keys()].filter(
      (id) =>
        (agentId === undefined || id === agentId) &&
        (id === requester.agentId || isClampedSession(policy, requester) || judgePairFor(requester, id)),
    );
    const limit = Math.min(params.limit, limits.sessionsListMax);
    const found = await store.sessions({
      agentIds: visibleAgents,
      limit: limits.sessionsListMax * 10,
      offset: 0,
      ...(params.activeMinutes === undefined ? {} : { activeSinceMs: deps.nowMs() - params.activeMinutes * 60_000 }),
      ...(params.label === undefined ? {} : { label: params.label }),
      ...(params.search === undefined ? {} : { search: params.search }),
    });
    const virtual =
      params.activeMinutes === undefined && params.label === undefined && params.search === undefined
        ? neverSpoken(visibleAgents, found.rows)
        : [];
    const rows = [...found.rows.map((row) => ({ key: row.key, agentId: row.agentId, row })), ...virtual]
      .filter((target) => judge(requester, target, "list").allowed)
      .map((target) => view(requester, target))
      .filter((row) => params.kinds === undefined || params.kinds.includes(row.kind));
    const page: object[] = [];
    let bytes = 0;
    for (const row of rows.slice(params.offset, params.offset + limit)) {
      bytes += JSON.stringify(row).length;
      if (bytes > limits.sessionsListBytesMax) break;
      page.push(row);
    }
    const next = params.offset + page.length;
    const hasMore = next < rows.length;
    return {
      status: "ok",
      sessions: page,
      count: page.length,
      hasMore,
      ...(hasMore ? { nextOffset: next, truncationReason: page.length < limit ? "bytes" : "limit" } : {}),
      ...(policy.visibility === "all"
        ? {}
        : { visibility: `tools.sessions.visibility is "${policy.visibility}": sessions outside of it are not listed` }),
    };
  }

  const judgePairFor = (requester: Requester, agentId: string): boolean =>
    judge(requester, mainOf(agentId), "list").allowed;

  /** A configured agent can be spoken to before it ever was: its main session is listed from the start. */
  function neverSpoken(visible: readonly string[], rows: readonly SessionRow[]): Resolved[] {
    const known = new Set(rows.map(({ key }) => key));
    return visible.map(mainOf).filter(({ key }) => !known.has(key));
  }

  function view(requester: Requester, { key, agentId, row }: Resolved) {
    const access = {
      read: judge(requester, { key, agentId, row }, "history").allowed,
      send: judge(requester, { key, agentId, row }, "send").allowed,
      control: row?.spawnedBy === requester.sessionKey,
    };
    const base = {
      key,
      agentId,
      kind: row?.kind ?? sessionKind(key, config.session.mainKey),
      channel: row?.channel ?? sessionChannel(key),
      access,
    };
    if (row === undefined) return { ...base, messages: 0, updatedAt: 0 };
    const { lastRoute } = row;
    return {
      ...base,
      sessionId: row.sessionId,
      ...(row.label === undefined ? {} : { label: row.label }),
      updatedAt: row.updatedAtMs,
      messages: row.messages,
      ...(lastRoute?.type === "channel" ? { lastChannel: lastRoute.channel, lastTo: lastRoute.peerId } : {}),
      ...(row.spawnedBy === undefined ? {} : { spawnedBy: row.spawnedBy }),
      status: deps.kernel().isRunning(key) ? "running" : "idle",
    };
  }

  async function history(call: ToolCall): Promise<object> {
    const params = parse(historyParams, call);
    if ("status" in params) return params;
    const requester = requesterOf(call);
    const target = await findByKey(requester, params.sessionKey);
    if ("status" in target) return target;
    const judged = judge(requester, target, "history");
    if (!judged.allowed) return forbidden(judged.message, judged.remedy);
    const missing = whyMissing(target);
    if (missing !== undefined) return missing;
    const limit = Math.min(params.limit, limits.historyMessagesMax);
    const page = await store.history(target.agentId, target.key, limit, params.offset, limits.historyReadCharsMax);
    const shown = await deps.readers.history(page, {
      offset: params.offset,
      includeTools: params.includeTools,
      framed: true,
    });
    return { status: "ok", sessionKey: target.key, ...shown };
  }

  return {
    sessions_send: { repeat: "by-call", run: send },
    sessions_list: { repeat: "reads", run: list },
    sessions_history: { repeat: "reads", run: history },
  };
}

function parse<T extends z.ZodType>(schema: T, call: ToolCall): z.infer<T> | ToolRefusal {
  let params: unknown;
  try {
    params = JSON.parse(call.params);
  } catch {
    return fault("invalid", `the parameters of ${call.tool} are not JSON`);
  }
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return fault("invalid", `${call.tool}: ${issue?.path.join(".") || "parameters"}: ${issue?.message ?? "not valid"}`);
}

function forbidden(error: string, operatorHint: string): ToolRefusal {
  return { status: "forbidden", code: "forbidden", error, operatorHint };
}
