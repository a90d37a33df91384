/**
 * Messages from outside on their way to the one accept path: who it is from, which agent and session it is for, which key
 * makes a repetition recognisable.
 */
import type { HookRequest, HookResult } from "../edge/port.ts";
import { hasPrefix, withoutAgent } from "../config/hooks.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Admission } from "../kernel/kernel.ts";
import type { Outcome, Provenance } from "../kernel/envelope.ts";
import type { AcceptResult } from "../kernel/state.ts";
import type { PairingRegistry } from "../kernel/pairings.ts";
import { formatSessionKey, parseSessionKey, type RouteTable } from "../routing/index.ts";
import type { Store } from "../store/port.ts";
import { operatorScope } from "../store/rows.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { ChannelRoute } from "./answers.ts";
import type { Commands, OperatorClient } from "./commands/index.ts";
import { type AnsweredCommand, type ChannelMail, type ChannelMailDeps, makeChannelMail } from "./channel-mail.ts";
import type { Logger } from "./driver.ts";
import { type HoldHook, hookAdmission } from "./hook-events.ts";
import { type HookWishesDeps, readHookWishes } from "./hook-wishes.ts";
import { makeProgramCalls, type ProgramCalls } from "./program-calls.ts";
import type { Runs } from "./runs.ts";
import { makeWhyNoSending } from "./send-policy.ts";
import { tooManyWakes, type WakePace } from "./wake-pace.ts";

export interface IngressDeps {
  readonly config: ResolvedConfig;
  /** Whether one of the configuration in force has this id. */
  readonly isAgent: (agentId: string) => boolean;
  readonly routes: RouteTable;
  readonly store: Store;
  readonly runs: Runs;
  readonly models: HookWishesDeps["models"];
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly pairings: () => Pick<PairingRegistry, "find">;
  /** A program outside lacked a right. */
  readonly refused: (subject: string, object: string, refusal: Refusal) => void;
  readonly newUuid: () => string;
  readonly commands: Pick<Commands, "fromChannel" | "fromOperator">;
  readonly senders: ChannelMailDeps["senders"];
  readonly threads: ChannelMailDeps["threads"];
  readonly bring: ChannelMailDeps["bring"];
  /** Sends the answer of a command through its channel. */
  readonly answer: (about: AnsweredCommand, route: ChannelRoute, text: string) => void;
  readonly nowMs: () => number;
  readonly log: Logger;
  /** Whether answers to this account leave by themselves; else they stay in the session. */
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  readonly wakePace: Pick<WakePace, "take">;
  /** Takes a message that waits for its agent's next heartbeat. */
  readonly holdHook: HoldHook;
}

export interface Said {
  readonly client: OperatorClient;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly message: string;
  readonly idempotencyKey?: string;
  readonly ttlMs?: number;
  /** A turn that runs in the session may take it. */
  readonly steers?: boolean;
}

export type SaidResult =
  | { readonly status: "accepted" | "duplicate"; readonly runId: string }
  | { readonly status: "refused"; readonly refusal: Refusal };

/** `isOver`: a dead letter, or done so long ago that only the session's history tells; nobody hears its end any more. */
type AcceptedOnce =
  | {
      readonly status: "accepted" | "duplicate";
      readonly runId: string;
      readonly envelopeId: string;
      readonly isOver?: true;
    }
  | Extract<SaidResult, { status: "refused" }>;

/** From a channel: `inbound` admits and routes, `answered` shows answers to the other agents of a group. */
export interface Ingress extends ChannelMail, Pick<ProgramCalls, "call" | "callable" | "reach" | "sessionOf"> {
  hook(request: HookRequest): Promise<HookResult>;
  /** From an operator's client, to a session that it names. */
  said(said: Said): Promise<SaidResult>;
}

interface HookTarget {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly via: string;
  /** Of a session of its own: its name, and that of the run which begins it. */
  readonly freshId?: string;
}

const freshSession = (agentId: string, id: string): string => formatSessionKey(agentId, { type: "hook", id });

