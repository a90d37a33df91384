/**
 * What holds in the kernel after every step, whatever happens. Throws with what is broken.
 */
import { isDeepStrictEqual } from "node:util";
import { agentOfKey } from "../../runtime/kernel/agent-of-key.ts";
import { laneOf } from "../../runtime/kernel/lanes.ts";
import type { Kernel } from "../../runtime/kernel/kernel.ts";
import { hasPlace, isAtBound, placesOf } from "../../runtime/kernel/places.ts";
import { runLane } from "../../runtime/kernel/run-lane.ts";
import { entryId } from "../../runtime/kernel/runs.ts";
import { isSubagentKey } from "../../runtime/routing/index.ts";
import type { Effect } from "../../runtime/kernel/state.ts";

/** Appends whose answer the kernel does not have yet. */
export interface Flights {
  begin(effect: Extract<Effect, { type: "append" }>): void;
  end(effect: Extract<Effect, { type: "append" }>): void;
  /** Towards the agent's mailbox. */
  to(agentId: string): number;
  /** Towards all of them. */
  total(): number;
  /** Sent by the cell. */
  from(agentId: string, incarnation: number): number;
}

export function makeFlights(): Flights {
  const towards = new Map<string, number>();
  /** By the agent that sent, and then by the incarnation of its cell: asked after every step, so no text is built for it. */
  const sentBy = new Map<string, Map<number, number>>();
  const count = ({ envelope, ticket }: Extract<Effect, { type: "append" }>, by: 1 | -1): void => {
    const { sessionKey } = envelope.header;
    const agentId = isSubagentKey(sessionKey) ? entryId(sessionKey.split(":")[3] ?? "") : envelope.header.agentId;
    towards.set(agentId, (towards.get(agentId) ?? 0) + by);
    if (ticket.type !== "cell") return;
    const cells = sentBy.get(ticket.agentId) ?? new Map<number, number>();
    sentBy.set(ticket.agentId, cells.set(ticket.incarnation, (cells.get(ticket.incarnation) ?? 0) + by));
  };
  return {
    begin: (effect) => count(effect, 1),
    end: (effect) => count(effect, -1),
    to: (agentId) => towards.get(agentId) ?? 0,
    total: () => [...towards.values()].reduce((sum, flying) => sum + flying, 0),
    from: (agentId, incarnation) => sentBy.get(agentId)?.get(incarnation) ?? 0,
  };
}

