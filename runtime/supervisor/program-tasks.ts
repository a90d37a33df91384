/**
 * What programs have asked of agents, and what came of it, as it stands: what waits or runs is in the journal, what was answered or
 * failed is in the session's transcript, what was stopped or never handled is a dead letter. Nothing is kept of a task beside that, so
 * a restart forgets none, and one whose session is gone is gone. A program finds its own alone, and none of an agent that it may not call.
 */
import type { ProgramConversation, ProgramTask, ProgramTaskQuery, ProgramTaskRef } from "../edge/port.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { abortedReason } from "../kernel/turns.ts";
import { formatSessionKey, parseSessionKey } from "../routing/index.ts";
import type { DeadLetterRow, SessionRow, Store, TranscriptRow } from "../store/port.ts";
import { accountOf, nameOf, type ProgramCalls } from "./program-calls.ts";
import type { Runs } from "./runs.ts";

export interface ProgramTasksDeps {
  readonly programs: Pick<ProgramCalls, "reach" | "sessionOf">;
  readonly store: Pick<Store, "accepted" | "turnRows" | "deadLetter" | "sessions" | "history">;
  readonly runs: Pick<Runs, "look">;
  /** Of what waits or runs, in memory. */
  readonly openOf: (agentId: string) => readonly EnvelopeHeader[];
  readonly nowMs: () => number;
}

export interface ProgramTasks {
  find(ref: ProgramTaskRef): Promise<ProgramTask | undefined>;
  list(query: ProgramTaskQuery): Promise<readonly ProgramTask[]>;
}

type State = ProgramTask["state"];
type Owner = Pick<ProgramTaskRef, "program" | "place" | "agentId">;
type About = Pick<ProgramTask, "sessionKey" | "conversation">;

export function makeProgramTasks({ programs, store, runs, openOf, nowMs }: ProgramTasksDeps): ProgramTasks {
  /** Of an envelope that the journal holds. */
  const openTask = ({ id, runId, acceptedAtMs }: EnvelopeHeader, about: About): ProgramTask => {
    const run = runs.look(runId);
    const result = run?.result;
    const stateNow = (): State => {
      if (result === undefined || result.status === "timeout")
        return { type: run?.isRunning === true ? "running" : "waiting", runId };
      // It has ended, and what tells so is on its way to the disk.
      const atMs = nowMs();
      return result.status === "ok" ? { type: "answered", atMs, reply: result.reply } : ended(atMs, result.refusal);
    };
    return { envelopeId: id, ...about, acceptedAtMs, state: stateNow() };
  };

  /** Those that have a transcript, the newest first. */
  const sessionsOf = async (owner: Owner): Promise<readonly About[]> => {
    const found = await Promise.all(
      prefixesOf(owner).map(async (prefix) => {
        const query = { agentIds: [owner.agentId], search: prefix, limit: limits.programTaskSessionsMax, offset: 0 };
        return (await store.sessions(query)).rows;
      }),
    );
    return found
      .flat()
      .toSorted((a: SessionRow, b: SessionRow) => b.updatedAtMs - a.updatedAtMs)
      .slice(0, limits.programTaskSessionsMax)
      .flatMap(({ key }) => aboutOf(key, owner));
  };

  return {
    async find(ref) {
      const { agentId, conversation, envelopeId } = ref;
      if (programs.reach(ref.program, agentId) === undefined) return undefined;
      const session = await programs.sessionOf(agentId, ref);
      if ("refusal" in session) return undefined;
      const about = { sessionKey: session.sessionKey, conversation };
      const isOwn = (header: EnvelopeHeader): boolean => header.sessionKey === about.sessionKey && isFrom(header, ref);
      // In this order an envelope that ends meanwhile is found in one of the places.
      const held = await store.accepted(envelopeId);
      if (held !== undefined && !isOwn(held)) return undefined;
      const [task] = tasksIn(await store.turnRows(agentId, about.sessionKey, envelopeId), ref, about);
      if (task !== undefined) return task;
      const letter = await store.deadLetter(envelopeId);
      if (letter === undefined) return held === undefined ? undefined : openTask(held, about);
      if (!isOwn(letter.header)) return undefined;
      return {
        envelopeId,
        ...about,
        acceptedAtMs: letter.header.acceptedAtMs,
        state: endOf(letter),
        said: saidIn(letter.body, letter.header.provenance),
      };
    },
    async list(query) {
      const { agentId, conversation } = query;
      if (programs.reach(query.program, agentId) === undefined) return [];
      const named =
        conversation === undefined ? undefined : await programs.sessionOf(agentId, { ...query, conversation });
      if (named !== undefined && "refusal" in named) return [];
      const tasks = new Map<string, ProgramTask>();
      for (const header of openOf(agentId)) {
        const [about] = isFrom(header, query) ? aboutOf(header.sessionKey, query) : [];
        if (about !== undefined && (named === undefined || named.sessionKey === about.sessionKey))
          tasks.set(header.id, openTask(header, about));
      }
      const sessions = named === undefined ? await sessionsOf(query) : aboutOf(named.sessionKey, query);
      let [rowsLeft, charsLeft] = [limits.programTaskRowsMax, limits.historyReadCharsMax as number];
      for (const about of sessions) {
        if (rowsLeft <= 0 || charsLeft <= 0) break;
        const { rows } = await store.history(agentId, about.sessionKey, rowsLeft, 0, charsLeft);
        rowsLeft -= rows.length;
        for (const { text } of rows) charsLeft -= text.length;
        for (const task of tasksIn(rows, query, about)) tasks.set(task.envelopeId, task);
      }
      return [...tasks.values()].toSorted((a, b) => changedAtMs(b) - changedAtMs(a) || compare(b, a));
    },
  };
}

