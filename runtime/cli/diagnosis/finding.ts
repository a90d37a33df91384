/** What a check of the installation found, in one shape for all checks: what, why it matters, what to do. */

/** `error`: something does not work, or will not; `warning`: it works, and is probably not meant; `note`: good to know. */
export type Severity = "error" | "warning" | "note" | "ok";

export interface Finding {
  /** The check, e.g. `state.permissions`; the same in every version. */
  readonly id: string;
  readonly severity: Severity;
  /** What was found, with the path, the key or the value. */
  readonly what: string;
  /** What follows from it. */
  readonly why?: string;
  /** The command to run, or the key to change. */
  readonly remedy?: string;
}

/** A finding whose repair loses nothing and can be done again. */
export interface Repairable extends Finding {
  readonly repair?: Repair;
}

interface Repair {
  /** In the past tense, as it is told afterwards. */
  readonly done: string;
  readonly run: () => Promise<void>;
}

const order: readonly Severity[] = ["error", "warning", "note", "ok"];

/** The worst first; of the same severity in the order of the checks. */
export const sortFindings = <F extends Finding>(findings: readonly F[]): readonly F[] =>
  order.flatMap((severity) => findings.filter((finding) => finding.severity === severity));

export const countOf = (findings: readonly Finding[], severity: Severity): number =>
  findings.filter((finding) => finding.severity === severity).length;

/** 1 while something does not work. */
export const exitCodeOf = (findings: readonly Finding[]): 0 | 1 => (countOf(findings, "error") > 0 ? 1 : 0);

/** Plain data, for JSON. */
export const plainFinding = ({ repair, ...finding }: Repairable): Finding & { readonly repairable?: true } =>
  repair === undefined ? finding : { ...finding, repairable: true };