export function checkInvariants(kernel: Kernel, nowMs: number, when: string, flights: Flights): void {
  const k = kernel.state;
  const wrong = (what: string): never => {
    throw new Error(`${when}: ${what}`);
  };
  const holding = new Map<string, Map<string, number>>();
  const holds = (name: string, agentId: string): void => {
    const inLane = holding.get(name) ?? new Map<string, number>();
    holding.set(name, inLane.set(agentId, (inLane.get(agentId) ?? 0) + 1));
  };
  let live = 0;
  for (const agent of k.agents.values()) {
    const id = agent.spec.id;
    if (agent.phase === "starting" || agent.phase === "live" || agent.phase === "stopping") live++;
    for (const [slot, pairing] of agent.slots) {
      if (!k.pairings.isLive(pairing)) wrong(`slot ${slot} of ${id} is of ${pairing}, which is gone`);
      if (slot >= agent.nextSlot) wrong(`slot ${slot} of ${id} will be given again`);
    }
    if (agent.run?.holdsPlace === true) holds(runLane, placesOf(agent));
    let held = 0;
    let suspects = 0;
    for (const turn of agent.turns.values()) {
      const name = laneOf(turn.mail.envelope.header);
      if (turn.holdsPlace) holds(name, id);
      for (const { suspect } of [turn.mail, ...turn.taken, ...turn.taking]) if (suspect) suspects++;
      held += 1 + turn.taken.length + turn.taking.length;
      const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
      if (!turn.mail.volatile && lane?.running !== turn)
        wrong(`turn ${turn.number} of ${id} does not hold its session's lane`);
      if (k.asks.isWaiting(turn.number) && turn.holdsPlace)
        wrong(`turn ${turn.number} of ${id} waits and holds a place in ${name}`);
      if (k.asks.isWaiting(turn.number) && turn.stage !== "delivered")
        wrong(`turn ${turn.number} of ${id} waits while it is ${turn.stage}`);
    }
    for (const lane of agent.lanes.values()) {
      if (lane.queue.length === 0 && lane.running === undefined) wrong(`${lane.key} has an empty lane`);
      if (lane.running !== undefined && !agent.turns.has(lane.running.number))
        wrong(`${lane.key} runs a turn that is over`);
      for (const mail of lane.queue) {
        held++;
        if (mail.suspect) suspects++;
      }
      const [head] = lane.running === undefined ? lane.queue : [];
      const next = head?.mode === "collect" && k.quiet.has(lane) ? undefined : head;
      const wanted = next === undefined ? undefined : laneOf(next.envelope.header);
      const names = [...agent.ready].filter(([, ready]) => ready.has(lane)).map(([readyIn]) => readyIn);
      if (agent.disabled === undefined && names.join() !== (wanted ?? ""))
        wrong(`${lane.key} is ready in the lanes ${JSON.stringify(names)}, and should be in ${wanted ?? "none"}`);
    }
    if (agent.suspects !== suspects) wrong(`${id} counts ${agent.suspects} suspects and has ${suspects}`);
    // Appends in flight are counted and not yet in a lane.
    const due = held + flights.to(id);
    if (agent.depth !== due) wrong(`${id} counts ${agent.depth} envelopes and has ${due}`);
    const sum = [...agent.sessionDepth.values()].reduce((total, depth) => total + depth, 0);
    if (sum !== agent.depth) wrong(`the sessions of ${id} count ${sum} envelopes, the agent ${agent.depth}`);
    const mayBecomeDue =
      agent.turns.size > 0 || agent.lanes.size > 0 || (agent.phase !== "dormant" && agent.phase !== "parked");
    if (mayBecomeDue && agent.disabled === undefined && !k.astir.has(agent))
      wrong(`${id} would be forgotten by the tick`);
    const hasCell = agent.phase === "starting" || agent.phase === "live" || agent.phase === "stopping";
    const unacked = hasCell ? flights.from(id, agent.incarnation) : 0;
    if (agent.unacked !== unacked) wrong(`${id} counts ${agent.unacked} sends in flight and has ${unacked}`);
    if (agent.openCalls.size > k.settings.limits.callsPerCellMax)
      wrong(`${id} has ${agent.openCalls.size} calls without an answer`);
    if (agent.appending !== flights.to(id))
      wrong(`${id} counts ${agent.appending} appends in flight and has ${flights.to(id)}`);
    checkBounds(kernel, agent, wrong);
    checkNotStalled(kernel, agent, nowMs, wrong);
  }
  for (const [trace, { messages, calls, open }] of k.chains) {
    const isCounted = [...open].every((id) => k.mail.has(id) || hasTurn(kernel, id));
    if (!isCounted) wrong(`the chain ${trace} counts on mail that is gone`);
    if (messages > k.settings.limits.chainMessagesMax) wrong(`the chain ${trace} has ${messages} messages`);
    if (calls > k.settings.limits.chainCallsMax) wrong(`the chain ${trace} has ${calls} tool calls`);
    if (open.size === 0 && flights.total() === 0) wrong(`the chain ${trace} is over and not forgotten`);
  }
  if (k.asks.size > 0)
    for (const { toSession } of k.asks.awaitedEnvelopes()) {
      const agentId = agentOfKey(toSession) ?? "";
      if (k.agents.get(agentId)?.phase === "parked") wrong(`an ask waits for ${agentId}, which is parked`);
    }
  for (const { spec } of k.roomy) wrong(`a place at ${spec.id} is free, and nobody is asked whether he waits for it`);
  if (k.asks.size > k.settings.limits.asksMax) wrong(`${k.asks.size} asks wait`);
  for (const [name, lane] of k.lanes) {
    const found = holding.get(name) ?? new Map<string, number>();
    const sum = [...found.values()].reduce((all, one) => all + one, 0);
    if (lane.running !== sum) wrong(`lane ${name} counts ${lane.running} turns and has ${sum}`);
    if (!isDeepStrictEqual(lane.held, found))
      wrong(`lane ${name} counts ${JSON.stringify([...lane.held])} by agent and has ${JSON.stringify([...found])}`);
    for (const agentId of lane.atBound)
      if (!isAtBound(k, lane, agentId))
        wrong(`${agentId} may have a further place in lane ${name}, and stands beside the row`);
    for (const [agentId, runs] of lane.runs)
      if (runs.size === 0 || !(lane.wanting.has(agentId) || lane.atBound.has(agentId) || lane.first?.[0] === agentId))
        wrong(`runs of ${agentId} want a place in lane ${name}, and it is not in the row`);
  }
  if (live !== k.liveCells) wrong(`${k.liveCells} live cells are counted, ${live} there`);
  if (live > k.settings.liveCellsMax) wrong(`${live} live cells, the budget is ${k.settings.liveCellsMax}`);
}

/** What is in memory alone is in no table of mail. */
function hasTurn(kernel: Kernel, envelopeId: string): boolean {
  for (const agent of kernel.state.agents.values())
    for (const { mail } of agent.turns.values()) if (mail.envelope.header.id === envelopeId) return true;
  return false;
}

