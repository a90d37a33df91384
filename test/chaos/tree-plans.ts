/** Plans of trees of sub-agents (`test/fixtures/actors/planter.ts`), and what has to be true of the runs that came of them. */
import type { StoredRun } from "../../runtime/store/port.ts";
import type { Random } from "../support/random.ts";

export interface Plan {
  /** The run's label; no two plans have the same. */
  readonly name: string;
  readonly workMs: number;
  readonly children: readonly Child[];
  /** `exit`: it ends its cell. */
  readonly end: "answer" | "silent" | "throw" | "exit";
}

interface Child {
  readonly plan: Plan;
  readonly agentId: string;
  readonly detached: boolean;
  readonly hears: "message" | "result" | "quiet";
}

/** What a session tells of itself when it is asked. */
export interface SessionReport {
  readonly session: string;
  readonly done: readonly string[];
  readonly asked: readonly { readonly runId: string; readonly label: string; readonly hears: Child["hears"] }[];
  /** Of each end: run, outcome and code. */
  readonly heard: readonly string[];
  readonly refused: readonly string[];
}

/** A turn that fails keeps nothing of its state: only sub-agents throw, and end their cells. */
export function makePlan(random: Random, agentIds: readonly string[], name: string, depth: number): Plan {
  return grow(random, agentIds, name, depth, true);
}

function grow(random: Random, agentIds: readonly string[], name: string, depth: number, isRoot: boolean): Plan {
  const width = depth === 0 ? 0 : isRoot ? 1 + random.below(2) : random.below(3);
  return {
    name,
    workMs: random.below(60),
    children: Array.from({ length: width }, (_, at) => ({
      plan: grow(random, agentIds, `${name}.${at + 1}`, depth - 1, false),
      agentId: random.pick(agentIds),
      detached: random.chance(0.15),
      hears: random.chance(0.6) ? "message" : random.pick(["result", "quiet"] as const),
    })),
    end: isRoot || random.chance(0.75) ? "answer" : random.pick(["silent", "throw", "exit"] as const),
  };
}

/** Far beyond the life of any process of these tests. */
const holdsMs = 3_600_000;

/** What the last run of a chain does: it works until its process is killed, answers, or ends its cell. */
export type ChainEnd = "hold" | "answer" | "exit";

/** A tree of one run at each depth. Its label is that of the last one. */
export function makeChain(
  random: Random,
  agentIds: readonly string[],
  name: string,
  depth: number,
  end: ChainEnd,
): { readonly plan: Plan; readonly last: string } {
  if (depth === 0) {
    const workMs = end === "hold" ? holdsMs : random.below(60);
    return { plan: { name, workMs, children: [], end: end === "exit" ? end : "answer" }, last: name };
  }
  const { plan, last } = makeChain(random, agentIds, `${name}.1`, depth - 1, end);
  const child: Child = { plan, agentId: random.pick(agentIds), detached: false, hears: "message" };
  return { plan: { name, workMs: random.below(60), children: [child], end: "answer" }, last };
}

/** The plan and those below it. */
const flatten = (plan: Plan): readonly Plan[] => [plan, ...plan.children.flatMap((child) => flatten(child.plan))];

/** What was asked for and has not been heard of. */
export function unheardOf({ asked, heard }: SessionReport): SessionReport["asked"] {
  const known = new Set(heard.map((line) => line.split(" ")[0]));
  return asked.filter(({ runId, hears }) => hears !== "quiet" && !known.has(runId));
}

/**
 * Compares all runs with the plans that were accepted and with what was heard of them, when nothing works any more. `heardBelow`: what
 * sub-agents heard of theirs. Gives what does not hold, in words.
 */
