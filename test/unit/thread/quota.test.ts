/** What of a cell's output crosses to the kernel. */
import { expect, test } from "vitest";
import { makeQuota, makeStreamBound } from "../../../runtime/thread/cell/quota.ts";

test("a quota is used up until the next second begins", () => {
  let nowMs = 5_900;
  const quota = makeQuota(10, () => nowMs);
  expect([quota.take(4), quota.take(4), quota.take(4), quota.take(4)]).toEqual([4, 4, 2, 0]);
  nowMs = 6_000;
  expect([quota.take(12), quota.take(1)]).toEqual([10, 0]);
});

test("a turn's stream ends at its own bound", () => {
  const bound = makeStreamBound(
    5,
    makeQuota(100, () => 0),
  );
  expect(["abc", "def", "g"].map(bound)).toEqual(["abc", "de", ""]);
});

test("the turns of a cell share its quota, and one whose stream was cut stays silent", () => {
  let nowMs = 0;
  const quota = makeQuota(6, () => nowMs);
  const [first, second] = [makeStreamBound(100, quota), makeStreamBound(100, quota)];
  expect([first("abcd"), second("efgh")]).toEqual(["abcd", "ef"]);
  nowMs = 1_000;
  expect([second("ijkl"), first("mnop")]).toEqual(["", "mnop"]);
});
