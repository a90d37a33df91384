import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Key } from "../../../runtime/store/environment.ts";
import { LogGeneration } from "../../../runtime/store/log-generation.ts";
import { decodeRecords } from "../../../runtime/store/log-records.ts";
import { withPiece } from "../../support/held-log.ts";

/** A value is JSON; undefined removes the row. */
type Row = readonly [key: Key, json: string | undefined];

const several: readonly (readonly Row[])[] = [
  [
    [["q", "ann", 1], '{"text":"plain"}'],
    [["i", "é😀～"], '["größer ～ 😀"]'],
  ],
  [[["q", "ann", 1], undefined]],
  [
    [["lone"], JSON.stringify("\ud800 and \udfff")],
    [["empty"], '""'],
    [["zero"], "0"],
    [[7], "null"],
  ],
];

/** The records of a generation, each with its place in the file. */
function encode(generation: number, records: readonly (readonly Row[])[]) {
  const rows = new LogGeneration(generation);
  return records.map((record) => {
    for (const [key, json] of record) rows.put(key, json);
    const { at, bytes } = rows.close();
    rows.written();
    return { at, bytes: Buffer.from(bytes) };
  });
}

function fileOf(generation: number, records: readonly (readonly Row[])[], before: Buffer = Buffer.alloc(0)): Buffer {
  return encode(generation, records).reduce(withPiece, before);
}

function decode(file: Buffer, from: number) {
  const { generation, records } = decodeRecords(file, from);
  return { generation, records: records.map((rows) => rows.map(({ key, json }): Row => [key, json?.toString()])) };
}

const one = (text: string): readonly Row[] => [[["a"], JSON.stringify(text)]];
const flipped = (file: Buffer, at: number): Buffer => withPiece(file, { at, bytes: Buffer.of(file.readUInt8(at) ^ 4) });

test("what was written is read, in its order", () => {
  expect(decode(fileOf(3, several), 3)).toEqual({ generation: 3, records: several });
  expect(decode(Buffer.concat([fileOf(3, several), Buffer.alloc(5_000)]), 3).records).toEqual(several);
  expect(JSON.parse(decode(fileOf(3, several), 3).records[2]?.[0]?.[1] ?? "")).toBe("\ud800 and \udfff");
});

test("a file with nothing in it has no records", () => {
  for (const file of [Buffer.alloc(0), Buffer.alloc(4_096), Buffer.from("CLog")])
    expect(decode(file, 0)).toEqual({ generation: 0, records: [] });
});

test("a generation before the one that is wanted does not count, one behind it does", () => {
  const file = fileOf(3, several);
  expect(decode(file, 4)).toEqual({ generation: 0, records: [] });
  expect(decode(file, 2)).toEqual({ generation: 3, records: several });
});

test("a file that was cut has the whole records before the cut", () => {
  const pieces = encode(3, several);
  const file = fileOf(3, several);
  for (let cut = 0; cut <= file.length; cut += 1) {
    const whole = pieces.filter(({ at, bytes }) => at + bytes.length <= cut).length;
    const records = several.slice(0, whole);
    expect(decode(file.subarray(0, cut), 3).records, `cut at ${cut}`).toEqual(records);
    // A file that has its size in advance.
    const padded = Buffer.concat([file.subarray(0, cut), Buffer.alloc(file.length - cut)]);
    expect(decode(padded, 3).records, `zeros from ${cut}`).toEqual(
      // Its last byte may be a zero itself.
      padded.equals(file) ? several : records,
    );
  }
});

