/** When jobs are due: over changes of the clock, after pauses, and what is no schedule. */
import { describe, expect, it } from "vitest";
import { checkSchedule, nextTime } from "../../../runtime/supervisor/job-schedule.ts";
import { neverMs } from "../../../runtime/store/job-rows.ts";

const at = (text: string): number => Date.parse(text);
const cron = (expr: string, tz = "Europe/Berlin") => ({ kind: "cron", expr, tz }) as const;
const times = (expr: string, from: string, count: number, tz?: string): readonly string[] => {
  const found: number[] = [];
  for (let ms = at(from); found.length < count; ) found.push((ms = nextTime(cron(expr, tz), ms)));
  return found.map((ms) => new Date(ms).toISOString());
};

describe("the next time", () => {
  it("of a cron expression is in its time zone, on both sides of a change of the clock", () => {
    expect(times("0 7 * * *", "2026-03-28T00:00:00Z", 3)).toEqual([
      "2026-03-28T06:00:00.000Z",
      "2026-03-29T05:00:00.000Z",
      "2026-03-30T05:00:00.000Z",
    ]);
    expect(times("0 7 * * *", "2026-03-28T00:00:00Z", 1, "America/New_York")).toEqual(["2026-03-28T11:00:00.000Z"]);
    expect(times("30 9 * * 1-5", "2026-01-02T12:00:00Z", 2, "UTC")).toEqual([
      "2026-01-05T09:30:00.000Z",
      "2026-01-06T09:30:00.000Z",
    ]);
  });

  it("comes once a day also when its hour is left out or comes twice", () => {
    for (const from of ["2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z"]) {
      const days = times("30 2 * * *", from, 4).map((time) => time.slice(0, 10));
      expect(new Set(days).size).toBe(4);
    }
  });

  it("of a period is its beginning and a whole number of periods, however long nobody looked", () => {
    const every = { kind: "every", everyMs: 60_000, anchorMs: 1_000 } as const;
    expect([0, 1_000, 61_000, 61_001, 6_000_000].map((after) => nextTime(every, after))).toEqual([
      1_000, 61_000, 121_000, 121_000, 6_001_000,
    ]);
  });

  it("of one time is that time, and then none", () => {
    const once = { kind: "at", atMs: 5 } as const;
    expect([nextTime(once, 4), nextTime(once, 5)]).toEqual([5, neverMs]);
  });
});

describe("what is no schedule", () => {
  it.each([
    ["an expression of other words", cron("every day"), /every day/],
    [
      "a time zone that is none",
      cron("0 7 * * *", "Europe/Nowhere"),
      /^schedule\.tz: found "Europe\/Nowhere", which is no time zone$/,
    ],
    ["a day that does not come", cron("0 0 30 2 *"), /is never due/],
    ["times that follow too closely", cron("*/5 * * * * *"), /5000 ms, wanted 60000/],
    ["a time that is too far ahead", { kind: "at", atMs: at("2090-01-01T00:00:00Z") } as const, /2090/],
  ])("%s is refused and named", (_what, schedule, named) => {
    expect(() => checkSchedule(schedule, at("2026-01-01T00:00:00Z"))).toThrow(
      expect.objectContaining({ code: "CLOISTER_REQUEST_INVALID", message: expect.stringMatching(named) }),
    );
  });
});
