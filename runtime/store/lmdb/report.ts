/** An environment as it is found on disk, for who looks for damage. Nothing is written, and a gateway may have it open. */
import { isCoded } from "../../kernel/errors.ts";
import { checkFormat, type EnvironmentName } from "../format.ts";
import { findOwner, type Owner } from "../owner.ts";
import { readLog } from "../log.ts";
import { openLmdbEnvironment } from "./environment.ts";
import { readLogFiles } from "./log-files.ts";
import { readThrough } from "./count-rows.ts";

export type { Owner } from "../owner.ts";

export interface EnvironmentReport {
  readonly kind: EnvironmentName;
  readonly dir: string;
  /** `newer`: another version wrote it. */
  readonly state: "absent" | "whole" | "damaged" | "newer" | "unread";
  readonly rows?: number;
  /** When it is not whole. */
  readonly reason?: string;
  /** Of the registry: which gateway says that it uses the directory. */
  readonly owner?: Owner;
}

/**
 * Never rejects. A file that is damaged badly enough ends the process instead. `isUsed`: a gateway writes to it, so that its log cannot be
 * read from end to end.
 */
export async function reportEnvironment(
  { kind, dir }: Pick<EnvironmentReport, "kind" | "dir">,
  nowMs: number,
  isUsed: boolean,
): Promise<EnvironmentReport> {
  if (!(await openLmdbEnvironment.exists(dir))) return { kind, dir, state: "absent" };
  try {
    const { rows, found } = await readThrough(dir, async (environment) => {
      const format = checkFormat(environment, kind, dir);
      if (!isUsed) await readLog(environment, readLogFiles(dir), dir);
      return { format, owner: kind === "registry" ? findOwner(environment, nowMs) : undefined };
    });
    const { format, owner } = found;
    if (format === undefined && rows > 0) return { kind, dir, state: "damaged", reason: `it holds no ${kind}` };
    return { kind, dir, state: "whole", rows, ...(owner === undefined ? {} : { owner }) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const isNewer = isCoded(error) && error.code === "CLOISTER_STATE_VERSION";
    return { kind, dir, state: isNewer ? "newer" : "damaged", reason };
  }
}
