/** Readers of what agents have under way: requests for rights, runs of sub-agents, timers. As lenient as those of `wire.ts`. */
import { agentOfSession, count, fieldsOf, list, text, texts } from "./wire.ts";

/** A right that an agent lacked, put to the operator. */
export interface RightRequest {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly verb: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** How often it was refused. */
  readonly calls: number;
  /** Handed back with an approval, which holds for what was shown. */
  readonly revision: number;
  readonly messages: readonly KeptMessage[];
  /** It is approved, and its messages wait for room in a mailbox. */
  readonly releasing: boolean;
  readonly consequences: { readonly once: readonly string[]; readonly grant: readonly string[] };
}

export interface KeptMessage {
  readonly fromSession: string;
  readonly toSession: string;
  /** The beginning of the message. */
  readonly preview: string;
}

export interface RunEntry {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly requesterSessionKey: string;
  /** Its label, its name, or the beginning of its task. */
  readonly title: string;
  /** `queued`, `running`, `waiting`, `ending`, or its outcome. */
  readonly status: string;
  /** Why it ended, when it did not succeed. */
  readonly detail?: string;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  readonly runtimeMs?: number;
}

export interface TimerEntry {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly name: string;
  readonly dueAtMs: number;
  readonly everyMs?: number;
}

export interface TaskEntry {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly name: string;
  /** `agent`: put off by one; `command`: it goes on in the background; `approval`: a command that an operator has to allow. */
  readonly kind: string;
  /** It is over, and its session is still to be told. */
  readonly isEnded: boolean;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** The first of them, and how many there are. */
export interface Tasks {
  readonly rows: readonly TaskEntry[];
  readonly total: number;
}

/** The soonest of them, and how many there are. */
export interface Timers {
  readonly rows: readonly TimerEntry[];
  readonly total: number;
}

const time = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);

/** The answer of `grants.requests`. */
export function parseRequests(payload: unknown): readonly RightRequest[] {
  return list(fieldsOf(payload)["requests"]).flatMap((value): RightRequest[] => {
    const row = fieldsOf(value);
    const [id, from, to, verb] = [text(row["id"]), text(row["from"]), text(row["to"]), text(row["verb"])];
    if (id === undefined || from === undefined || to === undefined || verb === undefined) return [];
    const consequences = fieldsOf(row["consequences"]);
    return [
      {
        id,
        from,
        to,
        verb,
        createdAtMs: count(row["createdAtMs"]),
        expiresAtMs: count(row["expiresAtMs"]),
        calls: count(row["calls"]),
        revision: count(row["revision"]),
        messages: list(row["messages"]).map((message) => {
          const fields = fieldsOf(message);
          return {
            fromSession: text(fields["fromSession"]) ?? "",
            toSession: text(fields["toSession"]) ?? "",
            preview: text(fields["preview"]) ?? "",
          };
        }),
        releasing: row["releasing"] === true,
        consequences: { once: texts(consequences["once"]), grant: texts(consequences["grant"]) },
      },
    ];
  });
}

/** The answer of `subagents.list`, newest first. */
export function parseRuns(payload: unknown): readonly RunEntry[] {
  return list(fieldsOf(payload)["tasks"]).flatMap((value): RunEntry[] => {
    const row = fieldsOf(value);
    const [id, sessionKey] = [text(row["taskId"]) ?? text(row["runId"]), text(row["childSessionKey"])];
    if (id === undefined || sessionKey === undefined) return [];
    const [detail, startedAtMs] = [text(row["detail"]) ?? text(row["code"]), time(row["startedAt"])];
    const [endedAtMs, runtimeMs] = [time(row["endedAt"]), time(row["runtimeMs"])];
    return [
      {
        id,
        agentId: text(row["agentId"]) ?? agentOfSession(sessionKey),
        sessionKey,
        requesterSessionKey: text(row["requesterSessionKey"]) ?? "",
        title: text(row["label"]) ?? text(row["taskName"]) ?? text(row["task"]) ?? "",
        status: text(row["status"]) ?? "",
        ...(detail === undefined ? {} : { detail }),
        ...(startedAtMs === undefined ? {} : { startedAtMs }),
        ...(endedAtMs === undefined ? {} : { endedAtMs }),
        ...(runtimeMs === undefined ? {} : { runtimeMs }),
      },
    ];
  });
}

