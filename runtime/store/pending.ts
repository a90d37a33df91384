/**
 * What the last process left, found at boot: in portions, so that a long backlog costs the store's thread time and the gateway
 * no memory. What is done already is settled on the way, and rows of the session index that a crash left behind are mended.
 */
import { outcomeOf } from "./agent-store.ts";
import type { AgentStores } from "./agent-stores.ts";
import type { Journal } from "./journal.ts";
import type { Backlog, OutboundRow, Pending, PendingEnvelope } from "./port.ts";
import type { SessionIndex } from "./session-index.ts";

/** Rows of one agent in the journal that are looked at together, and of all before what is settled is removed. */
const portionRows = 2_000;

export interface PendingParts {
  readonly journal: Journal;
  readonly agents: AgentStores;
  readonly index: SessionIndex;
  /** How many envelopes of the agent are given; the rest is its backlog. */
  readonly windowOf: (agentId: string) => number;
}

export async function readPending({ journal, agents, index, windowOf }: PendingParts): Promise<Pending> {
  const envelopes: PendingEnvelope[] = [];
  const outbound: { readonly seq: number; readonly row: OutboundRow }[] = [];
  const exchanges: Pending["exchanges"][number][] = [];
  const given = new Map<string, number>();
  const backlogs = new Map<string, Backlog>();

  const take = (row: PendingEnvelope): void => {
    const { agentId } = row.header;
    const count = given.get(agentId) ?? 0;
    if (!agents.has(agentId) || count < windowOf(agentId)) {
      given.set(agentId, count + 1);
      envelopes.push(row);
      return;
    }
    const backlog = backlogs.get(agentId) ?? { agentId, after: row.seq - 1, until: row.seq, count: 0 };
    backlogs.set(agentId, { ...backlog, until: row.seq, count: backlog.count + 1 });
  };

  /** One agent's rows of a portion: those that are not done, and the answers that did not leave. */
  const sort = (agentId: string, rows: readonly PendingEnvelope[]) =>
    agents.use(agentId, async (agent) => {
      const open: PendingEnvelope[] = [];
      const leaving: { readonly seq: number; readonly row: OutboundRow }[] = [];
      const stale = new Set<string>();
      for (const row of rows) {
        const done = agent.done(row.header.id);
        if (done === undefined) {
          open.push(row);
          continue;
        }
        stale.add(done.sessionKey);
        const waiting = agent.outbound(row.header.id);
        if (waiting !== undefined) leaving.push({ seq: row.seq, row: waiting });
        // Nothing follows on an announce: its answer has left when it has no row.
        else if (row.header.exchange !== undefined && row.header.exchange.step !== "announce")
          exchanges.push({ header: row.header, ...outcomeOf(done) });
        else journal.settle(row.header.id);
      }
      const heads = [...stale].map((sessionKey) => agent.head(sessionKey)).filter((head) => head !== undefined);
      await Promise.all(heads.map((head) => index.update(head)));
      return { open, leaving };
    });

  await journal.flush();
  let looked = 0;
  for (const agentText of journal.agentsWithMail()) {
    for (let after: number | undefined = 0; after !== undefined; ) {
      const { rows, last } = journal.rowsAfter(agentText, after, portionRows);
      const agentId = rows[0]?.header.agentId;
      const sorted =
        agentId === undefined || !agents.has(agentId) ? { open: rows, leaving: [] } : await sort(agentId, rows);
      for (const row of sorted.open) take(row);
      outbound.push(...sorted.leaving);
      looked += rows.length;
      if (looked >= portionRows) {
        await journal.flush();
        looked = 0;
      }
      after = last;
    }
  }
  await journal.flush();
  return {
    envelopes: envelopes.toSorted((a, b) => a.seq - b.seq),
    backlogs: [...backlogs.values()].toSorted((a, b) => a.after - b.after),
    outbound: outbound.toSorted((a, b) => a.seq - b.seq).map(({ row }) => row),
    exchanges,
  };
}
