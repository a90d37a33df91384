/**
 * Which sessions still have something to do: mail that is not done, a timer or a monitor, a sub-agent that has not ended or whose end
 * its requester does not know, or being such a sub-agent. Read from the journal's environment.
 */
import type { MessageRow } from "./envelope-rows.ts";
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import { listRuns } from "./runs.ts";
import type { MonitorRow, TimerRow } from "./rows.ts";

/** Rows of one kind that are read for one answer. Where there are more, every session of the agent counts as one with work. */
const readMax = 2_000;

/** The journal's rows, and whether it still holds an envelope: one that is done may keep its rows for a moment. */
export interface JournalView {
  readonly environment: Environment;
  readonly has: (envelopeId: string) => boolean;
}

/** Asked of one agent in one moment; `has` answers for its sessions. */
export function openWork(
  { environment, has }: JournalView,
  agentId: string,
): { readonly has: (sessionKey: string) => boolean } {
  const everything = { has: () => true };
  const own = (kind: string) => ({
    start: [kind, keyText(agentId), 0],
    end: [kind, keyText(agentId), top],
    limit: readMax,
  });
  const busy = new Set<string>();

  const queued = Array.from(environment.entries<MessageRow>(own("q")), ({ value: [header] }) => header);
  if (queued.length === readMax) return everything;
  for (const { id, sessionKey } of queued) if (has(id)) busy.add(sessionKey);

  for (const { key } of environment.entries(own("timers")))
    busy.add(environment.get<TimerRow>(["timer", key[2] as string])?.sessionKey ?? "");

  for (const kind of ["monitor", "down"]) {
    const monitors = [...environment.entries<MonitorRow>({ start: [kind, 0], end: [kind, top], limit: readMax })];
    if (monitors.length === readMax) return everything;
    for (const { value } of monitors) if (value.agentId === agentId) busy.add(value.sessionKey);
  }

  const runs = listRuns(environment, { isOpen: true, limit: readMax });
  if (runs.length === readMax) return everything;
  for (const run of runs) busy.add(run.sessionKey).add(run.requesterSessionKey);

  return {
    has: (sessionKey) =>
      busy.has(sessionKey) ||
      listRuns(environment, { requesterSessionKey: sessionKey, limit: readMax }).some(
        ({ end }) => end === undefined || end.delivery === "pending",
      ),
  };
}
