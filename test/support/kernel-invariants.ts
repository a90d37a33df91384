/**
 * What holds in the kernel after every step, whatever happens. Throws with what is broken.
 */
import { agentOfKey } from "../../runtime/kernel/agent-of-key.ts";
import { inHand, isWaiting } from "../../runtime/kernel/dispatch.ts";
import type { EnvelopeHeader } from "../../runtime/kernel/envelope.ts";
import { laneOf } from "../../runtime/kernel/lanes.ts";
import type { Kernel } from "../../runtime/kernel/kernel.ts";
import { hasPlace, isAtBound, placesOf } from "../../runtime/kernel/places.ts";
import { headerOf, questionOf } from "../../runtime/kernel/questions.ts";
import { runLane } from "../../runtime/kernel/run-lane.ts";
import { entryId } from "../../runtime/kernel/runs.ts";
import { isSubagentKey } from "../../runtime/routing/index.ts";
import type { AgentEntry, Effect, KernelState, SessionLane } from "../../runtime/kernel/state.ts";

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
  let flying = 0;
  /** By the agent that sent, and then by the incarnation of its cell: asked after every step, so no text is built for it. */
  const sentBy = new Map<string, Map<number, number>>();
  const count = ({ envelope, ticket }: Extract<Effect, { type: "append" }>, by: 1 | -1): void => {
    const { sessionKey } = envelope.header;
    const agentId = isSubagentKey(sessionKey) ? entryId(sessionKey.split(":")[3] ?? "") : envelope.header.agentId;
    towards.set(agentId, (towards.get(agentId) ?? 0) + by);
    flying += by;
    if (ticket.type !== "cell") return;
    const cells = sentBy.get(ticket.agentId) ?? new Map<number, number>();
    sentBy.set(ticket.agentId, cells.set(ticket.incarnation, (cells.get(ticket.incarnation) ?? 0) + by));
  };
  return {
    begin: (effect) => count(effect, 1),
    end: (effect) => count(effect, -1),
    to: (agentId) => towards.get(agentId) ?? 0,
    total: () => flying,
    from: (agentId, incarnation) => sentBy.get(agentId)?.get(incarnation) ?? 0,
  };
}

/**
 * A check of what holds after every step; `step` is named when something does not. It comes after each of the some 700 steps of
 * a world: it makes no lists and texts while all is well, and counts in tables that it keeps from one step to the next.
 */
export function makeInvariants(): (kernel: Kernel, nowMs: number, step: string, flights: Flights) => void {
  const places = makePlaceCount();
  return (kernel, nowMs, step, flights) => {
    places.clear();
    checkInvariants(kernel, nowMs, flights, places, (what) => {
      throw new Error(`after ${step}: ${what}`);
    });
  };
}

/** Who was found to hold how many places, by lane and agent. */
interface PlaceCount {
  clear(): void;
  add(lane: string, agentId: string): void;
  of(lane: string): ReadonlyMap<string, number>;
}

function makePlaceCount(): PlaceCount {
  const lanes = new Map<string, Map<string, number>>();
  const none: ReadonlyMap<string, number> = new Map();
  return {
    clear() {
      for (const held of lanes.values()) if (held.size > 0) held.clear();
    },
    add(lane, agentId) {
      let held = lanes.get(lane);
      if (held === undefined) lanes.set(lane, (held = new Map()));
      held.set(agentId, (held.get(agentId) ?? 0) + 1);
    },
    of: (lane) => lanes.get(lane) ?? none,
  };
}

