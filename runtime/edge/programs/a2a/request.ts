/** What a client sends, checked: one text of the user, for a context. */
import { createHash, randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Part, SendMessageRequest } from "@a2a-js/sdk";
import { limits } from "../../../kernel/limits.ts";
import { followedRun, type Program, type ProgramCall } from "../../port.ts";
import { tracedBy } from "../../trace-parent.ts";
import { nameCharsMax, saidOf } from "../said.ts";
import { textMode } from "./card.ts";
import { A2aFault } from "./faults.ts";
import { conversationOf, parseTaskId } from "./ids.ts";
import type { Names } from "./tasks.ts";

export interface Asked {
  readonly program: Program;
  readonly agentId: string;
  readonly headers: IncomingHttpHeaders;
  readonly names: Names;
}

export interface AskedMessage {
  readonly call: ProgramCall & Pick<Required<ProgramCall>, "agentId">;
  /** The task that the message is said to belong to. */
  readonly taskId: string | undefined;
  readonly contextId: string;
}

/** @throws {A2aFault} */
export function readMessage(
  { message, configuration, tenant }: SendMessageRequest,
  { program, agentId, headers, names }: Asked,
): AskedMessage {
  refuseTenant(tenant);
  if (message === undefined) throw invalid("message: found nothing, wanted a message of the user");
  if (message.role !== names.Role.ROLE_USER)
    throw invalid("message.role: wanted ROLE_USER: the client speaks for a user");
  const { messageId, contextId: named, taskId } = message;
  if (messageId.trim() === "" || messageId.length > nameCharsMax)
    throw invalid(`message.messageId: found ${messageId.length} characters, wanted 1 to ${nameCharsMax}`);
  if (named !== "") checkContext(named);
  if (configuration?.taskPushNotificationConfig !== undefined) throw noPush();
  refuseModes(configuration?.acceptedOutputModes ?? []);
  const text = message.parts.map(textOf).join("\n");
  const of = taskId === "" ? undefined : parseTaskId(taskId);
  // A message that is sent again goes to the same new conversation, where it is known as repeated.
  const contextId =
    named ||
    of?.contextId ||
    createHash("sha256").update(messageId).update("\0").update(text).digest("hex").slice(0, 32);
  const call: AskedMessage["call"] = {
    program,
    place: "a2a",
    runId: `${followedRun}${randomUUID()}`,
    ...tracedBy(headers),
    agentId,
    conversation: conversationOf(contextId),
    said: saidOf([{ role: "user", text }], "message.parts"),
    idempotencyKey: messageId,
    messageId,
  };
  return { call, contextId, taskId: taskId === "" ? undefined : taskId };
}

/** Each gateway is one tenant. */
export function refuseTenant(tenant: string | undefined): void {
  if (tenant !== undefined && tenant !== "") throw invalid("tenant: found one, and this gateway has none");
}

export function checkContext(contextId: string): void {
  if (/^[\x21-\x7e]+$/.test(contextId) && contextId.length <= limits.contextIdCharsMax) return;
  throw invalid(
    `contextId: found ${contextId.length} characters, wanted 1 to ${limits.contextIdCharsMax} of ASCII without spaces`,
  );
}

function textOf({ content }: Part, index: number): string {
  if (content?.$case === "text" && typeof content.value === "string") return content.value;
  const found = content === undefined ? "nothing" : `a part with ${JSON.stringify(content.$case)}`;
  throw new A2aFault(
    "CONTENT_TYPE_NOT_SUPPORTED",
    `message.parts.${index}: found ${found}; agents of this gateway take text (${textMode}) over HTTP`,
  );
}

const textModes: ReadonlySet<string> = new Set([textMode, "text/*", "*/*", "text"]);

/** A mode may have parameters, which say nothing against text. */
function refuseModes(modes: readonly string[]): void {
  if (modes.length === 0 || modes.some((mode) => textModes.has((mode.split(";")[0] ?? "").trim()))) return;
  throw new A2aFault(
    "CONTENT_TYPE_NOT_SUPPORTED",
    `configuration.acceptedOutputModes: found no ${textMode}, which is all that agents of this gateway answer with`,
  );
}

export const invalid = (message: string): A2aFault => new A2aFault("INVALID_PARAMS", message);

export const noPush = (): A2aFault =>
  new A2aFault(
    "PUSH_NOTIFICATION_NOT_SUPPORTED",
    "this gateway sends no push notifications: stream the task, or ask for it with GetTask",
  );

export const unknownTask = (id: string): A2aFault =>
  new A2aFault(
    "TASK_NOT_FOUND",
    `no task has the id ${JSON.stringify(id.slice(0, nameCharsMax))}, or it is gone by now`,
  );
