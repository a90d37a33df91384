/**
 * Which session a tool's parameters mean, and what the caller may do with it. Who asks comes from the turn and never from the
 * parameters. Order of the checks: reference, sandbox clamp, visibility, agent-to-agent, then the rest; policy is judged before
 * anything of the target is read. Source: behaviour §3.1, §3.8.
 */
import {
  isClampedSession,
  type ControlCommand,
  judgeControl,
  judgePair,
  judgeSession,
  type Judgement,
  type Policy,
  type Requester,
  type SessionVerb,
  sessionToolsOf,
  type Target,
} from "../../../auth/policy.ts";
import type { ModelSettings } from "../../broker/port.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { PairingRegistry } from "../../kernel/pairings.ts";
import { mainSessionKey, resolveSessionReference } from "../../routing/index.ts";
import type { Readers } from "../../readers/readers.ts";
import type { SessionRow, Store } from "../../store/port.ts";
import type { GrantRequests } from "../grant-requests.ts";
import type { RefusedCall } from "../kept-messages.ts";
import { tellRaised } from "../right-answers.ts";
import { isSandboxed } from "../sandboxed.ts";
import type { SessionCare } from "../session-care.ts";
import type { Subagents } from "../subagents.ts";
import type { ThreadBindings } from "../thread-bindings.ts";
import type { ToolDesk } from "./tool-desk.ts";
import { fault, forbidden, type ToolCall, type ToolRefusal } from "./table.ts";

export interface SessionToolsDeps {
  readonly config: ResolvedConfig;
  /** Those of the configuration, by id. */
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly policy: Policy;
  readonly store: Store;
  readonly readers: Readers;
  readonly care: SessionCare;
  /** Which models agents may ask. */
  readonly models: () => Pick<ModelSettings, "agents" | "catalogue">;
  readonly kernel: () => Kernel;
  readonly pairings: () => PairingRegistry;
  /** Puts a right that is missing to the operator. */
  readonly requests: Pick<GrantRequests, "raise">;
  readonly subagents: Subagents;
  /** What the tool policy leaves. */
  readonly desk: Pick<ToolDesk, "judge" | "ready" | "mcpNamesOf">;
  readonly threads: Pick<ThreadBindings, "bindable" | "bind" | "ended">;
  readonly newId: (nowMs: number) => string;
  readonly nowMs: () => number;
}

export interface FoundSession {
  readonly key: string;
  readonly agentId: string;
  /** Absent: nobody spoke to it yet. */
  readonly row: SessionRow | undefined;
}

export interface SessionFinder {
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  requesterOf(call: ToolCall): Requester;
  /** By key (of a session that exists or not), alias or session id. */
  byKey(requester: Requester, reference: string): Promise<FoundSession | ToolRefusal>;
  byLabel(
    requester: Requester,
    label: string,
    agentId: string | undefined,
    verb: SessionVerb,
  ): Promise<FoundSession | ToolRefusal>;
  /** An agent's main session, which every agent has, as far as no store has to be asked. */
  mainOf(agentId: string): FoundSession;
  judge(requester: Requester, target: FoundSession, verb: SessionVerb): Judgement;
  /** Whether it may decide about the session. */
  judgeControl(requester: Requester, target: FoundSession, command: ControlCommand): Judgement;
  /**
   * Refuses a call that `judge` has refused, and puts the right to the operator when it is one between agents that a grant could
   * give. With a `message` that is kept until the decision.
   */
  refuse(
    call: ToolCall,
    requester: Requester,
    target: FoundSession,
    verb: SessionVerb,
    judged: Extract<Judgement, { allowed: false }>,
    message?: NonNullable<RefusedCall["message"]>,
  ): Promise<ToolRefusal>;
  /** What it may do with the session, from the function that enforces it. */
  accessOf(
    requester: Requester,
    target: FoundSession,
  ): { readonly read: boolean; readonly send: boolean; readonly control: boolean };
  /** An agent's main session is there from the start; any other key has to be one that was spoken to: a typo makes no session. */
  whyMissing(target: FoundSession): ToolRefusal | undefined;
  /** Whether the agent may start sub-agents of that one. */
  maySpawn(agentId: string, targetId: string): boolean;
  /** The configured agents to whose sessions the policy opens this verb, or the one that is named; of a clamped session none: it has what it spawned. */
  visibleAgents(
    requester: Requester,
    agentId: string | undefined,
    verb: Extract<SessionVerb, "list" | "history">,
  ): readonly string[];
}

