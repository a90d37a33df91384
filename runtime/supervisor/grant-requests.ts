/**
 * Rights that agents lacked and that an operator may grant (ADR 0024). A refused call raises one request for each sender, target
 * and verb; its message is kept with the request in the journal, and the caller is told both. Then:
 *
 *   waiting ──approve──► approved: the grant is kept, each message goes through the accept path as the sender's ──► gone
 *      │  └──deny──► denied: the messages are dead letters (`refused`); nothing is asked again for an hour ──► gone
 *      └──nobody decides in a day──► the messages are dead letters (`refused`) ──► gone
 *
 * A decision is on the disk before it is carried out, and what is left of it is carried out at the next start. A message leaves
 * the request in the transaction that journals it, so that it is delivered once. An approval is judged again by the rules of the
 * moment: what a sandbox clamps stays clamped, and what the config allows by now needs no grant.
 */
import { isClampedSession, judgePair, type Policy, sessionToolsOf } from "../../auth/policy.ts";
import { stampOf } from "../kernel/chains.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import type { GatewayEvent } from "../edge/port.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import type { GrantRow } from "../kernel/envelope.ts";
import { failure, type Refusal, toRefusal } from "../kernel/errors.ts";
import type { Admission } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { PairingRegistry } from "../kernel/pairings.ts";
import type { AcceptResult } from "../kernel/state.ts";
import { isThreadKey, mainSessionKey } from "../routing/index.ts";
import { unknownRequest } from "../store/grant-requests.ts";
import type { GrantDecision, GrantRequest, KeptHead, KeptMessage, Store } from "../store/port.ts";
import { makeAuditNote } from "./audit-trail.ts";
import { isSandboxed } from "./sandboxed.ts";
import { makeInTurn } from "./in-turn.ts";
import type { Logger } from "./driver.ts";
import type { Grants } from "./grants.ts";
import {
  describeRequest,
  type RefusedCall,
  headOf,
  makeKept,
  revisionOf,
  type ShownRequest,
  showRequest,
} from "./kept-messages.ts";

