/**
 * The files of the workspace that a model is shown at the beginning of each turn. Source: behaviour §6.1.
 *
 *   file          main   direct  group   sub-agent
 *   AGENTS.md     yes    yes     yes     yes        missing: said so
 *   SOUL.md       yes    yes     yes     -          missing: said so
 *   IDENTITY.md   yes    yes     yes     -          missing: said so
 *   USER.md       yes    yes     yes     -
 *   TOOLS.md      yes    yes     yes     yes
 *   BOOTSTRAP.md  yes    yes     -       -
 *   MEMORY.md     yes    -       -       -
 *
 * In the first turn of a main session the daily notes of today and yesterday follow (`memory/YYYY-MM-DD.md`).
 * A turn that nobody asked for has its own file with it, HEARTBEAT.md or BOOT.md (`wakeFiles`); a light one has nothing else.
 */
import type { ErrorCode } from "../../runtime/kernel/errors.ts";
import { findKept, type Kept, readKept, type Stamp } from "../../runtime/kernel/kept-files.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { IncomingSignal, Workspace } from "../../runtime/thread/actor-port.ts";
import { cutMiddle } from "./cut-text.ts";
import type { SessionKind } from "./session-kind.ts";

export interface BootstrapFile {
  /** Relative to the workspace. */
  readonly name: string;
  /** `missing`: it should be there; `outside`: it is a link that leaves the workspace, and was not read; `bytes`: what is in it is no text. */
  readonly status: "shown" | "cut" | "missing" | "outside" | "bytes";
  /** As the model is shown it; empty of a file that is not there. */
  readonly text: string;
}

interface Rule {
  readonly name: string;
  readonly kinds: readonly SessionKind[];
  readonly isRequired?: true;
}

const people: readonly SessionKind[] = ["main", "direct", "group"];

export const bootstrapRules: readonly Rule[] = [
  { name: "AGENTS.md", kinds: [...people, "subagent"], isRequired: true },
  { name: "SOUL.md", kinds: people, isRequired: true },
  { name: "IDENTITY.md", kinds: people, isRequired: true },
  { name: "USER.md", kinds: people },
  { name: "TOOLS.md", kinds: [...people, "subagent"] },
  { name: "BOOTSTRAP.md", kinds: ["main", "direct"] },
  { name: "MEMORY.md", kinds: ["main"] },
];

export interface BootstrapBounds {
  readonly fileCharsMax: number;
  readonly totalCharsMax: number;
}

export type Wake = Extract<IncomingSignal, { type: "wake" }>;

const wakeFiles: Readonly<Record<Wake["reason"], string>> = { heartbeat: "HEARTBEAT.md", start: "BOOT.md" };

/**
 * Whether a model is asked in a turn that nobody asked for. A regular one has something to do without its file: the prompt says it. One whose
 * file holds nothing but headings, empty items and remarks has not; nor has a start without its file.
 */
