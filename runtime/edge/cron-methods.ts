/** The methods about jobs: what happens at a time, set by operators. The peer's words; what they come to is in `runtime/supervisor/cron-desk.ts`. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";

const id = z.string().trim().min(1).max(256);
const name = z.string().trim().min(1).max(limits.timerNameCharsMax);
const text = z.string().trim().min(1).max(limits.timerTextCharsMax);

const schedule = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("at"), at: z.iso.datetime({ offset: true }) }),
  z.object({
    kind: z.literal("every"),
    everyMs: z.int().min(limits.jobPeriodMsMin).max(limits.timerHorizonMsMax),
    anchorMs: z.int().min(0).exactOptional(),
  }),
  z.object({ kind: z.literal("cron"), expr: z.string().trim().min(1).max(128), tz: id.exactOptional() }),
]);

const fields = {
  description: z.string().max(limits.timerTextCharsMax).exactOptional(),
  enabled: z.boolean().exactOptional(),
  deleteAfterRun: z.boolean().exactOptional(),
  /** `main`, `isolated`, `current`, or `session:<key>`. */
  sessionTarget: z.string().trim().min(1).max(1_024).exactOptional(),
  /** What `current` means. */
  sessionKey: z.string().trim().min(1).max(1_024).exactOptional(),
  wakeMode: z.enum(["now", "next-heartbeat"]).exactOptional(),
  delivery: z
    .object({
      mode: z.enum(["announce", "webhook", "none"]),
      channel: id.exactOptional(),
      accountId: id.exactOptional(),
      /** `kind:id`, e.g. `direct:ana`; with `webhook` the URL. */
      to: z.string().trim().min(1).max(2_048).exactOptional(),
    })
    .exactOptional(),
};

const payload = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("systemEvent"), text }),
  z.object({
    kind: z.literal("agentTurn"),
    message: text,
    model: z.string().trim().min(1).max(limits.modelNameCharsMax).exactOptional(),
    thinking: z.string().trim().min(1).max(32).exactOptional(),
    timeoutSeconds: z
      .number()
      .min(1)
      .max(limits.jobRunMsMax / 1_000)
      .exactOptional(),
  }),
]);

export const cronMethods = {
  /** Jobs, and the timers of agents as jobs. */
  "cron.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      limit: z.int().min(1).exactOptional(),
      offset: z.int().min(0).exactOptional(),
    }),
  },
  "cron.status": { scope: "operator.read", params: z.object({}) },
  "cron.runs": { scope: "operator.read", params: z.object({ id, limit: z.int().min(1).exactOptional() }) },
  "cron.add": {
    scope: "operator.admin",
    params: z.object({ ...fields, name, agentId: id.exactOptional(), schedule, payload }),
  },
  "cron.update": {
    scope: "operator.admin",
    params: z.object({
      id,
      patch: z.object({
        ...fields,
        name: name.exactOptional(),
        schedule: schedule.exactOptional(),
        payload: payload.exactOptional(),
      }),
    }),
  },
  "cron.remove": { scope: "operator.admin", params: z.object({ id }) },
  "cron.run": {
    scope: "operator.admin",
    params: z.object({ id, mode: z.enum(["due", "force"]).exactOptional() }),
  },
  /** Tells an agent's main session something, now or with its next heartbeat. */
  wake: {
    scope: "operator.write",
    params: z.object({ text, mode: z.enum(["now", "next-heartbeat"]).exactOptional(), agentId: id.exactOptional() }),
  },
  /** How the last heartbeat of any agent, or of one, ended; `null`: there was none. */
  "last-heartbeat": { scope: "operator.read", params: z.object({ agentId: id.exactOptional() }) },
  /** Of all agents, until it is called again; restarts change nothing. */
  "set-heartbeats": { scope: "operator.admin", params: z.object({ enabled: z.boolean() }) },
} as const;
