import { expect, test } from "vitest";
import { parseShare, parseSize, sizeBytesMax } from "../../../runtime/config/size.ts";

test.each([
  ["10gb", 10 * 2 ** 30],
  ["500MB", 500 * 2 ** 20],
  [" 1.5 kb ", 1_536],
  ["7b", 7],
  ["7", 7],
  [7, 7],
  ["1tb", 2 ** 40],
  ["1024tb", sizeBytesMax],
])("a size is %j", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "gb", "0", 0, -1, 0.5, "1.0001kb", "1025tb", "10 gib", "80%", "1e3", "99999999999999999"])(
  "a size is not %j",
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

test.each([
  ["80%", 800],
  ["100 %", 1_000],
  ["1kb", undefined],
  ["999", 999],
  [1_000, 1_000],
  ["101%", undefined],
  ["0%", undefined],
  ["some", undefined],
])("of 1,000 bytes %j is %j", (text, bytes) => {
  expect(parseShare(text, 1_000)).toBe(bytes);
});
