/**
 * Who waits for whom. An ask is a wait of one turn for the outcome of one envelope; it is settled once and dies with its
 * deadline or with its turn. The waits form a graph over sessions; an ask that would close a cycle is refused before it
 * waits (criterion W-06), at any length.
 */
import { makeDeadlines } from "./deadlines.ts";
import type { Effect, KernelState } from "./state.ts";
import type { CallId } from "./steps.ts";

export interface Ask {
  readonly envelopeId: string;
  readonly fromSession: string;
  readonly toSession: string;
  readonly deadlineMs: number;
  /** Where the answer goes: the cell's call, by agent, incarnation and reference. */
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  /** The waiting turn; its number is unique in the process. */
  readonly turn: number;
  readonly openedAtMs: number;
  /** Of a tool, the answer is its result object. Undefined: asked in memory, the answer is not recorded. */
  readonly call: CallId | undefined;
  /** The message began an exchange (`exchange.ts`). */
  readonly isFollowed?: boolean;
  /** It waits for a place in the target's mailbox, not for an answer: nothing is stored yet (`crowd.ts`). */
  readonly isForPlace?: true;
  /** It waits for sub-agent runs; the call goes back to its tool when it is settled (`run-waits.ts`). */
  readonly waited?: Extract<Effect, { type: "call" }>;
}

export interface Asks {
  readonly size: number;
  /**
   * Whether an ask from one to the other would never be answered: they are the same, or the target waits for the asker,
   * directly or not. `heldUpBy` gives what a session waits for otherwise.
   */
  wouldDeadlock(fromSession: string, toSession: string, heldUpBy?: (session: string) => readonly string[]): boolean;
  open(ask: Ask): void;
  /** Takes out the asks that wait for the envelope: a second reply to them finds nothing. */
  take(envelopeId: string): readonly Ask[];
  /** Takes out the asks that the turn waits for. */
  takeOfTurn(turn: number): readonly Ask[];
  /** Takes out the asks whose deadline has passed, earliest first. */
  expired(nowMs: number): readonly Ask[];
  nextDeadlineMs(): number | undefined;
  /** Whether the turn waits for an answer. */
  isWaiting(turn: number): boolean;
  /** Whether anybody waits for the session. */
  isAwaited(session: string): boolean;
  /** The envelopes that somebody waits for, in the order of the asks, each with the session that it went to. */
  awaitedEnvelopes(): readonly { readonly envelopeId: string; readonly toSession: string }[];
}

export function makeAsks(): Asks {
  const live = new Set<Ask>();
  const byEnvelope = new Map<string, OneOrMore>();
  const byTurn = new Map<number, OneOrMore>();
  /** session → sessions that it waits for, with how often. */
  const waits = new Map<string, Map<string, number>>();
  /** session → how many asks wait for it. */
  const awaited = new Map<string, number>();
  const deadlines = makeDeadlines<Ask>(
    (ask) => live.has(ask),
    () => live.size,
  );

  const remove = (ask: Ask): void => {
    live.delete(ask);
    removeFrom(byEnvelope, ask.envelopeId, ask);
    removeFrom(byTurn, ask.turn, ask);
    count(awaited, ask.toSession, -1);
    const targets = waits.get(ask.fromSession);
    if (targets === undefined) return;
    count(targets, ask.toSession, -1);
    if (targets.size === 0) waits.delete(ask.fromSession);
  };

  const takeAll = (asks: OneOrMore | undefined): readonly Ask[] => {
    if (asks === undefined) return none;
    const taken = asks instanceof Set ? [...asks] : [asks];
    for (const ask of taken) remove(ask);
    return taken;
  };

  return {
    get size() {
      return live.size;
    },
    wouldDeadlock(fromSession, toSession, heldUpBy = () => []) {
      const seen = new Set<string>();
      const stack = [toSession];
      for (let session = stack.pop(); session !== undefined; session = stack.pop()) {
        if (session === fromSession) return true;
        if (seen.has(session)) continue;
        seen.add(session);
        stack.push(...(waits.get(session)?.keys() ?? []), ...heldUpBy(session));
      }
      return false;
    },
    open(ask) {
      live.add(ask);
      addTo(byEnvelope, ask.envelopeId, ask);
      addTo(byTurn, ask.turn, ask);
      count(awaited, ask.toSession, 1);
      const targets = waits.get(ask.fromSession) ?? new Map<string, number>();
      waits.set(ask.fromSession, targets);
      count(targets, ask.toSession, 1);
      deadlines.push(ask);
    },
    take: (envelopeId) => takeAll(byEnvelope.get(envelopeId)),
    takeOfTurn: (turn) => takeAll(byTurn.get(turn)),
    expired(nowMs) {
      const over: Ask[] = [];
      for (let ask = deadlines.takeDue(nowMs); ask !== undefined; ask = deadlines.takeDue(nowMs)) {
        remove(ask);
        over.push(ask);
      }
      return over;
    },
    nextDeadlineMs: () => deadlines.peek()?.deadlineMs,
    isWaiting: (turn) => byTurn.has(turn),
    isAwaited: (session) => awaited.has(session),
    awaitedEnvelopes: () =>
      [...byEnvelope].flatMap(([envelopeId, asks]) => {
        const [ask] = asks instanceof Set ? asks : [asks];
        return ask === undefined || ask.isForPlace === true || ask.waited !== undefined
          ? []
          : [{ envelopeId, toSession: ask.toSession }];
      }),
  };
}

/** Every wait begins here, so that its deadline is told when it is the next one. */
export function openWait(k: KernelState, ask: Ask): void {
  k.asks.open(ask);
  if (k.asks.nextDeadlineMs() === ask.deadlineMs) k.emit({ type: "deadline", atMs: ask.deadlineMs });
}

/** Nearly always one: a set for each would be much of what a question in memory costs the kernel. */
type OneOrMore = Ask | Set<Ask>;

const none: readonly Ask[] = [];

function addTo<K>(index: Map<K, OneOrMore>, key: K, ask: Ask): void {
  const asks = index.get(key);
  if (asks === undefined) index.set(key, ask);
  else if (asks instanceof Set) asks.add(ask);
  else index.set(key, new Set([asks, ask]));
}

function removeFrom<K>(index: Map<K, OneOrMore>, key: K, ask: Ask): void {
  const asks = index.get(key);
  if (asks instanceof Set) asks.delete(ask);
  if (asks === ask || (asks instanceof Set && asks.size === 0)) index.delete(key);
}

function count(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + by;
  if (sum > 0) counts.set(key, sum);
  else counts.delete(key);
}
