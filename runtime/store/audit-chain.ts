/**
 * One log of the audit trail: rows that only grow at the end, each bound to the one before, under a head that is sealed with a key
 * which the store does not hold (docs/adr/0031-audit-chain.md). `decisions` is in the registry's environment, `traffic` in the journal's.
 *
 * Layout (`hash` is base64url of SHA-256, `seal` of HMAC-SHA-256; `json` is ASCII, so that no byte of it can be another and mean the same):
 *   ["audit", n]        → "<hash> <json of the row>"   `n` counts from 1 without a gap; `hash` is over log, n, the hash before and the json.
 *                                                      Rows of one write are a block: their lines one below the other under the last one's number
 *   ["audit-head"]      → "<seal> <json of Head>"      the last row's number and hash, and the hash before the first row that is kept
 *   ["audit-anchor", n] → "<seal> <json of Anchor>"    every `anchorEvery` rows; it outlives its row
 * Rows and head change in one transaction, so that a crash leaves a log that ends somewhere, never one that is broken.
 */
import { createHmac, hash, timingSafeEqual } from "node:crypto";
import type { AuditLog } from "../kernel/audit-types.ts";
import { limits } from "../kernel/limits.ts";
import { type Environment, top } from "./environment.ts";
import type { AuditRow } from "./audit-rows.ts";

/** How far a log reaches. */
export interface Head {
  /** The last row; 0 when there was none yet. */
  readonly n: number;
  readonly hash: string;
  /** The oldest row that is kept, and the hash of the one before it; "" when that one was not there when its time was over. */
  readonly first: number;
  readonly base: string;
  /** Which key seals it (`keyIdOf`). */
  readonly key: string;
}

export interface Anchor {
  readonly n: number;
  readonly hash: string;
  readonly atMs: number;
  readonly key: string;
}

export interface ChainOptions {
  /** Hex; seals heads and anchors. */
  readonly key: string;
  readonly rowsMax: number;
  readonly anchorsMax: number;
  readonly now: () => number;
}

/** Rows between two anchors. */
export const anchorEvery = 1_000;

/** Rows beyond the bound that one write removes more than it adds: some milliseconds, where the bound was lowered. */
const droppedPerWrite = 1_000;

/** By which part of its bound a log may exceed it: its oldest rows go many at a time, for one of which a block has to be read. */
const surplusParts = 128;

/** Rows of a block: a write with more makes several, so that one that is read or damaged is not long. */
const rowsPerBlock = 64;

const hashChars = 43;

/** Of a row that was written alone, or of a block by its last row. */
export const rowKey = (n: number): readonly [string, number] => ["audit", n];
export const headKey = ["audit-head"] as const;
export const anchorKey = (n: number): readonly [string, number] => ["audit-anchor", n];

/** A log as it is read and checked, also where nobody writes to it. */
export interface ReadableLog {
  readonly environment: Pick<Environment, "get" | "keys">;
  readonly log: AuditLog;
  /** Hex. */
  readonly key: string;
}

export class AuditChain implements ReadableLog {
  readonly environment: Environment;
  readonly log: AuditLog;
  readonly key: string;
  readonly #options: ChainOptions;
  #adding: AuditRow[] = [];
  /** The head that this program wrote last. One that reads otherwise is looked at first. */
  #written: { readonly text: string; readonly head: Head } | undefined;

  constructor(environment: Environment, log: AuditLog, options: ChainOptions) {
    this.environment = environment;
    this.log = log;
    this.key = options.key;
    this.#options = options;
  }

  /** In a write of its own; the journal's writes call `begin`, `add` and `end` instead. */
  append(rows: readonly AuditRow[]): Promise<void> {
    return this.environment.write(() => {
      this.begin();
      for (const row of rows) this.add(row);
      this.end();
    });
  }

  /** Inside a write, before anything else: what an earlier one that failed had added is forgotten. */
  begin(): void {
    this.#adding = [];
  }

  add(row: AuditRow): void {
    this.#adding.push(cut(row));
  }

  /** Inside the same write, at its end: all rows of the write and one head. */
  end(): void {
    const rows = this.#adding;
    this.#adding = [];
    if (rows.length === 0) return;
    const { head: before, fault } = this.#currentHead();
    let { n, hash: last } = before;
    let block: string[] = [];
    for (const row of fault === undefined ? rows : [fault, ...rows]) {
      n += 1;
      const json = asciiJson(row);
      last = rowHash(this.log, n, last, json);
      if (block.push(`${last} ${json}`) === rowsPerBlock) block = this.#putBlock(n, block);
      if (n % anchorEvery === 0) this.#putAnchor({ n, hash: last, atMs: row.atMs, key: keyIdOf(this.key) });
    }
    if (block.length > 0) this.#putBlock(n, block);
    const { first, base } = this.#drop(before, n, rows.length);
    const head: Head = { n, hash: last, first, base, key: keyIdOf(this.key) };
    const text = sealed(this.key, this.log, "head", head);
    this.environment.put(headKey, text);
    this.#written = { text, head };
  }

