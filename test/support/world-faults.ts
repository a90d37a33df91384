/** What happens to a world while it runs: new mail, time, and faults. One row each; a new kind of fault is a new row. */
import { agentIdOf, toolsPairingId } from "./driver-port.ts";
import type { World } from "./kernel-world.ts";
import { journalName } from "./kernel-journal.ts";
import type { Random } from "./random.ts";

export interface Fault {
  readonly name: string;
  /** How likely, beside the others. */
  readonly weight: number;
  /** Ends no cell and no process, so that calm worlds have it as well. */
  readonly calm?: true;
  /** False when the world is not in a state for it. */
  happen(world: World, random: Random): boolean;
}

const restartsMax = 3;

const restart = (world: World): boolean => {
  if (world.restarts >= restartsMax) return false;
  world.restarts++;
  world.driver.restartProcess();
  return true;
};

/** For faults that are always possible. */
const always =
  (happen: (world: World, random: Random) => unknown) =>
  (world: World, random: Random): boolean => {
    happen(world, random);
    return true;
  };

export const faults: readonly Fault[] = [
  {
    name: "mail",
    weight: 30,
    calm: true,
    happen: always(({ driver, programs, sessions }, random) =>
      driver.tell(random.pick(sessions), programs.make(random, sessions), programs.tellOptions(random)),
    ),
  },
  { name: "time", weight: 20, calm: true, happen: always(({ driver }, random) => driver.advance(random.below(400))) },
  {
    name: "abort",
    weight: 3,
    calm: true,
    // Where mail waits on the disk there is more to go wrong.
    happen: always(({ driver, sessions }, random) => {
      const spilled = sessions.filter((key) => driver.kernel.state.agents.get(agentIdOf(key))?.spill !== undefined);
      driver.abort(random.pick(spilled.length > 0 ? spilled : sessions));
    }),
  },
  {
    // A turn that takes no notice loses its cell.
    name: "stop",
    weight: 2,
    happen: always(({ driver, agents, sessions }, random) => {
      const running = [...driver.kernel.state.mail.values()].map(({ envelope }) => envelope.header.runId);
      driver.stop(
        random.pick([
          { type: "all" } as const,
          { type: "agent", agentId: random.pick(agents) } as const,
          { type: "run", runId: running.length > 0 ? random.pick(running) : "none" } as const,
          { type: "session", sessionKey: random.pick(sessions) } as const,
        ]),
      );
    }),
  },
  {
    name: "replay",
    weight: 3,
    calm: true,
    happen({ driver }, random) {
      const letters = [...driver.journal.dead];
      if (letters.length === 0) return false;
      const [id, { envelope }] = random.pick(letters);
      const { sessionKey, from, via, chain } = envelope.header;
      driver.tell(sessionKey, envelope.body, { from, via, chain, replaces: id });
      return true;
    },
  },
  {
    name: "revoke",
    weight: 5,
    calm: true,
    happen({ driver, pairings, revoking, revoked }, random) {
      if (!revoking) return false;
      // Of so many, few are in use at a time: half of the picks are among those that mail came by or its turn may need.
      const wanted = new Set(
        [...driver.kernel.state.mail.values()].flatMap(({ envelope: { header } }) => [
          header.via,
          toolsPairingId(header.agentId),
        ]),
      );
      const inUse = pairings.filter(({ id }) => wanted.has(id));
      const pairing = random.pick(inUse.length > 0 && random.chance(0.5) ? inUse : pairings);
      if (driver.kernel.revoke(pairing.id, driver.nowMs).length > 0) revoked.add(pairing.id);
      else driver.kernel.grant(pairing, driver.nowMs);
      return true;
    },
  },
  {
    name: "grant-for-a-while",
    weight: 3,
    calm: true,
    happen({ driver, pairings, revoking, revoked }, random) {
      const pairing = random.pick(pairings);
      if (!revoking || driver.pairings.isLive(pairing.id)) return false;
      revoked.add(pairing.id);
      driver.kernel.grant({ ...pairing, untilMs: driver.nowMs + random.below(600) }, driver.nowMs);
      return true;
    },
  },
  {
    // The operator approves a message that is kept for want of a right: it comes as its sender's.
    name: "approve",
    weight: 5,
    calm: true,
    happen({ driver }, random) {
      const kept = [...driver.journal.requests.kept];
      if (kept.length === 0) return false;
      const [requestId, { header, sessionKey, body, agentId }] = random.pick(kept);
      driver.tell(sessionKey, body, {
        from: { type: "agent", agentId, sessionKey: header.sessionKey },
        via: "door:approval",
        chain: [...header.chain, header.sessionKey],
        releases: { requestId, message: 1 },
      });
      return true;
    },
  },
  {
    name: "deny",
    weight: 2,
    calm: true,
    happen({ driver }, random) {
      const kept = [...driver.journal.requests.kept.keys()];
      if (kept.length === 0) return false;
      driver.journal.change(driver.journal.requests.refuse(random.pick(kept)));
      return true;
    },
  },
  {
    name: "stall-journal",
    weight: 2,
    calm: true,
    happen: always(({ driver }, random) => driver.stallStore(journalName, random.below(6_000))),
  },
  {
    name: "stall-store",
    weight: 3,
    calm: true,
    happen: always(({ driver, agents }, random) => driver.stallStore(random.pick(agents), random.below(6_000))),
  },
  {
    name: "repeat-frame",
    weight: 3,
    calm: true,
    happen: ({ driver, agents }, random) => driver.repeatFrame(random.pick(agents)),
  },
  {
    name: "late-frame",
    weight: 5,
    calm: true,
    happen: ({ driver, agents }) => agents.some((id) => driver.lateFrame(id)),
  },
  {
    name: "repeat-exit",
    weight: 2,
    calm: true,
    happen: always(({ driver, agents }, random) => driver.repeatExit(random.pick(agents))),
  },
  {
    name: "crash",
    weight: 15,
    happen: always(({ driver, agents }, random) =>
      driver.crash(random.pick(agents), random.pick(["crash", "hung", "normal", "out_of_memory", "killed"])),
    ),
  },
  {
    name: "end-decided",
    weight: 15,
    happen({ driver, agents }, random) {
      const busy = agents.filter((agentId) => (driver.cell(agentId)?.turns ?? 0) > 0);
      if (busy.length === 0) return false;
      driver.endLater(random.pick(busy), random.pick(["crash", "hung", "out_of_memory"]));
      return true;
    },
  },
  {
    name: "slow-start",
    weight: 2,
    happen: always(({ driver, agents }, random) => driver.stallStart(random.pick(agents), random.below(20_000))),
  },
  {
    name: "store-fails",
    weight: 6,
    happen: always(({ driver, agents }, random) => driver.journal.failNext(random.pick(agents), 1 + random.below(3))),
  },
  {
    name: "answer-fails",
    weight: 4,
    happen: always(({ driver, agents }, random) =>
      driver.journal.failAnswers(random.pick(agents), 1 + random.below(2)),
    ),
  },
  { name: "append-fails", weight: 3, happen: always(({ driver }) => driver.journal.failAppends(1)) },
  { name: "restart", weight: 4, happen: restart },
  {
    name: "drain",
    weight: 2,
    happen(world, random) {
      if (world.restarts >= restartsMax) return false;
      world.driver.kernel.drain();
      for (let steps = random.below(40); steps > 0; steps--) world.driver.step();
      world.driver.tell(random.pick(world.sessions), world.programs.make(random, world.sessions));
      return restart(world);
    },
  },
  {
    name: "disable",
    weight: 1,
    happen: always(({ driver, agents }, random) =>
      driver.kernel.disable(random.pick(agents), "its module is gone", driver.nowMs),
    ),
  },
  {
    name: "order",
    weight: 6,
    happen: ({ driver, agents }, random) =>
      driver.kernel.order(
        random.pick(agents),
        random.chance(0.5) ? { type: "restart" } : { type: "park", reason: "test" },
        driver.nowMs,
      ),
  },
  {
    name: "unpark",
    weight: 3,
    happen: ({ driver, agents }) => agents.some((id) => driver.kernel.unpark(id, driver.nowMs)),
  },
];
