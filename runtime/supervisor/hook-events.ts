/**
 * Messages of hooks, as what the accept path takes: at once, or with the agent's next heartbeat. One that waits is a timer of its agent under an id of its own kind,
 * so that it outlives the process; its key of repetition is taken in the transaction that writes it. Source: behaviour §5.9; docs/adr/0078-hooks-that-wait.md.
 */
import type { Refusal } from "../kernel/errors.ts";
import type { Admission } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { WaitingHook } from "../store/job-rows.ts";
import type { Store, TimerRow } from "../store/port.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import { makeInTurn } from "./in-turn.ts";
import { waitingHookIdMark } from "./job-schedule.ts";

export interface HookMail extends Omit<WaitingHook, "runId" | "expiresAtMs"> {
  readonly name: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly via: string;
  readonly body: string;
  readonly runId?: string;
  readonly ttlMs?: number;
}

export function hookAdmission({ name, ...mail }: HookMail): Admission {
  return {
    from: { type: "hook", name },
    verb: "send",
    chain: [],
    provenance: { kind: "external_user", sourceChannel: "hook", senderName: name },
    ...mail,
  };
}

/** One that has waited. What it was worth only for a while may be over by now. */
export function waitedAdmission(
  { id, name, agentId, sessionKey, via, body, dueAtMs }: TimerRow,
  { expiresAtMs, ...hook }: WaitingHook,
  nowMs: number,
): Admission {
  const ttl = expiresAtMs === undefined ? {} : { ttlMs: expiresAtMs - nowMs };
  const fires = { id, dueAtMs, nextMs: undefined };
  return { ...hookAdmission({ ...hook, ...ttl, name, agentId, sessionKey, via, body }), fires };
}

export interface HookEventsDeps {
  readonly store: Pick<Store, "schedule" | "timers">;
  /** When the agent's next heartbeat is; rejects when it has none. */
  readonly heartbeatMs: (agentId: string, key: string) => Promise<number>;
  readonly expect: (atMs: number) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly newRunId: () => string;
  readonly nowMs: () => number;
}

export interface HookEvent extends HookMail {
  /** The key of the request or the configuration that has it wait. */
  readonly key: string;
  readonly dedupe?: { readonly scope: string; readonly key: string };
}

export type HookEventResult =
  | { readonly status: "accepted"; readonly runId: string; readonly atMs: number }
  | { readonly status: "duplicate"; readonly runId: string }
  | { readonly status: "refused"; readonly refusal: Refusal };

export type HoldHook = (event: HookEvent) => Promise<HookEventResult>;

/** @throws CLOISTER_REQUEST_INVALID: the agent has no heartbeat */
export function makeHoldHook({ store, nowMs, ...deps }: HookEventsDeps): HoldHook {
  /** Those of an agent are counted: two at once one after the other. */
  const inTurn = makeInTurn();

  const hold = async ({ key, dedupe, name, agentId, sessionKey, via, body, ttlMs, runId: given, ...of }: HookEvent) => {
    const atMs = await deps.heartbeatMs(agentId, key);
    const createdAtMs = nowMs();
    const runId = given ?? deps.newRunId();
    const { total } = await store.timers({ agentId, isHook: true, limit: 1 });
    if (total >= limits.waitingHooksPerAgentMax) return full(agentId, atMs - createdAtMs, "messages of hooks wait for");
    const expires = ttlMs === undefined ? {} : { expiresAtMs: createdAtMs + ttlMs };
    const id = `${waitingHookIdMark}${runId}`;
    const row = { id, agentId, sessionKey, name, via, body, isData: false, dueAtMs: atMs, createdAtMs };
    const set = await store.schedule({ ...row, hook: { ...of, ...expires, runId } }, dedupe);
    if (set.status === "full") return full(agentId, atMs - createdAtMs, "timers and jobs are set for");
    if (set.status === "known") return { status: "duplicate", runId: set.runId ?? set.id } as const;
    deps.note({ type: "cron_changed", subject: "hook", object: `agent:${agentId}`, detail: `waits ${id}` });
    deps.expect(atMs);
    return { status: "accepted", runId, atMs } as const;
  };
  return (event) => inTurn(() => hold(event));
}

const full = (agentId: string, waitMs: number, what: string): Extract<HookEventResult, { status: "refused" }> => ({
  status: "refused",
  refusal: {
    code: "CLOISTER_BUSY",
    message: `as many ${what} the agent ${agentId} as may`,
    remedy: 'tell several events in one text, or leave the mode out ("now")',
    retryAfterMs: Math.max(1_000, waitMs),
  },
});
