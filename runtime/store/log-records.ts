/**
 * What stands in a file of the log (`runtime/store/log.ts`): records, one behind the other, each the rows of one flush. Numbers are little-endian.
 *
 *   bytes 0–3    "CLog"
 *   bytes 4–7    generation: how often the log was begun anew
 *   bytes 8–11   number of the record in its generation, from 0
 *   bytes 12–15  bytes of its rows
 *   bytes 16–19  records of the generation before
 *   bytes 20–23  CRC-32 of bytes 4–19 and the rows
 *   the rows     each: bytes of the key, bytes of the value (all bits set: the row is removed), and both as JSON in UTF-8
 *
 * A row that stands there two times is what it is the second time. Behind the last record stands what a generation before has left, zeros, or a
 * record that a crash has cut: it is told by its generation, its number or its sum. A record that counts behind one that does not is a
 * fault of the disk.
 */
import { crc32 } from "node:zlib";
import type { Key, WrittenRow } from "./environment.ts";

const mark = Buffer.from("CLog");
const sumAt = 20;
export const headBytes = 24;
export const rowHeadBytes = 8;
const removed = 0xff_ff_ff_ff;
/** The least that four bytes of JSON say, and more than there will be: rows of which a text is chosen to look like a record are none. */
const textGeneration = 0x20_20_20_20;

export interface RecordPlace {
  readonly generation: number;
  readonly number: number;
  readonly recordsBefore: number;
}

export interface FoundRecords {
  /** These of all records; 0 when there is none. */
  readonly generation: number;
  readonly recordsBefore: number;
  readonly records: readonly (readonly WrittenRow[])[];
}

/** Before the rows that stand there. */
export function writeHead(record: Buffer, { generation, number, recordsBefore }: RecordPlace): void {
  mark.copy(record);
  record.writeUInt32LE(generation, 4);
  record.writeUInt32LE(number, 8);
  record.writeUInt32LE(record.length - headBytes, 12);
  record.writeUInt32LE(recordsBefore, 16);
  record.writeUInt32LE(sumOf(record), sumAt);
}

/** The most that a row takes. */
export function rowBytesMax(keyJson: string, json = ""): number {
  return rowHeadBytes + 3 * (keyJson.length + json.length);
}

/** Where the next one begins. */
export function writeRow(bytes: Buffer, at: number, keyJson: string, json: string | undefined): number {
  const text = keyJson + (json ?? "");
  const keyAt = at + rowHeadBytes;
  const written = bytes.write(text, keyAt);
  const keyBytes = written === text.length ? keyJson.length : Buffer.byteLength(keyJson);
  bytes.writeUInt32LE(keyBytes, at);
  bytes.writeUInt32LE(json === undefined ? removed : written - keyBytes, at + 4);
  return keyAt + written;
}

/** Where the row's value stands; undefined when it is removed. */
export function valueAt(bytes: Buffer, at: number): Buffer | undefined {
  const length = bytes.readUInt32LE(at + 4);
  if (length === removed) return undefined;
  const from = at + rowHeadBytes + bytes.readUInt32LE(at);
  return bytes.subarray(from, from + length);
}

/**
 * The records of a file of which the generation is `from` or later. Throws when one of those stands behind what is not the record before it, and
 * says at which bytes.
 */
export function decodeRecords(file: Buffer, from: number): FoundRecords {
  const records: WrittenRow[][] = [];
  let generation = 0;
  let recordsBefore = 0;
  let at = 0;
  for (;;) {
    const found = readRecord(file, at);
    if (found === undefined || found.number !== records.length) break;
    if (records.length === 0 ? found.generation < from : found.generation !== generation) break;
    ({ generation, recordsBefore } = found);
    records.push(readRows(found.rows));
    at += headBytes + found.rows.length;
  }
  const counts = (other: number): boolean =>
    records.length === 0 ? other >= from && other < textGeneration : other === generation;
  const later = findLater(file, at, counts);
  if (later !== undefined)
    throw new Error(`at byte ${at} is not the next record, and at byte ${later} stands a later one`);
  return { generation, recordsBefore, records };
}

/** Where a record that counts stands behind the end. */
function findLater(file: Buffer, end: number, counts: (generation: number) => boolean): number | undefined {
  for (let at = file.indexOf(mark, end); at >= 0; at = file.indexOf(mark, at + 1)) {
    const found = at + headBytes > file.length || !counts(file.readUInt32LE(at + 4)) ? undefined : readRecord(file, at);
    if (found !== undefined) return at;
  }
  return undefined;
}

function readRecord(file: Buffer, at: number): (RecordPlace & { readonly rows: Buffer }) | undefined {
  if (at + headBytes > file.length || file.compare(mark, 0, mark.length, at, at + mark.length) !== 0) return undefined;
  const end = at + headBytes + file.readUInt32LE(at + 12);
  if (end > file.length) return undefined;
  const record = file.subarray(at, end);
  if (sumOf(record) !== record.readUInt32LE(sumAt)) return undefined;
  return {
    generation: record.readUInt32LE(4),
    number: record.readUInt32LE(8),
    recordsBefore: record.readUInt32LE(16),
    rows: record.subarray(headBytes),
  };
}

const sumOf = (record: Buffer): number => crc32(record.subarray(headBytes), crc32(record.subarray(mark.length, sumAt)));

function readRows(bytes: Buffer): WrittenRow[] {
  const rows: WrittenRow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const keyAt = at + rowHeadBytes;
    const valueFrom = keyAt + bytes.readUInt32LE(at);
    const json = valueAt(bytes, at);
    rows.push({ key: JSON.parse(bytes.toString("utf8", keyAt, valueFrom)) as Key, json });
    at = valueFrom + (json?.length ?? 0);
  }
  return rows;
}