  /** What the next block begins with: nothing. */
  #putBlock(last: number, lines: readonly string[]): string[] {
    this.environment.put(rowKey(last), lines.join("\n"));
    return [];
  }

  /** The head as it is stored; `fault` says what is wrong with it, as the first row of what comes now. */
  #currentHead(): { readonly head: Head; readonly fault?: AuditRow } {
    const text = readText(this.environment, headKey);
    if (text !== undefined && text === this.#written?.text) return { head: this.#written.head };
    const found = openHead(this.key, this.log, text);
    const fault = (type: "audit_key" | "audit_broken", detail: string): AuditRow => {
      const subject = { subject: "gateway", object: `audit:${this.log}` };
      return { atMs: this.#options.now(), type, ...subject, decision: "noted", detail };
    };
    if (found.type === "sealed") return { head: found.head };
    if (found.type === "other-key") {
      const detail = `the head before row ${found.head.n + 1} was sealed with key ${found.head.key}, now it is ${keyIdOf(this.key)}`;
      return { head: found.head, fault: fault("audit_key", detail) };
    }
    const kept = this.#keptRows();
    if (kept === undefined && found.type === "none") {
      // Also where rows of a head that is gone were removed with it: the anchors outside of the store tell those.
      return { head: { n: 0, hash: genesis(this.log), first: 1, base: genesis(this.log), key: "" } };
    }
    const detail = `${found.type === "none" ? "there was no head" : "the head was not what was written"}; the log goes on after row ${kept?.last ?? 0}`;
    const head = { n: kept?.last ?? 0, hash: kept?.hash ?? "", first: kept?.first ?? 1, base: "", key: "" };
    return { head, fault: fault("audit_broken", detail) };
  }

  #keptRows(): { readonly first: number; readonly last: number; readonly hash: string } | undefined {
    const first = firstRow(this.environment);
    const last = nearestBlock(this.environment, true);
    if (first === undefined || last === undefined) return undefined;
    return { first, last, hash: hashOf(rowReader(this.environment)(last)) };
  }

  /** Removes the oldest rows beyond the bound, once they are more than may exceed it: a block when all of its rows are. */
  #drop({ first, base }: Head, n: number, added: number): Pick<Head, "first" | "base"> {
    const { rowsMax } = this.#options;
    const keptFrom = n - rowsMax + 1;
    if (keptFrom - first <= Math.min(Math.floor(rowsMax / surplusParts), droppedPerWrite)) return { first, base };
    const end = Math.min(keptFrom, first + added + droppedPerWrite);
    const block = blockFrom(this.environment, end - 1);
    const going = [...this.environment.keys({ start: rowKey(first), end: rowKey(end) })];
    for (const key of going) this.environment.remove(key);
    return { first: end, base: hashOf(block?.lines[end - 1 - block.first]) };
  }

  #putAnchor(anchor: Anchor): void {
    this.environment.put(anchorKey(anchor.n), sealed(this.key, this.log, "anchor", anchor));
    const old = anchor.n - this.#options.anchorsMax * anchorEvery;
    if (old > 0) this.environment.remove(anchorKey(old));
  }
}

/** What is stored under a key; undefined also when it cannot be read as a text any more. */
export function readText(environment: Pick<Environment, "get">, key: readonly (string | number)[]): string | undefined {
  try {
    const found = environment.get<unknown>(key);
    return found === undefined ? undefined : typeof found === "string" ? found : "";
  } catch {
    return "";
  }
}

type Rows = Pick<Environment, "get" | "keys">;

/** The number of the last row of the first or last block that there is, whatever the head says. */
export function nearestBlock(environment: Rows, reverse: boolean): number | undefined {
  const [key] = environment.keys({ start: ["audit", 0], end: ["audit", top], reverse, limit: 1 });
  return key?.[1] as number | undefined;
}

/** The number of the first row that there is, whatever the head says. */
export const firstRow = (environment: Rows): number | undefined => blockFrom(environment, 0)?.first;

export interface Block {
  readonly first: number;
  readonly last: number;
  /** From `first` to `last`. */
  readonly lines: readonly string[];
  /** Whether it had more lines before these, in the place of rows of the block before or of none. */
  readonly hasMore: boolean;
}

