/** Tasks as the Agent2Agent protocol tells them, of what the store knows. */
import type { Message, Part, Role, Task, TaskState, TaskStatus } from "@a2a-js/sdk";
import type { ProgramTask } from "../../port.ts";
import { textMode } from "./card.ts";
import { contextOf, taskIdOf } from "./ids.ts";

/** The protocol's own names; as numbers in the library, which is loaded when the first client calls. */
export interface Names {
  readonly TaskState: typeof TaskState;
  readonly Role: typeof Role;
}

export const isOver = ({ state }: ProgramTask): boolean => state.type !== "waiting" && state.type !== "running";

export const answerId = "answer";

export const textPart = (text: string): Part => ({
  content: { $case: "text", value: text },
  metadata: undefined,
  filename: "",
  mediaType: textMode,
});

export interface Ids {
  readonly taskId: string;
  readonly contextId: string;
}

export function idsOf({ conversation, envelopeId }: Pick<ProgramTask, "conversation" | "envelopeId">): Ids {
  const contextId = contextOf(conversation);
  return { contextId, taskId: taskIdOf(contextId, envelopeId) };
}

export function stateOf({ state }: Pick<ProgramTask, "state">, { TaskState: states }: Names): TaskState {
  const named = {
    waiting: states.TASK_STATE_SUBMITTED,
    running: states.TASK_STATE_WORKING,
    answered: states.TASK_STATE_COMPLETED,
    failed: states.TASK_STATE_FAILED,
    stopped: states.TASK_STATE_CANCELED,
    refused: states.TASK_STATE_REJECTED,
  };
  return named[state.type];
}

/** When it was accepted, until it has ended. */
export const changedAtMs = ({ state, acceptedAtMs }: ProgramTask): number =>
  "atMs" in state ? state.atMs : acceptedAtMs;

export function statusOf(task: ProgramTask, names: Names): TaskStatus {
  const { state } = task;
  const ids = idsOf(task);
  const failure = "failure" in state ? state.failure : undefined;
  return {
    state: stateOf(task, names),
    timestamp: new Date(changedAtMs(task)).toISOString(),
    message:
      failure === undefined
        ? undefined
        : {
            ...messageOf(ids, names.Role.ROLE_AGENT, `${ids.taskId}.end`, failure.message),
            metadata: { code: failure.code, ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }) },
          },
  };
}

function messageOf({ taskId, contextId }: Ids, role: Role, messageId: string, text: string): Message {
  return {
    messageId,
    contextId,
    taskId,
    role,
    parts: [textPart(text)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

export interface TaskParts {
  /** Absent: all of it. */
  readonly historyLength?: number | undefined;
  readonly hasArtifacts?: boolean;
}

export function taskOf(task: ProgramTask, names: Names, { historyLength, hasArtifacts = true }: TaskParts = {}): Task {
  const { state, said } = task;
  const ids = idsOf(task);
  const reply = state.type === "answered" ? state.reply : null;
  return {
    id: ids.taskId,
    contextId: ids.contextId,
    status: statusOf(task, names),
    artifacts: hasArtifacts && reply !== null ? [artifactOf(reply)] : [],
    history:
      said === undefined || historyLength === 0
        ? []
        : [messageOf(ids, names.Role.ROLE_USER, said.messageId ?? ids.taskId, said.text)],
    metadata: undefined,
  };
}

export const artifactOf = (text: string): Task["artifacts"][number] => ({
  artifactId: answerId,
  name: answerId,
  description: "",
  parts: [textPart(text)],
  metadata: undefined,
  extensions: [],
});