export const changedAtMs = ({ state, acceptedAtMs }: ProgramTask): number =>
  "atMs" in state ? state.atMs : acceptedAtMs;

/** Ids of envelopes sort by time. */
const compare = (a: ProgramTask, b: ProgramTask): number => (a.envelopeId < b.envelopeId ? -1 : 1);

/** What keys of the program's conversations with the agent begin with. */
function prefixesOf({ program, place, agentId }: Owner): readonly string[] {
  const accountId = accountOf(program);
  const last = "x";
  return [
    formatSessionKey(agentId, {
      type: "dm",
      scope: "per-account-channel-peer",
      channel: place,
      accountId,
      peerId: last,
    }),
    formatSessionKey(agentId, { type: "hook", id: `${place}:${accountId}:${last}` }),
  ].map((key) => key.slice(0, -last.length));
}

/** None when the session is another program's, or none of a program. */
function aboutOf(sessionKey: string, { program, place, agentId }: Owner): readonly About[] {
  const parsed = parseSessionKey(sessionKey);
  if (parsed.shape !== "agent" || parsed.agentId !== agentId) return [];
  const { session } = parsed;
  const accountId = accountOf(program);
  const told = (conversation: ProgramConversation): readonly About[] => [{ sessionKey, conversation }];
  const head = `${place}:${accountId}:`;
  if (session.type === "hook" && session.id.startsWith(head))
    return told({ type: "new", id: session.id.slice(head.length) });
  if (session.type !== "dm" || session.scope !== "per-account-channel-peer") return [];
  const isOwn = session.channel === place && session.accountId === accountId && session.threadId === undefined;
  return isOwn ? told({ type: "user", user: session.peerId }) : [];
}

function isFrom({ from }: EnvelopeHeader, { program, place }: Owner): boolean {
  if (program.type === "operator") return from.type === "operator" && from.client === place;
  return from.type === "caller" && from.name === program.name;
}

/** Of the rows of one session, oldest first. */
function tasksIn(rows: readonly TranscriptRow[], { program, place }: Owner, about: About): readonly ProgramTask[] {
  const name = nameOf(program, place);
  const turns = Map.groupBy(rows, ({ envelopeId }) => envelopeId);
  return rows.flatMap(({ envelopeId, role, text, provenance, failure, atMs: acceptedAtMs }): ProgramTask[] => {
    const isOwn =
      role === "user" &&
      provenance?.kind === "external_user" &&
      provenance.sourceChannel === place &&
      provenance.accountId === name;
    if (!isOwn) return [];
    const own = turns.get(envelopeId) ?? [];
    const atMs = own.at(-1)?.atMs ?? acceptedAtMs;
    const reply = own.findLast((row) => row.role === "assistant")?.text ?? null;
    const state: State = failure === undefined ? { type: "answered", atMs, reply } : ended(atMs, failure as Refusal);
    return [{ envelopeId, ...about, acceptedAtMs, state, said: saidIn(text, provenance) }];
  });
}

function saidIn(text: string, provenance: EnvelopeHeader["provenance"]): NonNullable<ProgramTask["said"]> {
  const { messageId } = provenance.kind === "external_user" ? provenance : {};
  return { text, ...(messageId === undefined ? {} : { messageId }) };
}

const rightCodes: ReadonlySet<string> = new Set(["CLOISTER_CAPABILITY_DENIED", "CLOISTER_CAPABILITY_REVOKED"]);

function ended(atMs: number, failure: Refusal): State {
  const isRefused = rightCodes.has(failure.code);
  const type = failure.code === "CLOISTER_ASK_ABORTED" ? "stopped" : isRefused ? "refused" : "failed";
  return { type, atMs, failure };
}

/** Of a letter its fate is known, and not the code that whoever waited heard. */
function endOf({ fate, reason, atMs }: DeadLetterRow): State {
  const isStopped = fate === "dropped" && (reason === abortedReason || reason.startsWith("the run was stopped"));
  const code = isStopped
    ? "CLOISTER_ASK_ABORTED"
    : fate === "refused"
      ? "CLOISTER_CAPABILITY_REVOKED"
      : fate === "unhandled"
        ? "CLOISTER_MESSAGE_UNHANDLED"
        : "CLOISTER_AGENT_FAILED";
  return ended(atMs, { code, message: isStopped ? "the run was stopped" : reason });
}
