/**
 * Backups of the running gateway: one at a time, in the store's thread. A client starts one and asks how it stands, because it
 * may take longer than a request may wait. What is not in the store (config, key, workspaces, checksums) is the client's part.
 */
import path from "node:path";
import { failure, type Refusal, toRefusal } from "../kernel/errors.ts";
import type { Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export type BackupStatus =
  | { readonly state: "none" }
  | { readonly state: "running"; readonly to: string; readonly startedAtMs: number }
  | {
      readonly state: "done";
      readonly to: string;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      readonly acceptedUntilMs: number;
      /** Those that had something to copy. */
      readonly agentIds: readonly string[];
    }
  | {
      readonly state: "failed";
      readonly to: string;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      readonly refusal: Refusal;
    };

export interface Backups {
  /** Throws `CLOISTER_BACKUP_RUNNING`, or `CLOISTER_BACKUP_PLACE` for a path that is not absolute. */
  start(to: string): BackupStatus;
  /** Of the last one since the gateway started. */
  status(): BackupStatus;
}

export function makeBackups(store: Pick<Store, "snapshot">, nowMs: () => number, log: Logger): Backups {
  let last: BackupStatus = { state: "none" };
  return {
    start(to) {
      if (last.state === "running") {
        throw failure(
          "CLOISTER_BACKUP_RUNNING",
          `cannot start a backup to ${to}: one to ${last.to} is running`,
          "wait until it has ended (`backup.status`)",
        );
      }
      if (!path.isAbsolute(to)) {
        throw failure(
          "CLOISTER_BACKUP_PLACE",
          `cannot back up to ${to}: the gateway needs an absolute path`,
          "name the folder from the root on",
        );
      }
      const started = { to, startedAtMs: nowMs() };
      last = { state: "running", ...started };
      store.snapshot(to).then(
        (snapshot) => {
          last = { state: "done", ...started, endedAtMs: nowMs(), ...snapshot };
          log.info({ to, agents: snapshot.agentIds.length, ms: last.endedAtMs - started.startedAtMs }, "backed up");
        },
        (error: unknown) => {
          const refusal = toRefusal(error);
          last = { state: "failed", ...started, endedAtMs: nowMs(), refusal };
          log.error({ to, reason: refusal.message }, "a backup failed");
        },
      );
      return last;
    },
    status: () => last,
  };
}
