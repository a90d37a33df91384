/**
 * A random world for the kernel's simulation: agents, sessions and programs that agents carry out (`world-programs.ts`), faults
 * (`world-faults.ts`), and what must hold at its end (`world-checks.ts`). Everything follows from the seed.
 */
import type { Driver, DriverOptions } from "./kernel-driver.ts";
import { makeDriver } from "./kernel-driver.ts";
import { openPairings } from "./driver-port.ts";
import { queueDrops, queueModes, type QueuePolicy } from "../../runtime/kernel/queues.ts";
import type { Pairing } from "../../runtime/kernel/pairings.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { noTokens } from "../../runtime/kernel/usage.ts";
import type { AgentSpec, MailboxPolicy } from "../../runtime/kernel/state.ts";
import { defaultSupervision, escalations, groupStrategies, restartKinds } from "../../runtime/kernel/supervision.ts";
import { makeRandom, type Random } from "./random.ts";
import { checkEnd } from "./world-checks.ts";
import { faults } from "./world-faults.ts";
import { makeStepBook, type StepBook } from "./step-book.ts";
import { makePrograms, makeScript, type Programs } from "./world-programs.ts";

export interface WorldOptions {
  /** A kernel with a planted bug. */
  readonly kernel?: DriverOptions["kernel"];
  /** Names of faults that do not happen: for making a failing world smaller. */
  readonly without?: readonly string[];
  /** Faults at the most; for the same purpose. */
  readonly faultsMax?: number;
  readonly keepTrace?: boolean;
}

/** What faults and checks know of a world beside its driver. */
export interface World {
  readonly driver: Driver;
  readonly agents: readonly string[];
  readonly sessions: readonly string[];
  readonly pairings: readonly Pairing[];
  readonly programs: Programs;
  readonly book: StepBook;
  /** Cells end only by their programs, so that every poison has its culprit. */
  readonly calm: boolean;
  /** Rights are revoked and granted again. */
  readonly revoking: boolean;
  /** Mail that waits for long expires. */
  readonly expiring: boolean;
  /** Pairings that were revoked at some time. */
  readonly revoked: Set<string>;
  restarts: number;
}

export interface WorldReport {
  readonly seed: number;
  /** Of every effect; undefined without `keepTrace`. */
  readonly trace: string | undefined;
  readonly problems: readonly string[];
  /** `effect:…`, `refusal:…`, `fate:…`, `exit:…`, `fault:…` and the like. */
  readonly reached: ReadonlySet<string>;
  readonly accepted: number;
  /** Faults that happened. */
  readonly faults: number;
}