/** The answer of `tasks.list`. */
export function parseTasks(payload: unknown): Tasks {
  const fields = fieldsOf(payload);
  const rows = list(fields["tasks"]).flatMap((value): TaskEntry[] => {
    const row = fieldsOf(value);
    const id = text(row["id"]);
    if (id === undefined) return [];
    const sessionKey = text(row["sessionKey"]) ?? "";
    return [
      {
        id,
        agentId: text(row["agentId"]) ?? agentOfSession(sessionKey),
        sessionKey,
        name: text(row["name"]) ?? "",
        kind: text(row["kind"]) ?? "",
        isEnded: row["state"] === "ended",
        createdAtMs: count(row["createdAtMs"]),
        expiresAtMs: count(row["expiresAtMs"]),
      },
    ];
  });
  return { rows, total: Math.max(count(fields["total"]), rows.length) };
}

/** The answer of `timers.list`, the soonest first. */
export function parseTimers(payload: unknown): Timers {
  const fields = fieldsOf(payload);
  const rows = list(fields["timers"]).flatMap((value): TimerEntry[] => {
    const row = fieldsOf(value);
    const id = text(row["id"]);
    if (id === undefined) return [];
    const everyMs = time(row["everyMs"]);
    return [
      {
        id,
        agentId: text(row["agentId"]) ?? "",
        sessionKey: text(row["sessionKey"]) ?? "",
        name: text(row["name"]) ?? "",
        dueAtMs: count(row["dueAtMs"]),
        ...(everyMs === undefined ? {} : { everyMs }),
      },
    ];
  });
  return { rows, total: Math.max(count(fields["total"]), rows.length) };
}

/** What became of `runs.stop`, as a sentence. `what` is the agent's name, or "everything". */
export function describeStop(what: string, payload: unknown): string {
  const fields = fieldsOf(payload);
  const [running, waiting, ending] = [
    count(fields["active"]),
    count(fields["queued"]) + count(fields["backlog"]),
    count(fields["ending"]),
  ];
  if (running + waiting === 0) return `Stopped ${what}: nothing was under way.`;
  const rest = ending === 0 ? "" : ` ${ending} of them ${ending === 1 ? "is" : "are"} still ending.`;
  return `Stopped ${what}: ${running} running, ${waiting} waiting.${rest}`;
}

/** What became of `subagents.cancel`, as a sentence. */
export function describeCancel(payload: unknown): string {
  return fieldsOf(payload)["cancelled"] === 0 ? "The run had ended before." : "The run was cancelled.";
}

/** What became of `tasks.cancel`, as a sentence. */
export function describeTaskCancel(payload: unknown): string {
  const { cancelled, stillRunning, why, remedy } = fieldsOf(payload);
  if (stillRunning === true && typeof why === "string")
    return `The task is still running: ${why}.${typeof remedy === "string" ? ` What helps: ${remedy}.` : ""}`;
  if (stillRunning === true) return "The task was told to end, and is still running.";
  return cancelled === true ? "The task was cancelled." : "The task had ended before.";
}

/** What became of an approval, as a sentence. */
export function describeApproval(payload: unknown): string {
  const fields = fieldsOf(payload);
  const parts = [
    ...(count(fields["delivered"]) > 0 ? [`${messages(count(fields["delivered"]))} delivered`] : []),
    ...(count(fields["waiting"]) > 0 ? [`${messages(count(fields["waiting"]))} waiting for room`] : []),
    ...(count(fields["buried"]) > 0
      ? [`${messages(count(fields["buried"]))} not taken (${text(fields["why"]) ?? "no reason"})`]
      : []),
  ];
  return parts.length === 0 ? "Approved." : `Approved: ${parts.join(", ")}.`;
}

const messages = (n: number): string => `${n} ${n === 1 ? "message" : "messages"}`;

/** What the right lets an agent do with another; a verb that this page does not know stands for itself. */
export function describeRight(verb: string, to: string): string {
  return rights.get(verb)?.(to) ?? `use the right “${verb}” on ${to}`;
}

const rights: ReadonlyMap<string, (to: string) => string> = new Map([
  ["send", (to: string) => `write to ${to}`],
  ["request", (to: string) => `ask ${to} and wait for its answer`],
  ["list", (to: string) => `see the sessions of ${to}`],
  ["history", (to: string) => `read what was said in the sessions of ${to}`],
  ["spawn", (to: string) => `start sub-agents of ${to}`],
  ["steer", (to: string) => `redirect the runs of ${to}`],
  ["cancel", (to: string) => `end the runs of ${to}`],
]);
