/**
 * What clients may ask of the kernel's side: one function a method. Names, scopes and the form of parameters are in
 * `runtime/edge/methods.ts`; the edge has checked both when a call arrives here.
 */
import type { AgentBudgets } from "./agent-budgets.ts";
import type { AgentMemory } from "./agent-memory.ts";
import { judgePair, type Policy } from "../../auth/policy.ts";
import type { AgentStatus, Client, RpcResult } from "../edge/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Principal } from "../kernel/envelope.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import type { LaneRow } from "../kernel/lanes.ts";
import { limits } from "../kernel/limits.ts";
import type { AgentOrder } from "../kernel/orders.ts";
import { explainRoute, formatExplanation, type RouteTable } from "../routing/index.ts";
import { readLogTail } from "../observe/log-tail.ts";
import type { Readers } from "../readers/readers.ts";
import type { DeadLetterFilter, DeadLetterRow, Store } from "../store/port.ts";
import type { AuditMethods } from "./audit-desk.ts";
import type { Backups } from "./backups.ts";
import type { Clock } from "./clock.ts";
import type { ChannelDesk } from "./channels/channel-desk.ts";
import { makeChannelMethods } from "./channels/channel-methods.ts";
import { makeCatalogMethods } from "./catalog-methods.ts";
import type { Commands } from "./commands/index.ts";
import type { makeConfigMethods } from "./config-methods.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { GrantRequests } from "./grant-requests.ts";
import type { Callers } from "./callers.ts";
import type { DeviceDesk } from "./devices.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import type { Invitations } from "./invitations.ts";
import type { Nodes } from "./nodes.ts";
import type { SenderDesk } from "./senders.ts";
import type { Grants } from "./grants.ts";
import type { GatewayViews } from "./gateway-views.ts";
import type { Handlers } from "./method-handlers.ts";
import { makeTargets } from "./method-targets.ts";
import { makeSessionMethods } from "./session-methods.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Ingress } from "./ingress.ts";
import type { Metrics } from "./metrics.ts";
import { makeRightMatrix } from "./right-matrix.ts";
import type { Retention } from "./retention.ts";
import type { SessionCare } from "./session-care.ts";
import type { Runs } from "./runs.ts";
import type { Signals } from "./signals.ts";
import type { Subagents } from "./subagents.ts";
import type { StopWork } from "./stop-work.ts";
import type { ThreadTools } from "./tools/thread-tools.ts";
import { makeUsageMethods } from "./usage-methods.ts";
import type { makeToolMethods } from "./tools/tool-methods.ts";

export interface OperatorDeps {
  readonly config: ResolvedConfig;
  readonly configMethods: ReturnType<typeof makeConfigMethods>;
  readonly toolMethods: ReturnType<typeof makeToolMethods>;
  readonly threadToolMethods: ThreadTools["methods"];
  /** Whether one of the configuration in force has this id. */
  readonly isAgent: (agentId: string) => boolean;
  readonly budgets: AgentBudgets;
  readonly views: GatewayViews;
  readonly nowMs: () => number;
  readonly store: Store;
  readonly readers: Readers;
  readonly care: SessionCare;
  readonly retention: Pick<Retention, "sweep">;
  readonly routes: RouteTable;
  readonly ingress: Ingress;
  readonly runs: Runs;
  readonly commands: Pick<Commands, "list">;
  readonly deadLetters: DeadLetters;
  readonly audit: AuditMethods;
  readonly signals: Pick<Signals, "timers" | "remove">;
  readonly clock: Pick<Clock, "methods">;
  readonly grants: Grants;
  readonly devices: DeviceDesk;
  readonly senders: SenderDesk;
  readonly nodes: Pick<Nodes, "list" | "describe" | "verify" | "invoke">;
  readonly invitations: Pick<Invitations, "issue">;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly noteOften: ReturnType<typeof makeAuditNote>;
  readonly callers: Callers;
  readonly requests: Pick<GrantRequests, "waiting" | "approve" | "deny">;
  readonly channels: Pick<ChannelDesk, "views" | "link" | "unlink">;
  readonly subagents: Pick<Subagents, "list" | "cancel">;
  readonly policy: Policy;
  readonly agents: () => readonly AgentStatus[];
  readonly lanes: () => readonly LaneRow[];
  readonly stopWork: StopWork;
  readonly order: (agentId: string, order: AgentOrder) => boolean;
  readonly unpark: (agentId: string) => boolean;
  /** Of a disabled agent; false when it is none. */
  readonly bringBack: (agentId: string) => Promise<boolean>;
  readonly backups: Backups;
  readonly metrics: Pick<Metrics, "text">;
  readonly memory: Pick<AgentMemory, "rows">;
  readonly lifecycle: Lifecycle;
  readonly isRunning: (sessionKey: string) => boolean;
}

