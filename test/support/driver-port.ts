/** What a test tells the driver of the kernel, and what it may ask of it (`kernel-driver.ts`). */
import type { KernelSettings } from "../../runtime/kernel/settings.ts";
import type { Stopped, StopScope } from "../../runtime/kernel/stops.ts";
import type { Admission } from "../../runtime/kernel/admit.ts";
import type { EnvelopeHeader, Fate, Outcome } from "../../runtime/kernel/envelope.ts";
import type { Kernel, makeKernel } from "../../runtime/kernel/kernel.ts";
import type { QueuePolicy } from "../../runtime/kernel/queues.ts";
import type { SessionChoices, TurnChoices } from "../../runtime/kernel/session-choices.ts";
import type { SharedLane } from "../../runtime/kernel/lanes.ts";
import type { Limits } from "../../runtime/kernel/limits.ts";
import type { makePairingRegistry, Pairing, PairingRegistry } from "../../runtime/kernel/pairings.ts";
import type { ModelCall, ModelEnd } from "../../runtime/kernel/model-call.ts";
import type { AcceptResult, AgentSpec, Effect, ExitReason } from "../../runtime/kernel/state.ts";
import type { FakeCell, Script } from "./fake-cell.ts";
import type { Journal } from "./kernel-journal.ts";
import type { KernelRuns } from "./kernel-runs.ts";
import type { KernelSignals } from "./kernel-signals.ts";
import type { Watch } from "./kernel-watch.ts";
import type { Random } from "./random.ts";
import type { ToolTable } from "../../runtime/supervisor/tools/table.ts";

export interface DriverOptions {
  readonly seed?: number;
  /** Agents by id; `main` alone when left out. */
  readonly agents?: readonly string[];
  readonly spec?: (id: string) => Partial<AgentSpec>;
  /** By default every agent may send to and ask every other. */
  readonly pairings?: readonly Pairing[];
  readonly script: Script;
  readonly limits?: Partial<Limits>;
  readonly mainLaneConcurrent?: number;
  /** Places of the lanes; `mainLaneConcurrent` is those of `main`. */
  /** How messages of a session wait; without it as where nobody has set anything. */
  readonly whyNotTool?: KernelSettings["whyNotTool"];
  readonly describeTools?: KernelSettings["describeTools"];
  readonly queueOf?: (header: EnvelopeHeader) => QueuePolicy | undefined;
  readonly lanes?: Partial<Record<SharedLane, number>>;
  readonly liveCellsMax?: number;
  /** Jitter of the back-off; the seeded source when left out. */
  readonly jitter?: number;
  /** Tools beside `sessions_send`, which is served as the supervisor does it. */
  readonly tools?: ToolTable;
  /** What is chosen for a session, when its turn begins. */
  readonly choicesOf?: (sessionKey: string) => SessionChoices | undefined;
  /** What the broker answers; by default what it was asked. */
  readonly models?: (call: ModelCall) => ModelEnd;
  /** Whether the agent's module takes part in exchanges; by default it does. */
  readonly takesPart?: (agentId: string) => boolean;
  /** Default: bounds that nothing reaches. */
  readonly loops?: Partial<KernelSettings["loops"]>;
  /** Rights that are missing are put to the operator, who keeps the message (`kept`). */
  readonly asksForRights?: boolean;
  /** Keeps every effect. Off for long simulations. */
  readonly keepEffects?: boolean;
  /** Hashes every effect, which takes a third of the time of a simulated world. */
  readonly keepTrace?: boolean;
  /** Another kernel than the real one: one with a planted bug (`mutants.ts`). */
  readonly kernel?: KernelModule;
}

/** What a driver needs of the kernel's code. */
export interface KernelModule {
  readonly makeKernel: typeof makeKernel;
  readonly makePairingRegistry: typeof makePairingRegistry;
}

/** What one delivery was, as the cell saw it. */
export interface Handled {
  readonly agentId: string;
  readonly incarnation: number;
  readonly sessionKey: string;
  readonly body: string;
  readonly attempt: number;
  readonly envelopeId: string;
  readonly atMs: number;
  readonly state: string | undefined;
}

export interface TellOptions {
  readonly from?: Admission["from"];
  readonly via?: string;
  readonly chain?: readonly string[];
  readonly replyRoute?: Admission["replyRoute"];
  readonly dedupeKey?: string;
  readonly runId?: string;
  readonly ttlMs?: number;
  readonly lane?: string;
  readonly holdMs?: number;
  readonly choices?: TurnChoices;
  /** The id of the dead letter that this message was. */
  readonly replaces?: string;
  /** What is kept with a request for a right, that this message was. */
  readonly releases?: Admission["releases"];
}

