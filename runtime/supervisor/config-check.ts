/**
 * What a change of the configuration would do, without doing it: what is wrong with it, which places of the file differ, which agents
 * and sections change, and what needs a restart. By the functions that a write goes through.
 */
import {
  changeText,
  type ConfigIssue,
  type ConfigWarning,
  type FileChange,
  findDifferences,
  formatPath,
  isConfigFailure,
  parseText,
  planConfig,
  type PlanSummary,
  readAuthored,
  redactValue,
  summarizePlan,
  valueOf,
} from "../config/index.ts";
import { isCoded } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { compileRoutes } from "../routing/index.ts";
import type { ReadsConfig } from "./config-desk.ts";
import type { LiveConfig } from "./live-config.ts";
import { writtenOut } from "./written-out.ts";

/** A place that would change, as JSON without secrets; a part that is absent is not there. */
export interface ShownDifference {
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
  /** What differs is not shown: it is a secret, or too far behind the beginning. */
  readonly isHidden?: true;
  /** A side is longer than what is shown of it. */
  readonly isCut?: true;
}

export interface CheckedChange {
  readonly file: string;
  /** Of the text that the change was compared with; what a write names as its base. */
  readonly hash: string;
  readonly valid: boolean;
  readonly issues: readonly ConfigIssue[];
  /** The first ones, and how many more there are. */
  readonly changes: readonly ShownDifference[];
  readonly moreChanges: number;
  /** The change itself cannot be made: it names what the file does not have. `issues` are about its own keys then. */
  readonly misfits?: true;
  /** Absent when it is not valid. */
  readonly plan?: PlanSummary;
  /** That are not there now: lines, and features that this version does not have. */
  readonly warnings?: readonly string[];
  readonly notActive?: readonly string[];
  /** Comments would be lost. */
  readonly commentsLost?: true;
  /** Why a write would wait for `force`. */
  readonly guarded?: string;
}

export interface CheckDeps {
  readonly live: Pick<LiveConfig, "current">;
  readonly read: ReadsConfig;
}

/** What is wrong with the change is in the answer; it rejects only for faults of the program. */
export async function checkChange({ live, read }: CheckDeps, change: FileChange): Promise<CheckedChange> {
  const from = live.current();
  const authored = await readAuthored(from.configPath);
  const { file, hash } = authored;
  const told = { file, hash, changes: [], moreChanges: 0 };
  try {
    const { text, isRewritten, lost } = changeText(authored, change);
    const shown = showDifferences(valueOf(authored), parseText(file, text));
    try {
      const { config } = await read(new Map([[file, text]]));
      compileRoutes(config);
      const warnings = config.warnings.map(describeWarning);
      const known = new Set([...from.warnings.map(describeWarning), ...from.notActive]);
      return {
        ...told,
        ...shown,
        valid: true,
        issues: [],
        plan: summarizePlan(planConfig(from, config)),
        warnings: warnings.filter((line) => !known.has(line)),
        notActive: config.notActive.filter((feature) => !known.has(feature)),
        ...(isRewritten ? { commentsLost: true } : {}),
        ...(lost === undefined ? {} : { guarded: lost }),
      };
    } catch (error) {
      return { ...told, ...shown, valid: false, issues: issuesOf(error) };
    }
  } catch (error) {
    const misfits = isCoded(error) && error.code === "CLOISTER_REQUEST_INVALID";
    return { ...told, valid: false, issues: issuesOf(error), ...(misfits ? { misfits } : {}) };
  }
}

/** The first places that differ, and how many more there are. */
export function showDifferences(before: unknown, after: unknown): Pick<CheckedChange, "changes" | "moreChanges"> {
  const differences = findDifferences(before, after);
  return {
    changes: differences.slice(0, limits.configChangesShownMax).map(show),
    moreChanges: Math.max(0, differences.length - limits.configChangesShownMax),
  };
}

function issuesOf(error: unknown): CheckedChange["issues"] {
  if (isConfigFailure(error)) return error.issues;
  if (!isCoded(error)) throw error;
  return [{ path: "(root)", message: error.message }];
}

export const describeWarning = ({ path, message, remedy }: ConfigWarning): string =>
  `${path}: ${message}${remedy === undefined ? "" : ` → ${remedy}`}`;

function show({ path, before, after }: ReturnType<typeof findDifferences>[number]): ShownDifference {
  const [whole, wholeAfter] = [before, after].map((value) => textOf(value, path));
  const [was, becomes] = [whole, wholeAfter].map(cut);
  return {
    path: writtenOut(formatPath(path)),
    ...(was === undefined ? {} : { before: was }),
    ...(becomes === undefined ? {} : { after: becomes }),
    ...(was !== undefined && was === becomes ? { isHidden: true } : {}),
    ...(was === whole && becomes === wholeAfter ? {} : { isCut: true }),
  };
}

function textOf(value: unknown, path: Parameters<typeof formatPath>[0]): string | undefined {
  if (value === undefined) return undefined;
  return writtenOut(JSON.stringify(redactValue(value, path), null, 1));
}

const cut = (text: string | undefined): string | undefined =>
  text !== undefined && text.length > limits.configChangeCharsMax
    ? `${text.slice(0, limits.configChangeCharsMax)}…`
    : text;