export function makeOperatorMethods(
  deps: OperatorDeps,
): (client: Client, method: string, params: unknown) => Promise<RpcResult> {
  const { config, store, runs } = deps;
  const targets = makeTargets(config, deps.isAgent);

  const findAgent = (agentId: string): AgentStatus => {
    const status = deps.agents().find((agent) => agent.agentId === agentId.toLowerCase());
    if (status === undefined)
      throw failure("CLOISTER_AGENT_UNKNOWN", `agent not found: ${agentId}`, "cloister agents list");
    return status;
  };

  /** `done` is false when the agent was not in a state for it, which `before` names. */
  const carryOut = async (reference: string, act: (agentId: string) => boolean | Promise<boolean>) => {
    const { agentId, phase: before } = findAgent(reference);
    return { ok: true, agentId, done: await act(agentId), before };
  };

  /** Kept before it is obeyed: what was answered outlives the gateway, and what could not be kept changes nothing. */
  const park = (reference: string, reason: string) =>
    carryOut(reference, async (agentId) => {
      await store.keepOrder({ agentId, reason, atMs: deps.nowMs() });
      return deps.order(agentId, { type: "park", reason });
    });

  const unpark = async (agentId: string): Promise<boolean> => {
    await store.dropOrder(agentId);
    return deps.unpark(agentId) || deps.bringBack(agentId);
  };

  const handlers: Handlers = {
    ...deps.views.handlers,
    ...makeSessionMethods({ ...deps, targets }),
    ...makeChannelMethods(deps),
    ...makeCatalogMethods({ ...deps, targets, commands: () => deps.commands.list() }),
    ...deps.configMethods,
    ...deps.clock.methods,
    ...makeUsageMethods({ ...deps, targets }),
    ...deps.toolMethods(targets),
    ...deps.threadToolMethods(targets),
    "logs.tail": ({ cursor, limit, maxBytes }) =>
      readLogTail(config.logging.file, {
        ...(cursor === undefined ? {} : { cursor }),
        linesMax: limit ?? limits.logTailLinesDefault,
        bytesMax: Math.max(limits.logTailBytesMin, maxBytes ?? limits.logTailBytesDefault),
      }),
    "metrics.get": async () => ({ ts: deps.nowMs(), text: await deps.metrics.text() }),
    "lanes.list": () => ({ ts: deps.nowMs(), lanes: deps.lanes() }),
    "agents.memory": async ({ agentId }) => ({
      ts: deps.nowMs(),
      ...(await deps.memory.rows(agentId === undefined ? undefined : findAgent(agentId).agentId)),
    }),
    "agents.unpark": async ({ agentId }) => {
      const status = findAgent(agentId);
      return { ok: true, agentId: status.agentId, unparked: await unpark(status.agentId), before: status.phase };
    },
    "agents.start": ({ agentId }) => carryOut(agentId, unpark),
    "agents.stop": ({ agentId }) => park(agentId, "stopped by the operator"),
    "agents.park": ({ agentId, reason }) =>
      park(agentId, reason === undefined ? "parked by the operator" : `parked by the operator: ${reason}`),
    "agents.restart": ({ agentId }) =>
      carryOut(agentId, async (id) => {
        if (findAgent(id).phase === "disabled") return unpark(id);
        if (!deps.order(id, { type: "restart" })) return false;
        // It took the place of a stop that was still waiting for turns.
        await store.dropOrder(id);
        return true;
      }),
    "gateway.status": () => deps.lifecycle.status(),
    "gateway.restart": (params, client) => deps.lifecycle.end(params, true, client.clientId),
    "gateway.stop": (params, client) => deps.lifecycle.end(params, false, client.clientId),
    "timers.list": async ({ agentId, limit, offset = 0 }) => {
      const { rows, total } = await deps.signals.timers({
        ...(agentId === undefined ? {} : { agentId: findAgent(agentId).agentId }),
        limit: Math.min(limit ?? limits.timersListDefault, limits.timersListMax),
        offset,
      });
      const timers = rows.map(({ id, agentId: owner, sessionKey, name, dueAtMs, everyMs, body, createdAtMs }) => {
        const period = everyMs === undefined ? {} : { everyMs };
        return { id, agentId: owner, sessionKey, name, dueAtMs, ...period, createdAtMs, bodyChars: body.length };
      });
      return { ts: deps.nowMs(), count: rows.length, total, hasMore: offset + rows.length < total, timers };
    },
    "subagents.list": async ({ sessionKey, limit }) => {
      const tasks = await deps.subagents.list({
        ...(sessionKey === undefined ? {} : { below: targets.session(sessionKey).sessionKey }),
        limit: Math.min(limit ?? limits.runsListDefault, limits.runsListMax),
      });
      return { ts: deps.nowMs(), count: tasks.length, tasks };
    },
    "subagents.cancel": async ({ id }, client) => ({ ok: true, ...(await deps.subagents.cancel(id, client.clientId)) }),
    "timers.remove": async ({ id }, client) => {
      const timer = await deps.signals.remove(id, client.clientId);
      if (timer === undefined)
        throw failure("CLOISTER_SIGNAL_UNKNOWN", `no timer has the id ${id}`, "cloister timers list");
      return { ok: true, id, agentId: timer.agentId, sessionKey: timer.sessionKey, name: timer.name };
    },
    "grants.list": () => ({ ts: deps.nowMs(), grants: deps.grants.live() }),
    "grants.explain": ({ from, to, verb }) => ({ verbs: deps.grants.explain(deps.policy, from, to, verb) }),
    "grants.matrix": async ({ agents }) => {
      const all = deps.agents().map(({ agentId }) => agentId);
      const chosen = agents?.map((agentId) => findAgent(agentId).agentId) ?? all;
      const shown = [...new Set(chosen)].slice(0, limits.matrixAgentsMax);
      return { ts: deps.nowMs(), total: all.length, ...(await makeRightMatrix(deps.policy, shown)) };
    },
    "grants.add": async (asked, client) => {
      const grant = await deps.grants.add(asked, client.clientId);
      // What was refused before keeps its messages until somebody decides about them.
      const waiting = (await deps.requests.waiting())
        .filter(({ from, to, verb }) => judgePair(deps.policy, from, to, verb).allowed)
        .map(({ id }) => id);
      return { ok: true, grant, waiting };
    },
    "grants.revoke": async ({ id }, client) => ({ ok: true, grant: await deps.grants.revoke(id, client.clientId) }),
    "grants.requests": async () => ({ ts: deps.nowMs(), requests: await deps.requests.waiting() }),
    "grants.approve": async ({ id, ...approval }, client) => ({
      ok: true,
      ...(await deps.requests.approve(id, approval, client.clientId)),
    }),
    "grants.deny": async ({ id }, client) => ({ ok: true, id, buried: await deps.requests.deny(id, client.clientId) }),
    "callers.list": () => ({ ts: deps.nowMs(), callers: deps.callers.list() }),
    "callers.add": async (asked, client) => ({ ok: true, ...(await deps.callers.add(asked, client.clientId)) }),
    "callers.allow": async ({ name, agents }, client) => ({
      ok: true,
      caller: await deps.callers.allow(name, agents, client.clientId),
    }),
    "callers.rotate": async ({ name }, client) => ({ ok: true, ...(await deps.callers.rotate(name, client.clientId)) }),
    "callers.revoke": async ({ name }, client) => ({
      ok: true,
      caller: await deps.callers.revoke(name, client.clientId),
    }),
    "device.pair.list": () => deps.devices.list(),
    "device.pair.approve": ({ requestId, revision }, client) => deps.devices.approve(client, requestId, revision),
    "device.pair.reject": ({ requestId }, client) => deps.devices.reject(client, requestId),
    "device.pair.remove": ({ deviceId }, client) => deps.devices.remove(client, deviceId),
    "device.pair.rename": ({ deviceId, label }, client) => deps.devices.rename(client, deviceId, label),
    "device.token.rotate": (asked, client) => deps.devices.rotate(client, asked),
    "device.token.revoke": (asked, client) => deps.devices.revoke(client, asked),
    "device.bootstrap.issue": ({ role, scopes = [], ttlMs }, client) => {
      const issued = deps.invitations.issue({ role, scopes: role === "node" ? [] : scopes }, ttlMs);
      deps.note({ type: "device_invited", subject: client.clientId, object: role, detail: scopes.join(",") });
      return { role, scopes, ...issued };
    },
    "node.list": async () => ({ ts: deps.nowMs(), nodes: await deps.nodes.list() }),
    "node.describe": async ({ nodeId }) => ({ ts: deps.nowMs(), ...(await deps.nodes.describe(nodeId)) }),
    "node.pair.verify": ({ nodeId, token }) => deps.nodes.verify(nodeId, token),
    "node.invoke": (invocation, client) => {
      deps.noteOften({
        type: "node_invoked",
        subject: client.clientId,
        object: invocation.nodeId,
        detail: invocation.command,
      });
      return deps.nodes.invoke(invocation);
    },
    "node.pair.list": () => deps.devices.list("node"),
    "node.pair.approve": ({ requestId, revision }, client) => deps.devices.approve(client, requestId, revision),
    "node.pair.reject": ({ requestId }, client) => deps.devices.reject(client, requestId),
    "node.pair.remove": ({ nodeId }, client) => deps.devices.remove(client, nodeId),
    "node.pair.rename": ({ nodeId, displayName }, client) => deps.devices.rename(client, nodeId, displayName),
    "channels.pairing.list": (filter) => deps.senders.list(filter),
    "channels.pairing.approve": (named, client) => deps.senders.approve(client, named),
    "channels.pairing.dismiss": (named, client) => deps.senders.dismiss(client, named),
    "channels.pairing.remove": (place, client) => deps.senders.remove(client, place),
    "backup.start": ({ to }) => deps.backups.start(to),
    "backup.status": () => deps.backups.status(),
    "question.list": () => ({ questions: [] }),
    "plugin.approval.list": () => [],
    "taskSuggestions.list": () => ({ suggestions: [] }),
    "route.explain": (params) => {
      const { roles, ...facts } = params;
      const explanation = explainRoute(deps.routes, {
        ...facts,
        ...(roles === undefined ? {} : { memberRoleIds: roles }),
      });
      return { explanation, text: formatExplanation(explanation) };
    },
    "flow.recent": () => runs.flows,
    "audit.list": (asked) => deps.audit.list(asked),
    "audit.verify": (asked) => deps.audit.verify(asked),
    "audit.who": (asked) => deps.audit.who(asked),
    "deadletters.list": async (params) => {
      const { rows, total, byFate } = await deps.deadLetters.list(filterOf(params), params);
      return {
        ts: deps.nowMs(),
        count: rows.length,
        total,
        hasMore: (params.offset ?? 0) + rows.length < total,
        byFate,
        letters: rows.map(letterView),
      };
    },
    "deadletters.show": async (params) => {
      const { body, answer, ...row } = await deps.deadLetters.get(params.id);
      const texts = answer === undefined ? { body } : { body, answer };
      return { letter: { ...letterView(row), header: row.header, ...texts } };
    },
    "deadletters.replay": async (params, client) => {
      const { letter, ...replayed } = await deps.deadLetters.replay(params.id, client.clientId);
      const { agentId, sessionKey } = letter.header;
      return { ok: true, id: params.id, ...replayed, agentId, sessionKey };
    },
    "deadletters.purge": async (params, client) => {
      const purge = { ...filterOf(params), ...(params.id === undefined ? {} : { id: params.id }) };
      const beforeMs = params.olderThanMs === undefined ? {} : { beforeMs: deps.nowMs() - params.olderThanMs };
      return { ok: true, purged: await deps.deadLetters.purge({ ...purge, ...beforeMs }, client.clientId) };
    },
  };

  return async (client, method, params) => {
    const handler = (handlers as Readonly<Record<string, ((params: never, client: Client) => unknown) | undefined>>)[
      method
    ];
    if (handler === undefined)
      return { ok: false, refusal: { code: "CLOISTER_REQUEST_INVALID", message: `unknown method: ${method}` } };
    try {
      return { ok: true, payload: await handler(params as never, client) };
    } catch (error) {
      return { ok: false, refusal: toRefusal(error) };
    }
  };
}

