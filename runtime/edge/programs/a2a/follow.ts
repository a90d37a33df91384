/**
 * Waits for the end of a task, for one request of a client. Who goes ends its own stream and nothing else. When its token is taken back,
 * or the gateway ends, the request ends with that; the run is stopped in the first case, as that of any other call.
 */
import type { StreamResponse } from "@a2a-js/sdk";
import { fromRefusal, type Refusal } from "../../../kernel/errors.ts";
import type { ProgramTask } from "../../port.ts";
import type { Exchange } from "../../route.ts";
import { type CallDeps, subjectOf } from "../call.ts";
import { makeAnswerChunks } from "./answer-chunks.ts";
import { type EventQueue, makeEventQueue } from "../../../thread/event-queue.ts";
import { artifactOf, idsOf, isOver, type Names, statusOf, taskOf, type TaskParts } from "./tasks.ts";

export interface Followed extends Pick<ProgramTask, "envelopeId" | "sessionKey" | "conversation"> {
  readonly runId: string;
}

export interface FollowDeps extends Pick<CallDeps, "kernel" | "door" | "bounds" | "listeners" | "log"> {
  readonly names: Names;
  /** How the task stands now; undefined: it is gone. */
  find(followed: Followed): Promise<ProgramTask | undefined>;
}

interface Place {
  /** Undefined: it was left before the end. Throws the refusal that ended it. */
  waitEnd(followed: Followed, isEndless: boolean): Promise<ProgramTask | undefined>;
  leave(): void;
}

/** Takes a place among the calls that wait; throws when there is none. */
export function enterPlace({ request, response }: Exchange, deps: FollowDeps): Place {
  const { kernel, door, bounds, log } = deps;
  const left = Promise.withResolvers<Refusal | "gone">();
  const leaveDoor = door.enter(request, (why) => left.resolve(why));
  const gone = (): void => left.resolve("gone");
  response.once("close", gone);
  return {
    async waitEnd(followed, isEndless) {
      const { runId, sessionKey } = followed;
      while (true) {
        const over = await Promise.race([kernel.waitRun(runId, bounds.programWaitMs), left.promise]);
        if (over === "gone") return undefined;
        if ("code" in over) {
          if (over.code !== "CLOISTER_GATEWAY_DRAINING")
            await kernel
              .stopCall(sessionKey, runId, subjectOf({ program: door.programOf(request) }))
              .catch((error: unknown) => log("warn", "a run could not be stopped", { error: String(error) }));
          throw fromRefusal(over);
        }
        if (over.status !== "timeout" || !isEndless) return deps.find(followed);
      }
    },
    leave() {
      response.off("close", gone);
      leaveDoor();
    },
  };
}

/**
 * First the task, then what it says and how it stands, until it has ended. `listen` comes before `start`, so that nothing of a run
 * that begins at once is lost.
 */
export async function* streamTask(
  exchange: Exchange,
  runId: string,
  deps: FollowDeps,
  parts: TaskParts,
  start: () => Promise<ProgramTask>,
): AsyncGenerator<StreamResponse, void, undefined> {
  const { listeners, names } = deps;
  const events = makeEventQueue<StreamResponse>();
  let task: ProgramTask | undefined;
  let isWorking = false;
  /** In words of the protocol, once it is known which task it is. */
  const early: (() => void)[] = [];
  const tell = (say: () => void): void => void (task === undefined ? early.push(say) : say());
  const work = (): void =>
    tell(() => {
      if (task === undefined || isWorking || isOver(task)) return;
      isWorking = true;
      pushStatus(events, { ...task, state: { type: "running", runId } }, names);
    });
  const chunks = makeAnswerChunks(({ text, append, isLast }) =>
    tell(() => {
      if (task === undefined) return;
      const value = { ...idsOf(task), artifact: artifactOf(text), append, lastChunk: isLast, metadata: undefined };
      events.push({ payload: { $case: "artifactUpdate", value } });
    }),
  );
  const place = enterPlace(exchange, deps);
  const unlisten = listeners.listen(runId, {
    began: work,
    hear: (event) => {
      if (event.state === "delta") work();
      chunks.take(event);
    },
  });
  const run = async (): Promise<void> => {
    task = await start();
    isWorking = task.state.type === "running";
    events.push({ payload: { $case: "task", value: taskOf(task, names, parts) } });
    for (const say of early.splice(0)) say();
    if (isOver(task)) return;
    const end = await place.waitEnd({ ...task, runId: openRunOf(task) ?? runId }, true);
    if (end === undefined) return;
    if (end.state.type === "answered" && end.state.reply !== null) chunks.finish(end.state.reply);
    pushStatus(events, end, names);
  };
  const ran = run().then(
    () => events.end(),
    (error: unknown) => events.end(error),
  );
  try {
    yield* events;
  } finally {
    unlisten();
    place.leave();
    await ran;
  }
}

export const openRunOf = ({ state }: ProgramTask): string | undefined => ("runId" in state ? state.runId : undefined);

function pushStatus(events: EventQueue<StreamResponse>, task: ProgramTask, names: Names): void {
  const value = { ...idsOf(task), status: statusOf(task, names), metadata: undefined };
  events.push({ payload: { $case: "statusUpdate", value } });
}
