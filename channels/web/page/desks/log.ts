/** The gateway's log as it grows: read in pieces with the cursor of the answer before, and bounded by what is kept here. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { noJob, type Timers } from "../client.ts";
import { count, type Fields, fieldsOf, list, text } from "../wire.ts";
import type { DeskDeps } from "./desk.ts";

export const logLevels = ["debug", "info", "warn", "error", "fatal"] as const;

export interface LogRecord {
  /** Counts what was read here. */
  readonly id: number;
  readonly time: string;
  readonly level: string;
  readonly message: string;
  /** What else it says, as JSON; empty when there is nothing. */
  readonly about: string;
}

export interface LogState {
  /** Oldest first. */
  readonly records: readonly LogRecord[];
  readonly isFollowing: boolean;
  /** The lowest that is shown. */
  readonly level: string;
  readonly filter: string;
  /** What has been lost between two readings, or why the last one failed. */
  readonly note: string | undefined;
}

export interface LogDesk {
  readonly state: ReadonlySignal<LogState>;
  /** Somebody looks at it, or nobody does any more: only then it is read. */
  readonly look: (isShown: boolean) => void;
  readonly follow: (isFollowing: boolean) => void;
  readonly choose: (change: Partial<Pick<LogState, "level" | "filter">>) => void;
  readonly clear: () => void;
}

/** What is kept, oldest ones first to go: some screens of scrolling, and no more memory for however long it is followed. */
export const recordsMax = 1_000;
const everyMs = 1_000;

export function openLog({ request, isReady }: DeskDeps, timers: Timers): LogDesk {
  const state = signal<LogState>({ records: [], isFollowing: true, level: "info", filter: "", note: undefined });
  const set = (change: Partial<LogState>): void => {
    state.value = { ...state.value, ...change };
  };
  let cursor: number | undefined;
  let next = 0;
  let isShown = false;
  let isReading = false;
  let cancel = noJob;

  const read = async (): Promise<void> => {
    cancel();
    if (isReading || !isShown) return;
    isReading = true;
    const reply = isReady() ? await request("logs.tail", cursor === undefined ? {} : { cursor }) : undefined;
    isReading = false;
    let isBehind = false;
    if (reply !== undefined && !reply.ok) set({ note: `The log could not be read: ${reply.error.message}` });
    if (reply?.ok === true) {
      const answer = fieldsOf(reply.payload);
      const records = list(answer["lines"]).flatMap((line) => parseRecord(line, ++next));
      isBehind = cursor !== undefined && answer["truncated"] === true && answer["cursor"] !== cursor;
      cursor = count(answer["cursor"]);
      set({
        records: [...state.value.records, ...records].slice(-recordsMax),
        note: answer["reset"] === true ? "Some records are missing here: the log was rotated twice." : undefined,
      });
    }
    if (isShown && state.value.isFollowing) cancel = timers.after(isBehind ? 0 : everyMs, () => void read());
  };

  return {
    state,
    look(shown) {
      isShown = shown;
      if (shown) void read();
      else cancel();
    },
    follow(isFollowing) {
      set({ isFollowing });
      if (isFollowing) void read();
      else cancel();
    },
    choose: set,
    clear: () => set({ records: [] }),
  };
}

/** A line that is no record is shown as it is. */
function parseRecord(line: unknown, id: number): readonly LogRecord[] {
  if (typeof line !== "string") return [];
  const { time, level, message, ...about } = fieldsOf(parse(line));
  if (text(message) === undefined) return [{ id, time: "", level: "info", message: line, about: "" }];
  return [
    {
      id,
      time: text(time) ?? "",
      level: text(level) ?? "info",
      message: text(message) ?? "",
      about: describe(about),
    },
  ];
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The process is the same for all of them. */
function describe({ pid: _pid, hostname: _hostname, ...about }: Fields): string {
  return Object.keys(about).length === 0 ? "" : JSON.stringify(about);
}

/** Those that are shown. */
export function chosenRecords({ records, level, filter }: LogState): readonly LogRecord[] {
  const lowest = rankOf(level);
  const wanted = filter.trim().toLowerCase();
  return records.filter(
    (record) =>
      rankOf(record.level) >= lowest &&
      (wanted === "" || `${record.message} ${record.about}`.toLowerCase().includes(wanted)),
  );
}

/** `trace`, and what is not known, comes before all. */
const rankOf = (level: string): number => (logLevels as readonly string[]).indexOf(level);
