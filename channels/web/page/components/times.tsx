/** Times as people read them; the exact one is in the tooltip and in `datetime`. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function Time({ atMs }: { readonly atMs: number }) {
  if (atMs <= 0) return null;
  const date = new Date(atMs);
  const isToday = date.toDateString() === new Date().toDateString();
  return (
    <time dateTime={date.toISOString()} title={full.format(date)}>
      {(isToday ? clock : dayAndClock).format(date)}
    </time>
  );
}

export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.round((ms % 3_600_000) / 60_000)} min`;
}

const ageTickMs = 15_000;

/** How long ago something began, by the gateway's clock, and going on. */
export function Age({ atMs, nowMs }: { readonly atMs: number; readonly nowMs: () => number }) {
  const ageMs = useSignal(nowMs() - atMs);
  useEffect(() => {
    const tell = (): void => {
      ageMs.value = nowMs() - atMs;
    };
    tell();
    const timer = setInterval(tell, ageTickMs);
    return () => clearInterval(timer);
  }, [atMs, nowMs]);
  return (
    <time dateTime={new Date(atMs).toISOString()} title={full.format(atMs)}>
      {formatAge(ageMs.value)}
    </time>
  );
}

function formatAge(ms: number): string {
  if (ms < 60_000) return "less than a minute";
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}
