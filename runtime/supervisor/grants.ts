/**
 * Rights that an operator grants and takes back while the gateway runs. A change is kept in the store before it is obeyed, and
 * obeyed before it is answered: what was answered outlives the gateway.
 */
import { grantPairings } from "../../auth/compile-pairings.ts";
import { grantVerbs } from "../kernel/envelope.ts";
import { judgePair, type Judgement, type Policy, type SessionVerb } from "../../auth/policy.ts";
import { type CodedError, failure } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { GrantRow } from "../kernel/envelope.ts";
import type { Store } from "../store/port.ts";
import { checkAgentPattern } from "./agent-pattern.ts";
import { makeAuditNote } from "./audit-trail.ts";
import { makeInTurn } from "./in-turn.ts";
import type { Logger } from "./driver.ts";

export interface GrantsDeps {
  /** What the store kept at the start, oldest first. */
  readonly kept: readonly GrantRow[];
  /** Those that there are now. */
  readonly agents: ReadonlyMap<string, unknown>;
  readonly store: Pick<Store, "keepGrant" | "dropGrant" | "audit">;
  readonly kernel: () => Pick<Kernel, "grant" | "revoke" | "views">;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface AskedGrant {
  /** Ids or `*` patterns. */
  readonly from: string;
  readonly to: string;
  readonly verbs: readonly SessionVerb[];
  /** Milliseconds since the epoch. */
  readonly untilMs?: number;
}

/** One verb between two agents: what decides, and what would change that. */
export interface ExplainedVerb {
  readonly verb: SessionVerb;
  readonly allowed: boolean;
  readonly rule: string;
  readonly message: string;
  /** A line of the config, absent when an operator's grant decides. */
  readonly config?: string;
  /** Arguments after `cloister`; absent when the config allows it, which no command can take back. */
  readonly command?: string;
}

export interface Grants {
  /** In force now, oldest first. */
  live(): readonly GrantRow[];
  /** `by` is the client that asks, here and below, for the audit trail. Throws what is wrong with it. */
  add(asked: AskedGrant, by: string): Promise<GrantRow>;
  /** Checks it and makes its row, without effect until `put`. */
  make(asked: AskedGrant, by: string): Promise<GrantRow>;
  /** One that is in force already is left alone. */
  put(row: GrantRow): Promise<void>;
  /** Throws `CLOISTER_GRANT_UNKNOWN`. */
  revoke(id: string, by: string): Promise<GrantRow>;
  explain(policy: Policy, from: string, to: string, verb: SessionVerb | undefined): readonly ExplainedVerb[];
}

export function makeGrants(deps: GrantsDeps): Grants {
  const { store, kernel, nowMs, log } = deps;
  let rows = deps.kept;

  const isLive = ({ untilMs }: GrantRow): boolean => untilMs === undefined || untilMs > nowMs();
  const live = (): readonly GrantRow[] => rows.filter(isLive);

  /** One change at a time: the bound is counted and the store written without another one in between. */
  const inTurn = makeInTurn();

  const audit = makeAuditNote(store, log, nowMs);

  /** The kernel has ended them at their time; here they leave the disk. */
  const sweep = async (): Promise<void> => {
    for (const row of rows) if (!isLive(row)) await store.dropGrant(row.id);
    rows = live();
  };

  const checkAgent = (name: "from" | "to", id: string): string => checkAgentPattern(name, id, deps.agents);

  const make = async (asked: AskedGrant, by: string): Promise<GrantRow> => {
    const { untilMs } = asked;
    const from = checkAgent("from", asked.from);
    const to = checkAgent("to", asked.to);
    if (from === to && !from.includes("*")) throw withinAgent(from);
    if (untilMs !== undefined && untilMs <= nowMs())
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `until: found ${new Date(untilMs).toISOString()}, wanted a time that is still to come`,
      );
    await sweep();
    if (rows.length >= limits.operatorGrantsMax)
      throw failure(
        "CLOISTER_BUSY",
        `operators have granted ${rows.length} rights; the bound is ${limits.operatorGrantsMax}`,
        "revoke some (`cloister grants list`), or write rules with patterns into tools.agentToAgent.grants",
      );
    return {
      id: deps.newId(),
      from,
      to,
      verbs: grantVerbs.filter((verb) => asked.verbs.includes(verb)),
      ...(untilMs === undefined ? {} : { untilMs }),
      createdAtMs: nowMs(),
      by,
    };
  };

  const put = async (row: GrantRow): Promise<void> => {
    if (rows.some(({ id }) => id === row.id)) return;
    await store.keepGrant(row);
    rows = [...rows, row];
    for (const pairing of grantPairings(row, [...deps.agents.keys()])) kernel().grant(pairing, nowMs());
    audit({ type: "grant_added", subject: row.by, object: row.id, detail: describe(row) });
  };

  return {
    live,
    make: (asked, by) => inTurn(() => make(asked, by)),
    put: (row) => inTurn(() => put(row)),
    add: (asked, by) =>
      inTurn(async () => {
        const row = await make(asked, by);
        await put(row);
        return row;
      }),
    revoke: (id, by) =>
      inTurn(async () => {
        const row = live().find((one) => one.id === id);
        if (row === undefined)
          throw failure("CLOISTER_GRANT_UNKNOWN", `no grant in force has the id ${id}`, "cloister grants list");
        await store.dropGrant(id);
        rows = rows.filter((one) => one !== row);
        // One that was removed and is not gone yet is no agent of the config any more, and has its rights.
        const holders = kernel().views();
        for (const pairing of grantPairings(row, ids(holders))) kernel().revoke(pairing.id, nowMs());
        audit({ type: "grant_revoked", subject: by, object: id, detail: describe(row) });
        return row;
      }),
    explain(policy, from, to, verb) {
      const [subject, object] = [checkAgent("from", from), checkAgent("to", to)];
      if (subject.includes("*") || object.includes("*"))
        throw failure(
          "CLOISTER_REQUEST_INVALID",
          "found a pattern, wanted the ids of two agents",
          "cloister agents list",
        );
      if (subject === object) throw withinAgent(subject);
      return (verb === undefined ? grantVerbs : [verb]).map((one) =>
        explained(one, subject, object, judgePair(policy, subject, object, one)),
      );
    },
  };
}

const ids = (agents: readonly { readonly id: string }[]): readonly string[] => agents.map(({ id }) => id);

function withinAgent(agentId: string): CodedError {
  return failure(
    "CLOISTER_REQUEST_INVALID",
    `found ${agentId} twice: what a session may do within its agent is tools.sessions.visibility, not a grant`,
    "name two agents, or set tools.sessions.visibility",
  );
}

function explained(verb: SessionVerb, from: string, to: string, judged: Judgement): ExplainedVerb {
  if (!judged.allowed) {
    const { rule, message, remedy } = judged;
    return { verb, allowed: false, rule, message, config: remedy, command: `grants add ${from} ${to} ${verb}` };
  }
  const message = `${from} may ${verb} to ${to}: ${judged.rule} allows it`;
  return judged.grantId === undefined
    ? { verb, allowed: true, rule: judged.rule, message, config: judged.rule }
    : { verb, allowed: true, rule: judged.rule, message, command: `grants revoke ${judged.grantId}` };
}

function describe({ from, to, verbs, untilMs }: GrantRow): string {
  const end = untilMs === undefined ? "" : ` until ${new Date(untilMs).toISOString()}`;
  return `${from} → ${to}: ${verbs.join(", ")}${end}`;
}
