/** The frames on the socket of a cell's process: what goes in comes out, whatever the chunks; what is broken gives nothing. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatFields, kind, makeFrameReader, parseFields } from "../../../runtime/thread/cell-socket.ts";

const field = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("\ud800", "a\udfffb", ""),
);
const fields = fc.array(field, { maxLength: 40 });

describe("fields", () => {
  test("come back as they were, in chunks of any size and in order", () => {
    fc.assert(
      fc.property(
        fc.array(fields, { maxLength: 6 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 50 })),
        (sent, sizes) => {
          const bytes = Buffer.concat(sent.map((one) => formatFields(kind.mail, one)));
          const got: unknown[] = [];
          const read = makeFrameReader(1_000_000, (frameKind, payload) => {
            expect(frameKind).toBe(kind.mail);
            got.push(parseFields(payload, 100));
          });
          for (let at = 0; at < bytes.length; ) {
            const size = sizes.next().value ?? 1;
            read(bytes.subarray(at, at + size));
            at += size;
          }
          expect(got).toEqual(sent);
        },
      ),
    );
  });

  test("of any bytes are numbers and strings, or nothing at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const parsed = parseFields(Buffer.from(bytes), 20);
        if (parsed === undefined) return;
        expect(parsed.length).toBeLessThanOrEqual(20);
        for (const one of parsed) expect(["number", "string"]).toContain(typeof one);
      }),
    );
  });

  test("cut anywhere are refused, unless the cut is between two of them", () => {
    const whole = formatFields(kind.mail, [1, "text", "\ud800"]).subarray(5);
    const between = [0, 9, 18];
    for (let length = 0; length < whole.length; length++)
      expect(parseFields(whole.subarray(0, length), 10) === undefined).toBe(!between.includes(length));
  });

  test("beyond the bound are refused", () => {
    const three = formatFields(kind.mail, [1, 2, 3]).subarray(5);
    expect(parseFields(three, 3)).toEqual([1, 2, 3]);
    expect(parseFields(three, 2)).toBeUndefined();
  });
});

test("a frame may be as long as the bound says", () => {
  const frame = formatFields(kind.mail, ["x".repeat(100)]);
  const got: unknown[] = [];
  const read = makeFrameReader(frame.length - 4, (_kind, payload) => got.push(parseFields(payload, 1)));
  read(frame);
  expect(got).toEqual([["x".repeat(100)]]);
});

test("a length out of bounds is refused before anything of the frame is there", () => {
  for (const [length, bound] of [
    [0, 10],
    [11, 10],
    [0xffff_ffff, 1_000],
  ] as const) {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    expect(() => makeFrameReader(bound, () => expect.unreachable())(head)).toThrow(RangeError);
  }
});
