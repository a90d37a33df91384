/**
 * Who waits for whom. An ask is an envelope whose sender waits for the outcome; its reply can be given once, and it dies
 * with its deadline. The waits form a graph over sessions; an ask that would close a cycle is refused before it waits
 * (criterion W-06), at any length.
 */

export interface Ask {
  readonly envelopeId: string;
  readonly fromSession: string;
  readonly toSession: string;
  readonly deadlineMs: number;
  /** Where the answer goes: the cell's call, by agent, incarnation and reference. */
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  readonly openedAtMs: number;
  /** Set when a session tool asked: the answer is then the tool's result object. */
  readonly tool: string | undefined;
}

export interface Asks {
  readonly size: number;
  wouldDeadlock(fromSession: string, toSession: string): boolean;
  open(ask: Ask): void;
  /** Takes the ask out: a second reply to it finds nothing. */
  take(envelopeId: string): Ask | undefined;
  find(envelopeId: string): Ask | undefined;
  /** All asks that `match` says; used when a cell ends. */
  takeWhere(match: (ask: Ask) => boolean): Ask[];
  /** Asks whose deadline has passed. */
  expired(nowMs: number): Ask[];
  nextDeadlineMs(): number | undefined;
  waiting(agentId: string, incarnation: number, turn: number): boolean;
}

export function makeAsks(): Asks {
  const byEnvelope = new Map<string, Ask>();
  /** session → sessions that it waits for, with how often. */
  const waits = new Map<string, Map<string, number>>();
  const byTurn = new Map<string, number>();
  const deadlines = makeDeadlineHeap();

  const turnKey = (agentId: string, incarnation: number, turn: number): string => `${agentId}#${incarnation}#${turn}`;

  const remove = (ask: Ask): void => {
    byEnvelope.delete(ask.envelopeId);
    const targets = waits.get(ask.fromSession);
    const left = (targets?.get(ask.toSession) ?? 0) - 1;
    if (left > 0) targets?.set(ask.toSession, left);
    else targets?.delete(ask.toSession);
    if (targets?.size === 0) waits.delete(ask.fromSession);
    const key = turnKey(ask.agentId, ask.incarnation, ask.turn);
    const open = (byTurn.get(key) ?? 0) - 1;
    if (open > 0) byTurn.set(key, open);
    else byTurn.delete(key);
  };

  return {
    get size() {
      return byEnvelope.size;
    },
    wouldDeadlock(fromSession, toSession) {
      if (fromSession === toSession) return true;
      const seen = new Set<string>();
      const stack = [toSession];
      for (let session = stack.pop(); session !== undefined; session = stack.pop()) {
        if (session === fromSession) return true;
        if (seen.has(session)) continue;
        seen.add(session);
        for (const next of waits.get(session)?.keys() ?? []) stack.push(next);
      }
      return false;
    },
    open(ask) {
      byEnvelope.set(ask.envelopeId, ask);
      const targets = waits.get(ask.fromSession) ?? new Map<string, number>();
      targets.set(ask.toSession, (targets.get(ask.toSession) ?? 0) + 1);
      waits.set(ask.fromSession, targets);
      const key = turnKey(ask.agentId, ask.incarnation, ask.turn);
      byTurn.set(key, (byTurn.get(key) ?? 0) + 1);
      deadlines.push(ask.deadlineMs, ask.envelopeId);
    },
    take(envelopeId) {
      const ask = byEnvelope.get(envelopeId);
      if (ask !== undefined) remove(ask);
      return ask;
    },
    find: (envelopeId) => byEnvelope.get(envelopeId),
    takeWhere(match) {
      const taken = [...byEnvelope.values()].filter(match);
      for (const ask of taken) remove(ask);
      return taken;
    },
    expired(nowMs) {
      const over: Ask[] = [];
      for (let top = deadlines.peek(); top !== undefined && (top.atMs <= nowMs || !byEnvelope.has(top.id)); top = deadlines.peek()) {
        deadlines.pop();
        const ask = byEnvelope.get(top.id);
        // The same envelope may have been asked for again with a later deadline.
        if (ask === undefined || ask.deadlineMs > nowMs) continue;
        remove(ask);
        over.push(ask);
      }
      return over;
    },
    nextDeadlineMs: () => deadlines.peek()?.atMs,
    waiting: (agentId, incarnation, turn) => byTurn.has(turnKey(agentId, incarnation, turn)),
  };
}

interface Deadline {
  readonly atMs: number;
  readonly id: string;
}

/** A binary heap, earliest first. */
function makeDeadlineHeap(): { push(atMs: number, id: string): void; peek(): Deadline | undefined; pop(): void } {
  const heap: Deadline[] = [];
  const at = (index: number): Deadline => heap[index] as Deadline;
  const swap = (a: number, b: number): void => {
    const held = at(a);
    heap[a] = at(b);
    heap[b] = held;
  };
  return {
    push(atMs, id) {
      heap.push({ atMs, id });
      let index = heap.length - 1;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (at(parent).atMs <= at(index).atMs) return;
        swap(parent, index);
        index = parent;
      }
    },
    peek: () => heap[0],
    pop() {
      const last = heap.pop();
      if (heap.length === 0 || last === undefined) return;
      heap[0] = last;
      let index = 0;
      for (;;) {
        const left = 2 * index + 1;
        const right = left + 1;
        let least = index;
        if (left < heap.length && at(left).atMs < at(least).atMs) least = left;
        if (right < heap.length && at(right).atMs < at(least).atMs) least = right;
        if (least === index) return;
        swap(index, least);
        index = least;
      }
    },
  };
}
