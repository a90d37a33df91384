/** The hours of the day in which regular turns happen, in a time zone. Pure but for the time zones that the system knows. */
import type { HeartbeatRule } from "../config/resolved.ts";

type Hours = NonNullable<HeartbeatRule["hours"]>;

const minutesOfDay = 24 * 60;

/** The first time within the hours that is not before `atMs`. */
export function nextActiveMs(hours: Hours | undefined, atMs: number): number {
  if (hours === undefined) return atMs;
  let at = atMs;
  // An hour at a time, so that a clock that is set forward or back in between is seen; hours that such a night leaves out come on the next day.
  for (let steps = 0; steps < 2 * 24 + 2; steps++) {
    const minute = minuteAt(hours.timezone, at);
    if (isWithin(hours, minute)) break;
    const minutes = (hours.startMinute - minute + minutesOfDay) % minutesOfDay;
    at += Math.min(minutes, 60) * 60_000 - (at % 60_000);
  }
  return at;
}

function isWithin({ startMinute, endMinute }: Hours, minute: number): boolean {
  return startMinute < endMinute
    ? startMinute <= minute && minute < endMinute
    : startMinute <= minute || minute < endMinute;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function minuteAt(timezone: string, atMs: number): number {
  const clock =
    clocks.get(timezone) ??
    new Intl.DateTimeFormat("en", { timeZone: timezone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  clocks.set(timezone, clock);
  const [hours = 0, minutes = 0] = clock.format(atMs).split(":").map(Number);
  return hours * 60 + minutes;
}
