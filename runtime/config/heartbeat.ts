/**
 * Regular turns of an agent: its own keys over those of `agents.defaults`. Only an agent for which `heartbeat` is written has them, since
 * each costs tokens; when any agent of the list has its own, those of `agents.defaults` alone do not begin any. Source: behaviour §5.8.
 */
import type { HeartbeatRule } from "./resolved.ts";
import { limits } from "../kernel/limits.ts";
import { type NamedAgent, listAgents } from "./agents.ts";
import type { Config } from "./schema.ts";

export function resolveHeartbeat({ entry }: NamedAgent, config: Config): HeartbeatRule | undefined {
  const { defaults } = config.agents;
  const someHaveTheirs = listAgents(config).some((agent) => agent.entry.heartbeat !== undefined);
  if (someHaveTheirs ? entry.heartbeat === undefined : defaults.heartbeat === undefined) return undefined;
  const {
    every,
    activeHours,
    target = "none",
    to,
    accountId,
    prompt,
    ackMaxChars,
    lightContext,
    model,
    session = "main",
    isolatedSession,
    timeoutSeconds,
    directPolicy,
  } = {
    ...defaults.heartbeat,
    ...entry.heartbeat,
  };
  const everyMs = every === undefined ? limits.heartbeatTurnEveryMs : spanMs(every);
  if (everyMs === 0) return undefined;
  return {
    everyMs,
    ...(activeHours === undefined
      ? {}
      : {
          hours: {
            startMinute: minuteOf(activeHours.start),
            endMinute: minuteOf(activeHours.end),
            timezone:
              activeHours.timezone ?? defaults.userTimezone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone,
          },
        }),
    target,
    ...(to === undefined ? {} : { to }),
    ...(accountId === undefined ? {} : { accountId }),
    ...(prompt === undefined ? {} : { prompt }),
    ackCharsMax: ackMaxChars ?? limits.heartbeatAckCharsMax,
    isLight: lightContext ?? false,
    ...(model === undefined ? {} : { model }),
    isIsolated: isolatedSession ?? false,
    ...(session === "main" ? {} : { session }),
    ...(timeoutSeconds === undefined ? {} : { timeoutMs: timeoutSeconds * 1_000 }),
    sparesDirect: directPolicy === "block",
  };
}

const spanMs = (text: string): number => Number.parseInt(text, 10) * (text.endsWith("h") ? 3_600_000 : 60_000);

function minuteOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(":").map(Number);
  return hours * 60 + minutes;
}
