/**
 * Calls of programs over HTTP on their way to the one accept path: which agent, which conversation, and by which right. The
 * operator's own secret reaches every agent; a caller reaches those that its pairings name, and learns nothing of others.
 */
import { callerSubject, hookSubject } from "../../auth/compile-pairings.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Program, ProgramAgent, ProgramCall, ProgramCallResult, ProgramPlace } from "../edge/port.ts";
import { frameMessage } from "../groups/index.ts";
import type { Principal } from "../kernel/envelope.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { PairingRegistry } from "../kernel/pairings.ts";
import { formatSessionKey, mainSessionKey, resolveSessionReference } from "../routing/index.ts";
import type { Store } from "../store/port.ts";
import type { Admission } from "../kernel/kernel.ts";

export interface ProgramCallsDeps {
  readonly config: Pick<ResolvedConfig, "agents" | "defaultAgentId" | "session" | "hooks">;
  /** Whether one of the configuration in force has this id. */
  readonly isAgent: (agentId: string) => boolean;
  readonly pairings: () => Pick<PairingRegistry, "find">;
  readonly store: Pick<Store, "session">;
  readonly accept: (
    admission: Admission,
  ) => Promise<
    | { readonly status: "accepted" | "duplicate"; readonly runId: string; readonly envelopeId: string }
    | { readonly status: "refused"; readonly refusal: Refusal }
  >;
  /** A right was missing. */
  readonly refused: (subject: string, object: string, refusal: Refusal) => void;
}

export interface ProgramCalls {
  call(call: ProgramCall): Promise<ProgramCallResult>;
  /** The agents that it may call. */
  callable(program: Program): readonly ProgramAgent[];
  /** This one of them; that it may not is noted. */
  reach(program: Program, agentId: string): ProgramAgent | undefined;
  /** Whether it is known or not. */
  sessionOf(agentId: string, call: Pick<ProgramCall, "program" | "place" | "conversation">): Promise<Named>;
  /** By which right a webhook reaches the agent. */
  hookRight(agentId: string): Right;
  /** The session that somebody names, of this agent. */
  namedSession(agentId: string, reference: string): Named;
}

type Right = { readonly via: string } | { readonly refusal: Refusal };
type Named = { readonly sessionKey: string } | { readonly refusal: Refusal };