export function makeIngress(deps: IngressDeps): Ingress {
  const { config, runs } = deps;

  /** The run of a repeated message may have ended before this process began: then its outcome is in the store. */
  const acceptOnce = async (admission: Admission): Promise<AcceptedOnce> => {
    const result = await deps.accept(admission);
    if (result.status === "refused") return result;
    const { runId, envelopeId } = result;
    if (result.status === "stored") return { status: "accepted", runId, envelopeId };
    if (runs.knows(runId)) return { status: "duplicate", runId, envelopeId };
    const found = await deps.store.outcome(admission.agentId, envelopeId);
    if (found.status === "done") runs.recalled(runId, outcomeOf(found.outcomeText));
    return { status: "duplicate", runId, envelopeId, ...(found.status === "unknown" ? { isOver: true } : {}) };
  };

  const accept = async (admission: Admission): Promise<SaidResult> => {
    const result = await acceptOnce(admission);
    return result.status === "refused" ? result : { status: result.status, runId: result.runId };
  };

  const whyNoSending = makeWhyNoSending(deps);
  const channelMail = makeChannelMail({ ...deps, accept: acceptOnce });
  const programs = makeProgramCalls({
    ...deps,
    accept: async (admission) => {
      const result = await acceptOnce(admission);
      if (result.status === "refused") return result;
      const { isOver: _, ...accepted } = result;
      return accepted;
    },
  });

  return {
    ...channelMail,
    call: (asked) => programs.call(asked),
    callable: (program) => programs.callable(program),
    reach: (program, agentId) => programs.reach(program, agentId),
    sessionOf: (agentId, call) => programs.sessionOf(agentId, call),

    async hook(request) {
      const target = hookTarget(request);
      if ("refusal" in target) return { status: "refused", refusal: target.refusal };
      const { agentId, sessionKey, via, freshId } = target;
      const wishes = await readHookWishes(deps, request, target);
      const { name, message: body, trace, ttlMs, idempotencyKey, atHeartbeat } = request;
      const mail = {
        name,
        agentId,
        sessionKey,
        via,
        body,
        ...wishes,
        ...(freshId === undefined ? {} : { runId: freshId }),
        ...(trace === undefined ? {} : { trace }),
        ...(ttlMs === undefined ? {} : { ttlMs }),
      };
      const dedupe = idempotencyKey === undefined ? {} : { dedupe: { scope: `hook:${agentId}`, key: idempotencyKey } };
      const told = (runId: string) => ({
        agentId,
        // Of a repeated request the session that the first one began, which has the run's name.
        sessionKey: freshId === undefined ? sessionKey : freshSession(agentId, runId),
        matchedBy: request.agentId === undefined ? "default" : "hook.agentId",
      });
      if (atHeartbeat !== undefined) {
        const held = await deps.holdHook({ ...mail, ...dedupe, key: atHeartbeat });
        return held.status === "refused" ? held : { ...held, ...told(held.runId) };
      }
      const wake = request.isWake === true ? deps.wakePace.take(agentId, deps.nowMs()) : undefined;
      if (wake !== undefined && "retryAfterMs" in wake)
        return { status: "refused", refusal: tooManyWakes(agentId, wake.retryAfterMs) };
      const result = await accept({ ...hookAdmission(mail), ...dedupe });
      if (result.status !== "accepted") wake?.takeBack();
      return result.status === "refused" ? result : { ...result, ...told(result.runId) };
    },

    async said({ client, agentId, sessionKey, message, ttlMs, idempotencyKey, steers = false }) {
      const provenance: Provenance = { kind: "external_user", sourceChannel: "webchat", senderName: client.clientId };
      const named =
        idempotencyKey === undefined
          ? {}
          : { runId: idempotencyKey, dedupe: { scope: operatorScope(sessionKey), key: idempotencyKey } };
      const command = await deps.commands.fromOperator(message, client, { agentId, sessionKey, provenance, ...named });
      if (command?.status === "refused") return command;
      if (command !== undefined && command.status !== "goes-on")
        return { status: command.status, runId: command.runId };
      // What a module is told (`/compact`) is no message, and its answer stays inside.
      const blocked = command?.signal === undefined ? await whyNoSending(sessionKey) : undefined;
      if (blocked !== undefined) return { status: "refused", refusal: blocked };
      return accept({
        from: { type: "operator", client: client.clientId },
        agentId,
        sessionKey,
        verb: "send",
        via: "door:operator",
        chain: [],
        provenance,
        replyRoute: { type: "none" },
        body: command?.message ?? message,
        ...(command?.signal === undefined ? {} : { signal: command.signal }),
        ...(command?.choices === undefined ? {} : { choices: command.choices }),
        ...(ttlMs === undefined ? {} : { ttlMs }),
        ...(steers ? { steers } : {}),
        ...named,
      });
    },
  };

  function hookTarget(request: HookRequest): HookTarget | { readonly refusal: Refusal } {
    const named = request.agentId?.trim().toLowerCase();
    const { configuredSession, sessionKey } = request;
    const { defaultSessionKey } = config.hooks;
    const meant = sessionKey ?? (configuredSession === undefined ? defaultSessionKey : undefined);
    const fromKey = meant === undefined ? undefined : parseSessionKey(meant);
    const agentId = named ?? (fromKey?.shape === "agent" ? fromKey.agentId : config.defaultAgentId);
    if (!deps.isAgent(agentId))
      return {
        refusal: {
          code: "CLOISTER_AGENT_UNKNOWN",
          message: `agent not found: ${agentId}`,
          remedy: "cloister agents list",
        },
      };
    const right = programs.hookRight(agentId);
    if ("refusal" in right) {
      deps.refused("hook", `agent:${agentId}`, right.refusal);
      return right;
    }
    if (configuredSession !== undefined) {
      const session = programs.namedSession(agentId, configuredSession);
      return "refusal" in session ? session : { agentId, ...right, ...session };
    }
    if (meant === undefined) {
      const freshId = deps.newUuid();
      return { agentId, ...right, freshId, sessionKey: freshSession(agentId, freshId) };
    }
    // The one for all agents is each agent's own.
    const session = programs.namedSession(agentId, sessionKey ?? withoutAgent(meant));
    if ("refusal" in session) return session;
    const refusal = sessionKey === undefined ? undefined : whyNotChosen(config.hooks, session.sessionKey);
    return refusal === undefined ? { agentId, ...right, ...session } : { refusal };
  }
}

/** Why a request may not choose this session. */
function whyNotChosen(
  { allowRequestSessionKey, sessionKeyPrefixes }: ResolvedConfig["hooks"],
  sessionKey: string,
): Refusal | undefined {
  if (!allowRequestSessionKey)
    return {
      code: "CLOISTER_EDGE_FORBIDDEN",
      message: "a hook may not choose its session",
      remedy: "hooks.allowRequestSessionKey: true, or leave sessionKey out",
    };
  if (sessionKeyPrefixes === undefined || hasPrefix(sessionKey, sessionKeyPrefixes)) return undefined;
  return {
    code: "CLOISTER_EDGE_FORBIDDEN",
    message: `a hook may not choose the session ${sessionKey}: no text of hooks.allowedSessionKeyPrefixes begins it`,
    remedy: `name one that begins with ${sessionKeyPrefixes.join(" or ") || "what that key allows: it is empty"}`,
  };
}

function outcomeOf(text: string | null): Outcome {
  return text === null ? { status: "no_reply" } : { status: "ok", text };
}