/** The block with the row, or else the next one. */
export function blockFrom(environment: Rows, n: number): Block | undefined {
  const [key] = environment.keys({ start: rowKey(n), end: ["audit", top], limit: 1 });
  if (key === undefined) return undefined;
  const last = key[1] as number;
  const [before] = environment.keys({ start: ["audit", 0], end: key, reverse: true, limit: 1 });
  const lines = (readText(environment, key) ?? "").split("\n");
  const room = last - ((before?.[1] as number | undefined) ?? 0);
  return {
    first: last - Math.min(lines.length, room) + 1,
    last,
    lines: lines.slice(-room),
    hasMore: lines.length > room,
  };
}

/** Gives the line of a row; undefined when there is none. Rows that are asked for one after the other are looked up once a block. */
export function rowReader(environment: Rows): (n: number) => string | undefined {
  let block: Block | undefined;
  return (n) => {
    if (block === undefined || n < block.first || n > block.last) block = blockFrom(environment, n);
    return block?.lines[n - block.first];
  };
}

export type FoundHead =
  | { readonly type: "sealed" | "other-key"; readonly head: Head }
  | { readonly type: "none" | "damaged" };

export function openHead(key: string, log: AuditLog, text: string | undefined): FoundHead {
  if (text === undefined) return { type: "none" };
  const opened = openSealed(key, log, "head", text);
  const head = opened?.value as Head | undefined;
  if (head === undefined || !isHead(head)) return { type: "damaged" };
  if (opened?.isSealed === true) return { type: "sealed", head };
  return head.key === keyIdOf(key) ? { type: "damaged" } : { type: "other-key", head };
}

function isHead({ n, hash: last, first, base, key }: Head): boolean {
  return (
    [n, first].every((one) => Number.isSafeInteger(one)) && [last, base, key].every((one) => typeof one === "string")
  );
}

/** What an anchor says; undefined when it is not one that the key has sealed. */
export function openAnchor(key: string, log: AuditLog, text: string): Anchor | undefined {
  const opened = openSealed(key, log, "anchor", text);
  return opened?.isSealed === true ? (opened.value as Anchor) : undefined;
}

export function rowHash(log: AuditLog, n: number, before: string, json: string): string {
  return hash("sha256", `${log}\n${n}\n${before}\n${json}`, "base64url");
}

/** Before the first row of a log. */
export const genesis = (log: AuditLog): string => rowHash(log, 0, "", "");

export const hashOf = (text: string | undefined): string => (text ?? "").slice(0, hashChars);

export const jsonOf = (text: string): string => text.slice(hashChars + 1);

/** Names a key without telling it. */
export const keyIdOf = (key: string): string => hash("sha256", `audit key\n${key}`, "hex").slice(0, 8);

/** What seals the audit trail of the gateway with this operator's key. */
export function auditKeyOf(operatorKey: string): string {
  return createHmac("sha256", operatorKey).update("cloister audit trail").digest("hex");
}

export function sealed(key: string, log: AuditLog, what: "head" | "anchor", value: object): string {
  const json = asciiJson(value);
  return `${sealOf(key, log, what, json)} ${json}`;
}

function openSealed(
  key: string,
  log: AuditLog,
  what: "head" | "anchor",
  text: string,
): { readonly value: unknown; readonly isSealed: boolean } | undefined {
  const json = jsonOf(text);
  const isSealed = timingSafeEqual(
    Buffer.from(hash("sha256", text.slice(0, hashChars + 1))),
    Buffer.from(hash("sha256", `${sealOf(key, log, what, json)} `)),
  );
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? { value, isSealed } : undefined;
  } catch {
    return undefined;
  }
}

const sealOf = (key: string, log: AuditLog, what: "head" | "anchor", json: string): string =>
  createHmac("sha256", key).update(`${what}\n${log}\n${json}`).digest("base64url");

/** One spelling of each text, in which no byte stands for what another could. */
export function asciiJson(value: object): string {
  const json = JSON.stringify(value);
  if (Buffer.byteLength(json) === json.length && !json.includes("\u007f")) return json;
  return json.replaceAll(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** No text of a row is longer than its bound, whoever wrote it. */
function cut(row: AuditRow): AuditRow {
  const { auditTextCharsMax } = limits;
  const isLong = (value: unknown): value is string => typeof value === "string" && value.length > auditTextCharsMax;
  if (!Object.values(row).some(isLong)) return row;
  const cutAll = Object.entries(row).map(([name, value]: [string, unknown]) => [
    name,
    isLong(value) ? `${value.slice(0, auditTextCharsMax)}…` : value,
  ]);
  return Object.fromEntries(cutAll) as AuditRow;
}
