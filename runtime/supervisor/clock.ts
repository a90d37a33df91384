/** What happens at a time, beside the timers of modules (`signals.ts`): jobs, of operators and of agents, and heartbeats. */
import { randomUUID } from "node:crypto";
import { localTimezone } from "../config/timezone.ts";
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import { type CronDeps, type CronDesk, makeCronDesk } from "./cron-desk.ts";
import { type HoldHook, makeHoldHook } from "./hook-events.ts";
import type { IngressDeps } from "./ingress.ts";
import { isSubagentKey, mainSessionKey, sessionKind } from "../routing/index.ts";
import { makeJobWatchdog } from "./job-watchdog.ts";
import { makeWhyNoSending, type SendPolicyDeps } from "./send-policy.ts";
import { makeStop, type StopWorkDeps } from "./stop-work.ts";
import { makeCronTool } from "./tools/cron.ts";
import type { Tool } from "./tools/table.ts";
import { type AgentPlace, type Heartbeats, type HeartbeatsDeps, makeHeartbeats } from "./heartbeats.ts";

export interface Clock {
  readonly methods: CronDesk["methods"] & Heartbeats["methods"];
  /** For agents. */
  readonly tool: Tool;
  readonly heartbeats: Pick<Heartbeats, "follow" | "due" | "nextMs" | "view">;
  /** Takes a message that waits for its agent's next heartbeat. */
  readonly holdHook: HoldHook;
  /** The gateway is up. Resolves when every heartbeat has its row; what the start begins goes on. */
  start(withWorkspace: readonly AgentPlace[]): Promise<void>;
  /** The turn of a message begins, or begins anew. */
  began(header: EnvelopeHeader): void;
  /** It has ended. */
  ended(header: EnvelopeHeader, outcome: Outcome): void;
}

export type ClockDeps = Omit<HeartbeatsDeps & CronDeps, "newId" | "timeZone" | "isOpen" | "heartbeatMs"> &
  Pick<StopWorkDeps, "kernel" | "store"> &
  Pick<SendPolicyDeps, "store"> & {
    /** Says something to whom a turn was for, in place of an answer. */
    readonly answer: IngressDeps["answer"];
  };

export function makeClock(parts: ClockDeps): Clock {
  const deps = { ...parts, newId: (): string => randomUUID().slice(0, 8) };
  const heartbeats = makeHeartbeats(deps);
  const cron = makeCronDesk({
    ...deps,
    heartbeatMs: (agentId, key) => heartbeats.nextMs(agentId, key),
    isOpen: (envelopeId) => deps.kernel().isOpen(envelopeId),
    timeZone: localTimezone(),
  });
  const watchdog = makeJobWatchdog({
    stop: makeStop(deps),
    log: deps.log,
    heartbeatMs: (header) => heartbeats.spanMsOf(header),
    agentMs: ({ agentId, sessionKey }) => (isSubagentKey(sessionKey) ? undefined : deps.agents.get(agentId)?.turnMsMax),
    tell: ({ id, agentId, sessionKey, replyRoute }, spanMs) => {
      const text = `This took longer than ${spanMs / 1_000} s, and was ended.`;
      if (replyRoute.type === "channel") deps.answer({ id, agentId, sessionKey }, replyRoute, text);
    },
  });
  return {
    methods: { ...cron.methods, ...heartbeats.methods },
    heartbeats,
    holdHook: makeHoldHook({ ...deps, newRunId: randomUUID, heartbeatMs: (...of) => heartbeats.nextMs(...of) }),
    async start(withWorkspace) {
      if (!parts.config.jobs.enabled)
        parts.log.info({}, "jobs are off (cron.enabled: false); those that are there are kept");
      await heartbeats.follow();
      void heartbeats.boot(withWorkspace);
    },
    tool: makeCronTool({
      desk: cron,
      store: deps.store,
      mainOf: (agentId) => mainSessionKey(agentId, deps.config.session),
      isGroup: (sessionKey) => sessionKind(sessionKey, deps.config.session.mainKey) === "group",
      whyNoSending: makeWhyNoSending(deps),
      nowMs: deps.nowMs,
    }),
    began: (header) => watchdog.began(header),
    ended(header, outcome) {
      watchdog.ended(header);
      cron.ended(header, outcome);
      heartbeats.ended(header, outcome);
    },
  };
}
