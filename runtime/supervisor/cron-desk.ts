/**
 * Jobs: what operators let happen at a time, and agents by the tool `cron`. Each is a timer (`signals.ts`) that is none of an agent's own timers; its
 * message goes the one accept path in lane `cron`, and its answer where the job says. Source: behaviour §5.7; docs/adr/0044-jobs-are-timers.md.
 *
 *     set ──due──► its message is journaled, and its next time with it ──► its turn ends ──► a row of its log
 *      ├── late by more than `limits.jobLateMsMax`, or the run before goes on (recurring) ──► left out, which its log says
 *      ├── `wakeMode: "next-heartbeat"`: due again when the agent's next heartbeat is, and told then
 *      └── `at`: fires however late; then it is removed, or stays without a next time
 */
import { schedulePairingId } from "../../auth/compile-pairings.ts";
import { type EnvelopeHeader, type Outcome, type ReplyRoute, urlChannel } from "../kernel/envelope.ts";
import { type CodedError, failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { changeChoices, type TurnChoices } from "../kernel/session-choices.ts";
import { type Job, type JobChange, type JobSchedule, type JobTurn, neverMs } from "../store/job-rows.ts";
import type { Store, TimerRow } from "../store/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import type { Logger } from "./driver.ts";
import { accountOf, readAddress } from "./answer-address.ts";
import { noteRun, setJob } from "./job-rows.ts";
import { checkSchedule, heldSince, jobIdMark, nextTime } from "./job-schedule.ts";
import { viewAnswer, viewJob } from "./job-view.ts";
import { makeInTurn } from "./in-turn.ts";
import type { Handlers, Params } from "./method-handlers.ts";
import type { Targets } from "./method-targets.ts";
import { readChoices } from "./session-choices.ts";

export interface CronDeps {
  readonly store: Pick<Store, "schedule" | "amendJob" | "timers" | "unschedule">;
  readonly targets: Targets;
  readonly config: Parameters<typeof accountOf>[0] & Pick<ResolvedConfig, "jobs">;
  readonly models: () => Parameters<typeof readChoices>[0];
  /** Whether answers leave through this account. */
  readonly carriesAnswers: (channel: string, accountId: string) => boolean;
  /** When the agent's next heartbeat is; rejects with CLOISTER_REQUEST_INVALID, which names `key`, when it has none. */
  readonly heartbeatMs: (agentId: string, key: string) => Promise<number>;
  readonly isOpen: (envelopeId: string) => boolean;
  readonly expect: (atMs: number) => void;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly newId: () => string;
  readonly nowMs: () => number;
  /** Of this machine, for expressions that name no time zone. */
  readonly timeZone: string;
  readonly log: Logger;
}

export type AddedJob = Asked;

export interface AddedBy {
  /** A client, or a session. */
  readonly by: string;
  /** The agent's session in which it is set; absent: an operator sets it. */
  readonly setIn?: string;
  /** Instead of what the job says. */
  readonly delivery?: ReplyRoute;
}

export interface CronDesk {
  /** Gives the job as clients see it. @throws what is wrong with it */
  add(asked: AddedJob, from: AddedBy): Promise<object>;
  readonly view: (row: TimerRow) => object;
  readonly methods: Handlers<"cron.add" | "cron.update" | "cron.remove" | "cron.run" | "cron.runs">;
  /** The turn of a message has ended; those of jobs are written down. */
  ended(header: EnvelopeHeader, outcome: Outcome): void;
}

type Asked = Params<"cron.add">;
type Patch = Params<"cron.update">["patch"];

export function makeCronDesk(deps: CronDeps): CronDesk {
  const { store, targets, nowMs } = deps;
  /** A change is read from what is there: two at once are made one after the other. */
  const inTurn = makeInTurn();
  const view = (row: TimerRow): object => viewJob(row, deps.config.jobs.enabled);

  const find = async (id: string): Promise<TimerRow & { readonly job: Job }> => {
    const { rows } = await store.timers({ id, limit: 1 });
    const [found] = rows;
    // A heartbeat is kept as a job, and is none.
    if (found?.job === undefined || !id.startsWith(jobIdMark)) throw unknownJob(id);
    return { ...found, job: found.job };
  };

  const readSchedule = (asked: Asked["schedule"]): JobSchedule => {
    if (asked.kind === "at") {
      const atMs = Date.parse(asked.at);
      if (atMs >= nowMs()) return { kind: "at", atMs };
      throw invalid(`schedule.at: found ${asked.at}, which is over`, "name a time that comes");
    }
    if (asked.kind === "every") return { kind: "every", everyMs: asked.everyMs, anchorMs: asked.anchorMs ?? nowMs() };
    return { kind: "cron", expr: asked.expr, tz: asked.tz ?? deps.timeZone };
  };

  /** Where it speaks, and in which session. */
  const readTarget = (
    id: string,
    agentId: string,
    { sessionTarget, sessionKey }: Pick<Patch, "sessionTarget" | "sessionKey">,
    payload: Job["payload"],
  ): { readonly target: Job["target"]; readonly sessionKey: string } => {
    const target = sessionTarget ?? (payload === "systemEvent" ? "main" : "isolated");
    if ((target === "main") !== (payload === "systemEvent"))
      throw invalid(
        `sessionTarget ${JSON.stringify(target)} with a payload of ${payload}: the main session is told something (systemEvent), any other one is spoken to (agentTurn)`,
        'use "main" with systemEvent, or "isolated" or "session:<key>" with agentTurn',
      );
    if (target === "main") return { target: "main", ...targets.main(agentId) };
    if (target === "isolated") return { target, sessionKey: `agent:${agentId}:cron:${id}` };
    const named = target === "current" ? sessionKey : /^session:(.+)$/s.exec(target)?.[1];
    if (named === undefined)
      throw invalid(
        `sessionTarget: found ${JSON.stringify(target)}${target === "current" ? " without a sessionKey" : ""}, wanted main, isolated, session:<key>, or current with a sessionKey`,
      );
    const found = targets.session(named);
    if (found.agentId !== agentId)
      throw invalid(`sessionTarget: ${found.sessionKey} is a session of ${found.agentId}, and the job is ${agentId}'s`);
    return { target: "session", sessionKey: found.sessionKey };
  };

  const readDelivery = (delivery: Asked["delivery"], agentId: string, id: string): ReplyRoute => {
    if (delivery === undefined || delivery.mode === "none") return { type: "none" };
    const { mode, channel, to = "" } = delivery;
    if (mode === "webhook") return urlRoute(delivery, id);
    const accountId = delivery.accountId ?? accountOf(deps.config, channel ?? "", agentId);
    const route = channel === undefined ? undefined : readAddress(channel, accountId, to);
    if (channel === undefined || route === undefined)
      throw invalid("delivery: announce needs channel and to", "to is kind:id, e.g. direct:ana");
    if (deps.carriesAnswers(channel, accountId)) return route;
    const channels = Object.keys(deps.config.accountsOn);
    if (channels.includes(channel))
      throw invalid(
        `delivery: no answers leave through account ${accountId} of channel ${channel}`,
        "set outboundUrl of the account; `cloister channels` shows the accounts",
      );
    throw invalid(
      `delivery: no answers leave through channel ${JSON.stringify(channel)}, which has no account that is switched on`,
      channels.length === 0
        ? "set up a channel first (channels)"
        : `use one of ${channels.join(", ")}, or set up its account`,
    );
  };

  /** What a turn of it is given beside its words. @throws what `readChoices` throws */
  const readTurn = (payload: Asked["payload"], agentId: string): JobTurn => {
    if (payload.kind !== "agentTurn") return {};
    const { model, thinking, timeoutSeconds } = payload;
    const choices: TurnChoices | undefined = changeChoices(
      undefined,
      readChoices(deps.models(), agentId, { model, thinking }),
    );
    return {
      ...(choices === undefined ? {} : { choices }),
      ...(timeoutSeconds === undefined ? {} : { turnMsMax: Math.ceil(timeoutSeconds * 1_000) }),
    };
  };

  const changed = (what: string, { id, agentId, name }: TimerRow, by: string): void =>
    deps.note({ type: "cron_changed", subject: by, object: `agent:${agentId}`, detail: `${what} ${id}: ${name}` });

  /** Of an `at` that is set again it is the time; of the others, the first one after now. */
  const dueOf = (enabled: boolean, schedule: JobSchedule): number =>
    !enabled ? neverMs : schedule.kind === "at" ? schedule.atMs : nextTime(schedule, nowMs());

  /** Of one that was off when its time came there is still that time. @throws CLOISTER_REQUEST_INVALID for one that has had it */
  const checkComes = ({ id, job, lastEnvelopeId }: TimerRow & { readonly job: Job }): void => {
    const { schedule, runs } = job;
    if (schedule.kind !== "at" || schedule.atMs > nowMs()) return;
    const isOpen = lastEnvelopeId !== undefined && deps.isOpen(lastEnvelopeId);
    const ran = runs.some(({ status, startedAtMs = 0 }) => status !== "skipped" && startedAtMs >= schedule.atMs);
    if (isOpen || ran)
      throw invalid(
        `enabled: ${id} happens once, and has: its time was ${new Date(schedule.atMs).toISOString()}`,
        `give it another time, or run it by hand: cloister cron run ${id}`,
      );
  };

  /** Whether it waits for heartbeats; `before`: whether it did. Rejects when it cannot. */
  async function readWake(
    wakeMode: Asked["wakeMode"],
    agentId: string,
    payload: Job["payload"],
    before = false,
  ): Promise<boolean> {
    const waits = wakeMode === undefined ? before : wakeMode === "next-heartbeat";
    if (waits && payload === "agentTurn")
      throw invalid(
        'wakeMode: found "next-heartbeat" with a payload of agentTurn, which has a turn at its own time',
        'use "now", or a payload of systemEvent, which the main session is told',
      );
    if (wakeMode === "next-heartbeat") await deps.heartbeatMs(agentId, "wakeMode");
    return waits;
  }

  const update = async ({ id, patch }: Params<"cron.update">, by: string) => {
    const row = await find(id);
    const { job } = row;
    const { name, payload, delivery, description, sessionTarget } = patch;
    const schedule = patch.schedule === undefined ? job.schedule : checkSchedule(readSchedule(patch.schedule), nowMs());
    const enabled = patch.enabled ?? job.enabled;
    if (patch.enabled === true && patch.schedule === undefined) checkComes(row);
    const isTimed = patch.schedule !== undefined || enabled !== job.enabled;
    const kind = payload?.kind ?? job.payload;
    const isElsewhere = sessionTarget !== undefined || kind !== job.payload;
    const atHeartbeat = await readWake(patch.wakeMode, row.agentId, kind, job.atHeartbeat);
    const waitsNoMore = !atHeartbeat && heldSince(job, row.dueAtMs) !== undefined;
    const place = isElsewhere ? readTarget(id, row.agentId, patch, kind) : undefined;
    const change: JobChange = {
      ...(name === undefined ? {} : { name }),
      ...(payload === undefined ? {} : { body: bodyOf(payload) }),
      ...(place === undefined ? {} : { sessionKey: place.sessionKey }),
      ...(isTimed ? { dueAtMs: dueOf(enabled, schedule) } : waitsNoMore ? { dueAtMs: nowMs() } : {}),
      job: {
        ...(description === undefined ? {} : { description }),
        ...(delivery === undefined ? {} : { delivery: readDelivery(delivery, row.agentId, id) }),
        ...(payload === undefined ? {} : { turn: readTurn(payload, row.agentId) }),
        ...(place === undefined ? {} : { target: place.target }),
        // One that becomes another kind of job has the usual of that kind, as one that is set anew.
        deleteAfterRun: readDelete(
          patch.deleteAfterRun ??
            (job.schedule.kind === "at" && schedule.kind === "at" ? job.deleteAfterRun : undefined),
          schedule,
        ),
        schedule,
        atHeartbeat,
        enabled,
        payload: kind,
        by,
        updatedAtMs: nowMs(),
      },
    };
    const after = await store.amendJob(id, change);
    if (after === undefined) throw unknownJob(id);
    deps.expect(after.dueAtMs);
    changed("changed", after, by);
    return view(after);
  };

  async function add(asked: AddedJob, { by, setIn, delivery }: AddedBy): Promise<object> {
    const createdAtMs = nowMs();
    const id = `${jobIdMark}${deps.newId()}`;
    const agentId = targets.agent(asked.agentId);
    const schedule = checkSchedule(readSchedule(asked.schedule), createdAtMs);
    const payload = asked.payload.kind;
    const { target, sessionKey } = readTarget(id, agentId, asked, payload);
    const enabled = asked.enabled ?? true;
    const row: TimerRow = {
      id,
      agentId,
      sessionKey,
      name: asked.name,
      via: setIn === undefined ? "door:operator" : schedulePairingId(agentId),
      body: bodyOf(asked.payload),
      isData: false,
      dueAtMs: dueOf(enabled, schedule),
      createdAtMs,
      job: {
        ...(asked.description === undefined ? {} : { description: asked.description }),
        schedule,
        target,
        payload,
        turn: readTurn(asked.payload, agentId),
        delivery: delivery ?? readDelivery(asked.delivery, agentId, id),
        ...((await readWake(asked.wakeMode, agentId, payload)) ? { atHeartbeat: true } : {}),
        ...(setIn === undefined ? {} : { setIn }),
        enabled,
        deleteAfterRun: readDelete(asked.deleteAfterRun, schedule),
        by,
        updatedAtMs: createdAtMs,
        runs: [],
      },
    };
    await setJob(store, row);
    deps.expect(row.dueAtMs);
    changed("added", row, by);
    return view(row);
  }

  return {
    add,
    view,
    methods: {
      "cron.add": (asked, { clientId: by }) => add(asked, { by }),
      "cron.update": (asked, { clientId: by }) => inTurn(() => update(asked, by)),
      "cron.remove": async ({ id }, { clientId: by }) => {
        const row = await find(id);
        if ((await store.unschedule(id, {})) === undefined) throw unknownJob(id);
        changed("removed", row, by);
        return { ok: true, removed: true, id };
      },
      "cron.run": async ({ id, mode = "force" }, { clientId: by }) => {
        const row = await find(id);
        // Taken out of the file by hand, it may have jobs still, which go when they are due.
        targets.agent(row.agentId);
        const atMs = nowMs();
        if (row.lastEnvelopeId !== undefined && deps.isOpen(row.lastEnvelopeId))
          return { ok: true, ran: false, reason: "already-running" };
        if (mode === "due" && row.dueAtMs > atMs) return { ok: true, ran: false, reason: "not-due" };
        // From here it fires as on any other day.
        if ((await store.amendJob(id, { dueAtMs: atMs, job: { byHandAtMs: atMs } })) === undefined)
          throw unknownJob(id);
        deps.expect(atMs);
        changed("run", row, by);
        return { ok: true, ran: true };
      },
      "cron.runs": async ({ id, limit }) => {
        const { job, agentId, name } = await find(id);
        const newest = job.runs.toReversed().slice(0, limit ?? limits.jobRunsKeptMax);
        const entries = newest.map(({ atMs, status, runId, sessionKey, startedAtMs, text, answer }) => ({
          ts: atMs,
          jobId: id,
          agentId,
          action: "finished",
          status,
          ...(runId === undefined ? {} : { runId }),
          ...(sessionKey === undefined ? {} : { sessionKey }),
          ...(startedAtMs === undefined ? {} : { runAtMs: startedAtMs, durationMs: atMs - startedAtMs }),
          ...(text === undefined ? {} : status === "ok" ? { summary: text } : { error: text }),
          ...viewAnswer(answer),
        }));
        return { entries, total: job.runs.length, name };
      },
    },
    ended: (header, outcome) => noteRun(store, deps.log, jobIdMark, header, outcome, nowMs()),
  };
}

/** Only what happens once can be gone with that. */
function readDelete(asked: boolean | undefined, { kind }: JobSchedule): boolean {
  if (asked === true && kind !== "at")
    throw invalid(
      `deleteAfterRun: found true with a schedule of kind ${kind}, which has no last time`,
      "leave it out, or use a schedule of kind at",
    );
  return asked ?? kind === "at";
}

/** Whether its addresses are public is judged when the answer is sent: names change. */
function urlRoute({ channel, accountId, to = "" }: NonNullable<Asked["delivery"]>, id: string): ReplyRoute {
  if (channel !== undefined || accountId !== undefined)
    throw invalid("delivery: found webhook with channel or accountId", 'to is the URL; with "announce" it is a peer');
  const url = URL.parse(to);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw invalid(`delivery.to: found ${JSON.stringify(to)}, wanted an http or https address`);
  if (url.username !== "" || url.password !== "")
    throw invalid("delivery.to: the address has a user or a password in it", "set cron.webhookToken instead");
  url.hash = "";
  return { type: "channel", channel: urlChannel, accountId: id, peerKind: "direct", peerId: url.href };
}

const bodyOf = (payload: Asked["payload"]): string => (payload.kind === "systemEvent" ? payload.text : payload.message);

const unknownJob = (id: string): CodedError =>
  failure("CLOISTER_SIGNAL_UNKNOWN", `no job has the id ${id}`, "cloister cron list");

const invalid = (message: string, remedy?: string): CodedError => failure("CLOISTER_REQUEST_INVALID", message, remedy);
