/**
 * The events `agent` and `task`, which existing clients follow beside `chat`: made here from the beginning of a turn and its chat events, so
 * that the kernel's side tells each thing once. Order of one run, as recorded with the peer:
 *
 *     task running → agent lifecycle start → (agent assistant → chat delta)* → agent lifecycle end → chat final → task ended
 *
 * A turn that is handled again begins again. `agent assistant` has all text so far where `chat delta` has it. `seq` counts the `agent` events of one run from 1.
 */
import type { ChatEvent, RunBegan } from "./port.ts";
import type { StreamPart } from "./streams.ts";

interface Follow {
  readonly run: RunBegan;
  seq: number;
}

export interface RunEvents {
  began(run: RunBegan): void;
  chat(event: ChatEvent, part: StreamPart): void;
}

export function makeRunEvents(
  now: () => number,
  tell: (event: "agent" | "chat" | "task", payload: object, part?: StreamPart) => void,
): RunEvents {
  /** Runs that began and have not ended: no more than turns run. */
  const follows = new Map<string, Follow>();

  const tellAgent = (follow: Follow, stream: "assistant" | "lifecycle", data: object, part?: StreamPart): void => {
    const { runId, sessionKey, agentId } = follow.run;
    follow.seq += 1;
    tell("agent", { runId, sessionKey, agentId, stream, data, seq: follow.seq, ts: now() }, part);
  };

  return {
    began: (run) => {
      const follow: Follow = { run, seq: 0 };
      follows.set(run.runId, follow);
      tell("task", { action: "upserted", task: taskOf(run, run.startedAt, { status: "running" }) });
      tellAgent(follow, "lifecycle", { phase: "start", startedAt: run.startedAt });
    },
    chat: (event, part) => {
      const follow = follows.get(event.runId);
      if (follow === undefined) return tell("chat", event, part);
      const { state, deltaText = "", message, errorMessage } = event;
      if (state === "delta") {
        const whole = message === undefined ? {} : { text: message.content[0].text };
        tellAgent(follow, "assistant", { ...whole, delta: deltaText }, part);
        return tell("chat", event, part);
      }
      follows.delete(event.runId);
      const [startedAt, endedAt] = [follow.run.startedAt, now()];
      const failed = errorMessage === undefined ? {} : { error: errorMessage };
      const phase = state === "error" ? "error" : "end";
      const stopReason = event.stopReason ?? state;
      const data = { phase, startedAt, endedAt, aborted: state === "aborted", stopReason, ...failed };
      tellAgent(follow, "lifecycle", data);
      tell("chat", event, part);
      tell("task", { action: "upserted", task: taskOf(follow.run, endedAt, { ...ends[state], endedAt }) });
    },
  };
}

const ends = {
  final: { status: "completed", terminalSummary: "completed" },
  aborted: { status: "cancelled", terminalSummary: "stopped" },
  error: { status: "failed", terminalSummary: "failed" },
} as const;

interface TaskState {
  readonly status: string;
  readonly terminalSummary?: string;
  readonly endedAt?: number;
}

function taskOf(run: RunBegan, updatedAt: number, state: TaskState) {
  const { runId, sessionKey, agentId, acceptedAt, startedAt } = run;
  return {
    id: runId,
    taskId: runId,
    kind: "cli",
    runtime: "cli",
    execution: { state: state.status === "running" ? "running" : "finished" },
    title: sessionKey,
    agentId,
    sessionKey,
    childSessionKey: sessionKey,
    ownerKey: sessionKey,
    hasTranscript: true,
    runId,
    sourceId: runId,
    createdAt: acceptedAt,
    updatedAt,
    startedAt,
    deliveryStatus: "not_applicable",
    ...state,
  };
}
