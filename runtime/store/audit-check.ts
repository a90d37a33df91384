/**
 * Whether a log of the audit trail is what was written (`runtime/store/audit-chain.ts`), a part at a time: the store does other work
 * between two parts, and rows may come and go meanwhile.
 */
import { limits } from "../kernel/limits.ts";
import {
  anchorEvery,
  anchorKey,
  blockFrom,
  firstRow,
  type Head,
  hashOf,
  jsonOf,
  nearestBlock,
  openAnchor,
  openHead,
  readText,
  rowHash,
  rowReader,
  type ReadableLog,
  headKey,
  genesis,
} from "./audit-chain.ts";
import type { AuditCheck, AuditFault, AuditRow } from "./audit-rows.ts";

/** The next part. */
export function checkAudit(
  readable: ReadableLog,
  before: AuditCheck = { log: readable.log, next: 0, before: "", rows: 0, faults: [], faultCount: 0, done: false },
): AuditCheck {
  const { environment, log, key } = readable;
  const found = openHead(key, log, readText(environment, headKey));
  const faults = new Faults(before);
  if (!("head" in found)) {
    const last = nearestBlock(environment, true);
    if (found.type === "damaged" || last !== undefined)
      faults.add({
        what: "head",
        n: last ?? 0,
        detail: found.type === "none" ? "the head is missing" : "the head is not what was sealed",
      });
    if (last === undefined) return { ...before, ...faults.told(), done: true };
    // What there is can still be compared row by row.
    const first = firstRow(environment) ?? last;
    const hash = hashOf(rowReader(environment)(last));
    return walk(readable, { n: last, hash, first, base: "", key: "" }, before, faults);
  }
  if (found.type === "other-key" && before.next === 0)
    faults.add({ what: "key", n: found.head.n, detail: `the head is sealed with another key (${found.head.key})` });
  return walk(readable, found.head, before, faults);
}

function walk({ environment, log, key }: ReadableLog, head: Head, before: AuditCheck, faults: Faults): AuditCheck {
  // Rows before `first` may have gone since the last part.
  const isStart = before.next < head.first;
  let next = isStart ? head.first : before.next;
  let last = isStart ? head.base : before.before;
  let { rows } = before;
  const end = Math.min(head.n, next + limits.auditRowsPerCall - 1);
  let block = blockFrom(environment, next);
  if (isStart && before.next === 0) {
    const early = nearestBlock(environment, false);
    if (early !== undefined && early < head.first)
      faults.add({ what: "extra", n: early, detail: `there are rows before the first, ${head.first}` });
    if (head.first === 1 && last !== "" && last !== genesis(log))
      faults.add({ what: "head", n: 0, detail: "the head does not begin where logs begin" });
  }
  for (; next <= end; next += 1) {
    if (block !== undefined && next > block.last) block = blockFrom(environment, next);
    if (block?.hasMore === true && next === block.first)
      faults.add({ what: "extra", n: next, detail: "there are more rows with it than there is room for" });
    const text = block?.lines[next - block.first];
    if (text === undefined) {
      faults.missing(next);
      last = "";
    } else {
      rows += 1;
      const stored = hashOf(text);
      if (last === "" ? text.length <= stored.length : rowHash(log, next, last, jsonOf(text)) !== stored)
        faults.add({
          what: "changed",
          n: next,
          detail: "the row is not what was written, or does not follow on the one before",
        });
      last = stored;
      const row = parseRow(text);
      if (row?.type === "audit_broken" || row?.type === "audit_key")
        faults.add({ what: row.type === "audit_broken" ? "broken" : "key", n: next, detail: row.detail ?? "" });
    }
    if (next % anchorEvery === 0) checkAnchor({ environment, log, key }, next, last, faults);
  }
  const done = next > head.n;
  if (done) {
    if (head.n >= head.first && last !== head.hash && last !== "")
      faults.add({ what: "end", n: head.n, detail: "the last row is not the one that the head names" });
    const late = nearestBlock(environment, true);
    if (late !== undefined && late > head.n)
      faults.add({ what: "extra", n: late, detail: `there are rows after the last, ${head.n}` });
  }
  const reached = { n: head.n, hash: head.hash, first: head.first };
  return { log, next, before: last, rows, ...faults.told(), done, head: reached };
}

function checkAnchor({ environment, log, key }: ReadableLog, n: number, stored: string, faults: Faults): void {
  const text = readText(environment, anchorKey(n));
  if (text === undefined) faults.add({ what: "anchor", n, detail: "its anchor is missing" });
  else {
    const anchor = openAnchor(key, log, text);
    if (anchor === undefined)
      faults.add({ what: "anchor", n, detail: "its anchor is not one that this key has sealed" });
    else if (anchor.hash !== stored || anchor.n !== n)
      faults.add({ what: "anchor", n, detail: "its anchor is of another row" });
  }
}

/** Undefined when the row cannot be read any more. */
export function parseRow(text: string): AuditRow | undefined {
  try {
    const row = JSON.parse(jsonOf(text)) as AuditRow | null;
    return typeof row === "object" && row !== null && typeof row.type === "string" ? row : undefined;
  } catch {
    return undefined;
  }
}

class Faults {
  readonly #told: AuditFault[];
  #count: number;

  constructor({ faults, faultCount }: AuditCheck) {
    this.#told = [...faults];
    this.#count = faultCount;
  }

  add(fault: AuditFault): void {
    this.#count += 1;
    if (this.#told.length < limits.auditFaultsMax) this.#told.push(fault);
  }

  /** Rows that are missing one after the other are one fault. */
  missing(n: number): void {
    const last = this.#told.at(-1);
    if (last?.what !== "missing" || (last.until ?? last.n) !== n - 1)
      this.add({ what: "missing", n, detail: "there is no such row" });
    else this.#told[this.#told.length - 1] = { ...last, until: n };
  }

  told(): Pick<AuditCheck, "faults" | "faultCount"> {
    return { faults: this.#told, faultCount: this.#count };
  }
}
