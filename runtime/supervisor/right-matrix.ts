/** Who may reach whom, for all pairs of some agents at once: by the function that enforces (`judgePair`), asked once for each. */
import { judgePair, type Policy } from "../../auth/policy.ts";
import { type GrantVerb, grantVerbs } from "../kernel/envelope.ts";

export interface RightMatrix {
  readonly verbs: readonly GrantVerb[];
  /** Rows and columns, in this order. */
  readonly agents: readonly string[];
  /** From the agent of the row to that of the column: bit `n` stands for `verbs[n]`. 0 for an agent and itself. */
  readonly rows: readonly (readonly number[])[];
}

/** Between two rows other work has its turn: with as many grants as there may be, a row is some milliseconds. */
export async function makeRightMatrix(policy: Policy, agents: readonly string[]): Promise<RightMatrix> {
  const rows: (readonly number[])[] = [];
  for (const from of agents) {
    rows.push(agents.map((to) => (from === to ? 0 : verbsBetween(policy, from, to))));
    await new Promise(setImmediate);
  }
  return { verbs: grantVerbs, agents, rows };
}

function verbsBetween(policy: Policy, from: string, to: string): number {
  return grantVerbs.reduce(
    (bits, verb, place) => (judgePair(policy, from, to, verb).allowed ? bits | (1 << place) : bits),
    0,
  );
}
