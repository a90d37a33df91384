/** What the kernel keeps of an agent or of a sub-agent's run, from its start on. */
import type { AgentEntry, AgentSpec } from "./state.ts";

export function makeEntry(spec: AgentSpec): AgentEntry {
  return new Entry(spec);
}

export function isEntry(value: AgentEntry | AgentSpec): value is AgentEntry {
  return value instanceof Entry;
}

type Collections = Pick<
  AgentEntry,
  "lanes" | "ready" | "turns" | "loaded" | "sessionDepth" | "openCalls" | "offers" | "asked"
>;

const noCrashes: number[] = [];
const noSlots: AgentEntry["slots"] = new Map();
const noNews: AgentEntry["slotNews"] = [];

/** One class with all of its fields, which V8 keeps in the object itself. */
class Entry implements AgentEntry {
  spec: AgentSpec;
  disabled: AgentEntry["disabled"];
  leaving: AgentEntry["leaving"] = undefined;
  phase: AgentEntry["phase"];
  reason: AgentEntry["reason"];
  incarnation = 0;
  lastSeq = 0;
  slots = noSlots;
  nextSlot = 1;
  slotNews = noNews;
  depth = 0;
  appending = 0;
  spill: AgentEntry["spill"] = undefined;
  crowd: AgentEntry["crowd"] = undefined;
  suspects = 0;
  unacked = 0;
  modelChars = 0;
  crashTimes = noCrashes;
  crashStreak = 0;
  restarts = 0;
  order: AgentEntry["order"] = undefined;
  stopNumber = 0;
  notBeforeMs = 0;
  storeFailures = 0;
  lastActivityMs = 0;
  startedAtMs = 0;
  takesPart: AgentEntry["takesPart"] = undefined;
  run: AgentEntry["run"] = undefined;
  /**
   * What an agent at work needs, made when it is first asked for: of 10,000 configured agents most never have mail, and their
   * empty collections take more than a kilobyte each time (promise P7). Who looks at every agent asks `isMade` first.
   */
  #made: Collections | undefined = undefined;

  constructor(spec: AgentSpec) {
    this.spec = spec;
    this.disabled = spec.disabled;
    this.phase = spec.parked === undefined ? "dormant" : "parked";
    this.reason = spec.parked;
  }

  get isMade(): boolean {
    return this.#made !== undefined;
  }

  get lanes(): Collections["lanes"] {
    return this.#make().lanes;
  }

  get ready(): Collections["ready"] {
    return this.#make().ready;
  }

  get turns(): Collections["turns"] {
    return this.#make().turns;
  }

  get loaded(): Collections["loaded"] {
    return this.#make().loaded;
  }

  get sessionDepth(): Collections["sessionDepth"] {
    return this.#make().sessionDepth;
  }

  get openCalls(): Collections["openCalls"] {
    return this.#make().openCalls;
  }

  get offers(): Collections["offers"] {
    return this.#make().offers;
  }

  get asked(): Collections["asked"] {
    return this.#make().asked;
  }

  #make(): Collections {
    return (this.#made ??= {
      lanes: new Map(),
      ready: new Map(),
      turns: new Map(),
      loaded: new Set(),
      sessionDepth: new Map(),
      openCalls: new Set(),
      offers: { asksFirst: false, known: undefined },
      asked: { questions: 0, told: undefined, emptySessions: 0 },
    });
  }
}

/** True from an abnormal end until the agent has gone without another for as long as makes it stable. */
export function crashedLately({ crashTimes, spec }: AgentEntry, nowMs: number): boolean {
  const last = crashTimes.at(-1);
  return last !== undefined && nowMs - last < spec.supervision.stableMs;
}
