/**
 * The methods of the WebSocket protocol that this version answers: the scope that each needs and the form of its
 * parameters. A method is answered if and only if it has a row here; the list of `hello-ok` is made from this table.
 * Keys that a row does not name are dropped before the kernel's side sees them. Source: protocol.md, behaviour §4.4.
 */
import { z } from "zod";
import { auditLogs } from "../kernel/audit-types.ts";
import { fates, grantVerbs } from "../kernel/envelope.ts";
import { limits } from "../kernel/limits.ts";
import type { Scope } from "../../auth/scopes.ts";
import { configMethods } from "./config-rows.ts";
import { approvalMethods } from "./approval-methods.ts";
import { cronMethods } from "./cron-methods.ts";
import { taskMethods } from "./task-methods.ts";
import { nodeMethods } from "./node-methods.ts";
import { id } from "./param-forms.ts";
import { usageMethods } from "./usage-methods.ts";

export interface Method {
  readonly scope: Scope;
  readonly params: z.ZodType;
  /** What these parameters need beside `scope`. */
  readonly needs?: (params: never) => Scope | undefined;
}

const key = z.string().trim().min(1).max(1_024);
const message = z
  .string()
  .max(limits.bodyCharsMax)
  .refine((text) => text.trim() !== "", "expected a text with at least one visible character");
const label = z.string().max(limits.labelCharsMax);
/** `null` or "default": what the configuration says. */
const chosen = z.string().trim().min(1).max(limits.modelNameCharsMax).nullable();
const count = z.int().min(0);
/** How long the message is worth handling; ours, beside what the protocol has. */
const ttl = z.int().min(1).max(limits.envelopeAgeMsMax).exactOptional();
const fate = z.enum(fates);
/** A message to a session. */
const said = { message, idempotencyKey: id.exactOptional(), timeoutMs: count.exactOptional(), ttlMs: ttl };
/** At most one of them. */
const stop = z
  .object({
    safe: z.literal(true).exactOptional(),
    force: z.literal(true).exactOptional(),
    waitMs: z.int().min(0).max(limits.drainMsMax).exactOptional(),
  })
  .refine((value) => Object.keys(value).length <= 1, "expected at most one of safe, force, waitMs");
/** A sender who waits; channel and account only narrow it. */
const senderCode = { code: id, channel: id.exactOptional(), accountId: id.exactOptional() };
const callerAgents = z.array(id).min(1).max(limits.callerAgentsMax);
const peer = z.object({ kind: z.enum(["direct", "group", "channel"]), id });

