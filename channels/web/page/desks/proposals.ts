/** Changes of the configuration that agents propose: each is shown with what it would do now, and that is what is applied. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { count, fieldsOf, list, text } from "../wire.ts";
import type { Work } from "../work.ts";
import { type ConfigCheck, describeApplied, parseCheck } from "./config.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export interface Proposal {
  readonly id: string;
  readonly agentId: string;
  /** In the agent's words. */
  readonly reason: string;
  readonly createdAtMs: number;
  /** Absent: it is not known what it would do. */
  readonly check?: ConfigCheck;
}

export interface ProposalDesk {
  /** Oldest first. */
  readonly state: ReadonlySignal<readonly Proposal[]>;
  readonly read: () => Promise<void>;
  /** As it is shown. */
  readonly apply: (proposal: Proposal) => void;
  readonly reject: (id: string) => void;
}

/** The oldest ones; each costs the gateway a look at the whole configuration. */
const shownMax = 8;

export function openProposals({ request }: Pick<DeskDeps, "request">, { act }: Pick<Work, "act">): ProposalDesk {
  const state = signal<readonly Proposal[]>([]);
  const latest = makeLatest();

  /** A gateway that does not know the question has none to show. */
  const read = async (): Promise<void> => {
    const isLatest = latest();
    const reply = await request("config.proposals", {});
    const rows = reply.ok ? list(fieldsOf(reply.payload)["proposals"]).flatMap(parseProposal) : [];
    const shown = await Promise.all(
      rows.map(async (row, place) => {
        if (place >= shownMax) return row;
        const found = await request("config.proposals.show", { id: row.id });
        return found.ok ? { ...row, check: parseCheck(fieldsOf(found.payload)["check"]) } : row;
      }),
    );
    if (isLatest()) state.value = shown;
  };

  return {
    state,
    read,
    apply({ id, check }) {
      if (check === undefined) return;
      const params = { id, hash: check.hash, ...(check.guarded === undefined ? {} : { force: true }) };
      const failed = "The change was not applied";
      void act(id, { method: "config.proposals.apply", params, failed, done: describeApplied }, read);
    },
    reject(id) {
      const failed = "The proposal could not be rejected";
      void act(id, { method: "config.proposals.reject", params: { id }, failed }, read);
    },
  };
}

function parseProposal(value: unknown): readonly Proposal[] {
  const row = fieldsOf(value);
  const [id, agentId] = [text(row["id"]), text(row["agentId"])];
  if (id === undefined || agentId === undefined) return [];
  return [{ id, agentId, reason: text(row["reason"]) ?? "", createdAtMs: count(row["createdAtMs"]) }];
}
