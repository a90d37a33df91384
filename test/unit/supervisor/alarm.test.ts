import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeAlarm } from "../../../runtime/supervisor/alarm.ts";

beforeEach(() => vi.useFakeTimers({ now: 1_000 }));
afterEach(() => vi.useRealTimers());

describe("an alarm", () => {
  it("rings at the earliest of the times that it was given, and then at what ringing gives", () => {
    const rungAt: number[] = [];
    const rest = [1_080, 1_300];
    const alarm = makeAlarm(Date.now, () => {
      rungAt.push(Date.now());
      return rest.shift();
    });
    alarm.wakeAt(1_080);
    alarm.wakeAt(1_037);
    alarm.wakeAt(1_300);
    vi.advanceTimersByTime(1_000);
    expect(rungAt).toEqual([1_037, 1_080, 1_300]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("holds one timer, however many deadlines there are", () => {
    const alarm = makeAlarm(Date.now, () => undefined);
    for (let ms = 500; ms > 0; ms--) alarm.wakeAt(1_000 + ms);
    expect(vi.getTimerCount()).toBe(1);
  });

  it("rings for a time that has passed, not in the call that sets it", () => {
    const ring = vi.fn(() => undefined);
    makeAlarm(Date.now, ring).wakeAt(10);
    expect(ring).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(ring).toHaveBeenCalledTimes(1);
  });

  it("waits longer than one timer can", () => {
    const farMs = 1_000 + 2 ** 31 + 5_000;
    const rungAt: number[] = [];
    makeAlarm(Date.now, () => {
      rungAt.push(Date.now());
      return Date.now() < farMs ? farMs : undefined;
    }).wakeAt(farMs);
    vi.advanceTimersByTime(2 ** 31 + 10_000);
    expect(rungAt.at(-1)).toBe(farMs);
    expect(rungAt).toHaveLength(2);
  });

  it("is silent once it is closed, whatever is set afterwards", () => {
    const ring = vi.fn(() => 2_000);
    const alarm = makeAlarm(Date.now, ring);
    alarm.wakeAt(1_100);
    alarm.close();
    alarm.wakeAt(1_200);
    vi.advanceTimersByTime(10_000);
    expect(ring).not.toHaveBeenCalled();
  });
});
