/**
 * Runs as clients follow them: what streams, how they end, who waits. In memory and bounded; what must last is in the store.
 */
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { ChatEvent, Flow, GatewayEvent, RunResult } from "../edge/port.ts";

/** Ended runs that are remembered, so that somebody who asks late still hears the end. */
const endedRunsMax = 10_000;
/** Asks that somebody who looks is shown beside those that wait: the last that were answered, as long as there are few. */
const flowsMax = 50;

/** What a flow is made of when somebody looks. */
type ToldFlow = Omit<Flow, "fromAgent" | "toAgent">;

interface Run {
  /** A turn has begun with it. */
  isRunning: boolean;
  readonly waiters: ((result: RunResult) => void)[];
  result: RunResult | undefined;
}

/** What clients are told of a run beside its events. */
type Followed = Pick<EnvelopeHeader, "runId" | "sessionKey" | "agentId" | "provenance">;

/** Hears of the turns of all runs. */
export interface RunFollower {
  began?(header: EnvelopeHeader): void;
  streamed?(header: EnvelopeHeader, text: string): void;
  /** Its turn asks for a tool: what it has written so far is whole. */
  called?(header: EnvelopeHeader, tool: string): void;
  ended?(header: EnvelopeHeader, outcome: Outcome): void;
}

export interface Runs {
  /** From now on, for as long as the process lives. */
  follow(follower: RunFollower): void;
  opened(runId: string): void;
  /** A run that ended begins anew, under its id: who waits from here on hears the new end. */
  reopened(runId: string): void;
  /** Its envelope went to a backlog on the disk: it is forgotten, unless somebody waits for it. */
  shelved(runId: string): void;
  /** So many of before this process are in a backlog. */
  shelvedBefore(count: number): void;
  /** Its envelope is in memory again. */
  unshelved(runId: string): void;
  /** Its turn begins, or begins anew. */
  began(header: EnvelopeHeader): void;
  streamed(header: EnvelopeHeader, seq: number, delta: string): void;
  called(header: EnvelopeHeader, tool: string): void;
  /** `inMemory`: of a message in memory, whose asker has heard it; it is told to clients and not remembered. */
  ended(header: EnvelopeHeader, seq: number, outcome: Outcome, aborted: boolean, inMemory?: boolean): void;
  /** The gateway itself answered (a chat command): no turn, no transcript. */
  answered(about: Followed, text: string): void;
  /** An outcome that was found in the store for a run of before. */
  recalled(runId: string, outcome: Outcome): void;
  knows(runId: string): boolean;
  /** How a run stands; undefined: this process knows none of this id, or ended it too long ago. */
  look(runId: string): { readonly isRunning: boolean; readonly result: RunResult | undefined } | undefined;
  wait(runId: string, timeoutMs: number): Promise<RunResult>;
  flow(envelopeId: string, fromSession: string, toSession: string, state: Flow["state"]): void;
  /** The last that were answered, then those that wait, oldest first and no more than `limits.openFlowsListMax`; how many wait. */
  readonly flows: { readonly flows: readonly Flow[]; readonly openTotal: number; readonly truncated: boolean };
}

