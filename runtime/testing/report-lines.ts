/** A report of `checkActor` in lines for people. */
import type { CheckFault, CheckReport } from "./actor-port.ts";

const words = { same: "ok", unknown: "ok, told", fault: "FAULT" } as const;

/** One line for each point, what was found below it with its remedy, and a sum at the end. */
export function formatReport({ ok, faults, points, left, turns }: CheckReport): readonly string[] {
  const lines = points.flatMap(({ line, at, what, result, faults: found }) => [
    `${words[result].padEnd(8)}  line ${line}, ${at} ${what}`,
    ...found.flatMap(formatFault),
  ]);
  const bad = points.filter(({ result }) => result === "fault").length;
  const told = points.filter(({ result }) => result === "unknown").length;
  const sum = [
    `${turns.length} turns`,
    ...(faults.length > 0
      ? ["failed without a crash, so that nothing was crashed"]
      : [`${points.length} crashes`, `${bad} with a fault`]),
    ...(told > 0 ? [`${told} in the middle of a step, of which the actor was told (CLOISTER_OUTCOME_UNKNOWN)`] : []),
    ...(left > 0 ? [`${left} points were left out`] : []),
  ];
  return [
    ...faults.flatMap((fault) => [`FAULT     line ${fault.line}`, ...formatFault(fault)]),
    ...lines,
    `${ok ? "passed" : "failed"}: ${sum.join(", ")}`,
  ];
}

const formatFault = ({ line, message, remedy }: CheckFault): readonly string[] => [
  `          line ${line}: ${message}`,
  `          → ${remedy}`,
];