const filterOf = ({ agentId, fate }: Pick<DeadLetterFilter, "agentId" | "fate">): DeadLetterFilter => ({
  ...(agentId === undefined ? {} : { agentId: agentId.toLowerCase() }),
  ...(fate === undefined ? {} : { fate }),
});

const letterView = ({ header, fate, reason, attempts, atMs, bodyChars, answerChars, preview }: DeadLetterRow) => ({
  id: header.id,
  fate,
  reason,
  agentId: header.agentId,
  sessionKey: header.sessionKey,
  from: senderOf(header.from),
  runId: header.runId,
  attempts,
  acceptedAtMs: header.acceptedAtMs,
  atMs,
  bodyChars,
  ...(answerChars === undefined ? {} : { answerChars }),
  preview,
});

/** Who sent a message, in one word for a list. */
function senderOf(from: Principal): string {
  if (from.type === "agent") return from.sessionKey;
  if (from.type === "operator") return `operator (${from.client})`;
  if (from.type === "hook" || from.type === "caller") return `${from.type} ${from.name}`;
  if (from.type === "timer") return `timer ${from.timerId}`;
  if (from.type === "monitor") return `monitor on ${from.agentId}`;
  return `${from.channel}/${from.accountId}: ${from.senderName ?? from.senderId}`;
}