export function runWorld(seed: number, options: WorldOptions = {}): WorldReport {
  const random = makeRandom(seed);
  const world = makeWorld(random, options);
  const { driver, programs, sessions } = world;
  const problems: string[] = [];
  let happened = 0;
  try {
    for (let told = 3 + random.below(12); told > 0; told--) tell(world, random);
    for (let left = 4 + random.below(16); left > 0; ) {
      if (driver.step() && !random.chance(0.08)) continue;
      left--;
      // Dice of its own, so that a fault that is left out changes nothing of the others.
      const fault = pickFault(random);
      const dice = makeRandom(random.below(2 ** 31));
      const isOn = happened < (options.faultsMax ?? Number.POSITIVE_INFINITY) && !options.without?.includes(fault.name);
      if (!isOn || (world.calm && !fault.calm) || !fault.happen(world, dice)) continue;
      happened++;
      driver.watch.reached.add(`fault:${fault.name}`);
    }
    finish(world);
    problems.push(...checkEnd(world));
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  problems.push(...driver.watch.problems);
  return {
    seed,
    trace: driver.trace,
    problems,
    reached: driver.watch.reached,
    accepted: driver.journal.accepted.size,
    faults: happened,
  };

  function tell(of: World, dice: Random): void {
    driver.tell(dice.pick(sessions), programs.make(dice, of.sessions), programs.tellOptions(dice));
  }
}

function makeWorld(random: Random, options: WorldOptions): World {
  const calm = random.chance(0.4);
  const revoking = random.chance(0.3);
  const expiring = random.chance(0.1);
  const agents = ["main", "raul", "ana", "kim"].slice(0, 1 + random.below(4));
  const sessions = agents.flatMap((id) =>
    ["main", "x", "y"].slice(0, 1 + random.below(3)).map((rest) => `agent:${id}:${rest}`),
  );
  const maxConcurrent = 1 + random.below(4);
  const pairings = openPairings(agents);
  const seed = random.below(2 ** 31);
  const mailboxes = makeMailboxes(agents, makeRandom(seed + 1));
  const specs = makeChildSpecs(agents, makeRandom(seed + 2));
  const ofQueues = makeRandom(seed + 3);
  const queues = makeQueues(sessions, ofQueues);
  /** Places of lane `main` for each agent; 0: no bound of its own. */
  const bound = makeRandom(seed + 4).below(3);
  const takes = ofQueues.chance(0.3);
  const thinks = seed % 8 === 5;
  let answers = 0;
  // In few worlds half of the rights are not there from the start, so that messages are kept until an operator decides.
  const missing = seed % 16 === 2 ? pairings.filter(({ verbs }, at) => verbs.includes("send") && at % 2 === 1) : [];
  const driver = makeDriver({
    seed,
    agents,
    pairings: pairings.filter((pairing) => !missing.includes(pairing)),
    script: makeScript(() => book, takes, thinks),
    // Whoever asks again hears something else.
    models: () => ({ ok: true, json: `{"text":"answer ${answers++}"}`, used: noTokens, model: "p/m" }),
    describeTools: () => `["tool ${answers++}"]`,
    queueOf: ({ sessionKey }) => queues.get(sessionKey),
    spec: (id) => ({
      maxConcurrent,
      ...(bound === 0 ? {} : { lanes: { main: bound } }),
      mailbox: mailboxes.get(id) ?? {},
      ...specs.get(id),
    }),
    mainLaneConcurrent: 1 + random.below(3),
    // Who is permanent gives its place to nobody.
    liveCellsMax: random.chance(0.3) && specs.size === 0 ? Math.max(1, agents.length - 1) : agents.length,
    asksForRights: seed % 2 === 0,
    keepEffects: false,
    keepTrace: options.keepTrace === true,
    ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
    limits: {
      sessionsPerCellMax: 1 + random.below(3),
      mailboxDepthMax: random.chance(0.2) ? 6 : 1_000,
      sessionDepthMax: random.chance(0.1) ? 3 : 1_000,
      sendCreditsPerCell: random.chance(0.2) ? 1 : 256,
      hopsMax: random.chance(0.1) ? 1 : 16,
      refillRowsMax: mailboxes.size === 0 ? 1_000 : 1 + (seed % 3),
      parkedSendersMax: mailboxes.size === 0 ? 1_000 : 1 + (seed % 4),
      asksMax: random.chance(0.1) ? 1 : 100_000,
      passivateAfterMs: random.chance(0.3) ? 200 : 600_000,
      envelopeAgeMsMax: expiring ? 2_000 : 604_800_000,
      agentStopMs: 500,
      restartIntensity: 3,
      streamCharsMax: 2,
      questionsInTable: seed % 4 === 1 ? 1 : 1_024,
      routesPerTurnMax: seed % 8 === 3 ? 1 : 256,
      routesPerCell: 1 + (seed % 3),
      // Faults from outside end cells more often than a message may be delivered; that is not what is tested there.
      ...(calm ? {} : { deliveriesMax: 1_000, deliveryAttemptsMax: 50 }),
    },
  });
  driver.kernel.watch(seed % 2 === 1);
  for (const { supervision, group } of specs.values())
    for (const name of [supervision?.restart, group?.strategy])
      if (name !== undefined) driver.watch.reached.add(`child spec:${name}`);
  const programs = makePrograms(makeRandom(seed + 5));
  const book = makeStepBook(driver);
  const revoked = new Set(missing.map(({ id }) => id));
  return { driver, agents, sessions, pairings, programs, book, calm, revoking, expiring, revoked, restarts: 0 };
}

/** How messages wait, for some of the sessions of some worlds. */
function makeQueues(sessions: readonly string[], random: Random): ReadonlyMap<string, QueuePolicy> {
  if (!random.chance(0.3)) return new Map();
  const policies = sessions.map((key): readonly [string, QueuePolicy] => [
    key,
    {
      mode: random.pick(queueModes),
      debounceMs: random.pick([0, 100, 700]),
      cap: 1 + random.below(4),
      drop: random.pick(queueDrops),
    },
  ]);
  return new Map(policies.filter(() => random.chance(0.7)));
}

/** In a quarter of the worlds mailboxes are small, of every policy and also of different ones beside each other. */
function makeMailboxes(agents: readonly string[], random: Random): ReadonlyMap<string, Partial<MailboxPolicy>> {
  if (!random.chance(0.25)) return new Map();
  return new Map(
    agents.map((id) => [
      id,
      {
        depthMax: 1 + random.below(6),
        sessionDepthMax: 1 + random.below(4),
        overflow: random.pick(["reject", "park", "spill"] as const),
      },
    ]),
  );
}

/** In a quarter of the worlds agents have child specs of every kind, alone or in a group. */
function makeChildSpecs(agents: readonly string[], random: Random): ReadonlyMap<string, Partial<AgentSpec>> {
  if (!random.chance(0.25)) return new Map();
  const group = { name: "g", strategy: random.pick(groupStrategies) };
  return new Map(
    agents.map((id) => [
      id,
      {
        supervision: {
          ...defaultSupervision(limits),
          restart: random.pick(restartKinds),
          intensity: random.below(4),
          shutdownMs: 500,
          escalate: random.pick(escalations),
        },
        ...(random.chance(0.7) ? { group } : {}),
      },
    ]),
  );
}

const weights = faults.reduce((sum, { weight }) => sum + weight, 0);

function pickFault(random: Random): (typeof faults)[number] {
  let at = random.below(weights);
  for (const fault of faults) {
    if (at < fault.weight) return fault;
    at -= fault.weight;
  }
  throw new Error("the weights of the faults do not add up");
}

/** Until all mail has ended: whoever is out of service comes back, as often as it takes. */
function finish(world: World): void {
  const { driver } = world;
  driver.finish();
  if (driver.kernel.views().some(({ phase }) => phase === "disabled")) {
    world.restarts++;
    driver.restartProcess();
    driver.finish();
  }
  // Each program that ends its cell is buried after some crashes, a few of which park the agent again: one less each time.
  const { mail } = driver.kernel.state;
  for (let rounds = 0, left = mail.size; driver.kernel.views().some(({ phase }) => phase === "parked"); rounds++) {
    if (mail.size !== left) rounds = 0;
    left = mail.size;
    // With an intensity of 0 each delivery of a message that ends its cell is a round, and there may be `deliveryAttemptsMax`.
    if (rounds > 1_000) throw new Error("agents stay parked");
    // A recurring timer whose turn ends its cell would go on with that for ever; a turn that waited may set one.
    driver.signals.removeRecurring();
    for (const { id, phase } of driver.kernel.views()) if (phase === "parked") driver.kernel.unpark(id, driver.nowMs);
    driver.finish();
  }
  // The process ends, and every agent with it: whoever watches one hears it after the next start.
  driver.signals.removeRecurring();
  world.restarts++;
  driver.restartProcess();
  driver.finish();
}