function checkInvariants(
  kernel: Kernel,
  nowMs: number,
  flights: Flights,
  places: PlaceCount,
  wrong: (what: string) => never,
): void {
  const k = kernel.state;
  let live = 0;
  for (const agent of k.agents.made()) {
    const id = agent.spec.id;
    if (agent.phase === "starting" || agent.phase === "live" || agent.phase === "stopping") live++;
    for (const [slot, pairing] of agent.slots) {
      if (!k.pairings.isLive(pairing)) wrong(`slot ${slot} of ${id} is of ${pairing}, which is gone`);
      if (slot >= agent.nextSlot) wrong(`slot ${slot} of ${id} will be given again`);
    }
    if (agent.run?.holdsPlace === true) places.add(runLane, placesOf(agent));
    let held = 0;
    let suspects = 0;
    for (const turn of agent.turns.values()) {
      const name = laneOf(turn.mail.envelope.header);
      if (turn.holdsPlace) places.add(name, id);
      if (turn.mail.suspect) suspects++;
      for (const mail of turn.taken) if (mail.suspect) suspects++;
      for (const mail of turn.taking) if (mail.suspect) suspects++;
      // One whose message is on its way to the journal is counted with the appends.
      held += (turn.early === undefined ? 1 : 0) + turn.taken.length + turn.taking.length;
      const lane = agent.lanes.get(turn.mail.envelope.header.sessionKey);
      if (!turn.mail.volatile && lane?.running !== turn)
        wrong(`turn ${turn.number} of ${id} does not hold its session's lane`);
      if (isWaiting(k, turn) && turn.holdsPlace)
        wrong(`turn ${turn.number} of ${id} waits and holds a place in ${name}`);
      if (isWaiting(k, turn) && turn.stage !== "delivered")
        wrong(`turn ${turn.number} of ${id} waits while it is ${turn.stage}`);
    }
    for (const lane of agent.lanes.values()) {
      if (lane.queue.length === 0 && lane.running === undefined) wrong(`${lane.key} has an empty lane`);
      if (lane.running !== undefined && !agent.turns.has(lane.running.number))
        wrong(`${lane.key} runs a turn that is over`);
      for (const mail of lane.queue) {
        held++;
        if (mail.suspect) suspects++;
        if (mail.held && !k.quiet.has(lane)) wrong(`${lane.key} holds mail without end`);
      }
      const head = lane.running === undefined ? lane.queue[0] : undefined;
      const waits = head?.held === true || (head?.mode === "collect" && k.quiet.has(lane));
      const next = waits ? undefined : head;
      const wanted = next === undefined ? undefined : laneOf(next.envelope.header);
      if (agent.disabled === undefined && !isReadyIn(agent, lane, wanted))
        wrong(`${lane.key} is ready in the lanes ${readyIn(agent, lane)}, and should be in ${wanted ?? "none"}`);
    }
    if (agent.suspects !== suspects) wrong(`${id} counts ${agent.suspects} suspects and has ${suspects}`);
    held += agent.asked.questions;
    if (agent.asked.questions > 0 && agent.phase !== "live") wrong(`${id} is ${agent.phase} and has questions in hand`);
    // Appends in flight are counted and not yet in a lane.
    const flying = flights.to(id);
    const due = held + flying;
    if (agent.depth !== due) wrong(`${id} counts ${agent.depth} envelopes and has ${due}`);
    const empty = [...agent.sessionDepth.values()].filter((depth) => depth === 0).length;
    if (empty !== agent.asked.emptySessions)
      wrong(`${id} counts ${agent.asked.emptySessions} empty sessions and has ${empty}`);
    const sum = sumOf(agent.sessionDepth);
    if (sum !== agent.depth) wrong(`the sessions of ${id} count ${sum} envelopes, the agent ${agent.depth}`);
    const mayBecomeDue =
      inHand(agent) > 0 || agent.lanes.size > 0 || (agent.phase !== "dormant" && agent.phase !== "parked");
    if (mayBecomeDue && agent.disabled === undefined && !k.astir.has(agent))
      wrong(`${id} would be forgotten by the tick`);
    const hasCell = agent.phase === "starting" || agent.phase === "live" || agent.phase === "stopping";
    const unacked = hasCell ? flights.from(id, agent.incarnation) : 0;
    if (agent.unacked !== unacked) wrong(`${id} counts ${agent.unacked} sends in flight and has ${unacked}`);
    if (agent.openCalls.size > k.settings.limits.callsPerCellMax)
      wrong(`${id} has ${agent.openCalls.size} calls without an answer`);
    if (agent.appending !== flying) wrong(`${id} counts ${agent.appending} appends in flight and has ${flying}`);
    checkBounds(kernel, agent, wrong);
    checkNotStalled(kernel, agent, nowMs, wrong);
  }
  for (const [trace, { messages, calls, open, questions }] of k.chains) {
    for (const id of open)
      if (!k.mail.has(id) && !hasTurn(kernel, id)) wrong(`the chain ${trace} counts on mail that is gone`);
    if (messages > k.settings.limits.chainMessagesMax) wrong(`the chain ${trace} has ${messages} messages`);
    if (calls > k.settings.limits.chainCallsMax) wrong(`the chain ${trace} has ${calls} tool calls`);
    if (open.size === 0 && questions === 0 && flights.total() === 0)
      wrong(`the chain ${trace} is over and not forgotten`);
  }
  checkQuestions(k, wrong);
  if (k.asks.size > 0)
    for (const { toSession } of k.asks.awaitedEnvelopes()) {
      const agentId = agentOfKey(toSession) ?? "";
      if (k.agents.get(agentId)?.phase === "parked") wrong(`an ask waits for ${agentId}, which is parked`);
    }
  for (const { spec } of k.roomy) wrong(`a place at ${spec.id} is free, and nobody is asked whether he waits for it`);
  if (k.asks.size + k.questions.count > k.settings.limits.asksMax) wrong(`${k.asks.size} asks wait`);
  for (const [name, lane] of k.lanes) {
    const found = places.of(name);
    const sum = sumOf(found);
    if (lane.running !== sum) wrong(`lane ${name} counts ${lane.running} turns and has ${sum}`);
    if (!isSame(lane.held, found))
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

/** Each question stands where it is looked for, and is counted by its turn, its target and its chain. */
function checkQuestions(
  { questions: { table, count, firstDeadlineMs }, agents, chains }: KernelState,
  wrong: (what: string) => never,
): void {
  const counts = { turns: 0, agents: 0, chains: 0 };
  for (const { turns, asked } of agents.made()) {
    counts.agents += asked.questions;
    for (const turn of turns.values()) counts.turns += turn.questions;
  }
  for (const { questions } of chains.values()) counts.chains += questions;
  let found = 0;
  for (const [place, question] of table.entries()) {
    if (question === undefined) continue;
    found++;
    const { number, deadlineMs, incarnation, route } = question;
    const { turn, asker, target, header } = route;
    if (number % table.length !== place) wrong(`question ${number} stands at ${place}`);
    if (deadlineMs < firstDeadlineMs) wrong(`nobody looks at question ${number} when its time is over`);
    if (asker.turns.get(turn.number) !== turn || turn.stage !== "delivered")
      wrong(`question ${number} is of a turn that is over`);
    if (incarnation !== target.incarnation) wrong(`question ${number} is with a cell that is gone`);
    if (chains.get(header.trace) !== route.counts) wrong(`question ${number} is of a chain that is over`);
  }
  for (const [where, sum] of Object.entries({ ...counts, found }))
    if (sum !== count) wrong(`${count} questions are open, by ${where} ${sum}`);
}

/** Of what the cell of the agent has in hand under this number. */
export function headerInHand(k: KernelState, agentId: string, number: number): EnvelopeHeader | undefined {
  const agent = k.agents.get(agentId);
  const question = agent === undefined ? undefined : questionOf(k, agent, number);
  return question === undefined ? agent?.turns.get(number)?.mail.envelope.header : headerOf(question);
}

/** Envelopes that the agent's cell was given and has not said to be done; questions stay what they are. */
export function idsInHand(k: KernelState, agentId: string): ReadonlySet<string> {
  const turns = [...(k.agents.get(agentId)?.turns.values() ?? [])].filter(({ stage }) => stage === "delivered");
  const questions = k.questions.table.filter((question) => question?.route.target.spec.id === agentId);
  return new Set([
    ...turns.map(({ mail }) => mail.envelope.header.id),
    ...questions.map((question) => question?.id ?? ""),
  ]);
}

/** Ready in the lane `wanted` and in no other; in none when it is undefined. */
function isReadyIn(agent: AgentEntry, lane: SessionLane, wanted: string | undefined): boolean {
  let found = wanted === undefined;
  for (const [name, ready] of agent.ready) {
    if (!ready.has(lane)) continue;
    if (name !== wanted) return false;
    found = true;
  }
  return found;
}

function readyIn(agent: AgentEntry, lane: SessionLane): string {
  return JSON.stringify([...agent.ready].filter(([, ready]) => ready.has(lane)).map(([name]) => name));
}

function sumOf(counts: ReadonlyMap<unknown, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function isSame(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): boolean {
  if (one.size !== other.size) return false;
  for (const [name, count] of one) if (other.get(name) !== count) return false;
  return true;
}

/** What is in memory alone is in no table of mail. */
function hasTurn(kernel: Kernel, envelopeId: string): boolean {
  for (const agent of kernel.state.agents.made())
    for (const { mail } of agent.turns.values()) if (mail.envelope.header.id === envelopeId) return true;
  return false;
}

const nobody: NonNullable<AgentEntry["crowd"]> = [];

/** Of what waits in memory, beside the disk and for a place. */
function checkBounds(kernel: Kernel, agent: AgentEntry, wrong: (what: string) => never): void {
  const k = kernel.state;
  const { id, mailbox } = agent.spec;
  const depthMax = mailbox?.depthMax ?? k.settings.limits.mailboxDepthMax;
  const held = agent.depth - agent.appending;
  if (held > depthMax) wrong(`${id} holds ${held} envelopes in memory, its bound is ${depthMax}`);
  const { crowd = nobody } = agent;
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
function checkNotStalled(kernel: Kernel, agent: AgentEntry, nowMs: number, wrong: (what: string) => never): void {
  const k = kernel.state;
  if (k.draining || agent.disabled !== undefined || nowMs < agent.notBeforeMs || agent.phase === "parked") return;
  const { restart, intensity, periodMs } = agent.spec.supervision;
  let crashes = 0;
  for (const atMs of agent.crashTimes) if (nowMs - atMs < periodMs) crashes++;
  if (crashes > intensity)
    wrong(`${agent.spec.id} ended more than ${intensity} times within ${periodMs} ms and is not parked`);
  // The tick starts what a back-off that has just passed held back.
  if (agent.notBeforeMs > 0 && agent.phase === "dormant") return;
  // Before the gateway is up, a permanent agent is no concern of the tick.
  if (restart === "permanent" && agent.phase === "dormant" && k.astir.has(agent))
    wrong(`${agent.spec.id} is permanent and has no cell, and nothing is under way`);
  if (!mayStart(kernel, agent)) return;
  if (agent.phase === "dormant" && k.liveCells < k.settings.liveCellsMax && !k.wantingCells.has(agent.spec.id))
    wrong(`${agent.spec.id} has mail and no cell, and nothing is under way`);
  if (agent.phase === "live" && agent.notBeforeMs === 0 && inHand(agent) === 0)
    wrong(`${agent.spec.id} has a live cell and mail, and starts nothing`);
}

/** Whether a session of the agent is ready in a lane in which it can have a place now. */
function mayStart({ state: k }: Kernel, agent: AgentEntry): boolean {
  const { run } = agent;
  for (const [name, sessions] of agent.ready) {
    if (sessions.size === 0) continue;
    // A run needs its own place, whatever the lane of its mail.
    const lane = k.lanes.get(run === undefined ? name : runLane);
    if (run === undefined) {
      if (lane === undefined || hasPlace(k, lane, agent.spec.id)) return true;
    } else if (run.end === undefined && (run.holdsPlace || (lane !== undefined && hasPlace(k, lane, run.row.agentId))))
      return true;
  }
  return false;
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
  for (const agent of k.agents.made()) {
    const id = agent.spec.id;
    expectNone(`${id} lanes`, agent.lanes.size);
    expectNone(`${id} turns`, agent.turns.size);
    for (const [name, ready] of agent.ready) expectNone(`${id} ready for ${name}`, ready.size);
    expectNone(`${id} depth`, agent.depth);
    expectNone(`${id} appending`, agent.appending);
    expectNone(`${id} backlog`, agent.spill?.count ?? 0);
    expectNone(`${id} session depths`, agent.sessionDepth.size - agent.asked.emptySessions);
    expectNone(`${id} unacked`, agent.unacked);
    expectNone(`${id} suspects`, agent.suspects);
    expectNone(`${id} open calls`, agent.openCalls.size);
  }
  return left;
}
