import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ParsedFrame, parseUpFrame, up, upStride } from "../../../runtime/kernel/frames.ts";

const record = [up.send, 1, 2, 3, 4, "a", "b", "c"] as const;
const parse = (frame: unknown): ParsedFrame => parseUpFrame(frame, 2);

describe("a frame from a cell", () => {
  it("gives its records as they were sent", () => {
    expect(parse([7, 1, ...record, up.log, 0, 0, 0, 30, "hello", "", ""])).toEqual({
      ok: true,
      incarnation: 7,
      seq: 1,
      records: [
        { op: up.send, ref: 1, turn: 2, slot: 3, num: 4, a: "a", b: "b", c: "c" },
        { op: up.log, ref: 0, turn: 0, slot: 0, num: 30, a: "hello", b: "", c: "" },
      ],
    });
  });

  const malformed: readonly (readonly [name: string, frame: unknown, reason: RegExp])[] = [
    ["nothing", undefined, /must be an array/],
    ["null", null, /must be an array/],
    ["a string", "1,1", /must be an array/],
    ["an object that looks like an array", { 0: 1, 1: 1, length: 10 }, /must be an array/],
    ["a typed array", new Int32Array(10), /must be an array/],
    ["an empty array", [], /begin with its incarnation/],
    ["no records", [1, 1], /whole records/],
    ["half a record", [1, 1, ...record.slice(0, 5)], /whole records/],
    ["a record and a half", [1, 1, ...record, ...record.slice(0, 4)], /whole records/],
    ["more records than allowed", [1, 1, ...record, ...record, ...record], /may hold 2 records, found 3/],
    ["an incarnation that is text", ["1", 1, ...record], /begin with its incarnation/],
    ["a negative number", [1, -1, ...record], /begin with its incarnation/],
    ["a fraction", [1, 1.5, ...record], /begin with its incarnation/],
    ["NaN", [1, Number.NaN, ...record], /begin with its incarnation/],
    ["a number beyond the safe ones", [1, 2 ** 53, ...record], /begin with its incarnation/],
    ["holes", Object.assign([1, 1], { length: 10 }), /numbers must be whole/],
    ["an infinite wait", [1, 1, up.send, 1, 2, 3, Number.POSITIVE_INFINITY, "", "", ""], /numbers must be whole/],
    ["a bigint", [1, 1, up.send, 1n, 2, 3, 4, "", "", ""], /numbers must be whole/],
    ["an object inside", [1, 1, up.send, 1, 2, 3, 4, "", "", {}], /texts must be strings/],
    ["a boxed string", [1, 1, up.send, 1, 2, 3, 4, "", "", Object("c")], /texts must be strings/],
    ["a shared buffer inside", [1, 1, up.send, 1, 2, 3, 4, new SharedArrayBuffer(8), "", ""], /texts must be strings/],
    ["a list inside", [1, 1, up.send, 1, 2, 3, 4, [], "", ""], /texts must be strings/],
  ];
  for (const [name, frame, reason] of malformed) {
    it(`is refused as a whole: ${name}`, () => {
      expect(parse(frame)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    });
  }

  it("never throws, and lets nothing but numbers and strings through", () => {
    const field = fc.oneof(fc.nat(), fc.string(), fc.anything());
    const frames = fc.oneof(
      fc.anything(),
      fc.array(field, { maxLength: 2 + 2 * upStride }),
      fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat(), fc.nat(), fc.nat(), fc.nat(), field, field, field),
    );
    let accepted = 0;
    fc.assert(
      fc.property(frames, (frame) => {
        const parsed = parse(frame);
        if (!parsed.ok) return parsed.reason.length > 0;
        accepted++;
        return parsed.records.every((each) =>
          Object.values(each).every((value) => typeof value === "string" || Number.isSafeInteger(value)),
        );
      }),
      { seed: 7, numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(10);
  });
});
