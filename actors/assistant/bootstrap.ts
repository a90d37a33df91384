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
import { limits } from "../../runtime/kernel/limits.ts";
import type { IncomingSignal, Workspace } from "../../runtime/thread/actor-port.ts";
import { cutMiddle } from "./cut-text.ts";
import type { SessionKind } from "./session-kind.ts";

export interface BootstrapFile {
  /** Relative to the workspace. */
  readonly name: string;
  /** `missing`: it should be there; `outside`: it is a link that leaves the workspace, and was not read. */
  readonly status: "shown" | "cut" | "missing" | "outside";
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

/** Reads what a session of this kind is shown. A file that cannot be read is told as missing or outside; the turn goes on. */
export async function readBootstrap(
  workspace: Pick<Workspace, "list" | "read">,
  kind: SessionKind,
  bounds: BootstrapBounds,
  { notes = [], wake }: { readonly notes?: readonly string[]; readonly wake?: Wake | undefined } = {},
): Promise<readonly BootstrapFile[]> {
  const named = (name: string): Rule => ({ name, kinds: [kind] });
  const rules = [
    ...(wake?.isLight === true
      ? []
      : [...bootstrapRules.filter(({ kinds }) => kinds.includes(kind)), ...notes.map(named)]),
    ...(wake === undefined ? [] : [named(wakeFiles[wake.reason])]),
  ];
  const present = new Set((await workspace.list()).map(({ name }) => name));
  const found = await Promise.all(
    rules.map(async ({ name, isRequired }) => ({
      name,
      ...(isRequired === undefined ? {} : { isRequired }),
      content: present.has(name.split("/")[0] ?? "") ? await readFile(workspace, name) : undefined,
    })),
  );
  return fitFiles(found, bounds);
}

/** Undefined: there is none, or none that can be read as text. */
async function readFile(workspace: Pick<Workspace, "read">, name: string): Promise<FoundText> {
  try {
    return { text: await workspace.read(name) };
  } catch (error) {
    return (error as { readonly code?: unknown }).code === escape ? "outside" : undefined;
  }
}

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
  return new Intl.DateTimeFormat("en-CA", {
    timeZone: timezone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).format(ms);
}
