/**
 * What the Agent2Agent protocol asks of an agent, for one request of one program. The library reads and writes the protocol's words;
 * what is done is here: a message is a call of the agent, its task is the turn that handles it, and all of both is asked of the kernel's side.
 */
import type { ListTasksRequest, ListTasksResponse, SendMessageRequest, Task } from "@a2a-js/sdk";
import type { A2ARequestHandler } from "@a2a-js/sdk/server";
import { fromRefusal } from "../../../kernel/errors.ts";
import { limits } from "../../../kernel/limits.ts";
import type { KernelForEdge, ProgramCallResult, ProgramTask } from "../../port.ts";
import type { Exchange } from "../../route.ts";
import { type CallDeps, subjectOf } from "../call.ts";
import { A2aFault } from "./faults.ts";
import { enterPlace, type FollowDeps, openRunOf, streamTask } from "./follow.ts";
import { conversationOf, parseTaskId } from "./ids.ts";
import {
  type Asked,
  type AskedMessage,
  checkContext,
  invalid,
  noPush,
  readMessage,
  refuseTenant,
  unknownTask,
} from "./request.ts";
import { changedAtMs, idsOf, isOver, stateOf, taskOf } from "./tasks.ts";

export interface TaskDeps extends CallDeps {
  readonly kernel: CallDeps["kernel"] & Pick<KernelForEdge, "reach" | "programTask" | "programTasks">;
}

type Stored = Extract<ProgramCallResult, { status: "accepted" | "duplicate" }>;

export function makeA2aHandler(exchange: Exchange, asked: Asked, deps: TaskDeps): A2ARequestHandler {
  const { kernel, bounds } = deps;
  const { program, agentId, names } = asked;
  const ref = { program, place: "a2a", agentId } as const;

  const find = async (id: string): Promise<ProgramTask> => {
    const parsed = parseTaskId(id);
    const { contextId = "", envelopeId = "" } = parsed ?? {};
    const task =
      parsed === undefined
        ? undefined
        : await kernel.programTask({ ...ref, conversation: conversationOf(contextId), envelopeId });
    if (task === undefined) throw unknownTask(id);
    return task;
  };

  const follow: FollowDeps = {
    ...deps,
    names,
    find: ({ conversation, envelopeId }) => kernel.programTask({ ...ref, conversation, envelopeId }),
  };

  /** A task is one turn: what is said to it while it runs, or after it, is another. */
  const refuseFollowUp = async ({ taskId, contextId }: AskedMessage): Promise<void> => {
    if (taskId === undefined) return;
    const task = await find(taskId);
    if (idsOf(task).contextId !== contextId)
      throw invalid(`message.contextId: the task ${taskId} belongs to another context`);
    throw new A2aFault(
      "UNSUPPORTED_OPERATION",
      "a task of this gateway takes one message: leave taskId out, and go on with its contextId",
    );
  };

  const send = async ({ call }: AskedMessage): Promise<Stored> => {
    const result = await kernel.call(call);
    if (result.status === "refused") throw fromRefusal(result.refusal);
    return result;
  };

  /** One that was stored a moment ago; it may be that the store has not said all of it yet. */
  const taskNow = async ({ call }: AskedMessage, { envelopeId, sessionKey, runId }: Stored): Promise<ProgramTask> => {
    const conversation = call.conversation as ProgramTask["conversation"];
    const found = await kernel.programTask({ ...ref, conversation, envelopeId });
    return (
      found ?? { envelopeId, sessionKey, conversation, acceptedAtMs: Date.now(), state: { type: "waiting", runId } }
    );
  };

  const read = async (params: SendMessageRequest): Promise<AskedMessage> => {
    const message = readMessage(params, asked);
    await refuseFollowUp(message);
    return message;
  };

  return {
    // Asked for by nobody: the card is answered by a route of its own.
    getAgentCard: () => Promise.reject(noExtendedCard()),
    getAuthenticatedExtendedAgentCard: () => Promise.reject(noExtendedCard()),
    createTaskPushNotificationConfig: refusePush,
    getTaskPushNotificationConfig: refusePush,
    listTaskPushNotificationConfigs: refusePush,
    deleteTaskPushNotificationConfig: refusePush,

    async sendMessage(params) {
      const message = await read(params);
      const parts = { historyLength: params.configuration?.historyLength };
      if (params.configuration?.returnImmediately === true)
        return taskOf(await taskNow(message, await send(message)), names, parts);
      const place = enterPlace(exchange, follow);
      try {
        const stored = await send(message);
        const now = await taskNow(message, stored);
        if (isOver(now)) return taskOf(now, names, parts);
        const end = await place.waitEnd({ ...now, runId: stored.runId }, false);
        return taskOf(end ?? now, names, parts);
      } finally {
        place.leave();
      }
    },

    async *sendMessageStream(params) {
      const message = await read(params);
      const parts = { historyLength: params.configuration?.historyLength };
      yield* streamTask(exchange, message.call.runId, follow, parts, async () => taskNow(message, await send(message)));
    },

    async getTask({ id, historyLength, tenant }) {
      refuseTenant(tenant);
      return taskOf(await find(id), names, { historyLength });
    },

    async cancelTask({ id, tenant }) {
      refuseTenant(tenant);
      const task = await find(id);
      const runId = openRunOf(task);
      if (runId === undefined)
        throw new A2aFault("TASK_NOT_CANCELABLE", `the task ${id} has ended: there is nothing to cancel`);
      await kernel.stopCall(task.sessionKey, runId, subjectOf({ program }));
      await kernel.waitRun(runId, bounds.taskCancelWaitMs);
      return taskOf(await find(id), names);
    },

    async *resubscribe({ id, tenant }) {
      refuseTenant(tenant);
      const runId = openRunOf(await find(id));
      if (runId === undefined)
        throw new A2aFault("UNSUPPORTED_OPERATION", `the task ${id} has ended: ask for it with GetTask`);
      yield* streamTask(exchange, runId, follow, {}, () => find(id));
    },

    async listTasks(params) {
      refuseTenant(params.tenant);
      const { contextId } = params;
      if (contextId !== "") checkContext(contextId);
      const conversation = contextId === "" ? {} : { conversation: conversationOf(contextId) };
      return pageOf(await kernel.programTasks({ ...ref, ...conversation }), params, asked);
    },
  };
}

