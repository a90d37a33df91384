/** `cloister agents doctor`: which way of working together fits, and what the config allows. */
import type { Patterns, Verdict } from "../diagnosis/patterns.ts";
import { formatTable } from "./table.ts";

export function formatPatterns({ pairs, untold, advice }: Patterns): readonly string[] {
  const told = advice.flatMap(({ need, use, state }) => [`${need}:`, `  ${use}`, `  here: ${state}`]);
  if (pairs.length === 0) return told;
  const columns = ["FROM", "TO", "SESSIONS_SEND", "SESSIONS_SPAWN AS IT"].map((title) => ({ title }));
  const rows = pairs.map(({ from, to, send, spawn }) => [from, to, formatVerdict(send), formatVerdict(spawn)]);
  return [
    ...told,
    "",
    ...formatTable(columns, rows),
    ...(untold === 0 ? [] : [`and ${untold} more pairs; \`cloister grants explain <from> <to>\` tells one`]),
  ];
}

const formatVerdict = ({ allowed, rule, remedy }: Verdict): string =>
  allowed ? `yes (${rule})` : `no (${rule}): ${remedy ?? ""}`;
