/**
 * What the kernel asks of the store, carried out on the journal in memory: each step waits in the queue of its environment, and
 * its answer for the flush. Between any two steps anything else may happen, a crash included.
 */
import type { DriverOptions } from "./driver-port.ts";
import type { Kernel } from "../../runtime/kernel/kernel.ts";
import type { Refusal } from "../../runtime/kernel/errors.ts";
import type { Effect } from "../../runtime/kernel/state.ts";
import type { Begun } from "../../runtime/kernel/turns.ts";
import { type Flights, makeFlights } from "./kernel-invariants.ts";
import { type Journal, journalName } from "./kernel-journal.ts";
import type { Undo } from "./undoable.ts";
import type { WorkQueues } from "./work-queues.ts";

export type StoreEffect = Extract<
  Effect,
  {
    type:
      | "append"
      | "refill"
      | "drop-queued"
      | "begin"
      | "record"
      | "take"
      | "commit"
      | "bury"
      | "settle"
      | "outbound"
      | "recall";
  }
>;

export interface StoreWork {
  carryOut(effect: StoreEffect): void;
  /** A transaction of the journal about something else, given by what undoes it; `answer` comes after the flush. */
  change(write: () => readonly Undo[], answer?: () => void): void;
  readonly flights: Flights;
  /** How often an answer was handed to its channel. */
  readonly sent: ReadonlyMap<string, number>;
  /** The journal (`journalName`) or an agent's store does nothing until then. */
  stall(name: string, untilMs: number): void;
  /** The process died: nobody waits any more. */
  restarted(): void;
}

/** Of a turn that was begun with an append that came to nothing. */
const unknownRefusal: Refusal = {
  code: "CLOISTER_ENVELOPE_UNKNOWN",
  message: "the journal does not hold this envelope",
};

export function makeStoreWork(
  journal: Journal,
  queues: WorkQueues,
  kernel: () => Kernel,
  nowMs: () => number,
  choicesOf: DriverOptions["choicesOf"],
): StoreWork {
  let flights = makeFlights();
  const sent = new Map<string, number>();

  /** Answers that wait for the flush of their environment. */
  const unflushed = new Map<string, (() => void)[]>();
  const afterFlush = (environment: string, answer: () => void): void => {
    const waiting = unflushed.get(environment) ?? [];
    if (waiting.push(answer) > 1) return;
    unflushed.set(environment, waiting);
    queues.add(`flush ${environment}`, () => {
      journal.flush(environment);
      unflushed.delete(environment);
      for (const each of waiting) each();
    });
  };

  /** Reads the marker in the agent's store, counts in the journal, and reads the state: three things, each of which may wait. */
  const begin = (effect: Extract<Effect, { type: "begin" }>): void => {
    const { agentId, envelopeId, sessionKey } = effect;
    const answer = (result: Begun): void =>
      queues.add(`answers ${sessionKey}`, () => kernel().begun(agentId, effect.turn, result, nowMs()));
    queues.add(`store ${agentId}`, () => {
      const found = journal.lookUp(effect);
      if (found !== undefined) {
        answer("code" in found ? { status: "failed", refusal: found } : { status: "done", ...found });
        return;
      }
      queues.add(journalName, () => {
        const isEarly = effect.isEarly === true;
        const attempt = isEarly ? journal.countedDelivery(envelopeId) : journal.countDelivery(envelopeId);
        if (attempt === undefined && isEarly) {
          answer({ status: "failed", refusal: unknownRefusal });
          return;
        }
        if (attempt === undefined) throw new Error(`the kernel begins ${envelopeId}, which the journal does not have`);
        afterFlush(journalName, () =>
          queues.add(`store ${agentId}`, () => {
            const state = effect.wantState ? (journal.states.get(sessionKey) ?? null) : null;
            const body = journal.bodyOf(envelopeId);
            const steps = attempt === 1 ? {} : { steps: journal.stepsOf(envelopeId) };
            const choices = choicesOf?.(sessionKey);
            const chosen = choices === undefined ? {} : { choices };
            answer({ status: "begun", attempt, sessionId: `s-${sessionKey}`, body, state, ...steps, ...chosen });
          }),
        );
      });
    });
  };

  const carryOut = (effect: StoreEffect): void => {
    switch (effect.type) {
      case "append":
        flights.begin(effect);
        queues.add(journalName, () => {
          const result = journal.append(effect);
          afterFlush(journalName, () =>
            queues.add("journal-answers", () => {
              flights.end(effect);
              kernel().appended(effect.envelope, effect.ticket, result, nowMs());
            }),
          );
        });
        return;
      case "refill":
        queues.add(journalName, () => {
          const rows = journal.queued(effect);
          queues.add(`refills ${effect.agentId}`, () => kernel().refilled(effect, rows, nowMs()));
        });
        return;
      case "drop-queued":
        queues.add(journalName, () => {
          const result = journal.dropQueued(effect);
          afterFlush(journalName, () =>
            queues.add(`drops ${effect.agentId}`, () => kernel().dropped(effect, result, nowMs())),
          );
        });
        return;
      case "begin":
        begin(effect);
        return;
      case "record":
        queues.add(`store ${effect.agentId}`, () => {
          const refusal = journal.record(effect);
          afterFlush(effect.agentId, () =>
            queues.add(`answers ${effect.sessionKey}`, () => kernel().recorded(effect, refusal, nowMs())),
          );
        });
        return;
      case "take":
        queues.add(`store ${effect.agentId}`, () => {
          const result = journal.take(effect);
          afterFlush(effect.agentId, () =>
            queues.add(`answers ${effect.sessionKey}`, () => kernel().taken(effect, result, nowMs())),
          );
        });
        return;
      case "commit":
        queues.add(`store ${effect.agentId}`, () => {
          const result = journal.commit(effect);
          afterFlush(effect.agentId, () =>
            queues.add(`answers ${effect.header.sessionKey}`, () =>
              kernel().committed(effect.agentId, effect.turn, result, nowMs()),
            ),
          );
        });
        return;
      case "bury":
        queues.add(journalName, () => {
          journal.bury(effect.header.id, effect.fate, effect.reason);
          afterFlush(journalName, () => undefined);
        });
        return;
      case "settle":
        queues.add(journalName, () => journal.settle(effect.envelopeId));
        return;
      case "outbound":
        queues.add("outbound", () => {
          sent.set(effect.header.id, (sent.get(effect.header.id) ?? 0) + 1);
          queues.add(`store ${effect.header.agentId}`, () => {
            journal.delivered(effect.header.id);
            afterFlush(effect.header.agentId, () => undefined);
          });
        });
        return;
      case "recall":
        queues.add(`store ${effect.agentId}`, () => {
          const told = journal.recall(effect.envelopeId);
          queues.add("recalls", () =>
            told === undefined
              ? kernel().stillOpen(effect, nowMs())
              : kernel().recalled(effect, told.outcome, told.isStored),
          );
        });
        return;
    }
  };

  return {
    carryOut,
    change: (write, answer) =>
      queues.add(journalName, () => {
        journal.change(write());
        afterFlush(journalName, () => {
          if (answer !== undefined) queues.add("journal-answers", answer);
        });
      }),
    get flights() {
      return flights;
    },
    sent,
    stall(name, untilMs) {
      queues.stall(name === journalName ? name : `store ${name}`, untilMs);
      queues.stall(`flush ${name}`, untilMs);
    },
    restarted() {
      unflushed.clear();
      flights = makeFlights();
    },
  };
}