const refusePush = (): Promise<never> => Promise.reject(noPush());

const noExtendedCard = (): A2aFault =>
  new A2aFault("UNSUPPORTED_OPERATION", "an agent of this gateway has one card, which tells all that there is to tell");

function pageOf(all: readonly ProgramTask[], params: ListTasksRequest, { names }: Asked): ListTasksResponse {
  const { status, pageSize = limits.programTasksPageDefault, historyLength, statusTimestampAfter } = params;
  if (pageSize < 1 || pageSize > limits.programTasksPageMax)
    throw invalid(`pageSize: found ${pageSize}, wanted 1 to ${limits.programTasksPageMax}`);
  const afterMs = statusTimestampAfter === undefined ? Number.NEGATIVE_INFINITY : Date.parse(statusTimestampAfter);
  if (Number.isNaN(afterMs)) throw invalid("statusTimestampAfter: wanted a time as 2026-01-31T12:00:00Z");
  const matching = all.filter(
    (task) =>
      changedAtMs(task) >= afterMs &&
      (status === names.TaskState.TASK_STATE_UNSPECIFIED || stateOf(task, names) === status),
  );
  const start = params.pageToken === "" ? 0 : startOf(matching, params.pageToken);
  const page = matching.slice(start, start + pageSize);
  const last = page.at(-1);
  const hasArtifacts = params.includeArtifacts === true;
  return {
    tasks: page.map((task): Task => taskOf(task, names, { historyLength, hasArtifacts })),
    nextPageToken: last === undefined || start + page.length >= matching.length ? "" : tokenOf(last),
    pageSize,
    totalSize: matching.length,
  };
}

/** What came before it may have changed meanwhile: a page goes on behind where the last one stood. */
function startOf(all: readonly ProgramTask[], token: string): number {
  const [, ms = "", id = ""] = /^(\d{1,15})_([0-9a-z-]{1,64})$/.exec(token) ?? [];
  if (id === "") throw invalid("pageToken: wanted the nextPageToken of the page before");
  const atMs = Number(ms);
  const found = all.findIndex(
    (task) => changedAtMs(task) < atMs || (changedAtMs(task) === atMs && task.envelopeId < id),
  );
  return found === -1 ? all.length : found;
}

const tokenOf = (task: ProgramTask): string => `${changedAtMs(task)}_${task.envelopeId}`;
