/**
 * `cron`: what an agent lets happen at a time. A job is as an operator's (`cron-desk.ts`), with the agent's right to timers as what it stands on; an
 * agent sees and changes those that it set itself in this session, in its main session all that it set. Source: behaviour §5.7.
 */
import { z } from "zod";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import type { Store, TimerRow } from "../../store/port.ts";
import { routeHere } from "../answer-address.ts";
import type { AddedJob, CronDesk } from "../cron-desk.ts";
import { readsBody } from "./in-body.ts";
import type { WhyNoSending } from "../send-policy.ts";
import { defineTool, fault, forbidden, type Tool, type ToolRefusal } from "./table.ts";

export interface CronToolDeps {
  readonly desk: Pick<CronDesk, "add" | "methods" | "view">;
  readonly store: Pick<Store, "session" | "timers">;
  readonly mainOf: (agentId: string) => string;
  /** Whether the session is a group's, which may have fewer tools and no memory. */
  readonly isGroup: (sessionKey: string) => boolean;
  readonly whyNoSending: WhyNoSending;
  readonly nowMs: () => number;
}

const id = z.string().trim().min(1).max(256).describe("Of the job.");
const name = z.string().trim().min(1).max(limits.timerNameCharsMax);
const text = z.string().trim().min(1).max(limits.timerTextCharsMax).describe("What is said to you then.");
const minutes = z
  .number()
  .positive()
  .max(limits.timerHorizonMsMax / 60_000);

/** One of them. */
const times = {
  at: z.iso.datetime({ offset: true }).optional().describe("Once, at this time: 2026-03-01T07:00:00+01:00."),
  inMinutes: minutes
    .min(limits.jobPeriodMsMin / 60_000)
    .optional()
    .describe("Once, so many minutes from now."),
  everyMinutes: minutes
    .min(limits.jobPeriodMsMin / 60_000)
    .optional()
    .describe("Again and again, so many minutes apart."),
  cron: z.string().trim().min(1).max(128).optional().describe("Again and again: minute hour day month weekday."),
  tz: z.string().trim().min(1).max(64).optional().describe("Time zone of cron, as Europe/Berlin."),
};

const wakeMode = z
  .enum(["now", "next-heartbeat"])
  .optional()
  .describe("With session main: whether the time itself wakes you, or your next heartbeat tells you then.");

const params = z.discriminatedUnion("action", [
  z.object({ action: z.literal("list") }),
  z.object({
    action: z.literal("add"),
    name,
    text,
    ...times,
    session: z
      .enum(["current", "main", "isolated"])
      .default("current")
      .describe("This conversation, your main session, or one of its own each time."),
    wakeMode,
    deliver: z.boolean().default(true).describe("Whether your answer goes to where this conversation is."),
  }),
  z.object({
    action: z.literal("update"),
    id,
    name: name.optional(),
    text: text.optional(),
    ...times,
    wakeMode,
    enabled: z.boolean().optional(),
  }),
  z.object({ action: z.literal("remove"), id }),
  z.object({ action: z.literal("run"), id }),
  z.object({ action: z.literal("runs"), id }),
]);

type Asked = z.output<typeof params>;
type Times = Pick<Extract<Asked, { action: "add" }>, keyof typeof times>;