describe("over the records of an older generation", () => {
  const long = ["first", "second", "third", "fourth"].map((word) => one(word.repeat(4)));
  const newer = [one("new"), one("newer")];

  test("those of a newer one are read alone, shorter or longer", () => {
    expect(decode(fileOf(5, newer, fileOf(3, long)), 5)).toEqual({ generation: 5, records: newer });
    expect(decode(fileOf(5, long, fileOf(3, newer)), 5)).toEqual({ generation: 5, records: long });
    // At the same places as those before.
    expect(decode(fileOf(5, long.slice(0, 2), fileOf(3, long)), 5).records).toEqual(long.slice(0, 2));
  });

  test("a first record that was cut gives nothing and is no fault", () => {
    const old = fileOf(3, long);
    for (const { bytes } of [...encode(5, [one("x")]), ...encode(5, [one("x".repeat(60))])]) {
      for (let cut = 0; cut < bytes.length; cut += 1)
        expect(decode(withPiece(old, { at: 0, bytes: bytes.subarray(0, cut) }), 4), `cut at ${cut}`).toEqual({
          generation: 0,
          records: [],
        });
    }
  });

  test("a later record that was cut leaves those before it", () => {
    const old = fileOf(3, long);
    const [first, second] = encode(5, newer);
    if (first === undefined || second === undefined) throw new Error("two were to be written");
    for (let cut = 0; cut < second.bytes.length; cut += 1) {
      const file = [first, { at: second.at, bytes: second.bytes.subarray(0, cut) }].reduce(withPiece, old);
      expect(decode(file, 5).records, `cut at ${cut}`).toEqual(newer.slice(0, 1));
    }
  });
});

describe("a byte that the disk has changed", () => {
  for (const which of [0, 1]) {
    test(`in record ${which}, with others behind it, is a fault that says where both stand`, () => {
      const pieces = encode(3, several);
      const { at, bytes } = pieces[which] ?? { at: 0, bytes: Buffer.alloc(0) };
      const next = pieces[which + 1]?.at;
      for (let byte = at; byte < at + bytes.length; byte += 1)
        expect(() => decode(flipped(fileOf(3, several), byte), 2), `byte ${byte}`).toThrow(
          `at byte ${at} is not the next record, and at byte ${next} stands a later one`,
        );
    });
  }

  test("in the last record is what a crash leaves as well", () => {
    const { at, bytes } = encode(3, several).at(-1) ?? { at: 0, bytes: Buffer.alloc(0) };
    for (let byte = at; byte < at + bytes.length; byte += 1)
      expect(decode(flipped(fileOf(3, several), byte), 3).records).toEqual(several.slice(0, -1));
  });

  test("in a generation that does not count is no fault", () => {
    expect(decode(flipped(fileOf(3, several), 9), 4).records).toEqual([]);
  });
});

test("a record that stands where the one before it should is a fault", () => {
  const [first, second, third] = encode(3, several).map(({ bytes }) => bytes);
  if (first === undefined || second === undefined || third === undefined) throw new Error("three were to be written");
  const at = first.length;
  expect(() => decode(Buffer.concat([first, third]), 3)).toThrow(
    `at byte ${at} is not the next record, and at byte ${at}`,
  );
  expect(() => decode(Buffer.concat([second, third]), 3)).toThrow("at byte 0 is not the next record, and at byte 0");
});

describe("a text", () => {
  test("that has the mark of a record in it is no fault", () => {
    const records = [one("CLog"), one("CLogCLog CLog"), one(`CLog${"x".repeat(40)}CLog`)];
    expect(decode(fileOf(3, records), 3).records).toEqual(records);
    const { at, bytes } = encode(3, records).at(-1) ?? { at: 0, bytes: Buffer.alloc(0) };
    const file = fileOf(3, records).subarray(0, at + bytes.length - 1);
    expect(decode(file, 3).records).toEqual(records.slice(0, -1));
    expect(decode(file, 4).records).toEqual([]);
  });

  test("that is made to look like a record, with the row behind it, is no fault", () => {
    // Behind "CLog" stand the last bytes of a value (a generation), the bytes of the next key (a number) and of its value (a length), and the first
    // bytes of that key (a sum).
    const file = fileOf(3, [
      [
        [["q", "ann", 1], '["header","CLogab"]'],
        [["i", forged.key], JSON.stringify(forged.value)],
      ],
    ]);
    const at = file.indexOf("CLog", 4);
    const length = file.readUInt32LE(at + 12);
    const sum = crc32(file.subarray(at + 20, at + 20 + length), crc32(file.subarray(at + 4, at + 16)));
    expect(sum).toBe(file.readUInt32LE(at + 16));
    expect(decode(file, 4).records).toEqual([]);
  });
});

/** Chosen so that the sum is right. */
const forged = { key: "e1", value: "aacccccccacacaacccaaacccacaaccccaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
