/** Findings for people: what, why, what to do; the worst first. What is in order takes one line. */
import { countOf, type Finding, sortFindings } from "../diagnosis/finding.ts";
import { showableText } from "../terminal.ts";
import { formatCount } from "./table.ts";

export function formatFindings(findings: readonly Finding[]): readonly string[] {
  const sorted = sortFindings(findings);
  const shown = sorted.filter(({ severity }) => severity !== "ok").flatMap(formatFinding);
  const fine = sorted.filter(({ severity }) => severity === "ok").map(({ what }) => what);
  return [
    ...shown,
    ...fine.map((what) => `ok       ${what}`),
    "",
    [
      formatCount(countOf(findings, "error"), "error"),
      formatCount(countOf(findings, "warning"), "warning"),
      formatCount(countOf(findings, "note"), "note"),
    ].join(", "),
  ].map(showableText);
}

function formatFinding({ id, severity, what, why, remedy }: Finding): readonly string[] {
  return [
    `${severity.padEnd(8)} ${what}`,
    ...(why === undefined ? [] : [`         ${why}`]),
    ...(remedy === undefined ? [] : [`         → ${remedy}`]),
    `         ${id}`,
  ];
}