export function makeRuns(
  publish: (event: GatewayEvent) => void,
  agentOf: (sessionKey: string) => string,
  nowMs: () => number,
  /** Hears of an end before whoever waits for it. */
  onEnded: (header: EnvelopeHeader, outcome: Outcome) => void = () => undefined,
  onBegan: (header: EnvelopeHeader) => void = () => undefined,
  /** Whether events of asks are wanted. */
  isHeard: () => boolean = () => true,
): Runs {
  const runs = new Map<string, Run>();
  /** A ring: an array from whose head one is taken for each that comes is moved as a whole each time. */
  const ended = Array.from<string | undefined>({ length: endedRunsMax });
  let nextEnded = 0;
  /** Asks that wait, as many as there may be, and the last ones that were answered; each oldest first. */
  const openFlows = new Map<string, ToldFlow>();
  const doneFlows = new Array<ToldFlow>();
  let nextDone = 0;
  const followers: RunFollower[] = [];
  /** Runs that are not remembered, of which some may be asked for. */
  let shelved = 0;

  const find = (runId: string): Run => {
    let run = runs.get(runId);
    if (run === undefined) {
      run = { isRunning: false, waiters: [], result: undefined };
      runs.set(runId, run);
    }
    return run;
  };

  const finish = (runId: string, result: RunResult): void => {
    const run = find(runId);
    if (run.result === undefined) {
      const oldest = ended[nextEnded];
      if (oldest !== undefined) runs.delete(oldest);
      ended[nextEnded] = runId;
      nextEnded = (nextEnded + 1) % endedRunsMax;
    }
    run.result = result;
    for (const waiter of run.waiters.splice(0)) waiter(result);
  };

  const flowOf = ({ id, fromSession, toSession, state, atMs }: ToldFlow): Flow => {
    return { id, fromAgent: agentOf(fromSession), toAgent: agentOf(toSession), fromSession, toSession, state, atMs };
  };

  const chat = (header: Followed, event: Omit<ChatEvent, "runId" | "sessionKey" | "agentId" | "provenance">): void => {
    const { provenance } = header;
    const from =
      provenance.kind === "inter_session"
        ? { provenance: { kind: provenance.kind, sourceSessionKey: provenance.sourceSessionKey } }
        : {};
    publish({
      event: "chat",
      payload: { runId: header.runId, sessionKey: header.sessionKey, agentId: header.agentId, ...event, ...from },
    });
  };
  const assistant = (text: string) => ({
    role: "assistant" as const,
    content: [{ type: "text" as const, text }] as const,
    timestamp: nowMs(),
  });

  const tellAnswer = (header: Followed, seq: number, reply: string | null): void => {
    const message = reply === null ? {} : { message: assistant(reply) };
    chat(header, { seq, state: "final", stopReason: "stop", ...message });
  };

  return {
    follow: (follower) => void followers.push(follower),
    opened: (runId) => void find(runId),
    reopened(runId) {
      const run = find(runId);
      if (run.result === undefined) return;
      run.isRunning = false;
      run.result = undefined;
      ended[ended.indexOf(runId)] = undefined;
    },
    shelved(runId) {
      shelved++;
      const run = runs.get(runId);
      if (run?.result === undefined && run?.waiters.length === 0) runs.delete(runId);
    },
    shelvedBefore: (count) => void (shelved += count),
    unshelved(runId) {
      shelved = Math.max(0, shelved - 1);
      find(runId);
    },
    began(header) {
      const { runId, sessionKey, agentId, acceptedAtMs } = header;
      const run = runs.get(runId);
      if (run !== undefined) run.isRunning = true;
      onBegan(header);
      for (const follower of followers) follower.began?.(header);
      publish({ event: "run", payload: { runId, sessionKey, agentId, acceptedAt: acceptedAtMs, startedAt: nowMs() } });
    },
    streamed(header, seq, delta) {
      for (const follower of followers) follower.streamed?.(header, delta);
      chat(header, { seq, state: "delta", deltaText: delta });
    },
    called(header, tool) {
      for (const follower of followers) follower.called?.(header, tool);
    },
    ended(header, seq, outcome, aborted, inMemory = false) {
      onEnded(header, outcome);
      for (const follower of followers) follower.ended?.(header, outcome);
      if (outcome.status === "error") {
        chat(
          header,
          aborted
            ? { seq, state: "aborted", stopReason: "rpc" }
            : { seq, state: "error", errorMessage: outcome.message },
        );
      } else tellAnswer(header, seq, outcome.status === "ok" ? outcome.text : null);
      if (!inMemory) finish(header.runId, resultOf(header.runId, outcome));
    },
    answered(about, text) {
      tellAnswer(about, 1, text);
      finish(about.runId, { status: "ok", runId: about.runId, reply: text });
    },
    recalled: (runId, outcome) => finish(runId, resultOf(runId, outcome)),
    knows: (runId) => runs.has(runId),
    look: (runId) => runs.get(runId),
    wait(runId, timeoutMs) {
      const wasKnown = runs.has(runId);
      const run = shelved > 0 ? find(runId) : runs.get(runId);
      if (run === undefined) {
        return Promise.resolve({
          status: "error",
          runId,
          refusal: {
            code: "CLOISTER_REQUEST_INVALID",
            message: `no run has the id ${runId}, or it ended too long ago`,
            remedy: "read the session's history",
          },
        });
      }
      if (run.result !== undefined) return Promise.resolve(run.result);
      return new Promise((resolve) => {
        const waiter = (result: RunResult): void => {
          clearTimeout(timer);
          resolve(result);
        };
        const timer = setTimeout(() => {
          run.waiters.splice(run.waiters.indexOf(waiter), 1);
          if (shelved > 0 && run.waiters.length === 0 && !wasKnown) runs.delete(runId);
          resolve({ status: "timeout", runId });
        }, timeoutMs);
        // Whoever waits hears that the gateway ends by the end of its connection.
        timer.unref();
        run.waiters.push(waiter);
      });
    },
    flow(envelopeId, fromSession, toSession, state) {
      const flow: ToldFlow = { id: envelopeId, fromSession, toSession, state, atMs: nowMs() };
      if (state === "open") {
        if (openFlows.size >= limits.asksMax) return;
        openFlows.set(envelopeId, flow);
      } else {
        doneFlows[nextDone] = flow;
        nextDone = (nextDone + 1) % flowsMax;
        // Of a question in memory that was answered at once nobody has heard.
        if (!openFlows.delete(envelopeId)) return;
      }
      if (isHeard()) publish({ event: "flow", payload: flowOf(flow) });
    },
    get flows() {
      const answered = [...doneFlows.slice(nextDone), ...doneFlows.slice(0, nextDone)];
      const done = answered.slice(answered.length - Math.max(0, flowsMax - openFlows.size));
      const open = Array.from(openFlows.values()).slice(0, limits.openFlowsListMax);
      return {
        flows: [...done, ...open].map(flowOf),
        openTotal: openFlows.size,
        truncated: open.length < openFlows.size,
      };
    },
  };
}

function resultOf(runId: string, outcome: Outcome): RunResult {
  return outcome.status === "error"
    ? { status: "error", runId, refusal: { code: outcome.code, message: outcome.message } as Refusal }
    : { status: "ok", runId, reply: outcome.status === "ok" ? outcome.text : null };
}
