/**
 * The store, read from end to end by a process of its own: a damaged file can end the process that maps it. It tells each
 * environment as it has read it, so that the one that ended it is known. Reading takes no lock that a gateway waits for.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import type { EnvironmentName } from "../../store/format.ts";
import type { EnvironmentReport, Owner } from "../../store/lmdb/report.ts";
import type { CliContext } from "../context.ts";
import { formatCount } from "../views/table.ts";
import type { Finding } from "./finding.ts";
import { storeReportCommand } from "./store-report-name.ts";

export interface StorePlace {
  readonly kind: EnvironmentName;
  readonly dir: string;
}

export interface StoreReport {
  readonly environments: readonly EnvironmentReport[];
  /** The gateway that has the directory, as its own row says. */
  readonly owner?: Owner;
}

export type ReadStore = (context: CliContext, places: readonly StorePlace[]) => Promise<StoreReport>;

/** Of a state directory; the agents' environments that exist. */
export function storePlaces(stateDir: string, sessionsDirs: readonly string[]): readonly StorePlace[] {
  return [
    { kind: "registry", dir: path.join(stateDir, "store", "registry") },
    { kind: "journal", dir: path.join(stateDir, "store", "journal") },
    ...sessionsDirs.map((dir): StorePlace => ({ kind: "agent", dir })),
  ];
}

export const readStore: ReadStore = async ({ self, env }, places) => {
  const [node, ...before] = self;
  const child = spawn(node, [...before, storeReportCommand], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    timeout: limits.doctorStoreMs,
    killSignal: "SIGKILL",
  });
  const ended = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  // A child that ends early has told by its end what is wrong.
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(places));
  const environments: EnvironmentReport[] = [];
  let owner: Owner | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const report = JSON.parse(line) as EnvironmentReport;
    environments.push(report);
    owner ??= report.owner;
  }
  const end = await ended;
  const next = places[environments.length];
  if (next !== undefined) {
    const isLate = end === "SIGKILL";
    environments.push({
      ...next,
      state: isLate ? "unread" : "damaged",
      reason: isLate ? `it took longer than ${limits.doctorStoreMs / 1_000} s` : `reading it ended with ${end}`,
    });
  }
  return { environments, ...(owner === undefined ? {} : { owner }) };
};

export function storeFindings({ environments }: StoreReport, prefix: string): readonly Finding[] {
  const found = environments.flatMap(({ kind, dir, state, reason = "" }): Finding[] => {
    if (state === "damaged") {
      return [
        {
          id: "store.damaged",
          severity: "error",
          what: `the ${kind} store in ${dir} is damaged: ${reason}`,
          why:
            kind === "agent"
              ? "The agent's sessions cannot be read; the other agents are not touched."
              : "The gateway does not start, or loses what it cannot read.",
          remedy: `Keep a copy of the directory, then go back to a backup: \`${prefix} restore <backup> --to <new directory>\`.`,
        },
      ];
    }
    if (state === "newer") {
      return [
        {
          id: "store.version",
          severity: "error",
          what: reason,
          why: "The gateway does not touch a store that it does not understand.",
          remedy: "Run the version of Cloister that wrote it, or a newer one.",
        },
      ];
    }
    if (state === "unread") {
      return [
        {
          id: "store.unread",
          severity: "warning",
          what: `the ${kind} store in ${dir} was not read to its end: ${reason}`,
          why: "Whether it is whole is not known.",
        },
      ];
    }
    return [];
  });
  const whole = environments.filter(({ state }) => state === "whole");
  const rows = whole.reduce((sum, each) => sum + (each.rows ?? 0), 0);
  if (whole.length === 0) return found;
  const what = `${formatCount(whole.length, "store")} read from end to end: ${formatCount(rows, "row")}`;
  return [...found, { id: "store", severity: "ok", what }];
}
