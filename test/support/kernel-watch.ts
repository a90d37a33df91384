/**
 * Watches what the kernel asks of its driver: says at once what must not happen, and keeps what did happen, so that a test can
 * tell whether its worlds reach everything.
 */
import type { EnvelopeHeader } from "../../runtime/kernel/envelope.ts";
import type { ToldHeader } from "../../runtime/kernel/session-choices.ts";
import { hasCell } from "../../runtime/kernel/dispatch.ts";
import { down } from "../../runtime/kernel/frames.ts";
import type { KernelState } from "../../runtime/kernel/state.ts";
import type { PairingRegistry } from "../../runtime/kernel/pairings.ts";
import type { Effect } from "../../runtime/kernel/state.ts";
import { headerInHand } from "./kernel-invariants.ts";
import type { Journal } from "./kernel-journal.ts";

export interface Watch {
  see(effect: Effect): void;
  /** A cell was given a message with this header; `header` is the one that the kernel has. */
  heard(told: ToldHeader, header: EnvelopeHeader | undefined): void;
  /** What was reached, as `<kind>:<name>`; the driver adds faults and exits. */
  readonly reached: Set<string>;
  readonly problems: string[];
  /** Envelopes whose sender was told that they are stored. */
  readonly acknowledged: ReadonlySet<string>;
  /** Envelopes that this process gave up as dead letters, whether the store has them yet or not. */
  readonly buried: ReadonlySet<string>;
  /** The end of the cell is decided: the turns that it has in hand end in no other way. */
  ending(agentId: string, incarnation: number): void;
  /** A process began: what the last one held in memory is gone. */
  restarted(): void;
}