export function makeSessionFinder({ config, agents, policy, store, requests }: SessionToolsDeps): SessionFinder {
  const mainOf = (agentId: string): FoundSession => ({
    key: mainSessionKey(agentId, config.session),
    agentId,
    row: undefined,
  });

  const judge = (requester: Requester, target: FoundSession, verb: SessionVerb): Judgement =>
    judgeSession(policy, requester, asTarget(target), verb);

  return {
    agents,
    mainOf,
    judge,
    judgeControl: (requester, target, command) => judgeControl(policy, requester, asTarget(target), command),
    async refuse(call, requester, target, verb, { message: text, remedy }, message) {
      const isGrantable = target.agentId !== requester.agentId && !isClampedSession(policy, requester);
      const raised = isGrantable
        ? await requests.raise({
            header: call.header,
            verb,
            toSession: target.key,
            ...(message === undefined ? {} : { message }),
          })
        : undefined;
      if (raised === undefined) return forbidden(text, remedy);
      const told = tellRaised({ message: text, remedy }, raised);
      return { ...forbidden(told.message, told.remedy), request: { id: raised.requestId, kept: raised.kept } };
    },
    requesterOf(call) {
      const { agentId, sessionKey } = call.header;
      return {
        agentId,
        sessionKey,
        mainSessionKey: mainSessionKey(agentId, config.session),
        sandboxed: isSandboxed(agents.get(agentId), sessionKey, config.session),
      };
    },
    async byKey(requester, reference) {
      if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/i.test(reference)) {
        const row = await store.findSession(reference);
        if (row !== undefined) return { key: row.key, agentId: row.agentId, row };
      }
      const resolved = resolveSessionReference(reference, {
        agentId: requester.agentId,
        sessionKey: requester.sessionKey,
        mainKey: config.session.mainKey,
        scope: config.session.scope,
      });
      if (resolved.status === "malformed") return fault("invalid", resolved.refusal.message);
      const { key, agentId } = resolved;
      if (!agents.has(agentId)) return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
      // The index row tells the lineage; it is the supervisor's and not the target's store.
      return { key, agentId, row: await store.session(key) };
    },
    async byLabel(requester, label, agentId, verb) {
      if (agentId !== undefined && agentId !== requester.agentId) {
        if (isClampedSession(policy, requester))
          return forbidden(
            "Sandboxed sessions_send label lookup is limited to this agent",
            `${sessionToolsOf(policy, requester.agentId).key}: "all"`,
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
    },
    accessOf: (requester, target) => ({
      read: judge(requester, target, "history").allowed,
      send: judge(requester, target, "send").allowed,
      control: judgeControl(policy, requester, asTarget(target), "label").allowed,
    }),
    whyMissing({ key, agentId, row }) {
      if (row !== undefined || key === mainSessionKey(agentId, config.session)) return undefined;
      return fault("not_found", `No session found with key: ${key}`, "sessions_list shows the sessions");
    },
    maySpawn(agentId, targetId) {
      const allowed = agents.get(agentId)?.subagents.allowAgents ?? [];
      if (agentId === targetId || allowed.includes("*") || allowed.includes(targetId)) return true;
      return judgePair(policy, agentId, targetId, "spawn").allowed;
    },
    visibleAgents(requester, agentId, verb) {
      const isClamped = isClampedSession(policy, requester);
      if (isClamped && agentId === undefined) return [];
      return [...agents.keys()].filter(
        (id) =>
          (agentId === undefined || id === agentId) &&
          (id === requester.agentId || isClamped || judge(requester, mainOf(id), verb).allowed),
      );
    },
  };
}

function asTarget({ key, agentId, row }: FoundSession): Target {
  return {
    agentId,
    sessionKey: key,
    ancestors: row?.lineage ?? (row?.spawnedBy === undefined ? [] : [row.spawnedBy]),
  };
}