export interface Driver {
  readonly kernel: Kernel;
  readonly journal: Journal;
  readonly signals: KernelSignals;
  readonly runs: KernelRuns;
  readonly pairings: PairingRegistry;
  readonly random: Random;
  readonly effects: readonly Effect[];
  readonly handled: readonly Handled[];
  readonly nowMs: number;
  /** A message from outside; gives its ticket. */
  tell(sessionKey: string, body: string, options?: TellOptions): number;
  accepted(ticket: number): AcceptResult | undefined;
  /** Carries out one piece of work. False when there is none. */
  step(): boolean;
  /** Until the condition holds; it must come to hold without the clock. */
  stepUntil(condition: () => boolean): void;
  /** Until nothing is left to do at this time. */
  settle(): void;
  /** Moves the clock, with a tick each 100 ms, and settles at each. */
  advance(ms: number): void;
  /** Settles, and moves the clock from deadline to deadline until nothing waits for time any more. */
  finish(): void;
  open(gate: string): void;
  cell(agentId: string): FakeCell | undefined;
  /** The agent's cell ends now; what it had posted may or may not arrive. */
  crash(agentId: string, reason?: ExitReason): void;
  /** As `crash`, but the end is decided before it comes about: meanwhile the cell goes on. */
  endLater(agentId: string, reason?: ExitReason): void;
  /** As the supervisor does it: a disabled agent comes back with what the journal has of it. False when it may not. */
  bringBack(agentId: string): boolean;
  /** The journal (`journalName`) or an agent's store does nothing for this long. */
  stallStore(name: string, ms: number): void;
  /** The agent's next cell takes this long to start. */
  stallStart(agentId: string, ms: number): void;
  /** The agent's cell posts its last frame once more. False when it has none. */
  repeatFrame(agentId: string): boolean;
  /** The last frame of the agent's earlier cell arrives at its new one: late, or once more. False when there is none. */
  lateFrame(agentId: string): boolean;
  /** The end of the cell before the agent's last one is told once more. */
  repeatExit(agentId: string): void;
  /** An operator stops work; what has to be kept of it is, over a restart of the process. */
  stop(scope: StopScope): Stopped;
  /** A session, or one run of it. Gives the runs that were stopped. */
  abort(sessionKey: string, runId?: string): readonly string[];
  /** The process dies and starts again with what the journal has. */
  restartProcess(): void;
  /** A frame as if it came from the agent's port. */
  frame(agentId: string, frame: unknown, incarnation?: number): void;
  /** The outcomes that a body's envelopes ended with, in the order of their ends. */
  outcomes(body: string): readonly Outcome[];
  dead(body: string): { readonly fate: Fate; readonly reason: string } | undefined;
  audits(event: string): readonly Extract<Effect, { type: "audit" }>[];
  ofType<T extends Effect["type"]>(type: T): readonly Extract<Effect, { type: T }>[];
  /** A hash over every effect so far, in order (FNV-1a); undefined without `keepTrace`. */
  readonly trace: string | undefined;
  /** Once all is settled: messages from outside and calls of live cells that have no answer, and whatever has two. */
  readonly wrongAnswers: readonly string[];
  /** What the kernel must not ask, and what it asked. */
  readonly watch: Watch;
  /** How often an answer was handed to its channel. */
  readonly sent: ReadonlyMap<string, number>;
  /** Ends of envelopes, of this process and of those before: id → how often `ended` was heard in each. */
  readonly ends: readonly ReadonlyMap<string, number>[];
  readonly header: (body: string) => EnvelopeHeader;
}

/** The right of an agent to use the session tools. */
export const toolsPairingId = (agentId: string): string => `tools:${agentId}`;

const sessionToolsPairing = (agentId: string): Pairing => ({
  id: toolsPairingId(agentId),
  subject: `agent:${agentId}`,
  object: "gateway",
  verbs: ["model", "tool:sessions_send"],
  origin: "config",
});

/** `main` may start sub-agents, and hand that on. */
export function spawningPairing(verbs: Pairing["verbs"] = ["tool:sessions_spawn"]): Pairing {
  return { id: "spawning:main", subject: "agent:main", object: "gateway", verbs, delegable: verbs, origin: "config" };
}

/** Everybody may send to and ask everybody, themselves included. */
export function openPairings(agents: readonly string[]): readonly Pairing[] {
  return agents.flatMap((from) => [
    ...agents.map(
      (to): Pairing => ({
        id: `${from}>${to}`,
        subject: `agent:${from}`,
        object: `agent:${to}`,
        verbs: ["send", "request", "steer"],
        origin: "config",
      }),
    ),
    sessionToolsPairing(from),
    {
      id: `schedule:${from}`,
      subject: `agent:${from}`,
      object: `agent:${from}`,
      verbs: ["schedule"],
      origin: "config",
    },
  ]);
}

export function agentIdOf(sessionKey: string): string {
  return sessionKey.split(":")[1] ?? "";
}