export function makeCronTool({ desk, store, mainOf, isGroup, whyNoSending, nowMs }: CronToolDeps): Tool {
  const ownRows = async ({ agentId, sessionKey }: EnvelopeHeader): Promise<readonly TimerRow[]> => {
    const { rows } = await store.timers({ agentId, limit: limits.timersPerAgentMax });
    return rows.filter(
      ({ job }) => job?.setIn !== undefined && (job.setIn === sessionKey || sessionKey === mainOf(agentId)),
    );
  };

  // A second run would run a job twice: what was begun and has no result is not run again, and the list tells what came of it.
  const tool = defineTool("acts", params, async (asked, { header }) => {
    const client = { connId: "", clientId: header.sessionKey, mode: "agent", scopes: [] };
    const { methods } = desk;
    if (asked.action === "list") return { status: "ok", jobs: (await ownRows(header)).map(desk.view) };
    if (asked.action === "add") {
      const schedule = scheduleOf(asked, nowMs());
      if (schedule === undefined) return oneTime;
      if (isTooSoon(schedule, nowMs())) return tooSoon;
      if (asked.session !== "current" && isGroup(header.sessionKey))
        return forbidden(
          `cron: session: found ${asked.session}; what is set in a group happens in its session, where its bounds hold; use current`,
          "set it with cloister cron add, or let the agent set it in a direct chat",
        );
      const count = (await ownRows({ ...header, sessionKey: mainOf(header.agentId) })).length;
      if (count >= limits.agentJobsMax)
        return fault("busy", `cron: the agent has ${count} jobs; the bound is reached`, "remove some");
      const found = asked.deliver ? await routeHere(header, store) : undefined;
      const here = found && { onBehalfOf: header.sessionKey, ...found };
      // A session that is silenced does not speak by a job of another session either.
      const withheld = here && (await whyNoSending(header.sessionKey, here));
      if (withheld !== undefined)
        return forbidden(`cron: ${withheld.message}; with deliver: false it may be set`, withheld.remedy ?? "");
      const job = await desk.add(
        { name: asked.name, agentId: header.agentId, schedule, ...placeOf(asked, header), ...wakeOf(asked) },
        { by: header.sessionKey, setIn: header.sessionKey, ...(here === undefined ? {} : { delivery: here }) },
      );
      return { status: "ok", job };
    }
    const row = (await ownRows(header)).find((one) => one.id === asked.id);
    if (row === undefined)
      return fault("not_found", `cron: no job of this session has the id ${asked.id}`, "use action list");
    if (asked.action !== "update") {
      const method = methods[`cron.${asked.action}`];
      return { status: "ok", ...((await method({ id: asked.id }, client)) as object) };
    }
    const isTimed = Object.keys(times).some((one) => asked[one as keyof typeof times] !== undefined);
    const schedule = isTimed ? scheduleOf(asked, nowMs()) : undefined;
    if (isTimed && schedule === undefined) return oneTime;
    if (schedule !== undefined && isTooSoon(schedule, nowMs())) return tooSoon;
    const job = await methods["cron.update"](
      {
        id: asked.id,
        patch: {
          ...(asked.name === undefined ? {} : { name: asked.name }),
          ...(asked.text === undefined ? {} : { payload: payloadOf(asked.text, row.job?.payload === "systemEvent") }),
          ...(schedule === undefined ? {} : { schedule }),
          ...wakeOf(asked),
          ...(asked.enabled === undefined ? {} : { enabled: asked.enabled }),
        },
      },
      client,
    );
    return { status: "ok", job };
  });
  return readsBody(tool, limits.timerTextCharsMax * 2);
}

const oneTime: ToolRefusal = fault(
  "invalid",
  "cron: wanted exactly one of at, inMinutes, everyMinutes and cron (tz goes with cron)",
);

const tooSoon: ToolRefusal = fault(
  "invalid",
  `cron: what happens once is at least ${limits.jobPeriodMsMin / 1_000} seconds ahead, as periods are long at least`,
  "name a later time; what is to happen now can be done in this turn",
);

/** A job that sets the next one is a period as well. One that is over is refused as such. */
const isTooSoon = (schedule: AddedJob["schedule"], nowMs: number): boolean => {
  const leftMs = schedule.kind === "at" ? Date.parse(schedule.at) - nowMs : limits.jobPeriodMsMin;
  return leftMs >= 0 && leftMs < limits.jobPeriodMsMin;
};

/** Undefined: there is none, or more than one. */
function scheduleOf({ at, inMinutes, everyMinutes, cron, tz }: Times, nowMs: number): AddedJob["schedule"] | undefined {
  const named = [at, inMinutes, everyMinutes, cron].filter((one) => one !== undefined);
  if (named.length !== 1 || (tz !== undefined && cron === undefined)) return undefined;
  if (cron !== undefined) return { kind: "cron", expr: cron, ...(tz === undefined ? {} : { tz }) };
  if (everyMinutes !== undefined) return { kind: "every", everyMs: Math.round(everyMinutes * 60_000) };
  return { kind: "at", at: at ?? new Date(nowMs + (inMinutes ?? 0) * 60_000).toISOString() };
}

/** The main session is told something; any other one is spoken to. */
function placeOf(
  { session, text: said }: Extract<Asked, { action: "add" }>,
  { sessionKey }: EnvelopeHeader,
): Pick<AddedJob, "sessionTarget" | "payload"> {
  return {
    sessionTarget: session === "current" ? `session:${sessionKey}` : session,
    payload: payloadOf(said, session === "main"),
  };
}

const wakeOf = ({
  wakeMode: when,
}: Pick<Extract<Asked, { action: "update" }>, "wakeMode">): Pick<AddedJob, "wakeMode"> =>
  when === undefined ? {} : { wakeMode: when };

const payloadOf = (said: string, isEvent: boolean): AddedJob["payload"] =>
  isEvent ? { kind: "systemEvent", text: said } : { kind: "agentTurn", message: said };
