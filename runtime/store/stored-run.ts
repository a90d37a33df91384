/** Sub-agent runs as the calls of the store's port take and give them. */
import type { RunEnd, RunRow } from "../kernel/run-rows.ts";

/** A sub-agent's run as the store keeps it. `end` absent: it has not ended. */
export type StoredRun = RunRow & {
  readonly end?: RunEnd;
  /** Its session was archived. */
  readonly archivedAtMs?: number;
};

/** What is named must hold. */
export interface RunQuery {
  readonly requesterSessionKey?: string;
  readonly isOpen?: boolean;
  readonly limit: number;
}

/** `known`: the same call of its turn made one before; nothing was written. */
export type SpawnedRun = { readonly status: "set"; readonly seq: number } | { readonly status: "known" };
