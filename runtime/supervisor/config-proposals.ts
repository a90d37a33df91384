/**
 * Changes of the configuration that agents propose and an operator decides about (ADR 0045). A proposal is a reason and keys with
 * values; nothing of it counts before it is applied, and then it is the operator's write, against the text that was shown.
 *
 *   waiting ──apply──► the write goes through the configuration's own way (`config-desk.ts`) ──► gone
 *      │  └──reject──► gone
 *      └──nobody decides in a week──► gone
 *
 * Format: `config-proposals.json` in the state directory, `{ version: 1, proposals: Proposal[] }`, oldest first. It is replaced as a
 * whole: a crash leaves the old text or the new one. A row that has not its form is left out. What is applied and not yet gone when
 * the process ends stays, and shows that it would change nothing.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { applyEdits, includesOf, parsePath, redactValue, writeAtomically } from "../config/index.ts";
import type { GatewayEvent } from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Store } from "../store/port.ts";
import { makeAuditNote } from "./audit-trail.ts";
import { type CheckDeps, type CheckedChange, checkChange, showDifferences } from "./config-check.ts";
import type { ConfigDesk, Written } from "./config-desk.ts";
import type { Logger } from "./driver.ts";
import { makeInTurn } from "./in-turn.ts";
import { wholeRows } from "./whole-rows.ts";

const proposalForm = z.object({
  id: z.string(),
  agentId: z.string(),
  sessionKey: z.string(),
  /** Why, in the agent's words. */
  reason: z.string(),
  /** Keys as a person writes them; items of lists by their id, so that a list may change meanwhile. In this order, then `unset`. */
  set: z.array(z.object({ key: z.string(), value: z.unknown() })),
  unset: z.array(z.string()),
  /** Milliseconds since the epoch, both. */
  createdAtMs: z.number(),
  expiresAtMs: z.number(),
  /** The call that made it: a turn that runs again proposes nothing twice. */
  call: z.object({ turn: z.string(), key: z.number() }),
});

export type Proposal = z.output<typeof proposalForm>;

/** As clients see it: with marks in the places of secrets. */
export type ShownProposal = Omit<Proposal, "call">;