/** Of what waits in memory, beside the disk and for a place. */
function checkBounds(
  kernel: Kernel,
  agent: typeof kernel.state.agents extends Map<string, infer A> ? A : never,
  wrong: (what: string) => never,
): void {
  const k = kernel.state;
  const { id, mailbox } = agent.spec;
  const depthMax = mailbox?.depthMax ?? k.settings.limits.mailboxDepthMax;
  const held = agent.depth - agent.appending;
  if (held > depthMax) wrong(`${id} holds ${held} envelopes in memory, its bound is ${depthMax}`);
  const crowd = agent.crowd ?? [];
  if (crowd.length > k.settings.limits.parkedSendersMax) wrong(`${crowd.length} senders wait for a place at ${id}`);
  if (k.crowded.has(agent) !== crowd.length > 0) wrong(`${id} is wrongly ${k.crowded.has(agent) ? "" : "not "}crowded`);
  for (const waiting of crowd)
    if (waiting.type === "cell" && k.agents.get(waiting.agentId)?.turns.has(waiting.turn) !== true)
      wrong(`a turn that is over waits for a place at ${id}`);
  const { spill } = agent;
  // One that was emptied while it is being read goes when that has ended.
  if (spill !== undefined && !spill.isReading && (spill.count < 1 || spill.after >= spill.until))
    wrong(`${id} has a backlog of ${spill.count} between ${spill.after} and ${spill.until}`);
}

/** Mail that could start now and does not waits for an event that need not come. */
function checkNotStalled(
  kernel: Kernel,
  agent: typeof kernel.state.agents extends Map<string, infer A> ? A : never,
  nowMs: number,
  wrong: (what: string) => never,
): void {
  const k = kernel.state;
  if (k.draining || agent.disabled !== undefined || nowMs < agent.notBeforeMs || agent.phase === "parked") return;
  const { restart, intensity, periodMs } = agent.spec.supervision;
  if (agent.crashTimes.filter((at) => nowMs - at < periodMs).length > intensity)
    wrong(`${agent.spec.id} ended more than ${intensity} times within ${periodMs} ms and is not parked`);
  // The tick starts what a back-off that has just passed held back.
  if (agent.notBeforeMs > 0 && agent.phase === "dormant") return;
  const { run } = agent;
  const own = k.lanes.get(runLane);
  const ready = [...agent.ready].some(([name, sessions]) => {
    if (sessions.size === 0) return false;
    if (run !== undefined)
      return run.end === undefined && (run.holdsPlace || (own !== undefined && hasPlace(k, own, run.row.agentId)));
    const places = k.lanes.get(name);
    return places === undefined || hasPlace(k, places, agent.spec.id);
  });
  // Before the gateway is up, a permanent agent is no concern of the tick.
  if (restart === "permanent" && agent.phase === "dormant" && k.astir.has(agent))
    wrong(`${agent.spec.id} is permanent and has no cell, and nothing is under way`);
  if (!ready) return;
  if (agent.phase === "dormant" && k.liveCells < k.settings.liveCellsMax && !k.wantingCells.has(agent.spec.id))
    wrong(`${agent.spec.id} has mail and no cell, and nothing is under way`);
  if (agent.phase === "live" && agent.notBeforeMs === 0 && agent.turns.size === 0)
    wrong(`${agent.spec.id} has a live cell and mail, and starts nothing`);
}

/** Nothing is left of anything, once all mail has ended. */
export function leaks(kernel: Kernel): readonly string[] {
  const k = kernel.state;
  const left: string[] = [];
  const expectNone = (what: string, count: number): void => {
    if (count !== 0) left.push(`${what}: ${count}`);
  };
  expectNone("mail", k.mail.size);
  expectNone("asks", k.asks.size);
  for (const [name, { running, held, wanting, atBound, runs, first }] of k.lanes) {
    expectNone(`places of ${name}`, running + held.size);
    expectNone(`wanting ${name}`, wanting.size + atBound.size + runs.size + (first === undefined ? 0 : 1));
  }
  expectNone("crowded", k.crowded.size);
  expectNone("drops", k.drops.size);
  expectNone("quiet", k.quiet.size);
  expectNone("held characters", k.heldChars);
  expectNone("wanting cells", k.wantingCells.size);
  for (const agent of k.agents.values()) {
    const id = agent.spec.id;
    expectNone(`${id} lanes`, agent.lanes.size);
    expectNone(`${id} turns`, agent.turns.size);
    for (const [name, ready] of agent.ready) expectNone(`${id} ready for ${name}`, ready.size);
    expectNone(`${id} depth`, agent.depth);
    expectNone(`${id} appending`, agent.appending);
    expectNone(`${id} backlog`, agent.spill?.count ?? 0);
    expectNone(`${id} session depths`, agent.sessionDepth.size);
    expectNone(`${id} unacked`, agent.unacked);
    expectNone(`${id} suspects`, agent.suspects);
    expectNone(`${id} open calls`, agent.openCalls.size);
  }
  return left;
}
