/**
 * Regular turns of an agent: its own keys over those of `agents.defaults`. Only an agent for which `heartbeat` is written has them, since
 * each costs tokens; when any agent of the list has its own, those of `agents.defaults` alone do not begin any. Source: behaviour §5.8.
 */
import type { HeartbeatRule } from "./resolved.ts";
import { limits } from "../kernel/limits.ts";
import { localTimezone } from "./timezone.ts";
import type { NamedAgent } from "./agents.ts";
import type { Config } from "./schema.ts";

/** Asked once for all agents: of 10,000 each would look at all others. */
export const haveOwnHeartbeats = (agents: readonly NamedAgent[]): boolean =>
  agents.some(({ entry }) => entry.heartbeat !== undefined);

export function resolveHeartbeat(
  { entry }: NamedAgent,
  config: Config,
  someHaveTheirs: boolean,
): HeartbeatRule | undefined {
  const { defaults } = config.agents;
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
    ...(every === undefined ? { isUsual: true } : {}),
    ...(activeHours === undefined
      ? {}
      : {
          hours: {
            startMinute: minuteOf(activeHours.start),
            endMinute: minuteOf(activeHours.end),
            timezone: activeHours.timezone ?? defaults.userTimezone ?? localTimezone(),
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
