/**
 * Sub-agent runs while they live. A run is an entry of its own beside the agents, with a cell of its own and one session,
 * `agent:<target>:subagent:<id>`; it goes when its end is durable. What is durable of it: `run-rows.ts`.
 *
 *   storing ──stored──► waiting ⇄ working ──nothing left to do, or an end from outside──► ending ──► reporting ──stored──► over
 *
 * A run has nothing left to do when it has no mail, no turn and no child whose completion it expects; one that stays for what is said
 * in its session waits for that instead. Its rights are derived from
 * its requester's (`attenuate`) and go with it; what it may use up is taken from every run above it as well.
 */
import { judge, makeEnvelope, enqueue } from "./admit.ts";
import { makeEntry } from "./agent-entry.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { chainOf, closeInChain, noteChainEnd } from "./chains.ts";
import { appendBegins, appendEnds, release } from "./depth.ts";
import type { Envelope, ReplyRoute, TaskFiles, Verb } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import { attenuate, type Budget, coversVerb, type Pairing } from "./pairings.ts";
import { cancelRun, forgetRun } from "./run-ends.ts";
import { runLane } from "./run-lane.ts";
import { noteRun } from "./run-notes.ts";
import { runsAbove, treeOf } from "./run-tree.ts";
import type { RunRow } from "./run-rows.ts";
import type { LiveRun } from "./live-run.ts";
import type { AgentEntry, Effect, KernelState } from "./state.ts";
import { defaultSupervision } from "./supervision.ts";

export interface SpawnRequest
  extends Pick<
    RunRow,
    | "agentId"
    | "sessionKey"
    | "task"
    | "label"
    | "taskName"
    | "choices"
    | "cleanup"
    | "context"
    | "announce"
    | "detached"
    | "archiveAfterMs"
    | "attachments"
  > {
  readonly runId: string;
  readonly body: string;
  /** 0: none beside that of the runs above. */
  readonly timeoutMs: number;
  readonly depthMax: number;
  readonly childrenMax: number;
  /** Tools of the child where the tree goes on below it, and at the bound on depth; as far as the requester has them. */
  readonly tools: (depth: number) => readonly string[];
  readonly budget: Budget;
  readonly clamp: "none" | "all";
  /** It stays for what is said in its session (`LiveRun.stays`). */
  readonly stays: boolean;
  /** Where its answer to the task goes beside its requester; absent: nowhere. */
  readonly answersBy?: ReplyRoute;
}

/** What is to be stored before the run begins (`spawned`), or must not be (`notSpawned`). */
export interface Spawn {
  readonly run: RunRow;
  readonly envelope: Envelope;
}

/** Whether the session's run takes what is said to it: it has begun, and its end is not decided. */
export function runTakesMail(k: KernelState, sessionKey: string): boolean {
  const run = k.runs.get(sessionKey)?.run;
  return run?.phase === "alive" && run.end === undefined;
}

/** Nothing more will be said in its session: it ends when it has nothing left to do. */
export function letRunEnd(k: KernelState, sessionKey: string): void {
  const entry = k.runs.get(sessionKey);
  if (entry?.run === undefined) return;
  entry.run.stays = false;
  noteRun(k, entry);
}

/** The entry that handles the mail of a session: its live run, else its agent. */
export function entryOf(k: KernelState, sessionKey: string): AgentEntry | undefined {
  return k.runs.get(sessionKey) ?? k.agents.get(agentOfKey(sessionKey) ?? "");
}

/** Sessions between this one and the root, the nearest first; none for a session that nobody spawned. */
export function lineageOf(k: KernelState, sessionKey: string): readonly string[] {
  return k.runs.get(sessionKey)?.run?.row.lineage ?? [];
}

export function childrenOf(k: KernelState, sessionKey: string): readonly AgentEntry[] {
  return [...(k.children.get(sessionKey) ?? [])];
}

