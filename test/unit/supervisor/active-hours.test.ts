import { describe, expect, test } from "vitest";
import { nextActiveMs } from "../../../runtime/supervisor/active-hours.ts";

const hours = (start: number, end: number, timezone = "UTC") => ({
  startMinute: start * 60,
  endMinute: end * 60,
  timezone,
});
const next = (rule: Parameters<typeof nextActiveMs>[0], at: string): string =>
  new Date(nextActiveMs(rule, Date.parse(at))).toISOString();

describe("the next time within the hours", () => {
  test.each([
    ["no hours", undefined, "2026-03-01T03:00:12.500Z", "2026-03-01T03:00:12.500Z"],
    ["within", hours(8, 22), "2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00.000Z"],
    ["before", hours(8, 22), "2026-03-01T03:00:12.500Z", "2026-03-01T08:00:00.000Z"],
    ["the end is outside", hours(8, 22), "2026-03-01T22:00:00.000Z", "2026-03-02T08:00:00.000Z"],
    ["until midnight", hours(8, 24), "2026-03-01T23:59:59.000Z", "2026-03-01T23:59:59.000Z"],
    ["over midnight, before it", hours(22, 6), "2026-03-01T23:00:00.000Z", "2026-03-01T23:00:00.000Z"],
    ["over midnight, behind it", hours(22, 6), "2026-03-01T05:59:00.000Z", "2026-03-01T05:59:00.000Z"],
    ["over midnight, by day", hours(22, 6), "2026-03-01T12:00:00.000Z", "2026-03-01T22:00:00.000Z"],
    ["of a time zone", hours(9, 17, "America/New_York"), "2026-01-15T02:00:00.000Z", "2026-01-15T14:00:00.000Z"],
    // On 2026-03-29 clocks in Berlin go from 2:00 to 3:00.
    [
      "over a clock that is set forward",
      hours(9, 17, "Europe/Berlin"),
      "2026-03-29T00:30:00.000Z",
      "2026-03-29T07:00:00.000Z",
    ],
    [
      "over one that is set back",
      hours(9, 17, "Europe/Berlin"),
      "2026-10-25T00:30:00.000Z",
      "2026-10-25T08:00:00.000Z",
    ],
    [
      "of a night that leaves them out",
      { startMinute: 130, endMinute: 170, timezone: "Europe/Berlin" },
      "2026-03-29T00:30:00.000Z",
      "2026-03-30T00:10:00.000Z",
    ],
  ])("%s", (_what, rule, at, wanted) => {
    expect(next(rule, at)).toBe(wanted);
  });
});
