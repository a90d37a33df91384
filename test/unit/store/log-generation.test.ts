import { describe, expect, test } from "vitest";
import type { Key } from "../../../runtime/store/environment.ts";
import { LogGeneration } from "../../../runtime/store/log-generation.ts";
import { decodeRecords } from "../../../runtime/store/log-records.ts";
import { withPiece } from "../../support/held-log.ts";
import { makeRandom } from "../../support/random.ts";

const all = { start: [0], end: ["z"] };

function put(rows: LogGeneration, key: Key, json: string | undefined): void {
  rows.put(key, json);
}

function find(rows: LogGeneration, key: Key): readonly unknown[] {
  return [rows.find(key, true), rows.find(key, false)];
}

function range(rows: LogGeneration, withOpen: boolean): readonly unknown[] {
  return [...rows.range(all, withOpen)].map(({ key, json }) => [...key, json]);
}

function write(rows: LogGeneration): void {
  rows.close();
  rows.written();
}

describe("a row", () => {
  test("is told from those whose keys begin alike, or look alike", () => {
    const rows = new LogGeneration(0);
    const keys = [["a"], ["a", 1], ["a", "1"], ["a", 1, "b"], ["a", "1", "b"], [1], ["1"]];
    for (const [at, key] of keys.entries()) put(rows, key, String(at));
    write(rows);
    expect(keys.map((key) => rows.find(key, false))).toEqual(keys.map((_, at) => String(at)));
    expect([["a", 2], ["a", 1, "c"], ["b"], ["a", 1, "b", "c"]].map((key) => rows.find(key, true))).toEqual(
      Array.from({ length: 4 }, () => null),
    );
  });

  test("is there for those who see the open record, and for all when that is written", () => {
    const rows = new LogGeneration(0);
    expect([rows.isEmpty, rows.length, find(rows, ["a", 1])]).toEqual([true, 0, [null, null]]);
    put(rows, ["a", 1], "1");
    expect([rows.isEmpty, find(rows, ["a", 1]), range(rows, true), range(rows, false)]).toEqual([
      false,
      ["1", null],
      [["a", 1, "1"]],
      [],
    ]);
    const { at, bytes } = rows.close();
    expect([at, find(rows, ["a", 1])]).toEqual([0, ["1", null]]);
    rows.written();
    expect([rows.isEmpty, rows.length, find(rows, ["a", 1])]).toEqual([true, bytes.length, ["1", "1"]]);
    put(rows, ["a", 1], undefined);
    put(rows, ["a", 1], "3");
    put(rows, ["a", 1], undefined);
    expect([find(rows, ["a", 1]), range(rows, true), range(rows, false)]).toEqual([
      [undefined, "1"],
      [["a", 1, undefined]],
      [["a", 1, "1"]],
    ]);
    expect([...rows.flushed()].map(({ json }) => json?.toString())).toEqual(["1"]);
    write(rows);
    expect([find(rows, ["a", 1]), [...rows.flushed()]]).toEqual([
      [undefined, undefined],
      [{ key: ["a", 1], json: undefined }],
    ]);
  });

  test("is what it was before the mark, when what followed is undone", () => {
    const rows = new LogGeneration(0);
    put(rows, ["a", 1], "flushed");
    write(rows);
    put(rows, ["a", 1], "open");
    put(rows, ["a", 2], "open");
    const mark = rows.mark();
    put(rows, ["a", 1], "undone");
    put(rows, ["a", 1], undefined);
    put(rows, ["a", 2], undefined);
    put(rows, ["a", 3], "undone");
    rows.undo(mark);
    expect([1, 2, 3].map((number) => find(rows, ["a", number]))).toEqual([
      ["open", "flushed"],
      ["open", null],
      [null, null],
    ]);
    rows.drop();
    expect([1, 2, 3].map((number) => find(rows, ["a", number]))).toEqual([
      ["flushed", "flushed"],
      [null, null],
      [null, null],
    ]);
    expect([rows.isEmpty, range(rows, true)]).toEqual([true, [["a", 1, "flushed"]]]);
  });
});

test("a record that was dropped leaves its place to the next, and that there may be something else is known until then", () => {
  const rows = new LogGeneration(4);
  put(rows, ["a"], "1");
  write(rows);
  put(rows, ["a"], "2");
  put(rows, ["b"], "2");
  const dropped = rows.close().at;
  expect(rows.isEndUnsure).toBe(false);
  rows.drop();
  expect(rows.isEndUnsure).toBe(true);
  put(rows, ["a"], "3");
  const { at, bytes } = rows.close();
  expect([at, bytes.readUInt32LE(4), bytes.readUInt32LE(8)]).toEqual([dropped, 4, 1]);
  rows.written();
  expect([rows.isEndUnsure, range(rows, false)]).toEqual([false, [["a", "3"]]]);
});