/** The checks that need what lives, in the order of behaviour §3.5, and the place of the run in the books. */
export function spawn(
  k: KernelState,
  call: Extract<Effect, { type: "call" }>,
  request: SpawnRequest,
  nowMs: number,
): Spawn | Refusal {
  const parent = k.agents.get(call.agentId);
  const turn = parent?.turns.get(call.turn);
  if (parent === undefined || turn === undefined || turn.stage !== "delivered" || turn.mail.aborted)
    return { code: "CLOISTER_ASK_ABORTED", message: "the turn that called sessions_spawn is over" };
  if (turn.mail.volatile)
    return {
      code: "CLOISTER_REQUEST_INVALID",
      message: "a message in memory starts no sub-agent: its result would have nobody to go to",
      remedy: "send it durably",
    };
  const { header } = turn.mail.envelope;
  const lineage = [header.sessionKey, ...lineageOf(k, header.sessionKey)];
  const full = whyNoMoreRuns(k, parent, header.sessionKey, lineage.length, request);
  if (full !== undefined) return full;
  const deadlineMs = earliest(
    request.timeoutMs > 0 ? nowMs + request.timeoutMs : undefined,
    parent.run?.row.deadlineMs,
  );
  const pairing = deriveRights(k, parent, request, lineage.length, deadlineMs);
  if ("code" in pairing) return pairing;
  const isHeard = parent.run === undefined || parent.run.stays;
  const replyRoute: ReplyRoute = isHeard ? header.replyRoute : { type: "none" };
  const run: RunRow = {
    id: request.runId,
    agentId: request.agentId,
    sessionKey: request.sessionKey,
    ownerAgentId: header.agentId,
    requesterSessionKey: header.sessionKey,
    requesterRunId: header.runId,
    lineage,
    replyRoute,
    trace: header.trace,
    task: request.task,
    ...(request.label === undefined ? {} : { label: request.label }),
    ...(request.taskName === undefined ? {} : { taskName: request.taskName }),
    ...(request.choices === undefined ? {} : { choices: request.choices }),
    cleanup: request.cleanup,
    context: request.context,
    announce: request.announce,
    detached: request.detached,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    archiveAfterMs: request.archiveAfterMs,
    ...(request.attachments === undefined ? {} : { attachments: request.attachments }),
    createdAtMs: nowMs,
  };
  const entry = open(k, run, pairing, request);
  const admission = {
    from: { type: "agent", agentId: header.agentId, sessionKey: header.sessionKey },
    agentId: request.agentId,
    sessionKey: request.sessionKey,
    verb: "send",
    lane: runLane,
    via: pairing.id,
    ...chainOf(k, header),
    runId: run.id,
    provenance: {
      kind: "inter_session",
      sourceSessionKey: header.sessionKey,
      sourceChannel: "internal",
      sourceTool: "sessions_spawn",
    },
    replyRoute: request.answersBy ?? { type: "none" },
    body: request.body,
    signal: { type: "spawned", runId: run.id, depth: lineage.length, ...toldOf(request.attachments) },
  } as const;
  const refusal = judge(k, admission, nowMs);
  if (refusal !== undefined) {
    noteChainEnd(k, admission, refusal);
    forgetRun(k, entry);
    return refusal;
  }
  for (const above of runsAbove(k, lineage)) takeOne(above, "children");
  appendBegins(k, entry, run.sessionKey, request.body);
  k.emit({
    type: "audit",
    event: "spawn",
    subject: header.sessionKey,
    object: run.sessionKey,
    verb: "spawn",
    decision: "allowed",
    trace: header.trace,
    detail: run.id,
  });
  const envelope = makeEnvelope(k, admission, nowMs);
  const { chainStamp } = envelope.header;
  const stamped = chainStamp === undefined ? run : { ...run, chainStamp };
  if (entry.run !== undefined) entry.run.row = stamped;
  return { run: stamped, envelope };
}

function toldOf(attachments: RunRow["attachments"]): { readonly attachments?: TaskFiles } {
  if (attachments === undefined) return {};
  const { isKept: _, workspace: _workspace, ...told } = attachments;
  return { attachments: told };
}

export function whyNoMoreRuns(
  k: KernelState,
  parent: AgentEntry,
  sessionKey: string,
  depth: number,
  { depthMax, childrenMax }: Pick<SpawnRequest, "depthMax" | "childrenMax">,
): Refusal | undefined {
  const { runsMax } = k.settings.limits;
  if (parent.run !== undefined && parent.run.end !== undefined)
    return { code: "CLOISTER_ASK_ABORTED", message: "the run that called sessions_spawn is ending" };
  if (depth > depthMax)
    return {
      code: "CLOISTER_SPAWN_LIMIT",
      message: `sessions_spawn is not allowed at this depth (current depth: ${depth - 1}, max: ${depthMax})`,
      remedy: "agents.defaults.subagents.maxSpawnDepth, at most 5",
    };
  const active = k.children.get(sessionKey)?.size ?? 0;
  if (active >= childrenMax)
    return {
      code: "CLOISTER_SPAWN_LIMIT",
      message: `sessions_spawn has reached max active children for this session (${active}/${childrenMax})`,
      remedy: "wait for one to end, or agents.defaults.subagents.maxChildrenPerAgent, at most 20",
    };
  if (k.runs.size >= runsMax)
    return {
      code: "CLOISTER_BUSY",
      message: `${k.runs.size} sub-agent runs are under way in the whole gateway; the bound is reached`,
      retryAfterMs: 1_000,
    };
  return undefined;
}

