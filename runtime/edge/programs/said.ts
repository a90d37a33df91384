/** What a request says, in the words of the gateway: which agent, which conversation, which text. Shared by both endpoints. */
import { createHash, randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { z } from "zod";
import { type CodedError, failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { headerKey } from "../idempotency.ts";
import { tracedBy } from "../trace-parent.ts";
import type { Program, ProgramCall } from "../port.ts";

export interface SaidMessage {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
}

/** As OpenAI's schemas have it, a field may be null where it may be absent. */
export const maybe = <S extends z.ZodType>(schema: S) => schema.nullish().transform((value) => value ?? undefined);

const part = z.looseObject({ type: z.string(), text: z.string().exactOptional() });
export const content = z.union([z.string().max(limits.bodyCharsMax), z.array(part)]);

/** Throws `CLOISTER_REQUEST_INVALID` for what is no text. */
export function textOf(found: z.infer<typeof content>, where: string): string {
  if (typeof found === "string") return found;
  return found
    .map(({ type, text }) => {
      if (!["text", "input_text", "output_text"].includes(type) || text === undefined)
        throw unsupported(
          `${where}: found a part of type ${JSON.stringify(type.slice(0, 40))}`,
          "only text is taken: leave it out",
        );
      return text;
    })
    .join("\n");
}

/** Undefined for a role that no agent hears. */
export function roleOf(role: string | undefined): SaidMessage["role"] | undefined {
  if (role === "user" || role === "assistant") return role;
  return role === "system" || role === "developer" ? "system" : undefined;
}

/** Throws `CLOISTER_REQUEST_INVALID` when there is one. */
export function refuseTools(tools: readonly unknown[] = []): void {
  if (tools.length > 0)
    throw unsupported("tools: found some of the caller's own", "leave them out: an agent's tools are its own");
}

export function unsupported(found: string, remedy: string): CodedError {
  return failure("CLOISTER_REQUEST_INVALID", `${found}, which agents of this gateway do not take over HTTP`, remedy);
}

/** The last message is what the agent answers. */
export function saidOf(messages: readonly SaidMessage[], where: string): ProgramCall["said"] {
  const last = messages.at(-1);
  if (last?.role !== "user" || last.text.trim() === "") {
    const found = last === undefined ? "nothing" : last.role === "user" ? "a blank text" : `the role "${last.role}"`;
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the last message of ${where}: found ${found}, wanted a message of the user with at least one visible character`,
      `End ${where} with what the agent is to answer.`,
    );
  }
  const before = messages.slice(0, -1);
  return { text: last.text, before, knownUpTo: before.findLastIndex(({ role }) => role === "assistant") + 1 };
}

const ownNames = new Set(["agent", "cloister", "openclaw"]);

/** Undefined: no agent is named. Throws `CLOISTER_AGENT_UNKNOWN` for the name of something else. */
export function agentOf(model: string, headers: IncomingHttpHeaders): string | undefined {
  const [, head = "", name] = /^([a-z]+)(?:[/:](.+))?$/i.exec(model.trim()) ?? [];
  if (!ownNames.has(head.toLowerCase()) || (name !== undefined && !agentIds.test(name))) throw unknownModel(model);
  const named = name === undefined || name.toLowerCase() === "default" ? undefined : name.toLowerCase();
  const inHeader = headerText(headers, ["x-cloister-agent-id", "x-openclaw-agent-id"])?.toLowerCase();
  if (named !== undefined && inHeader !== undefined && named !== inHeader)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the model names the agent ${named}, the header names ${JSON.stringify(inHeader.slice(0, 100))}`,
      "Name the agent once.",
    );
  return named ?? inHeader;
}

export const unknownModel = (model: string): CodedError =>
  failure(
    "CLOISTER_AGENT_UNKNOWN",
    `the model ${JSON.stringify(model.slice(0, 100))} is none that may be called here`,
    "Use agent/<id> with the id of an agent (GET /v1/models lists them), or cloister for the default one.",
  );

const agentIds = /^[a-z0-9][a-z0-9_-]{0,63}$/i;

export interface Asked {
  readonly program: Program;
  readonly headers: IncomingHttpHeaders;
  readonly model: string;
  readonly user: string | undefined;
  /** Of an earlier response. */
  readonly goesOnFrom?: string | undefined;
  readonly messages: readonly SaidMessage[];
  readonly where: string;
}

export function makeCall({ program, headers, model, user, goesOnFrom, messages, where }: Asked): ProgramCall {
  const agentId = agentOf(model, headers);
  const idempotencyKey = headerKey(headers);
  const named = headerText(headers, ["x-cloister-session"]) ?? user;
  const key = headerText(headers, ["x-cloister-session-key", "x-openclaw-session-key"]);
  // A repeated request has to be the same conversation, so that it is known as repeated.
  const id =
    idempotencyKey === undefined
      ? randomUUID().replaceAll("-", "")
      : createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 32);
  const conversation: ProgramCall["conversation"] =
    key !== undefined
      ? { type: "key", key }
      : goesOnFrom !== undefined
        ? { type: "earlier", id: goesOnFrom }
        : named !== undefined
          ? { type: "user", user: named }
          : { type: "new", id };
  return {
    program,
    place: "http",
    runId: `call-${randomUUID()}`,
    ...tracedBy(headers),
    conversation,
    said: saidOf(messages, where),
    ...(agentId === undefined ? {} : { agentId }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
}

/** The first of the headers that is there. Throws `CLOISTER_REQUEST_INVALID` when it is too long for the key of a session. */
function headerText(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name];
    const text = typeof value === "string" ? value.trim() : "";
    if (text.length > nameCharsMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `the header ${name} has ${text.length} characters; at most ${nameCharsMax} are taken`,
      );
    if (text !== "") return text;
  }
  return undefined;
}

export const nameCharsMax = 256;

/** Fields of the request that nothing acts on, for the answer's header: nothing is dropped silently. */
export function ignoredOf(body: object, known: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const names = Object.keys(body).filter((name) => !Object.hasOwn(known, name) && /^[\w-]{1,64}$/.test(name));
  return names.length === 0 ? {} : { "x-cloister-ignored": names.slice(0, 20).join(", ") };
}
