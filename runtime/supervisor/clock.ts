/** What happens at a time and was not set by an agent's turn: operators' jobs, and heartbeats. */
import { randomUUID } from "node:crypto";
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import { type CronDeps, type CronDesk, makeCronDesk } from "./cron-desk.ts";
import { mainSessionKey } from "../routing/index.ts";
import { makeCronTool } from "./tools/cron.ts";
import type { Tool } from "./tools/table.ts";
import { type Heartbeats, type HeartbeatsDeps, makeHeartbeats } from "./heartbeats.ts";

export interface Clock {
  readonly methods: CronDesk["methods"] & Heartbeats["methods"];
  /** For agents. */
  readonly tool: Tool;
  readonly heartbeats: Pick<Heartbeats, "follow" | "boot" | "due" | "view">;
  /** The turn of a message has ended. */
  ended(header: EnvelopeHeader, outcome: Outcome): void;
}

export type ClockDeps = Omit<HeartbeatsDeps & CronDeps, "newId" | "timeZone" | "isOpen">;

export function makeClock(parts: ClockDeps): Clock {
  const deps = { ...parts, newId: (): string => randomUUID().slice(0, 8) };
  const heartbeats = makeHeartbeats(deps);
  const cron = makeCronDesk({
    ...deps,
    isOpen: (envelopeId) => deps.kernel().isOpen(envelopeId),
    timeZone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  return {
    methods: { ...cron.methods, ...heartbeats.methods },
    heartbeats,
    tool: makeCronTool({
      desk: cron,
      store: deps.store,
      mainOf: (agentId) => mainSessionKey(agentId, deps.config.session),
      nowMs: deps.nowMs,
    }),
    ended(header, outcome) {
      cron.ended(header, outcome);
      heartbeats.ended(header, outcome);
    },
  };
}