export async function hasWork(workspace: Pick<Workspace, "read">, { reason }: Wake): Promise<boolean> {
  const found = await readFile(workspace, wakeFiles[reason]);
  if (found === undefined || found === "outside") return reason === "heartbeat";
  return found.text
    .replaceAll(/<!--.*?-->/gs, "")
    .split("\n")
    .some((line) => !/^\s*(?:#.*|[-*+](?:\s*\[[ x]?\])?)?\s*$/i.test(line));
}

export interface BootstrapWants {
  readonly notes?: readonly string[];
  readonly wake?: Wake | undefined;
}

export type ReadBootstrap = (
  workspace: Pick<Workspace, "read" | "stamps">,
  kind: SessionKind,
  bounds: BootstrapBounds,
  nowMs: number,
  wants?: BootstrapWants,
) => Promise<readonly BootstrapFile[]>;

/**
 * Of one workspace. Gives what a session of the kind is shown, as the files are now: what has not changed since the turn before is not read again, and
 * where nothing has it is the same list. A file that cannot be read is told as missing or outside; the turn goes on.
 */
export function makeBootstrap(): ReadBootstrap {
  const kept = new Map<string, Kept<FoundText>>();
  let last: {
    readonly found: readonly Found[];
    readonly bounds: BootstrapBounds;
    readonly files: readonly BootstrapFile[];
  };
  return async (workspace, kind, bounds, nowMs, wants) => {
    const rules = rulesOf(kind, wants);
    const stamps = await workspace.stamps(rules.map(({ name }) => name));
    const unread: Promise<void>[] = [];
    const found = rules.map((rule, at): Found => ({ ...rule, content: keptText(rule.name, stamps[at], kept) }));
    for (const [at, file] of found.entries()) {
      const stamp = stamps[at];
      if (file.content === undefined && typeof stamp === "object")
        unread.push(
          readThrough(workspace, stamp, file.name, nowMs, kept).then((content) => void (file.content = content)),
        );
    }
    if (unread.length > 0) await Promise.all(unread);
    if (last === undefined || !isSame(last.found, found) || !isSameBounds(last.bounds, bounds))
      last = { found, bounds, files: fitFiles(found, bounds) };
    return last.files;
  };
}

interface Found extends Rule {
  content: FoundText;
}

function keptText(
  name: string,
  stamp: Stamp | "missing" | "outside" | undefined,
  kept: ReadonlyMap<string, Kept<FoundText>>,
): FoundText {
  if (typeof stamp !== "object") return stamp === "outside" ? stamp : undefined;
  return findKept(stamp, name, kept)?.value;
}

const isSame = (a: readonly Found[], b: readonly Found[]): boolean =>
  a.length === b.length && a.every(({ name, content }, at) => name === b[at]?.name && content === b[at]?.content);

const isSameBounds = (a: BootstrapBounds, b: BootstrapBounds): boolean =>
  a.fileCharsMax === b.fileCharsMax && a.totalCharsMax === b.totalCharsMax;

function rulesOf(kind: SessionKind, { notes = [], wake }: BootstrapWants = {}): readonly Rule[] {
  const named = (name: string): Rule => ({ name, kinds: [kind] });
  return [
    ...(wake?.isLight === true
      ? []
      : [...bootstrapRules.filter(({ kinds }) => kinds.includes(kind)), ...notes.map(named)]),
    ...(wake === undefined ? [] : [named(wakeFiles[wake.reason])]),
  ];
}

/** Notes are of one day each, and a long file would take the memory of each agent's cell: neither is kept. */
async function readThrough(
  workspace: Pick<Workspace, "read">,
  stamp: Stamp,
  name: string,
  nowMs: number,
  kept: Map<string, Kept<FoundText>>,
): Promise<FoundText> {
  try {
    // Rejects where it failed: a fault of the moment is not kept.
    const read = async (): Promise<FoundText> => ({ text: await workspace.read(name) });
    if (name.includes("/") || stamp.bytes > limits.bootstrapKeptBytesMax) return await read();
    return await readKept(stamp, name, nowMs, kept, kept, read);
  } catch (error) {
    return whyNot(error);
  }
}

/** Undefined: there is none, or none that can be read as text. */
async function readFile(workspace: Pick<Workspace, "read">, name: string): Promise<FoundText> {
  try {
    return { text: await workspace.read(name) };
  } catch (error) {
    return whyNot(error);
  }
}

const whyNot = (error: unknown): FoundText =>
  (error as { readonly code?: unknown }).code === escape ? "outside" : undefined;

type FoundText = { readonly text: string } | "outside" | undefined;
const escape: ErrorCode = "CLOISTER_WORKSPACE_ESCAPE";

/** Applies the bounds, in order: what comes later gets what is left. Blank files are left out, and missing ones unless they are required. */
export function fitFiles(
  found: readonly { readonly name: string; readonly isRequired?: true; readonly content: FoundText }[],
  { fileCharsMax, totalCharsMax }: BootstrapBounds,
): readonly BootstrapFile[] {
  const files: BootstrapFile[] = [];
  let left = totalCharsMax;
  for (const { name, isRequired, content } of found) {
    if (content === undefined) {
      if (isRequired === true) files.push({ name, status: "missing", text: "" });
      continue;
    }
    if (content === "outside") {
      files.push({ name, status: "outside", text: "" });
      continue;
    }
    const whole = content.text.trim();
    if (whole === "") continue;
    if (whole.includes("\0")) {
      files.push({ name, status: "bytes", text: "" });
      continue;
    }
    const charsMax = Math.min(left, fileCharsMax, name === "USER.md" ? limits.userFileCharsMax : fileCharsMax);
    const text = cutMiddle(whole, charsMax, (chars) => `\n[… ${chars} characters of ${name} are left out …]\n`);
    left -= text.length;
    files.push({ name, status: text === whole ? "shown" : "cut", text });
  }
  return files;
}

/** The notes of a day and of the day before, as agents name them. */
export function dailyNotes(nowMs: number, timezone: string): readonly string[] {
  return [nowMs, nowMs - 24 * 60 * 60_000].map((ms) => `memory/${localDate(ms, timezone)}.md`);
}

/** `YYYY-MM-DD` there. */
export function localDate(ms: number, timezone: string): string {
  const quarter = Math.floor(ms / quarterMs);
  if (days?.timezone !== timezone) days = { timezone, format: makeDateFormat(timezone), quarter: Number.NaN, date: "" };
  if (days.quarter !== quarter) days = { ...days, quarter, date: days.format.format(ms) };
  return days.date;
}

function makeDateFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
}

/** Days begin at such a time wherever people live: time zones differ from UTC by whole quarters of an hour. */
const quarterMs = 15 * 60_000;

/**
 * Of the time zone that was asked for last: an agent has one, and to make a format takes longer than the rest of the prompt. The date is that
 * of the quarter of an hour that was asked for last.
 */
let days:
  | { readonly timezone: string; readonly format: Intl.DateTimeFormat; readonly quarter: number; readonly date: string }
  | undefined;