export function makeWatch(
  journal: Journal,
  pairings: PairingRegistry,
  state: () => KernelState,
  nowMs: () => number,
): Watch {
  const reached = new Set<string>();
  /** The types of effects that are in it: asked at every effect. */
  const types = new Set<Effect["type"]>();
  const problems: string[] = [];
  const acknowledged = new Set<string>();
  const buried = new Set<string>();
  /** Envelopes with a turn at a cell, by cell. */
  const incarnations = new Map<string, number>();

  /** Turns in hand of cells whose end was decided. */
  const givenUp = new Set<number>();

  const acknowledge = (id: string): void => {
    if (!journal.isStored(id)) problems.push(`${id} was acknowledged before it was stored`);
    acknowledged.add(id);
  };

  const wasHeld = (id: string): boolean => journal.accepted.get(id)?.header.holdMs !== undefined;

  const seeDelivery = (header: EnvelopeHeader, attempt: number): void => {
    const { id, agentId, via } = header;
    const endMs = pairings.get(via)?.untilMs ?? Number.POSITIVE_INFINITY;
    if (!via.startsWith("door:") && (!pairings.isLive(via) || endMs <= nowMs()))
      problems.push(`${id} was delivered under ${via}, which is revoked`);
    if (attempt === 0) return;
    if (!journal.isStored(id)) problems.push(`${id} was delivered before it was stored`);
    if (journal.done.has(id)) problems.push(`${id} was delivered although it is done`);
    if (journal.dead.has(id)) problems.push(`${id} was delivered although it is a dead letter`);
    const k = state();
    const { deliveriesMax } = k.settings.limits;
    if (attempt > deliveriesMax) problems.push(`${id} was delivered ${attempt} times, the bound is ${deliveriesMax}`);
    const agent = k.agents.get(agentId);
    // Sessions whose turn runs are kept whatever the bound.
    if (agent !== undefined && agent.loaded.size > Math.max(k.settings.limits.sessionsPerCellMax, agent.turns.size))
      problems.push(`the cell of ${agentId} keeps ${agent.loaded.size} sessions`);
  };

  const heard = (told: ToldHeader, header: EnvelopeHeader | undefined): void => {
    if (told.sessionKey !== header?.sessionKey || told.acceptedAtMs !== header.acceptedAtMs)
      problems.push(`${told.id} was heard as a message to ${told.sessionKey}`);
  };

  const see = (effect: Effect): void => {
    if (!types.has(effect.type)) reached.add(`effect:${effect.type}`);
    types.add(effect.type);
    const k = state();
    for (const { crowd } of k.crowded) for (const { type } of crowd ?? []) reached.add(`parked:${type}`);
    switch (effect.type) {
      case "accepted":
        reached.add(
          effect.result.status === "refused"
            ? `refusal:${effect.result.refusal.code}`
            : `accepted:${effect.result.status}`,
        );
        if (effect.result.status === "stored") acknowledge(effect.result.envelopeId);
        return;
      case "append": {
        const { limits } = k.settings;
        const { agentId, sessionKey } = effect.envelope.header;
        const target = k.agents.get(agentId);
        const { depthMax, sessionDepthMax, overflow } = {
          depthMax: limits.mailboxDepthMax,
          sessionDepthMax: limits.sessionDepthMax,
          ...target?.spec.mailbox,
        };
        // One that spills has its bound in memory, which is held after every step (`kernel-invariants.ts`).
        const inMemory = overflow === "spill" ? 0 : (target?.depth ?? 0);
        if (inMemory > depthMax) problems.push(`the mailbox of ${agentId} is over its bound`);
        if (inMemory > 0 && (target?.sessionDepth.get(sessionKey) ?? 0) > sessionDepthMax)
          problems.push(`the mailbox of ${sessionKey} is over its bound`);
        if (effect.ticket.type === "cell") {
          const sender = k.agents.get(effect.ticket.agentId);
          if ((sender?.unacked ?? 0) > limits.sendCreditsPerCell)
            problems.push(`${effect.ticket.agentId} has more sends in flight than credits`);
        }
        return;
      }
      case "post": {
        const [op, , number, num, a] = effect.record;
        const isDelivery = op === down.deliver || op === down.question;
        const header = isDelivery ? headerInHand(k, effect.agentId, number) : undefined;
        if (header !== undefined) seeDelivery(header, op === down.question ? 0 : num);
        else if (op === down.stored) acknowledge(a);
        else if (op === down.slot) reached.add(effect.record[5] === "[]" ? "slot:gone" : "slot:new");
        else if (op === down.result && num === 0) reached.add(`refusal:${/"code":"(\w+)"/.exec(a)?.[1] ?? "?"}`);
        return;
      }
      case "ended":
        reached.add(`ended:${effect.outcome.status}`);
        if (effect.outcome.status === "error") reached.add(`outcome:${effect.outcome.code}`);
        if (
          effect.outcome.status === "ok" &&
          journal.accepted.has(effect.header.id) &&
          !journal.isDone(effect.header.id)
        )
          problems.push(`the end of ${effect.header.id} was told before its turn was stored`);
        return;
      case "outbound":
        if (!journal.isDone(effect.header.id))
          problems.push(`the answer of ${effect.header.id} left before its turn was stored`);
        return;
      case "commit":
        if (givenUp.has(effect.turn))
          problems.push(`${effect.header.id} ended in a cell of ${effect.agentId} whose end was told to who waited`);
        return;
      case "escalated":
        reached.add(`escalated:${effect.to}`);
        return;
      case "bury":
        reached.add(`fate:${effect.fate}`);
        buried.add(effect.header.id);
        return;
      case "start-cell":
        if (effect.incarnation <= (incarnations.get(effect.agentId) ?? 0))
          problems.push(`${effect.agentId} started the incarnation ${effect.incarnation} again`);
        incarnations.set(effect.agentId, effect.incarnation);
        return;
      case "stop-cell":
        reached.add(`stop:${effect.reason}`);
        return;
      case "flow":
        reached.add(`flow:${effect.state}`);
        return;
      case "audit":
        reached.add(`audit:${effect.event}`);
        return;
      case "down":
        reached.add(`down:${effect.reason}`);
        return;
      case "signal-call":
        reached.add(`call:${effect.call}`);
        return;
      case "begin":
        if (effect.isEarly === true) reached.add("begin:early");
        return;
      case "take":
        reached.add(`take:${effect.name}`);
        if (effect.items.some(([id]) => journal.accepted.get(id)?.header.steers === true))
          reached.add("take:steer by agents");
        if (effect.name === "collect" && effect.items.some(([id]) => wasHeld(id)) && wasHeld(effect.envelopeId))
          reached.add("take:held");
        return;
      case "run-ended":
        reached.add(`run:${effect.end.outcome}`);
        reached.add(`run-delivery:${effect.end.delivery}`);
        return;
      case "runs-waited":
      case "asked":
      case "deadline":
      case "waited":
      case "refill":
      case "spilled":
      case "unspilled":
      case "drop-queued":
      case "record":
      case "settle":
      case "follow-up":
      case "session-reset":
      case "recall":
      case "call":
      case "model":
      case "list-tools":
      case "ask-right":
      case "cancel":
      case "streamed":
      case "cell-log":
      case "agent-changed":
      case "agent-gone":
    }
  };

  const ending = (agentId: string, incarnation: number): void => {
    const agent = state().agents.get(agentId);
    if (agent?.incarnation !== incarnation || !hasCell(agent)) return;
    for (const turn of agent.turns.values()) if (turn.stage === "delivered") givenUp.add(turn.number);
  };

  const restarted = (): void => {
    incarnations.clear();
    givenUp.clear();
    buried.clear();
  };

  return { see, heard, reached, problems, acknowledged, buried, ending, restarted };
}