test("rows are in the order of their keys, those of a range alone", () => {
  const rows = new LogGeneration(0);
  const keys: readonly Key[] = [[1], [2, "a"], [10], ["a"], ["a", 2], ["a", 10], ["a", "～"], ["a", "😀"], ["b"]];
  for (const key of keys.toReversed()) put(rows, key, "0");
  const found = (start: Key, end: Key, reverse = false) =>
    [...rows.range({ start, end, reverse }, true)].map(({ key }) => key);
  for (const [from, start] of keys.entries())
    for (const [to, end] of keys.entries()) {
      expect(found(start, end)).toEqual(keys.slice(from, to));
      expect(found(start, end, true)).toEqual(keys.slice(from, to).toReversed());
    }
  put(rows, ["a", 3], "0");
  put(rows, ["a", "é"], "0");
  expect(found(["a", 2], ["a", 11])).toEqual([
    ["a", 2],
    ["a", 3],
    ["a", 10],
  ]);
  expect(found(["a", 11], ["b"])).toEqual([
    ["a", "é"],
    ["a", "～"],
    ["a", "😀"],
  ]);
});

test("a range that is being read keeps its rows when others are put", () => {
  const rows = new LogGeneration(0);
  for (const number of [1, 3, 5]) put(rows, ["a", number], `${number}`);
  write(rows);
  const reading = rows.range({ start: ["a"], end: ["b"] }, false)[Symbol.iterator]();
  const read = [reading.next().value];
  for (const number of [0, 2, 4]) put(rows, ["a", number], "x".repeat(200_000));
  expect(range(rows, true)).toHaveLength(6);
  read.push(reading.next().value, reading.next().value, reading.next().value);
  expect(read.map((row) => row?.json)).toEqual(["1", "3", "5", undefined]);
});

test("rows beyond the room that was there leave those as they are which are on their way to the disk or to the environment", () => {
  const rows = new LogGeneration(0);
  put(rows, ["a", 1], '"first"');
  const first = rows.close();
  rows.written();
  const flushed = [...rows.flushed()];
  const big = JSON.stringify("ü～😀".repeat(60_000));
  put(rows, ["a", 2], big);
  const second = rows.close();
  rows.written();
  put(rows, ["a", 3], big);
  rows.drop();
  put(rows, ["a", 0], '"before"');
  put(rows, ["a", 1], JSON.stringify("x".repeat(1_000_000)));
  const third = rows.close();
  expect(flushed.map(({ json }) => json?.toString())).toEqual(['"first"']);
  const file = [first, second, third].reduce(withPiece, Buffer.alloc(0));
  const texts = decodeRecords(file, 0).records.map((record) => record.map(({ json }) => json?.length));
  expect(texts).toEqual([[7], [Buffer.byteLength(big)], [8, 1_000_002]]);
  expect(find(rows, ["a", 2])).toEqual([big, big]);
  expect(find(rows, ["a", 1])[1]).toBe('"first"');
  expect(find(rows, ["a", 0])).toEqual(['"before"', null]);
});

describe("at random", () => {
  const keys: readonly Key[] = Array.from({ length: 12 }, (_, number) => [number < 6 ? "a" : "b", number]);
  type State = readonly (string | undefined | null)[];

  function check(rows: LogGeneration, open: State, flushed: State, seed: number): void {
    for (const [withOpen, state] of [
      [true, open],
      [false, flushed],
    ] as const) {
      const found = keys.map((key) => rows.find(key, withOpen));
      expect(found, `seed ${seed}`).toEqual(state);
      const wanted = keys.flatMap((key, at) => (state[at] === null ? [] : [{ key, json: state[at] }]));
      expect([...rows.range(all, withOpen)], `seed ${seed}`).toEqual(wanted);
      if (withOpen) continue;
      const moved = [...rows.flushed()].map(({ key, json }) => ({ key, json: json?.toString() }));
      const byNumber = moved.toSorted((a, b) => Number(a.key[1]) - Number(b.key[1]));
      expect(byNumber, `seed ${seed}`).toEqual(wanted);
    }
  }

  test("what is found, and what stands in the file, is what was put, undone, written and dropped", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const random = makeRandom(seed);
      const rows = new LogGeneration(7);
      let flushed: State = keys.map(() => null);
      let open = flushed;
      let marked = { mark: rows.mark(), state: open };
      let file: Buffer = Buffer.alloc(0);
      for (let event = 0; event < 40; event += 1) {
        const what = random.below(10);
        if (what < 6) {
          const at = random.below(keys.length);
          const json = random.chance(0.3) ? undefined : JSON.stringify(`${event}é`.repeat(random.below(9)));
          put(rows, keys[at] as Key, json);
          open = open.with(at, json);
        } else if (what === 6) marked = { mark: rows.mark(), state: open };
        else if (what === 7) {
          rows.undo(marked.mark);
          open = marked.state;
        } else if (!rows.isEmpty) {
          const record = rows.close();
          // What is dropped may stand there as well.
          file = withPiece(file, record);
          if (what === 8) {
            rows.written();
            flushed = open;
          } else {
            rows.drop();
            file = withPiece(file, { at: record.at, bytes: Buffer.alloc(4) });
          }
          open = flushed;
          marked = { mark: rows.mark(), state: open };
        }
        check(rows, open, flushed, seed);
      }
      let read: State = keys.map(() => null);
      for (const { key, json } of decodeRecords(file, 7).records.flat())
        read = read.with(Number(key[1]), json?.toString());
      expect(read, `seed ${seed}`).toEqual(flushed);
    }
  });
});