export interface ConfigProposalsDeps extends CheckDeps {
  readonly desk: Pick<ConfigDesk, "write">;
  readonly store: Pick<Store, "audit">;
  readonly publish: (event: GatewayEvent) => void;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface ConfigProposals {
  /** Throws `CLOISTER_BUSY` at a bound, and `CLOISTER_REQUEST_INVALID` for what cannot be kept. */
  propose(asked: Pick<Proposal, "agentId" | "sessionKey" | "reason" | "set" | "unset" | "call">): Promise<{
    readonly id: string;
    readonly check: CheckedChange;
  }>;
  /** Those that wait, oldest first. */
  list(): Promise<readonly ShownProposal[]>;
  /** With what it would do to the file as it is now. Here and below: throws `CLOISTER_CONFIG_PROPOSAL_UNKNOWN`. */
  show(id: string): Promise<{ readonly proposal: ShownProposal; readonly check: CheckedChange }>;
  /** `hash`: of the text that it was shown against. Rejects as `ConfigDesk.write` does, and the proposal waits on. */
  apply(id: string, asked: { readonly hash: string; readonly force: boolean; readonly by: string }): Promise<Written>;
  reject(id: string, by: string): Promise<void>;
  /** Nothing is left of an agent: what it proposed is gone with it, and the next one of this name has proposed nothing. */
  forget(agentId: string): void;
}

export function makeConfigProposals(deps: ConfigProposalsDeps): ConfigProposals {
  const { live, store, nowMs, log } = deps;
  const inTurn = makeInTurn();
  const audit = makeAuditNote(store, log, nowMs);
  const file = path.join(live.current().stateDir, "config-proposals.json");
  let kept: readonly Proposal[] | undefined;

  const isAgent = (agentId: string): boolean => live.current().agents.some(({ id }) => id === agentId);

  /** Read when it is first asked for, without those of agents that went meanwhile; those whose time is over are left out, and leave the file with the next change. */
  const waiting = async (): Promise<readonly Proposal[]> => {
    kept ??= (await readProposals(file, log)).filter(({ agentId }) => isAgent(agentId));
    return kept.filter(({ expiresAtMs }) => expiresAtMs > nowMs());
  };

  const keep = async (proposals: readonly Proposal[]): Promise<void> => {
    await writeAtomically(file, `${JSON.stringify({ version: 1, proposals }, null, 1)}\n`);
    kept = proposals;
    deps.publish({ event: "config.proposals", payload: { total: proposals.length } });
  };

  const find = async (id: string): Promise<Proposal> => {
    const proposal = (await waiting()).find((one) => one.id === id);
    if (proposal !== undefined) return proposal;
    throw failure(
      "CLOISTER_CONFIG_PROPOSAL_UNKNOWN",
      `no proposal that waits has the id ${id}; it was decided, or nobody decided it in time`,
      "cloister config proposals",
    );
  };

  const drop = async (id: string): Promise<void> => keep((await waiting()).filter((one) => one.id !== id));

  const check = async (proposal: Proposal): Promise<CheckedChange> => {
    const checked = await checkChange(deps, changeOf(proposal));
    const unseen = unseenOf(checked);
    return unseen === undefined ? checked : { ...checked, guarded: checked.guarded ?? unseen };
  };

  const propose: ConfigProposals["propose"] = async (asked) => {
    const rows = await waiting();
    const { agentId, call } = asked;
    const same = rows.find((row) => row.call.turn === call.turn && row.call.key === call.key);
    if (same !== undefined) return { id: same.id, check: await check(same) };
    for (const { value } of asked.set) refuseIncludes([], value);
    const chars = JSON.stringify([asked.set, asked.unset]).length;
    if (chars > limits.configProposalCharsMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `the proposal has ${chars} characters; at most ${limits.configProposalCharsMax} are kept`,
        "propose less at once",
      );
    const own = rows.filter((row) => row.agentId === agentId).length;
    if (own >= limits.configProposalsPerAgentMax || rows.length >= limits.configProposalsMax)
      throw failure(
        "CLOISTER_BUSY",
        `${own} proposals of ${agentId} and ${rows.length} in all wait for a decision; the bounds are ${limits.configProposalsPerAgentMax} and ${limits.configProposalsMax}`,
        "an operator decides: cloister config proposals",
      );
    const createdAtMs = nowMs();
    const row = { ...asked, id: deps.newId(), createdAtMs, expiresAtMs: createdAtMs + limits.configProposalAgeMs };
    const checked = await check(row);
    await keep([...rows, row]);
    audit({ type: "config_proposed", subject: asked.sessionKey, object: row.id, detail: keysOf(row) });
    log.info(
      { agent: agentId, session: asked.sessionKey, proposal: row.id },
      "an agent proposes a change of the configuration",
    );
    return { id: row.id, check: checked };
  };

  return {
    propose: (asked) => inTurn(() => propose(asked)),
    list: () => inTurn(async () => (await waiting()).map(show)),
    show: (id) =>
      inTurn(async () => {
        const proposal = await find(id);
        return { proposal: show(proposal), check: await check(proposal) };
      }),
    apply: (id, { hash, force, by }) =>
      inTurn(async () => {
        const proposal = await find(id);
        const asked = { base: hash, force, by, ...(force ? {} : { review: refuseUnseen }) };
        const written = await deps.desk.write(changeOf(proposal), asked);
        audit({ type: "config_proposal_applied", subject: by, object: id, detail: keysOf(proposal) });
        await drop(id);
        return written;
      }),
    forget(agentId) {
      if (isAgent(agentId)) return;
      inTurn(async () => {
        const proposals = await waiting();
        const left = proposals.filter((one) => one.agentId !== agentId);
        if (left.length < proposals.length) await keep(left);
      }).catch((error: unknown) =>
        log.error({ agent: agentId, error: toRefusal(error) }, "what a removed agent proposed is still there"),
      );
    },
    reject: (id, by) =>
      inTurn(async () => {
        const proposal = await find(id);
        await drop(id);
        audit({ type: "config_proposal_rejected", subject: by, object: id, detail: keysOf(proposal) });
      }),
  };
}

function show(proposal: Proposal): ShownProposal {
  const { id, agentId, sessionKey, reason, set, unset, createdAtMs, expiresAtMs } = proposal;
  const shown = set.map(({ key, value }) => ({ key, value: redactValue(value, namesIn(key)) }));
  return { id, agentId, sessionKey, reason, set: shown, unset, createdAtMs, expiresAtMs };
}

/** Of a key that may fit nothing in the file; places in lists are no names. */
const namesIn = (key: string): readonly string[] => (key.match(/[\w$-]+/g) ?? []).filter((part) => !/^\d+$/.test(part));

/** Why not all of the difference is shown; what is cut off may be what an agent wants nobody to see. */
function unseenOf({ changes, moreChanges }: Pick<CheckedChange, "changes" | "moreChanges">): string | undefined {
  const part = changes.find(({ isCut }) => isCut)?.path ?? (moreChanges > 0 ? `${moreChanges} more places` : undefined);
  return part && `the difference is too long to be shown whole (${part}): nobody has seen all of it`;
}

function refuseUnseen(before: unknown, after: unknown): void {
  const unseen = unseenOf(showDifferences(before, after));
  if (unseen === undefined) return;
  const remedy = "read its values (cloister config proposals show <id> --json), and apply it with --force";
  throw failure("CLOISTER_CONFIG_GUARDED", unseen, remedy);
}

/** The check reads a file that is named, before anybody has decided. */
function refuseIncludes(place: readonly (string | number)[], value: unknown): void {
  if (!place.includes("$include") && includesOf(value).length === 0) return;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    "a proposal cannot name a file to include ($include)",
    "propose the values themselves",
  );
}

/** Each key is looked up when its turn comes: an item that was removed is not counted any more. */
function changeOf({ set, unset }: Pick<Proposal, "set" | "unset">): { readonly edit: (value: unknown) => unknown } {
  return {
    edit(before) {
      const put = set.reduce((now, { key, value }) => {
        const place = parsePath(key, now);
        refuseIncludes(place, value);
        return applyEdits(now, { set: [{ path: place, value }] });
      }, before);
      return unset.reduce((now, key) => applyEdits(now, { unset: [parsePath(key, now)] }), put);
    },
  };
}

const keysOf = ({ set, unset }: Proposal): string =>
  [...set.map(({ key }) => key), ...unset.map((key) => `-${key}`)].join(", ").slice(0, limits.failureCharsMax);

async function readProposals(file: string, log: Logger): Promise<readonly Proposal[]> {
  try {
    const found: unknown = JSON.parse(await readFile(file, "utf8"));
    return wholeRows(rowsForm.parse(found).proposals, proposalForm);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT")
      log.error({ file, error: toRefusal(error) }, "the proposals of agents cannot be read; there are none");
    return [];
  }
}

const rowsForm = z.object({ version: z.literal(1), proposals: z.array(z.unknown()) });
