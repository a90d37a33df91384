/**
 * Bugs planted in copies of the kernel's files: the simulation finds each within a bounded number of seeds, and says what it
 * is. One that it did not find would be one that it cannot find in the kernel either.
 */
import { describe, expect, it } from "vitest";
import type { KernelModule } from "../support/driver-port.ts";
import { runWorld } from "../support/kernel-world.ts";
import { type Mutant, plant } from "../support/mutants.ts";

interface Planted extends Mutant {
  /** One of the problems that a world then has. */
  readonly seen: RegExp;
  /** Seeds until it is found, at the most: about four times what it took when it was planted. */
  readonly seeds: number;
}

const planted: readonly Planted[] = [
  {
    bug: "an end that is decided, and what the cell says until then still counts",
    file: "kernel/syscalls.ts",
    text: '  if (agent.phase === "stopping") return;\n',
    instead: "",
    seen: /ended in a cell of \w+ whose end was told to who waited/u,
    seeds: 300,
  },
  {
    bug: "an end that is decided, and nobody told who waits before it has come about",
    file: "kernel/ends.ts",
    text: "  giveUp(k, agent, reason);\n  k.emit(",
    instead: "  k.emit(",
    seen: /nobody told who waits for \S+ that its cell ended/u,
    seeds: 200,
  },
  {
    bug: "a message that its actor does not handle, and no dead letter of it",
    file: "kernel/turns.ts",
    text: '    k.emit({ type: "bury", header, fate: "unhandled", reason });\n',
    instead: "    void reason;\n",
    seen: /neither ended nor is a dead letter/u,
    seeds: 200,
  },
  {
    bug: "a permanent agent that waits for mail to get its next cell",
    file: "kernel/dispatch.ts",
    text: "if (hasStartable(k, agent) || (staysLive(agent) && !k.draining)) activate(",
    instead: "if (hasStartable(k, agent)) activate(",
    seen: /is permanent and has no cell/u,
    seeds: 200,
  },
  {
    bug: "an agent that is parked one crash later than its child spec says",
    file: "kernel/supervision.ts",
    text: "  if (within > intensity) {",
    instead: "  if (within > intensity + 1) {",
    seen: /ended more than \d+ times within \d+ ms and is not parked/u,
    seeds: 200,
  },
  {
    bug: "a step that was started, has no result and runs again although it must not",
    file: "kernel/steps.ts",
    text: "} else if (isIdempotent) {",
    instead: "} else if (agent !== undefined) {",
    seen: /step \S+ ran 2 times/u,
    seeds: 80,
  },
  {
    bug: "a finished step that runs again when its turn is repeated",
    file: "kernel/steps.ts",
    text: "  if (row === undefined) return false;\n  if (isOther",
    instead: '  if (row === undefined || id.op === "step") return false;\n  if (isOther',
    seen: /step \S+ runs again, and its result is on record/u,
    seeds: 160,
  },
  {
    bug: "an answer that the cell hears and nobody records",
    file: "kernel/steps.ts",
    text: "  const kept = withinBounds(k, turn, id, result);",
    instead:
      '  if (id.op !== "step") {\n    hearNow(k, agent, turn, ref, id, result);\n    return;\n  }\n  const kept = withinBounds(k, turn, id, result);',
    seen: /call \S+ heard .* and in delivery/u,
    seeds: 40,
  },
  {
    bug: "a tool call that was allowed and made, and is judged again when its turn is repeated",
    file: "kernel/syscalls.ts",
    text: "const denied = wasMade ? undefined : whyNoTool(",
    instead: "const denied = whyNoTool(",
    seen: /call \S+ heard .* and in delivery \d+ .*holds no capability/u,
    seeds: 12_000,
  },
  {
    bug: "a place that a stop made free and nobody is given before the next tick",
    file: "kernel/kernel.ts",
    text: "      afterwards(nowMs);\n      return stopped;",
    instead: "      return stopped;",
    seen: /a place at \w+ is free, and nobody is asked/u,
    seeds: 1_000,
  },
  {
    bug: "a lost acknowledgement: the sender is not told that its message is stored",
    file: "kernel/waits.ts",
    text: "record: [down.stored, ticket.ref, ticket.turn, 0, envelopeId",
    instead: "record: [down.forget, ticket.ref, ticket.turn, 0, envelopeId",
    seen: /call \d+: 0 times stored|neither ended/u,
    seeds: 20,
  },
  {
    bug: "an acknowledgement that comes before the journal has flushed",
    file: "kernel/admit.ts",
    text: '  k.emit({\n    type: "append",',
    instead:
      '  k.emit({ type: "accepted", ticket, result: { status: "stored", envelopeId: "early", runId: "early" } });\n  k.emit({\n    type: "append",',
    seen: /was acknowledged before it was stored/u,
    seeds: 10,
  },
  {
    bug: "a double delivery on redelivery: what goes back to its lane is there twice",
    file: "kernel/gather.ts",
    text: "lane.queue.push(...mails);",
    instead: "lane.queue.push(...mails, ...mails);",
    seen: /counts \d+ envelopes and has \d+/u,
    seeds: 40,
  },
  {
    bug: "a message that ends its cell each time and is never set aside",
    file: "kernel/second-check.ts",
    text: "if ((turn.mail.convicted && deliveries >= limits.deliveryAttemptsMax) || deliveries >= limits.deliveriesMax) {",
    instead: "if (deliveries > 1_000) {",
    seen: /was delivered \d+ times, the bound is \d+/u,
    seeds: 80,
  },
  {
    bug: "a credit leak: a send that the journal refuses keeps its credit",
    file: "kernel/waits.ts",
    text: "  agent.unacked--;\n  respond(k, ticket, asOutcome(refusal), refusal);",
    instead: "  respond(k, ticket, asOutcome(refusal), refusal);",
    seen: /counts \d+ sends in flight and has \d+/u,
    seeds: 200,
  },
  {
    bug: "mail in another order after passivation",
    file: "kernel/cells.ts",
    text: "  const isExceeded = !orderly &&",
    instead:
      "  if (orderly) for (const lane of agent.lanes.values()) lane.queue.reverse();\n  const isExceeded = !orderly &&",
    seen: /was overtaken in/u,
    seeds: 200,
  },
  {
    bug: "mail that goes to the end of its lane when its cell crashes",
    file: "kernel/gather.ts",
    text: "  lane.queue.sort((a, b) => a.order - b.order);\n",
    instead: "",
    seen: /was overtaken in/u,
    seeds: 80,
  },
  {
    bug: "frames of an earlier incarnation that are accepted",
    file: "kernel/syscalls.ts",
    text: "if (parsed.incarnation !== incarnation || incarnation !== agent.incarnation) {",
    instead: "if (parsed.incarnation > agent.incarnation) {",
    seen: /a frame that is repeated or of an earlier cell of \w+ was accepted/u,
    seeds: 400,
  },
  {
    bug: "frames that are accepted twice",
    file: "kernel/syscalls.ts",
    text: "if (parsed.seq !== agent.lastSeq + 1) {",
    instead: "if (parsed.seq > agent.lastSeq + 1) {",
    seen: /a frame that is repeated or of an earlier cell of \w+ was accepted/u,
    seeds: 200,
  },
  {
    bug: "a right that is not checked again at delivery",
    file: "kernel/second-check.ts",
    text: "  if (holdsRight(k, header.via)) return undefined;\n",
    instead: "  if (header.id !== undefined) return undefined;\n",
    seen: /was delivered under .* which is revoked/u,
    seeds: 100,
  },
  {
    bug: "a mailbox place that is not given back when the journal refuses",
    file: "kernel/admit.ts",
    text: 'if (result.status !== "stored" && agent !== undefined) {',
    instead: 'if (result.status === "failed" && agent !== undefined) {',
    seen: /counts \d+ envelopes and has \d+/u,
    seeds: 40,
  },
  {
    bug: "an ask that is answered and stays open",
    file: "kernel/waits.ts",
    text: "for (const ask of k.asks.take(envelopeId)) answerAsk(k, ask, outcome, undefined, isStored);",
    instead:
      "for (const ask of k.asks.take(envelopeId)) { answerAsk(k, ask, outcome, undefined, isStored); k.asks.open(ask); }",
    seen: /call \d+: \d+ times stored, [2-9] results|waits and holds a place|waits while it is/u,
    seeds: 20,
  },
  {
    bug: "an ask that is not settled when the cell that it waits for ends",
    file: "kernel/cells.ts",
    text: "    answer(k, turn.mail.envelope.header.id, outcome);",
    instead: '    answer(k, "none", outcome);',
    seen: /nobody told who waits for .* that its cell ended/u,
    seeds: 40,
  },
  {
    bug: "an ask that waits for a parked agent",
    file: "kernel/orders.ts",
    text: "  refuseWaitsForParked(k, agent);\n",
    instead: "",
    seen: /an ask waits for .* which is parked/u,
    seeds: 200,
  },
  {
    bug: "a place in lane main that a crash does not give back",
    file: "kernel/turns.ts",
    text: "function freePlaces(k: KernelState, agent: AgentEntry, turn: Turn): void {\n  givePlaceBack(k, turn);\n",
    instead:
      'function freePlaces(k: KernelState, agent: AgentEntry, turn: Turn): void {\n  if (turn.stage !== "delivered") givePlaceBack(k, turn);\n',
    seen: /lane main counts \d+ turns and has \d+/u,
    seeds: 20,
  },
  {
    bug: "more asks than their bound, when many are stored at once",
    file: "kernel/waits.ts",
    text: "if (k.asks.size >= k.settings.limits.asksMax) {",
    instead: "if (k.asks.size < 0) {",
    seen: /\d+ asks wait/u,
    seeds: 400,
  },
  {
    bug: "a cell that drops one session at a time, however many it has beyond its bound",
    file: "kernel/turns.ts",
    text: "running === undefined) forgetSession(k, agent, oldest);",
    instead: "running === undefined) { forgetSession(k, agent, oldest); return; }",
    seen: /the cell of \w+ keeps \d+ sessions/u,
    seeds: 100,
  },
  {
    bug: "a message that a turn took, and that is not done with it",
    file: "kernel/turns.ts",
    text: "taken: turn.taken.map(({ envelope }) => envelope.header.id),",
    instead: "taken: [],",
    seen: /neither ended nor is a dead letter/u,
    seeds: 80,
  },
  {
    bug: "a repeated turn that gets other messages than it had",
    file: "kernel/gather.ts",
    text: "if (row !== undefined) turn.taking.push(...retake(lane, row));",
    instead: "if (row === null) turn.taking.push(...retake(lane, row));",
    seen: /got .*, and in delivery/u,
    seeds: 400,
  },
  {
    bug: "mail that a turn had taken and that a crash forgets",
    file: "kernel/turns.ts",
    text: "giveBack(agent, turn, [turn.mail, ...letGo(turn)]);",
    instead: "giveBack(agent, turn, [turn.mail]);",
    seen: /counts \d+ envelopes and has \d+|neither ended nor/u,
    seeds: 400,
  },
  {
    bug: "new mail that overtakes a backlog on the disk",
    file: "kernel/spill.ts",
    text: "return agent.spill !== undefined || (overflow",
    instead: "return (overflow",
    seen: /was overtaken/u,
    seeds: 400,
  },
  {
    bug: "a backlog that is read again from where it was read before",
    file: "kernel/room.ts",
    text: "  spill.after = rows.length < limit ? until : (rows.at(-1)?.seq ?? until);\n",
    instead: "  if (rows.length < limit) spill.after = until;\n",
    seen: /counts -?\d+ envelopes and has|was told \d|has a backlog of|begins e|does not have|more than once|was committed/u,
    seeds: 400,
  },
  {
    bug: "a sender that waits for a place although its turn is over",
    file: "kernel/waits.ts",
    text: '    endWait(k, agentOfKey(ask.toSession) ?? "", ask);\n',
    instead: "",
    seen: /a turn that is over waits for a place/u,
    seeds: 400,
  },
  {
    bug: "an end that is told before the turn is stored",
    file: "kernel/turns.ts",
    text: "  k.emit(turn.commit);\n}\n\nexport const aborted",
    instead:
      '  k.emit(turn.commit);\n  if (outcome.status === "ok") leave(k, header, outcome);\n}\n\nexport const aborted',
    seen: /left before its turn was stored/u,
    seeds: 20,
  },
];

describe("a bug in the kernel", () => {
  for (const { bug, seen, seeds, ...mutant } of planted) {
    it(`is found: ${bug}`, async () => {
      const load = await plant({ bug, ...mutant });
      const [{ makeKernel }, { makePairingRegistry }] = (await Promise.all([
        load("kernel/kernel.ts"),
        load("kernel/pairings.ts"),
      ])) as [Pick<KernelModule, "makeKernel">, Pick<KernelModule, "makePairingRegistry">];
      const kernel = { makeKernel, makePairingRegistry };
      const others = new Set<string>();
      for (let seed = 0; seed < seeds; seed++) {
        // Without the bug the same worlds have no problem: they are among those of `kernel.test.ts`.
        const { problems } = runWorld(seed, { kernel });
        if (problems.some((problem) => seen.test(problem))) return;
        for (const problem of problems) others.add(problem.split("\n")[0] ?? "");
      }
      expect.fail(`${seeds} seeds did not show it; what they showed: ${JSON.stringify([...others].slice(0, 5))}`);
    });
  }
});