export const methods = {
  health: { scope: "operator.read", params: z.object({}) },
  status: { scope: "operator.read", params: z.object({}) },
  /** The edge answers it: it knows the clients. */
  "system-presence": { scope: "operator.read", params: z.object({}) },
  "logs.tail": {
    scope: "operator.read",
    params: z.object({
      /** Of the answer before: what came since. Absent: the newest lines. */
      cursor: count.exactOptional(),
      limit: z.int().min(1).max(limits.logTailLinesMax).exactOptional(),
      maxBytes: z.int().min(1).max(limits.logTailBytesMax).exactOptional(),
    }),
  },
  ...configMethods,
  /** The gateway's figures, as Prometheus reads them; also at `GET /metrics`. */
  "metrics.get": { scope: "operator.read", params: z.object({}) },
  "lanes.list": { scope: "operator.read", params: z.object({}) },
  "agents.list": { scope: "operator.read", params: z.object({}) },
  /** What its cells and processes hold, of each agent that has any, or of one. */
  "agents.memory": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  "agents.unpark": { scope: "operator.admin", params: z.object({ agentId: id }) },
  "agents.start": { scope: "operator.admin", params: z.object({ agentId: id }) },
  "agents.stop": { scope: "operator.admin", params: z.object({ agentId: id }) },
  "agents.park": { scope: "operator.admin", params: z.object({ agentId: id, reason: label.exactOptional() }) },
  "agents.restart": { scope: "operator.admin", params: z.object({ agentId: id }) },
  "gateway.status": { scope: "operator.read", params: z.object({}) },
  "gateway.restart": { scope: "operator.admin", params: stop },
  "gateway.stop": { scope: "operator.admin", params: stop },
  "timers.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      limit: z.int().min(1).exactOptional(),
      offset: count.exactOptional(),
    }),
  },
  "timers.remove": { scope: "operator.admin", params: z.object({ id }) },
  ...taskMethods,
  "subagents.list": {
    scope: "operator.read",
    params: z.object({ sessionKey: id.exactOptional(), limit: z.int().min(1).exactOptional() }),
  },
  "subagents.cancel": { scope: "operator.admin", params: z.object({ id }) },
  "grants.list": { scope: "operator.read", params: z.object({}) },
  "grants.explain": {
    scope: "operator.read",
    params: z.object({ from: id, to: id, verb: z.enum(grantVerbs).exactOptional() }),
  },
  "grants.matrix": {
    scope: "operator.read",
    /** Absent: the first ones that there are. */
    params: z.object({ agents: z.array(id).min(1).max(limits.matrixAgentsMax).exactOptional() }),
  },
  "grants.add": {
    scope: "operator.admin",
    params: z.object({
      from: id,
      to: id,
      verbs: z.array(z.enum(grantVerbs)).min(1).max(grantVerbs.length),
      untilMs: count.max(8.64e15).exactOptional(),
    }),
  },
  "grants.revoke": { scope: "operator.admin", params: z.object({ id }) },
  "grants.requests": { scope: "operator.read", params: z.object({}) },
  "grants.approve": {
    scope: "operator.admin",
    params: z
      .object({
        id,
        mode: z.enum(["once", "grant"]),
        untilMs: count.max(8.64e15).exactOptional(),
        /** Of `grants.requests`: what is approved is what was shown. */
        revision: count,
      })
      .refine(({ mode, untilMs }) => mode === "grant" || untilMs === undefined, "expected no untilMs with mode once"),
  },
  "grants.deny": { scope: "operator.admin", params: z.object({ id }) },
  "callers.list": { scope: "operator.read", params: z.object({}) },
  "callers.add": {
    scope: "operator.admin",
    params: z.object({ name: id, agents: callerAgents, untilMs: count.max(8.64e15).exactOptional() }),
  },
  "callers.allow": { scope: "operator.admin", params: z.object({ name: id, agents: callerAgents }) },
  "callers.rotate": { scope: "operator.admin", params: z.object({ name: id }) },
  "callers.revoke": { scope: "operator.admin", params: z.object({ name: id }) },
  "device.pair.list": { scope: "operator.pairing", params: z.object({}) },
  "device.pair.approve": {
    scope: "operator.pairing",
    /** `requestId` may be a device's id; `revision` is of `device.pair.list`. */
    params: z.object({ requestId: id, revision: z.int().min(1).exactOptional() }),
  },
  "device.pair.reject": { scope: "operator.pairing", params: z.object({ requestId: id }) },
  "device.pair.remove": { scope: "operator.pairing", params: z.object({ deviceId: id }) },
  "device.pair.rename": {
    scope: "operator.pairing",
    params: z.object({ deviceId: id, label: z.string().trim().max(limits.deviceLabelCharsMax) }),
  },
  "device.token.rotate": {
    scope: "operator.pairing",
    params: z.object({ deviceId: id, role: id, scopes: z.array(id).max(64).exactOptional() }),
  },
  "device.token.revoke": { scope: "operator.pairing", params: z.object({ deviceId: id, role: id }) },
  "device.bootstrap.issue": {
    scope: "operator.admin",
    params: z.object({
      role: z.enum(["operator", "node"]),
      scopes: z.array(id).max(64).exactOptional(),
      ttlMs: z.int().min(1).max(limits.bootstrapTokenMs).exactOptional(),
    }),
  },
  ...nodeMethods,
  "channels.pairing.list": {
    scope: "operator.pairing",
    params: z.object({ channel: id.exactOptional(), accountId: id.exactOptional() }),
  },
  "channels.pairing.approve": {
    scope: "operator.admin",
    params: z.object({ ...senderCode, notify: z.boolean().exactOptional() }),
  },
  "channels.pairing.dismiss": { scope: "operator.pairing", params: z.object(senderCode) },
  "channels.pairing.remove": {
    scope: "operator.admin",
    params: z.object({ channel: id, accountId: id, senderId: id }),
  },
  /** Links an account whose platform has codes for that (`begin: false` only asks how far it is), and ends the link. */
  "channels.login": {
    scope: "operator.admin",
    params: z.object({ channel: id, accountId: id.exactOptional(), begin: z.boolean().exactOptional() }),
  },
  "channels.logout": { scope: "operator.admin", params: z.object({ channel: id, accountId: id.exactOptional() }) },
  "backup.start": { scope: "operator.admin", params: z.object({ to: z.string().min(1).max(limits.pathCharsMax) }) },
  "backup.status": { scope: "operator.admin", params: z.object({}) },
  "sessions.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      limit: z.int().min(1).exactOptional(),
      offset: count.exactOptional(),
      search: z.string().max(256).exactOptional(),
      activeMinutes: z.number().positive().exactOptional(),
      label: label.exactOptional(),
      archived: z.boolean().exactOptional(),
    }),
  },
  "sessions.describe": { scope: "operator.read", params: z.object({ key }) },
  "sessions.preview": {
    scope: "operator.read",
    params: z.object({
      keys: z.array(key).min(1).max(limits.previewKeysMax),
      limit: z.int().min(1).max(limits.previewMessagesMax).exactOptional(),
      maxChars: z.int().min(20).max(limits.previewCharsMax).exactOptional(),
    }),
  },
  "sessions.subscribe": { scope: "operator.read", params: z.object({}) },
  "sessions.resolve": {
    scope: "operator.read",
    params: z
      .object({
        key: key.exactOptional(),
        sessionId: id.exactOptional(),
        label: label.exactOptional(),
        agentId: id.exactOptional(),
      })
      .refine((value) => value.key !== undefined || value.sessionId !== undefined || value.label !== undefined, {
        message: "expected one of key, sessionId, label",
      }),
  },
  "sessions.patch": {
    scope: "operator.write",
    params: z
      .object({
        key,
        label: label.nullable().exactOptional(),
        archived: z.boolean().exactOptional(),
        pinned: z.boolean().exactOptional(),
        model: chosen.exactOptional(),
        thinkingLevel: chosen.exactOptional(),
        verboseLevel: chosen.exactOptional(),
        sendPolicy: z.enum(["allow", "deny"]).nullable().exactOptional(),
      })
      .refine((given) => Object.keys(given).length > 1, {
        error: "give one of label, archived, pinned, model, thinkingLevel, verboseLevel and sendPolicy",
      }),
    /** As `/model`, `/think`, `/verbose` and `/send`: they change what a conversation costs, what it tells, and who hears it. */
    needs: ({ model, thinkingLevel, verboseLevel, sendPolicy }) =>
      [model, thinkingLevel, verboseLevel, sendPolicy].every((one) => one === undefined) ? undefined : "operator.admin",
  },
  "sessions.reset": { scope: "operator.admin", params: z.object({ key }) },
  /** As `/compact`: in its place among the session's messages. */
  "sessions.compact": {
    scope: "operator.admin",
    params: z.object({
      key,
      focus: z
        .string()
        .refine(
          (text) => Array.from(text).length <= limits.compactFocusCharsMax,
          `must have at most ${limits.compactFocusCharsMax} characters`,
        )
        .exactOptional(),
      idempotencyKey: id.exactOptional(),
      timeoutMs: count.exactOptional(),
    }),
  },
  "sessions.delete": { scope: "operator.write", params: z.object({ key }) },
  "sessions.cleanup": { scope: "operator.admin", params: z.object({ enforce: z.boolean().exactOptional() }) },
  "sessions.send": { scope: "operator.write", params: z.object({ key, ...said }) },
  /** A turn that runs in the session may take it; otherwise it is a turn of its own. */
  "sessions.steer": { scope: "operator.write", params: z.object({ key, ...said }) },
  "sessions.abort": {
    scope: "operator.write",
    params: z
      .object({ key: key.exactOptional(), runId: id.exactOptional() })
      .refine((value) => Object.keys(value).length > 0, "expected key, runId, or both"),
  },
  "chat.history": {
    scope: "operator.read",
    params: z.object({ sessionKey: key, limit: z.int().min(1).exactOptional() }),
  },
  "chat.send": {
    scope: "operator.write",
    params: z.object({ sessionKey: key, ...said, deliver: z.boolean().exactOptional() }),
  },
  "chat.abort": { scope: "operator.write", params: z.object({ sessionKey: key, runId: id.exactOptional() }) },
  "runs.stop": { scope: "operator.write", params: z.object({ target: id }) },
  agent: {
    scope: "operator.write",
    params: z.object({
      message,
      agentId: id.exactOptional(),
      sessionKey: key.exactOptional(),
      idempotencyKey: id.exactOptional(),
      /** Seconds; 0 means the default. */
      timeout: z.number().min(0).exactOptional(),
      deliver: z.boolean().exactOptional(),
      label: label.exactOptional(),
      ttlMs: ttl,
    }),
  },
  "agent.wait": { scope: "operator.write", params: z.object({ runId: id, timeoutMs: count.exactOptional() }) },
  "route.explain": {
    scope: "operator.read",
    params: z.object({
      channel: id,
      accountId: id.exactOptional(),
      peer: peer.exactOptional(),
      parentPeer: peer.exactOptional(),
      guildId: id.exactOptional(),
      teamId: id.exactOptional(),
      roles: z.array(id).max(256).exactOptional(),
      threadId: id.exactOptional(),
    }),
  },
  "agent.identity.get": {
    scope: "operator.read",
    params: z.object({ agentId: id.exactOptional(), sessionKey: key.exactOptional() }),
  },
  "agents.files.list": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  "agents.files.get": {
    scope: "operator.read",
    params: z.object({ agentId: id.exactOptional(), name: z.string().max(64) }),
  },
  "channels.status": {
    scope: "operator.read",
    params: z.object({ channel: id.exactOptional(), probe: z.boolean().exactOptional() }),
  },
  "commands.list": { scope: "operator.read", params: z.object({}) },
  "tools.catalog": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  /** Ours in its parameters and its answer: which tools a session has for a sender, and what removed the others. */
  "tools.effective": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      sessionKey: key.exactOptional(),
      sender: z.object({ channel: id, id, name: id.exactOptional() }).exactOptional(),
      group: z.object({ channel: id, accountId: id.exactOptional(), id }).exactOptional(),
    }),
  },
  "memory.status": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  /** Looks for changed notes now; `force` makes the index anew. */
  "memory.index": {
    scope: "operator.write",
    params: z.object({ agentId: id.exactOptional(), force: z.boolean().exactOptional() }),
  },
  /** What the agent would find. */
  "memory.search": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      query: z.string().min(1).max(limits.memoryQueryCharsMax),
      maxResults: z.int().min(1).max(limits.memoryResultsMax).exactOptional(),
      collection: z.string().max(limits.memoryNameCharsMax).exactOptional(),
    }),
  },
  "skills.status": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  "models.list": { scope: "operator.read", params: z.object({}) },
  /** Ours: MCP servers and the connections to them. Why one failed may hold what its program printed. */
  "mcp.list": { scope: "operator.admin", params: z.object({}) },
  /** What runs with a secret begins anew with the one that is there by now, if that is another one. */
  "secrets.reload": { scope: "operator.admin", params: z.object({}) },
  ...cronMethods,
  ...usageMethods,
  ...approvalMethods,
  /** Agents ask operators for rights alone (`grants.requests`): these are empty, for clients that ask for all of them at their start. */
  "question.list": { scope: "operator.questions", params: z.object({}) },
  "plugin.approval.list": { scope: "operator.approvals", params: z.object({}) },
  "taskSuggestions.list": { scope: "operator.admin", params: z.object({}) },
  "flow.recent": { scope: "operator.read", params: z.object({}) },
  "audit.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      /** A type of row, or its first word. */
      kind: z
        .string()
        .regex(/^[a-z][a-z_.-]{0,63}$/, "expected a type of row, as grant_added, or its first word")
        .exactOptional(),
      /** Not older than so many milliseconds. */
      withinMs: count.exactOptional(),
      limit: z.int().min(1).max(limits.auditListMax).exactOptional(),
      /** Of the answer before. */
      cursor: z.string().max(80).exactOptional(),
      /** With the hash of each row and of the one before. */
      hashes: z.literal(true).exactOptional(),
    }),
  },
  "audit.verify": {
    scope: "operator.read",
    params: z.object({
      /** Ends of logs that were seen before. */
      anchors: z
        .array(z.object({ log: z.enum(auditLogs), n: count, hash: z.string().max(64) }))
        .max(limits.auditAnchorsGivenMax)
        .exactOptional(),
    }),
  },
  "audit.who": { scope: "operator.read", params: z.object({ agentId: id, withinMs: count }) },
  "deadletters.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      fate: fate.exactOptional(),
      limit: z.int().min(1).exactOptional(),
      offset: count.exactOptional(),
    }),
  },
  "deadletters.show": { scope: "operator.read", params: z.object({ id }) },
  "deadletters.replay": { scope: "operator.admin", params: z.object({ id }) },
  "deadletters.purge": {
    scope: "operator.admin",
    params: z
      .object({
        id: id.exactOptional(),
        agentId: id.exactOptional(),
        fate: fate.exactOptional(),
        olderThanMs: count.exactOptional(),
        all: z.literal(true).exactOptional(),
      })
      .refine((value) => Object.keys(value).length > 0, "expected one of id, agentId, fate, olderThanMs, all"),
  },
} as const satisfies Record<string, Method>;

const table = new Map<string, Method>(Object.entries(methods));

export function findMethod(name: string): Method | undefined {
  return table.get(name);
}

/** What a client must hold to get an event. */
export const eventScope = (event: string): Scope =>
  /^(?:device|channels)\.pair/.test(event) ? "operator.pairing" : "operator.read";

/** The events that a client may get, for `hello-ok`. */
export const events = [
  "connect.challenge",
  "task",
  "agent",
  "chat",
  "agents",
  "flow",
  "deadletters",
  "grants.requests",
  "device.pair.requested",
  "device.pair.resolved",
  "channels.pairing.requested",
  "channels.pairing.resolved",
  "node.event",
  "sessions.changed",
  "config.changed",
  "config.proposals",
  "exec.approvals",
  "presence",
  "tick",
  "shutdown",
] as const;
