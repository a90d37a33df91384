/** What of a cell's output crosses to the kernel. */
import { expect, test } from "vitest";
import { makeQuota, makeStreamBound } from "../../../runtime/thread/cell/quota.ts";

test("a quota fills evenly, up to its burst", () => {
  let nowMs = 5_900;
  const quota = makeQuota(10, 8, () => nowMs);
  expect([quota.take(4), quota.take(3), quota.take(4), quota.take(4)]).toEqual([4, 3, 1, 0]);
  nowMs += 50;
  expect(quota.take(1)).toBe(0);
  nowMs += 50;
  expect([quota.take(5), quota.take(1)]).toEqual([1, 0]);
  nowMs += 60_000;
  expect([quota.take(12), quota.take(1)]).toEqual([8, 0]);
});

test("what is too large for now takes nothing from what fits later", () => {
  let nowMs = 0;
  const quota = makeQuota(10, 10, () => nowMs);
  expect([quota.takeWhole(8), quota.takeWhole(3), quota.takeWhole(2), quota.takeWhole(1)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  for (let asked = 0; asked < 3; asked++) expect(quota.takeWhole(3)).toBe(false);
  nowMs = 300;
  expect(quota.takeWhole(3)).toBe(true);
});

test("a turn's stream ends at its own bound", () => {
  const bound = makeStreamBound(
    5,
    makeQuota(100, 100, () => 0),
  );
  expect(["abc", "def", "g"].map(bound)).toEqual(["abc", "de", ""]);
});

test("the turns of a cell share its quota, and one whose stream was cut stays silent", () => {
  let nowMs = 0;
  const quota = makeQuota(6, 6, () => nowMs);
  const [first, second] = [makeStreamBound(100, quota), makeStreamBound(100, quota)];
  expect([first("abcd"), second("efgh")]).toEqual(["abcd", "ef"]);
  nowMs = 1_000;
  expect([second("ijkl"), first("mnop")]).toEqual(["", "mnop"]);
});