export interface GrantRequestsDeps {
  readonly config: Pick<ResolvedConfig, "agentToAgent" | "session">;
  /** Those of the configuration in force, by id. */
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly policy: Policy;
  /** What the store kept at the start, oldest first. */
  readonly kept: readonly GrantRequest[];
  readonly store: Pick<
    Store,
    "keepRequest" | "refuseRequest" | "dropRequest" | "keptMessage" | "requests" | "session" | "audit"
  >;
  readonly grants: Pick<Grants, "make" | "put">;
  readonly pairings: () => Pick<PairingRegistry, "find">;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly onDeadLetter: () => void;
  readonly publish: (event: GatewayEvent) => void;
  readonly newId: () => string;
  readonly newEnvelopeId: (nowMs: number) => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** `kept`: the message goes out when the request is approved; sending it again would send it twice. */
export interface Raised {
  readonly requestId: string;
  readonly kept: boolean;
}

/** `once`: the messages that are kept now, and no right. `grant`: those, and the right from now on. */
export type ApprovalMode = "once" | "grant";

export interface Approval {
  readonly mode: ApprovalMode;
  /** Of the grant, in milliseconds since the epoch. Absent: until it is revoked. */
  readonly untilMs?: number;
  /** As it was shown to who decides. */
  readonly revision: number;
}

export interface Approved {
  readonly id: string;
  readonly grant?: GrantRow;
  /** Messages that are in their mailbox now. */
  readonly delivered: number;
  /** Messages that are tried again, because a mailbox was full. */
  readonly waiting: number;
  /** Messages that are dead letters (`refused`), because the target does not take them, and why. */
  readonly buried?: number;
  readonly why?: string;
}

export interface GrantRequests {
  /** Undefined: nobody is asked (switched off, denied a while ago, as many as may wait). Never rejects. */
  raise(refused: RefusedCall): Promise<Raised | undefined>;
  /** Oldest first; what waits for a decision or is still carried out. */
  waiting(): Promise<readonly ShownRequest[]>;
  /** `by` is the client that asks, here and below. Throws `CLOISTER_GRANT_REQUEST_UNKNOWN` and `…_CHANGED`. */
  approve(id: string, approval: Approval, by: string): Promise<Approved>;
  /** How many messages became dead letters. */
  deny(id: string, by: string): Promise<number>;
  /** Takes up the decisions of the last process. Call it when mail may be accepted. */
  resume(): void;
  close(): void;
}

const isOpen = (request: GrantRequest): boolean => request.decision === undefined;

export function makeGrantRequests(deps: GrantRequestsDeps): GrantRequests {
  const { config, agents, policy, store, nowMs, log } = deps;
  let rows: readonly GrantRequest[] = deps.kept;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** One change at a time: bounds are counted and the store written without another one in between. */
  const inTurn = makeInTurn();

  const audit = makeAuditNote(store, log, nowMs);

  const replace = (id: string, row: GrantRequest | undefined): void => {
    const others = rows.filter((other) => other.id !== id);
    rows =
      row === undefined
        ? others
        : rows.some((other) => other.id === id)
          ? rows.map((other) => (other.id === id ? row : other))
          : [...others, row];
    deps.publish({ event: "grants.requests", payload: { total: rows.filter(isOpen).length } });
    wake();
  };

  /** Rows whose time is over, and approved messages that wait for room. */
  const wake = (): void => {
    clearTimeout(timer);
    if (isClosed || rows.length === 0) return;
    const isReleasing = rows.some(({ decision }) => decision?.type === "approved");
    const dueMs = Math.min(...rows.map(({ expiresAtMs }) => expiresAtMs)) - nowMs();
    // No sooner, so that a store that fails is not asked all the time.
    const delayMs = isReleasing ? 0 : dueMs;
    timer = setTimeout(() => void inTurn(sweep), Math.max(limits.releaseRetryMs, delayMs));
    timer.unref();
  };

  const sweep = async (): Promise<void> => {
    for (const row of rows) {
      try {
        if (row.decision?.type === "approved") await carryOut(row);
        else if (isOpen(row) && !isConfigured(row))
          await refuse(row, `${row.from} or ${row.to} is no longer configured`);
        else if (row.expiresAtMs <= nowMs()) await expire(row);
      } catch (error) {
        log.error({ request: row.id, error: toRefusal(error) }, "a request for a right could not be carried on");
      }
    }
    wake();
  };

  const expire = async (row: GrantRequest): Promise<void> => {
    await refuse(row, `nobody decided the request ${row.id} in time`);
    if (isOpen(row))
      audit({
        type: "grant_request_expired",
        subject: `agent:${row.from}`,
        object: row.id,
        detail: describeRequest(row),
      });
  };

  const refuse = async (row: GrantRequest, reason: string, after?: GrantRequest): Promise<number> => {
    const buried = await store.refuseRequest(row.id, reason, after);
    replace(row.id, after);
    if (buried > 0) deps.onDeadLetter();
    return buried;
  };

  /** The grant first, then the messages; each step may be repeated. */
  const carryOut = async (row: GrantRequest): Promise<Approved> => {
    const decision = row.decision as Extract<GrantDecision, { type: "approved" }>;
    const { grant } = decision;
    let left: GrantRequest = row;
    if (grant !== undefined && decision.isGranted === undefined) {
      await deps.grants.put(grant);
      left = { ...row, decision: { ...decision, isGranted: true } };
      await store.keepRequest(left);
      replace(row.id, left);
    }
    let delivered = 0;
    let refused: Refusal | undefined;
    for (const { n } of row.messages) {
      const result = await releaseOne(left, n, grant === undefined);
      if (result === "later") continue;
      if (typeof result === "object") {
        refused = result;
        break;
      }
      if (result === "accepted") delivered++;
      left = { ...left, messages: left.messages.filter((head) => head.n !== n) };
      replace(row.id, left);
    }
    // It would be refused the next time as well.
    const buried =
      refused === undefined ? 0 : await refuse(left, `it was approved, and refused then: ${refused.message}`);
    if (left.messages.length === 0) {
      await store.dropRequest(row.id);
      replace(row.id, undefined);
    }
    return {
      id: row.id,
      delivered,
      waiting: refused === undefined ? left.messages.length : 0,
      ...(refused === undefined ? {} : { buried, why: refused.message }),
      ...(grant === undefined ? {} : { grant }),
    };
  };

  const releaseOne = async (
    row: GrantRequest,
    n: number,
    isOnce: boolean,
  ): Promise<"accepted" | "later" | "gone" | Refusal> => {
    const kept = await store.keptMessage({ requestId: row.id, message: n });
    if (kept === undefined) return "gone";
    const unfit = await whyUnfit(kept);
    if (unfit !== undefined) return unfit;
    const { from, to, verb } = row;
    // What the config allows by now, or a grant, is the right; otherwise the operator's word for these messages alone.
    const held = deps.pairings().find(`agent:${from}`, verb, `agent:${to}`)?.id;
    const via = held ?? (isOnce ? `door:approval:${row.id}` : `request:${row.id}`);
    const { from: sender, agentId, sessionKey, chain, trace, provenance } = kept.header;
    const result = await deps.accept({
      from: sender,
      agentId,
      sessionKey,
      verb: kept.header.verb,
      via,
      chain,
      cause: { id: kept.by.turn, ...stampOf(kept.header, limits.chainMsMax) },
      trace,
      provenance,
      replyRoute: { type: "none" },
      body: kept.body,
      releases: { requestId: row.id, message: n },
    });
    if (result.status !== "refused") return "accepted";
    if (result.refusal.code === "CLOISTER_GRANT_REQUEST_UNKNOWN") return "gone";
    return isPassing(result.refusal) ? "later" : result.refusal;
  };

  /** What `sessions_send` refuses to who holds the right; who held none was not told. */
  const whyUnfit = async ({ header, by }: KeptMessage): Promise<Refusal | undefined> => {
    const { sessionKey, agentId } = header;
    if (by.call.op !== "tool") return undefined;
    if (isThreadKey(sessionKey))
      return {
        code: "CLOISTER_REQUEST_INVALID",
        message: `${sessionKey} is a thread session, which takes no message of an agent`,
      };
    const row = await store.session(sessionKey);
    if (row?.archivedAtMs !== undefined)
      return { code: "CLOISTER_SESSION_UNKNOWN", message: `the session ${sessionKey} is archived` };
    if (row !== undefined || sessionKey === mainSessionKey(agentId, config.session)) return undefined;
    return { code: "CLOISTER_SESSION_UNKNOWN", message: `no session has the key ${sessionKey}` };
  };

  /** A call that was repeated, and allowed, has sent what was kept of it: the store has taken it out in that transaction. */
  const leaveSent = async (): Promise<void> => {
    if (rows.length === 0) return;
    const left = new Map((await store.requests()).map((row) => [row.id, row.messages]));
    for (const row of rows) {
      const messages = left.get(row.id);
      if (messages === undefined) replace(row.id, undefined);
      else if (messages.length < row.messages.length) replace(row.id, { ...row, messages });
    }
  };

  const find = (id: string): GrantRequest => {
    const row = rows.find((one) => one.id === id);
    if (row === undefined || !isOpen(row) || row.expiresAtMs <= nowMs()) throw unknownRequest("decide", id);
    return row;
  };

  const isConfigured = ({ from, to }: GrantRequest): boolean => [from, to].every((agentId) => agents.has(agentId));

  const isClamped = (row: GrantRequest): boolean => {
    const isIn = (sessionKey: string): boolean => isSandboxed(agents.get(row.from), sessionKey, config.session);
    return row.messages.some(({ fromSession }) =>
      isClampedSession(policy, { agentId: row.from, sandboxed: isIn(fromSession) }),
    );
  };

  const raise = async (refused: RefusedCall): Promise<Raised | undefined> => {
    const { header, verb, toSession, message } = refused;
    const from = header.agentId;
    const to = agentOfKey(toSession) ?? "";
    const by = message === undefined ? undefined : { turn: header.id, call: message.call };
    const known = by && rows.find(({ messages }) => messages.some((head) => isSame(head.by, by)));
    if (known !== undefined) return { requestId: known.id, kept: true };
    const same = rows.filter((row) => row.from === from && row.to === to && row.verb === verb);
    if (same.some(({ decision, expiresAtMs }) => decision?.type === "denied" && expiresAtMs > nowMs()))
      return undefined;
    const found = same.find((row) => isOpen(row) && row.expiresAtMs > nowMs());
    if (found === undefined && !(await makeRoom(from))) return undefined;
    const request: GrantRequest = found ?? {
      id: deps.newId(),
      from,
      to,
      verb,
      createdAtMs: nowMs(),
      expiresAtMs: nowMs() + limits.grantRequestAgeMs,
      calls: 0,
      messages: [],
      next: 1,
    };
    const kept =
      message === undefined ? undefined : makeKept(deps.newEnvelopeId(nowMs()), request.id, refused, message, nowMs());
    const isFull =
      kept === undefined ||
      request.messages.length >= limits.keptMessagesPerRequestMax ||
      kept.body.length > limits.keptMessageCharsMax;
    const next: GrantRequest = {
      ...request,
      calls: request.calls + 1,
      ...(isFull ? {} : { messages: [...request.messages, headOf(kept, request.next)], next: request.next + 1 }),
    };
    if ((await store.keepRequest(next, isFull ? undefined : kept)) === "sent") return undefined;
    replace(next.id, next);
    if (found === undefined)
      audit({
        type: "grant_requested",
        subject: header.sessionKey,
        object: next.id,
        verb,
        trace: header.trace,
        detail: describeRequest(next),
      });
    return { requestId: next.id, kept: !isFull };
  };

  /** Denials that are only remembered give way. */
  const makeRoom = async (from: string): Promise<boolean> => {
    if (rows.filter((row) => isOpen(row) && row.from === from).length >= limits.grantRequestsPerAgentMax) return false;
    if (rows.length < limits.grantRequestsMax) return true;
    const oldest = rows.find(({ decision }) => decision?.type === "denied");
    if (oldest === undefined) return false;
    await store.dropRequest(oldest.id);
    replace(oldest.id, undefined);
    return true;
  };

  return {
    async raise(refused) {
      if (config.agentToAgent.requests !== "operator") return undefined;
      try {
        return await inTurn(() => raise(refused));
      } catch (error) {
        log.error({ error: toRefusal(error) }, "a request for a right could not be kept");
        return undefined;
      }
    },
    async waiting() {
      await inTurn(leaveSent);
      return rows
        .filter((row) => row.decision?.type === "approved" || (isOpen(row) && row.expiresAtMs > nowMs()))
        .map((row) => showRequest(row));
    },
    approve: (id, { mode, untilMs, revision }, by) =>
      inTurn(async () => {
        const row = find(id);
        if (revisionOf(row) !== revision)
          throw failure(
            "CLOISTER_GRANT_REQUEST_CHANGED",
            `the request ${id} has ${row.messages.length} messages now; it is not the one that was shown`,
            "look at it again: cloister grants requests",
          );
        if (isClamped(row))
          throw failure(
            "CLOISTER_CAPABILITY_DENIED",
            `a sandboxed session of ${row.from} reaches only what it spawned, whatever is granted: nothing was approved`,
            `${sessionToolsOf(policy, row.from).key}: "all", or cloister grants deny`,
          );
        const isAllowed = judgePair(policy, row.from, row.to, row.verb).allowed;
        const grant =
          mode === "once" || isAllowed
            ? undefined
            : await deps.grants.make(
                { from: row.from, to: row.to, verbs: [row.verb], ...(untilMs === undefined ? {} : { untilMs }) },
                by,
              );
        const decided: GrantRequest = {
          ...row,
          decision: { type: "approved", by, atMs: nowMs(), ...(grant === undefined ? {} : { grant }) },
        };
        await store.keepRequest(decided);
        replace(id, decided);
        audit({
          type: "grant_request_approved",
          subject: by,
          object: id,
          verb: row.verb,
          detail: `${mode}: ${describeRequest(row)}`,
        });
        return carryOut(decided);
      }),
    deny: (id, by) =>
      inTurn(async () => {
        const row = find(id);
        const after: GrantRequest = {
          ...row,
          messages: [],
          expiresAtMs: nowMs() + limits.grantDenialMs,
          decision: { type: "denied", by, atMs: nowMs() },
        };
        const buried = await refuse(row, `the operator denied the request ${id}`, after);
        audit({ type: "grant_request_denied", subject: by, object: id, verb: row.verb, detail: describeRequest(row) });
        return buried;
      }),
    resume: () => void inTurn(sweep),
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** It may go away by itself: then the message is tried again. */
function isPassing({ code, retryAfterMs }: Refusal): boolean {
  return retryAfterMs !== undefined || code === "CLOISTER_STORE_FAILED" || code === "CLOISTER_AGENT_DISABLED";
}

function isSame(a: KeptHead["by"], b: KeptHead["by"]): boolean {
  return a.turn === b.turn && a.call.key === b.call.key;
}
