/** Who may reach whom: the matrix of some agents, and the explanation of one pair. Both are the gateway's own judgement. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { count, fieldsOf, list, text, texts } from "../wire.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export interface Matrix {
  readonly verbs: readonly string[];
  readonly agents: readonly string[];
  /** Bit `n` of row and column: `verbs[n]`. */
  readonly rows: readonly (readonly number[])[];
  /** Agents that there are. */
  readonly total: number;
}

export interface Pair {
  readonly from: string;
  readonly to: string;
}

/** One verb of a pair, and what decides about it. */
export interface VerbReason {
  readonly verb: string;
  readonly allowed: boolean;
  readonly rule: string;
  readonly message: string;
  /** The line of the config that decides, or that would allow it. */
  readonly config?: string;
  /** Of `cloister`: what would take the right back, or give it. */
  readonly command?: string;
}

export interface Rights {
  readonly matrix: Matrix | undefined;
  /** What was wanted of the names of agents. */
  readonly filter: string;
  readonly pair: Pair | undefined;
  readonly reasons: readonly VerbReason[];
  readonly error: string | undefined;
}

const nothing: Rights = { matrix: undefined, filter: "", pair: undefined, reasons: [], error: undefined };

/** As many as the gateway puts into one answer (`limits.matrixAgentsMax`). */
const agentsMax = 64;

export interface RightsDesk {
  readonly state: ReadonlySignal<Rights>;
  /** The agents whose name has the text in it. */
  readonly show: (filter: string) => void;
  readonly readAgain: () => void;
  readonly explain: (pair: Pair) => void;
}

export function openRights({ request }: DeskDeps, agentIds: () => readonly string[]): RightsDesk {
  const state = signal(nothing);
  const set = (change: Partial<Rights>): void => {
    state.value = { ...state.value, ...change };
  };
  const [ofMatrix, ofPair] = [makeLatest(), makeLatest()];

  const show = async (filter: string): Promise<void> => {
    const isLatest = ofMatrix();
    const wanted = filter.trim().toLowerCase();
    const agents = agentIds().filter((id) => id.includes(wanted));
    set({ filter, error: undefined });
    if (agents.length === 0) return set({ matrix: { verbs: [], agents: [], rows: [], total: agentIds().length } });
    const reply = await request("grants.matrix", wanted === "" ? {} : { agents: agents.slice(0, agentsMax) });
    if (!isLatest()) return;
    if (!reply.ok) return set({ error: `The rights could not be read: ${reply.error.message}` });
    set({ matrix: parseMatrix(reply.payload) });
  };

  const explain = async (pair: Pair): Promise<void> => {
    const isLatest = ofPair();
    const { pair: before, reasons } = state.value;
    const isSame = before?.from === pair.from && before.to === pair.to;
    set({ pair, reasons: isSame ? reasons : [], error: undefined });
    const reply = await request("grants.explain", pair);
    if (!isLatest()) return;
    if (!reply.ok) return set({ reasons: [], error: `This pair could not be explained: ${reply.error.message}` });
    set({ reasons: parseReasons(reply.payload) });
  };

  return {
    state,
    show: (filter) => void show(filter),
    readAgain() {
      void show(state.value.filter);
      if (state.value.pair !== undefined) void explain(state.value.pair);
    },
    explain: (pair) => void explain(pair),
  };
}

/** The answer of `grants.matrix`. */
export function parseMatrix(payload: unknown): Matrix {
  const fields = fieldsOf(payload);
  const agents = texts(fields["agents"]);
  const rows = list(fields["rows"]).map((row) => list(row).map(count));
  return { verbs: texts(fields["verbs"]), agents, rows, total: Math.max(count(fields["total"]), agents.length) };
}

export function verbsOf({ verbs, rows }: Matrix, row: number, column: number): readonly string[] {
  const bits = rows[row]?.[column] ?? 0;
  return verbs.filter((_, place) => (bits & (1 << place)) !== 0);
}

/** The answer of `grants.explain`. */
function parseReasons(payload: unknown): readonly VerbReason[] {
  return list(fieldsOf(payload)["verbs"]).flatMap((value): VerbReason[] => {
    const row = fieldsOf(value);
    const verb = text(row["verb"]);
    if (verb === undefined) return [];
    const [config, command] = [text(row["config"]), text(row["command"])];
    return [
      {
        verb,
        allowed: row["allowed"] === true,
        rule: text(row["rule"]) ?? "",
        message: text(row["message"]) ?? "",
        ...(config === undefined ? {} : { config }),
        ...(command === undefined ? {} : { command }),
      },
    ];
  });
}