export function makeProgramCalls(deps: ProgramCallsDeps): ProgramCalls {
  const { config, isAgent, pairings } = deps;
  const callable = (program: Program): readonly ProgramAgent[] =>
    config.agents
      .filter(({ id }) => "via" in rightOf(program, id))
      .map(({ id, name }) => ({ agentId: id, name, isDefault: id === config.defaultAgentId }));

  const rightOf = (program: Program, agentId: string): Right => {
    if (program.type === "operator") return { via: "door:operator" };
    const { name } = program;
    const pairing = pairings().find(callerSubject(name), "send", `agent:${agentId}`);
    if (pairing !== undefined) return { via: pairing.id };
    return {
      refusal: {
        code: "CLOISTER_CAPABILITY_DENIED",
        message: `the caller ${name} may not send to the agent ${agentId}: the agents of its token do not name it`,
        remedy: `cloister callers allow ${name} --agent ${agentId}`,
      },
    };
  };

  const findAgent = (call: ProgramCall): { readonly agentId: string } | { readonly refusal: Refusal } => {
    if (call.agentId !== undefined) return { agentId: call.agentId.toLowerCase() };
    if (call.program.type === "operator") return { agentId: config.defaultAgentId };
    const own = callable(call.program);
    const only = own.find(({ isDefault }) => isDefault) ?? (own.length === 1 ? own[0] : undefined);
    if (only !== undefined) return only;
    return {
      refusal: {
        code: "CLOISTER_CAPABILITY_DENIED",
        message: `the caller ${call.program.name} names no agent and may not send to the default agent`,
        remedy: `name one of its agents as the model: ${own.map(({ agentId }) => `agent/${agentId}`).join(", ") || "it has none (cloister callers list)"}`,
      },
    };
  };

  const namedSession = (agentId: string, reference: string): Named => {
    const resolved = resolveSessionReference(reference, {
      agentId,
      sessionKey: mainSessionKey(agentId, config.session),
      mainKey: config.session.mainKey,
      scope: config.session.scope,
    });
    if (resolved.status === "malformed") return { refusal: resolved.refusal };
    if (resolved.agentId === agentId) return { sessionKey: resolved.key };
    return {
      refusal: {
        code: "CLOISTER_REQUEST_INVALID",
        message: `the session ${resolved.key} belongs to ${resolved.agentId}, the request names ${agentId}`,
        remedy: "leave one of agent and session out",
      },
    };
  };

  /** Conversations of one program are apart from those of every other: its name, which it does not choose, is in their keys. */
  const sessionOf: ProgramCalls["sessionOf"] = async (agentId, { program, place, conversation }) => {
    const accountId = accountOf(program);
    if (conversation.type === "user")
      return {
        sessionKey: formatSessionKey(agentId, {
          type: "dm",
          scope: "per-account-channel-peer",
          channel: place,
          accountId,
          peerId: conversation.user,
        }),
      };
    if (conversation.type === "key") {
      if (program.type === "operator") return namedSession(agentId, conversation.key);
      return {
        refusal: {
          code: "CLOISTER_EDGE_FORBIDDEN",
          message: `the caller ${program.name} may not choose a session key`,
          remedy: "name the conversation with `user` (or the header x-cloister-session), or use the operator's token",
        },
      };
    }
    const sessionKey = formatSessionKey(agentId, { type: "hook", id: `${place}:${accountId}:${conversation.id}` });
    if (conversation.type === "new" || (await deps.store.session(sessionKey)) !== undefined) return { sessionKey };
    return {
      refusal: {
        code: "CLOISTER_SESSION_UNKNOWN",
        message: `the response that the request goes on from is not known: it has another caller or another agent, or its session is gone`,
        remedy: "send the whole conversation as input, without previous_response_id",
      },
    };
  };

  return {
    callable,
    namedSession,
    sessionOf,
    reach(program, agentId) {
      const right = rightOf(program, agentId);
      if ("via" in right) return callable(program).find((agent) => agent.agentId === agentId);
      deps.refused(subjectOf(program), `agent:${agentId}`, right.refusal);
      return undefined;
    },
    hookRight(agentId) {
      const pairing = pairings().find(hookSubject, "send", `agent:${agentId}`);
      if (pairing !== undefined) return { via: pairing.id };
      return {
        refusal: {
          code: "CLOISTER_EDGE_FORBIDDEN",
          message: `hooks may not reach the agent ${agentId}`,
          remedy: `add "${agentId}" to hooks.allowedAgentIds`,
        },
      };
    },
    async call(call) {
      const found = findAgent(call);
      if ("refusal" in found) return { status: "refused", refusal: found.refusal };
      const { agentId } = found;
      const right = rightOf(call.program, agentId);
      if ("refusal" in right) {
        deps.refused(subjectOf(call.program), `agent:${agentId}`, right.refusal);
        return { status: "refused", refusal: right.refusal };
      }
      if (!isAgent(agentId))
        return {
          status: "refused",
          refusal: {
            code: "CLOISTER_AGENT_UNKNOWN",
            message: `agent not found: ${agentId}`,
            remedy: "cloister agents list",
          },
        };
      const session = await sessionOf(agentId, call);
      if ("refusal" in session) return { status: "refused", refusal: session.refusal };
      const { sessionKey } = session;
      const { place } = call;
      const name = nameOf(call.program, place);
      const isKept = call.conversation.type === "user" || call.conversation.type === "key";
      const before = call.said.before.slice(isKept ? call.said.knownUpTo : 0);
      const result = await deps.accept({
        from: principalOf(call.program, place),
        agentId,
        sessionKey,
        verb: "send",
        via: right.via,
        chain: [],
        provenance: {
          kind: "external_user",
          sourceChannel: place,
          accountId: name,
          // A program that names its conversations by ids says nothing of who speaks.
          senderName: call.conversation.type === "user" && place === "http" ? call.conversation.user : name,
          ...(call.messageId === undefined ? {} : { messageId: call.messageId }),
        },
        replyRoute: { type: "none" },
        body: before.length === 0 ? call.said.text : frameMessage(before.map(lineOf), call.said.text),
        runId: call.runId,
        ...(call.trace === undefined ? {} : { trace: call.trace }),
        ...(call.idempotencyKey === undefined
          ? {}
          : { dedupe: { scope: `${subjectOf(call.program)}:${sessionKey}`, key: call.idempotencyKey } }),
      });
      return result.status === "refused" ? result : { ...result, agentId, sessionKey };
    },
  };
}

const lineOf = ({ role, text }: ProgramCall["said"]["before"][number]) => ({
  speaker: role,
  isAgent: role === "assistant",
  text,
});

/** In the keys of its sessions. */
export const accountOf = (program: Program): string => (program.type === "operator" ? "operator" : program.name);

/** As transcripts have it. */
export const nameOf = (program: Program, place: ProgramPlace): string =>
  program.type === "operator" ? place : program.name;

const principalOf = (program: Program, place: ProgramPlace): Principal =>
  program.type === "operator" ? { type: "operator", client: place } : { type: "caller", name: program.name };

const subjectOf = (program: Program): string =>
  program.type === "operator" ? "operator" : callerSubject(program.name);
