/**
 * A consistent copy of all environments while the store works on.
 *
 * There is no transaction over several environments, so that the copies are of different moments, and their order makes them
 * fit: registry, agents one after the other, journal last. From before the first until after the last the journal removes no
 * row (`Journal.hold`). Take an envelope that was accepted before the journal was copied (moment J), of an agent that was
 * copied at moment A, A before J:
 *
 *   done before A, its row removed before the hold   the agent's copy has the turn; the journal's copy knows nothing of it
 *   done before A, its row held                      the agent's copy has turn and `done` marker, the journal's copy has the row:
 *                                                    the marker wins, as after a crash
 *   done after A, or not at all                      the journal's copy has the row, the agent's copy nothing: it is handled
 *                                                    again after the restore, and there once
 *
 * So nothing that was accepted before J is lost, and nothing is in the copy twice. With the journal first, an envelope that
 * a turn between the two copies had sent would be lost. Without the hold, one that was done between the two copies would be.
 * What a repeated turn sends is recognised: the journal's copy, being the last, has the key of everything that it sent before.
 * Rows of the session index that are older than the agent's copy are brought up to date at the next start, because the
 * envelopes of all turns since are still in the journal. An answer that left through a channel between A and J leaves
 * once more after a restore, under the same idempotency key.
 *
 * Files of long messages (`blobs.ts`) are copied after the journal: each that a copy names was there before that copy, and none is
 * removed until the end. Files that only later rows name are copied in vain, and swept where the copy is used.
 *
 * A crash leaves an incomplete folder; who calls writes its own mark when the copy is whole (`manifest.json`).
 */
import { join } from "node:path";
import type { Environment, OpenEnvironment } from "./environment.ts";
import { clearOwner } from "./owner.ts";
import type { Snapshot } from "./port.ts";

export interface SnapshotParts {
  readonly registry: Environment;
  readonly journal: Environment;
  readonly agentIds: Iterable<string>;
  /** False when the agent has no environment. */
  readonly copyAgent: (agentId: string, dir: string) => Promise<boolean>;
  readonly copyBlobs: (agentId: string, dir: string) => Promise<void>;
  readonly hold: () => () => void;
  readonly openEnvironment: OpenEnvironment;
  readonly now: () => number;
}

/** One environment after the other, so that a backup takes one thread of the pool and one long read transaction at a time. */
export async function takeSnapshot(parts: SnapshotParts, into: string): Promise<Snapshot> {
  const registryDir = join(into, "store", "registry");
  const all = [...parts.agentIds];
  const agentIds: string[] = [];
  const release = parts.hold();
  let acceptedUntilMs: number;
  try {
    await parts.registry.copyTo(registryDir);
    for (const agentId of all) {
      if (await parts.copyAgent(agentId, join(into, "agents", agentId, "sessions"))) agentIds.push(agentId);
    }
    acceptedUntilMs = parts.now();
    await parts.journal.copyTo(join(into, "store", "journal"));
    // Last: every file that one of the copies names was there before that copy, and none is removed meanwhile.
    for (const agentId of all) await parts.copyBlobs(agentId, join(into, "agents", agentId, "sessions"));
  } finally {
    release();
  }
  // The copy names the process that was copied as its owner, which would keep it from being started beside that one.
  const copy = await parts.openEnvironment(registryDir);
  try {
    await clearOwner(copy);
  } finally {
    await copy.close();
  }
  return { acceptedUntilMs, agentIds };
}