/** The child's rights: tools that its requester may hand on, within what is left of the requester's budget. */
function deriveRights(
  k: KernelState,
  parent: AgentEntry,
  request: SpawnRequest,
  depth: number,
  deadlineMs: number | undefined,
): Pairing | Refusal {
  const held = k.pairings.find(subjectOf(parent), "tool:sessions_spawn", "gateway");
  if (held === undefined)
    return { code: "CLOISTER_CAPABILITY_DENIED", message: `${parent.spec.id} holds no capability to spawn` };
  const delegable = held.delegable ?? [];
  const verbs: readonly Verb[] = ["model", ...request.tools(depth).map((tool): Verb => `tool:${tool}`)];
  const inherited = verbs.filter((verb) => coversVerb(delegable, verb));
  const spent = whichIsSpent(k, treeOf(k, parent), "children");
  if (spent !== undefined) return overBudget(spent, "children");
  const left = parent.run?.left;
  const pairing = attenuate(left === undefined ? held : { ...held, budget: { ...held.budget, ...left } }, {
    id: `spawn:${request.runId}`,
    subject: entryId(request.runId),
    object: "gateway",
    verbs: inherited,
    delegable: inherited,
    ...(deadlineMs === undefined ? {} : { untilMs: deadlineMs }),
    budget: request.budget,
  });
  // Below the root's, so that what a run started outlives its end; who cancels a run cancels what is below it (`run-ends.ts`).
  return "code" in pairing || held.parent === undefined ? pairing : { ...pairing, parent: held.parent };
}

export function entryId(runId: string): string {
  return `run:${runId}`;
}

/** Under what the rights of an entry are recorded. */
export function subjectOf({ spec, run }: Pick<AgentEntry, "spec" | "run">): string {
  return run === undefined ? `agent:${spec.id}` : spec.id;
}

function open(k: KernelState, row: RunRow, pairing: Pairing, request: SpawnRequest): AgentEntry {
  const entry = makeEntry({
    id: entryId(row.id),
    maxConcurrent: 1,
    clamp: request.clamp,
    supervision: defaultSupervision(k.settings.limits),
  });
  const { tokens, toolCalls, children, costNanos } = pairing.budget ?? {};
  entry.run = {
    row,
    pairingId: pairing.id,
    left: {
      ...(tokens === undefined ? {} : { tokens }),
      ...(toolCalls === undefined ? {} : { toolCalls }),
      ...(children === undefined ? {} : { children }),
      ...(costNanos === undefined ? {} : { costNanos }),
    },
    phase: "storing",
    stays: request.stays,
    holdsPlace: false,
    startedAtMs: undefined,
    sessionId: undefined,
    result: undefined,
    progress: "",
    toolCalls: 0,
    tokens: undefined,
    treeTokens: 0,
    treeCostNanos: 0,
    end: undefined,
    retryAtMs: 0,
  } satisfies LiveRun;
  k.pairings.add(pairing);
  k.agents.set(entry);
  k.runs.set(row.sessionKey, entry);
  const siblings = k.children.get(row.requesterSessionKey);
  if (siblings === undefined) k.children.set(row.requesterSessionKey, new Set([entry]));
  else siblings.add(entry);
  return entry;
}

/** The run and its task are stored: it waits for a place. */
export function spawned(k: KernelState, { run, envelope }: Spawn, nowMs: number): void {
  const entry = k.runs.get(run.sessionKey);
  if (entry?.run === undefined) return;
  appendEnds(k, entry, envelope.body);
  entry.run.phase = "alive";
  enqueue(k, entry, envelope.header, 0, nowMs);
  // It was ended from outside while the store wrote.
  if (entry.run.end !== undefined) cancelRun(k, entry, entry.run.end, nowMs);
}

/** The store did not take it, or knew the call: nothing of the run is left. */
export function notSpawned(k: KernelState, { run, envelope }: Spawn): void {
  const entry = k.runs.get(run.sessionKey);
  if (entry?.run === undefined) return;
  appendEnds(k, entry, envelope.body);
  closeInChain(k, envelope.header);
  release(entry, run.sessionKey);
  forgetRun(k, entry);
}

/** Takes one from what is left of the run and of every run above it; the refusal when one of them has none left. */
export function useBudget(k: KernelState, entry: AgentEntry, kind: "toolCalls" | "children"): Refusal | undefined {
  if (entry.run === undefined) return undefined;
  const tree = treeOf(k, entry);
  const spent = whichIsSpent(k, tree, kind);
  if (spent !== undefined) return overBudget(spent, kind);
  for (const run of tree) takeOne(run, kind);
  return undefined;
}

function whichIsSpent(
  _k: KernelState,
  tree: readonly AgentEntry[],
  kind: "toolCalls" | "children",
): AgentEntry | undefined {
  return tree.find(({ run }) => run !== undefined && (run.left[kind] ?? 1) <= 0);
}

function overBudget({ run }: AgentEntry, kind: "toolCalls" | "children"): Refusal {
  return {
    code: "CLOISTER_BUDGET_SPENT",
    message: `the budget of ${kind} of ${run?.row.sessionKey ?? "the run"} is used up`,
    remedy: `answer with what there is, or spawn with a larger budget.${kind}`,
  };
}

function takeOne({ run }: AgentEntry, kind: "toolCalls" | "children"): void {
  const left = run?.left[kind];
  if (run !== undefined && left !== undefined) run.left = { ...run.left, [kind]: left - 1 };
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b);
}