export function checkTrees(
  rows: readonly StoredRun[],
  roots: readonly { readonly plans: readonly Plan[]; readonly report: SessionReport }[],
  heardBelow: readonly string[],
): readonly string[] {
  const wrong: string[] = [];
  const byKey = new Map(rows.map((row) => [row.sessionKey, row]));
  const byId = new Map(rows.map((row) => [row.id, row]));
  const byLabel = new Map<string, StoredRun>();
  for (const row of rows) {
    const { label = "" } = row;
    const other = byLabel.get(label);
    if (other !== undefined) wrong.push(`${label} was planted twice: ${other.id} and ${row.id}`);
    byLabel.set(label, row);
  }
  const plans = new Map(roots.flatMap((root) => root.plans.flatMap(flatten)).map((plan) => [plan.name, plan]));
  for (const row of rows) wrong.push(...checkEnd(row, plans.get(row.label ?? ""), byKey));

  for (const { plans: accepted, report } of roots) {
    const where = report.session;
    if (report.refused.length > 0) wrong.push(`${where} was refused ${report.refused.join(", ")}`);
    same(
      wrong,
      `${where} did`,
      report.done,
      accepted.map(({ name }) => name),
    );
    const planned = accepted.flatMap((plan) => plan.children.map((child) => child.plan.name));
    same(
      wrong,
      `${where} asked for`,
      report.asked.map(({ label }) => label),
      planned,
    );
    const own = rows.filter(({ requesterSessionKey }) => requesterSessionKey === where).map(({ id }) => id);
    same(wrong, `the runs of ${where}`, own.toSorted(), report.asked.map(({ runId }) => runId).toSorted());
    const wanted = report.asked.filter(({ hears }) => hears !== "quiet").map(({ runId }) => line(byId.get(runId)));
    // Of what a run below left when it ended itself.
    const adopted = report.heard.filter((heard) => byId.get(heard.split(" ")[0] ?? "")?.detached === true);
    const direct = report.heard.filter((heard) => wanted.includes(heard) || !adopted.includes(heard));
    same(wrong, `${where} heard`, direct.toSorted(), wanted.toSorted());
  }

  const told = [...roots.flatMap(({ report }) => report.heard), ...heardBelow];
  for (const [at, heard] of told.entries()) {
    if (told.indexOf(heard) !== at) wrong.push(`was heard twice: ${heard}`);
    const row = byId.get(heard.split(" ")[0] ?? "");
    if (heard !== line(row)) wrong.push(`heard ${heard}, and its row says ${line(row)}`);
  }
  for (const row of rows) {
    const above = byKey.get(row.requesterSessionKey);
    if (above?.end?.outcome !== "succeeded") continue;
    if (row.announce && !told.includes(line(row))) wrong.push(`${above.id} succeeded and never heard of ${line(row)}`);
  }
  return wrong;
}

const line = (row: StoredRun | undefined): string => `${row?.id} ${row?.end?.outcome} ${row?.end?.code ?? ""}`.trim();

const naturalEnds = {
  answer: "succeeded",
  silent: "failed no_result",
  throw: "failed CLOISTER_AGENT_FAILED",
  exit: "failed CLOISTER_AGENT_CRASHED",
} as const;
/** Of these, what it started ends with it. */
const failures: readonly (string | undefined)[] = ["CLOISTER_AGENT_FAILED", "CLOISTER_AGENT_CRASHED"];

function checkEnd(row: StoredRun, plan: Plan | undefined, byKey: ReadonlyMap<string, StoredRun>): readonly string[] {
  const { end, label = "" } = row;
  if (end === undefined) return [`${label} has no end`];
  if (plan === undefined) return [`${label} was never accepted`];
  const wrong: string[] = [];
  const isRoots = row.lineage.length === 1;
  if (
    end.delivery === "pending" ||
    end.delivery === "blocked" ||
    (isRoots && row.announce && end.delivery !== "delivered")
  )
    wrong.push(`the completion of ${label} is ${end.delivery}`);
  const failedAbove = row.lineage.some((key) => failures.includes(byKey.get(key)?.end?.code));
  const how = `${end.outcome} ${end.code ?? ""}`.trim();
  const allowed = [naturalEnds[plan.end], "failed interrupted", ...(failedAbove ? ["cancelled"] : [])];
  if (!allowed.includes(how)) wrong.push(`${label}, planned to ${plan.end}, ended ${how}: ${end.detail}`);
  if (end.outcome === "succeeded" && end.result !== label) wrong.push(`${label} answered ${end.result}`);
  return wrong;
}

function same(wrong: string[], what: string, found: readonly string[], wanted: readonly string[]): void {
  if (found.join("\n") !== wanted.join("\n"))
    wrong.push(`${what}: found [${found.join(", ")}], wanted [${wanted.join(", ")}]`);
}
