/**
 * Each agent as an agent of the Agent2Agent protocol, by its binding to JSON-RPC: `POST /a2a/<agent>`, with the card at the well-known path
 * below it and, for the program's default agent or its only one, at that of the host. All of it needs a token, the cards as well: what a
 * program may not call does not exist for it. Source: needs A15.4; A2A 1.0 and 0.3; ADR 0090.
 */
import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { failure, fromRefusal } from "../../../kernel/errors.ts";
import { sendJson, sendRefusal } from "../../answer.ts";
import { parseJson, readText, requireJson } from "../../body.ts";
import { formatIssues } from "../../issues.ts";
import type { Program, ProgramAgent } from "../../port.ts";
import { type Exchange, noSuchPath, type Route, type RouteFinder } from "../../route.ts";
import { type EventStream, openEventStream } from "../event-stream.ts";
import { a2aPath, type A2aVersion, cardOf, cardPath, versionOf, versions } from "./card.ts";
import { A2aFault, a2aRefusal, errorOf, isOfCall, isUnread, refusalOf } from "./faults.ts";
import { makeA2aHandler, type TaskDeps } from "./handler.ts";
import { type Noted, noteFailures } from "./note-failures.ts";

export interface A2aDeps extends TaskDeps {
  /** The gateway's own. */
  readonly version: string;
  /** As the client spoke it. */
  readonly schemeOf: (request: IncomingMessage) => "http" | "https";
}

export function makeA2aRoutes(isOn: boolean, deps: A2aDeps, off: (path: string, key: string) => Route): RouteFinder {
  const access = deps.door.guard;
  return (path) => {
    const isHostCard = path === cardPath;
    if (!isHostCard && !path.startsWith(a2aPath)) return undefined;
    if (!isOn) return off(path, "a2a");
    if (isHostCard)
      return { methods: ["GET", "HEAD"], access, handle: (exchange) => answerCard(exchange, undefined, deps) };
    const rest = path.slice(a2aPath.length);
    const isCard = rest.endsWith(cardPath);
    const agentId = (isCard ? rest.slice(0, -cardPath.length) : rest.replace(/\/$/, "")).toLowerCase();
    if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(agentId)) return undefined;
    return isCard
      ? { methods: ["GET", "HEAD"], access, handle: (exchange) => answerCard(exchange, agentId, deps) }
      : {
          methods: ["POST"],
          access,
          refusalBody: a2aRefusal,
          handle: (exchange) => answerA2a(exchange, agentId, deps),
        };
  };
}

/** Without an id: the default agent, if the program may call it, or the only one that it may. */
async function answerCard(exchange: Exchange, agentId: string | undefined, deps: A2aDeps): Promise<void> {
  const { request, response, path } = exchange;
  const agents = await deps.kernel.callable(deps.door.programOf(request));
  const only = agents.find(({ isDefault }) => isDefault) ?? (agents.length === 1 ? agents[0] : undefined);
  const agent: ProgramAgent | undefined = agentId === undefined ? only : agents.find((one) => one.agentId === agentId);
  if (agent === undefined)
    throw fromRefusal(
      noSuchPath(
        path,
        "this token may call no such agent",
        `Ask for ${a2aPath}<agent>${cardPath} of one that it may call.`,
      ),
    );
  const asked = headerText(request);
  // A card says itself of which version it is.
  const version = asked === undefined ? "1.0" : versionOf(asked);
  if (version === undefined) throw failure("CLOISTER_REQUEST_INVALID", unknownVersion(request));
  const origin = `${deps.schemeOf(request)}://${request.headers.host ?? ""}`;
  sendJson(response, 200, cardOf(agent, origin, deps.version, version), { vary: "a2a-version, authorization" });
}

type Id = string | number | null;

const envelope = z.looseObject({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.int(), z.null()]).exactOptional(),
  method: z.string().min(1).max(100),
  params: z.looseObject({}).exactOptional(),
});

async function answerA2a(exchange: Exchange, agentId: string, deps: A2aDeps): Promise<void> {
  const { request, path } = exchange;
  const program = deps.door.programOf(request);
  // Of an agent that it may not call it learns nothing, not even that there is one.
  if ((await deps.kernel.reach(program, agentId)) === undefined)
    throw fromRefusal(noSuchPath(path, "this token may call no such agent", "cloister callers list"));
  requireJson(exchange);
  const text = await readText(exchange, deps.bounds);
  let id: Id = null;
  try {
    const body = readEnvelope(text);
    id = body.id ?? null;
    const version = versionOf(headerText(request));
    if (version === undefined) throw new A2aFault("VERSION_NOT_SUPPORTED", unknownVersion(request));
    await carryOut(exchange, { agentId, program, version, body, id }, deps);
  } catch (error) {
    answerFault(exchange, error, id, deps);
  }
}

interface Call {
  readonly agentId: string;
  readonly program: Program;
  readonly version: A2aVersion;
  readonly body: z.infer<typeof envelope>;
  readonly id: Id;
}

async function carryOut(
  exchange: Exchange,
  { agentId, program, version, body, id }: Call,
  deps: A2aDeps,
): Promise<void> {
  const { request, response } = exchange;
  // Most gateways answer none of these.
  const [
    names,
    { JsonRpcTransportHandler, ServerCallContext },
    { LegacyJsonRpcTransportHandler },
    { isV1JsonRpcMethod },
  ] = await Promise.all([
    import("@a2a-js/sdk"),
    import("@a2a-js/sdk/server"),
    import("@a2a-js/sdk/compat/v0_3/server"),
    import("@a2a-js/sdk/compat/v0_3"),
  ]);
  if (version === "0.3" && isV1JsonRpcMethod(body.method))
    throw new A2aFault(
      "METHOD_NOT_FOUND",
      `${body.method} is a method of A2A 1.0: send the header \`A2A-Version: 1.0\``,
    );
  const { handler, failed } = noteFailures(
    makeA2aHandler(exchange, { program, agentId, headers: request.headers, names }, deps),
  );
  const transport =
    version === "0.3" ? new LegacyJsonRpcTransportHandler(handler) : new JsonRpcTransportHandler(handler);
  const result = await transport.handle(body, new ServerCallContext({ requestedVersion: version }));
  if (Symbol.asyncIterator in result) return answerStream(exchange, result, id, failed, deps);
  const noted = failed();
  if (noted !== undefined) throw noted.error;
  // The library met something that it could not read.
  if (errorCodeOf(result) === -32603)
    throw new A2aFault("INVALID_PARAMS", `params: not of the form that ${body.method} of A2A ${version} has`);
  sendJson(response, 200, result);
}

const errorCodeOf = ({ error }: { readonly error?: unknown }): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined;

/** What fails before the first event is answered as if nothing had been streamed. */
async function answerStream(
  { response, path }: Exchange,
  events: AsyncIterable<object>,
  id: Id,
  failed: Noted["failed"],
  deps: A2aDeps,
): Promise<void> {
  let stream: EventStream | undefined;
  try {
    for await (const event of events) {
      stream ??= openEventStream(response, deps.bounds, {});
      stream.send(event);
    }
  } catch (thrown) {
    const error = failed()?.error ?? thrown;
    if (stream === undefined) throw error;
    noteFault(error, path, deps);
    stream.send({ jsonrpc: "2.0", id, error: errorOf(error) });
  }
  stream?.end();
}

function answerFault(exchange: Exchange, error: unknown, id: Id, deps: A2aDeps): void {
  const { response, path } = exchange;
  noteFault(error, path, deps);
  const told = { jsonrpc: "2.0", id, error: errorOf(error) };
  if (isOfCall(error)) sendJson(response, isUnread(error) ? 400 : 200, told);
  else sendRefusal(response, refusalOf(error), {}, () => told);
}

function noteFault(error: unknown, path: string, { log }: A2aDeps): void {
  if (!(error instanceof A2aFault) && refusalOf(error).code === "CLOISTER_INTERNAL")
    log("error", "a request failed in the gateway", { method: "POST", path, error: String(error) });
}

/** @throws {A2aFault} */
function readEnvelope(text: string): z.infer<typeof envelope> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new A2aFault("JSON_PARSE", refusalOf(error).message);
  }
  if (Array.isArray(value)) throw new A2aFault("INVALID_REQUEST", "the body is a list of requests; wanted one");
  const parsed = envelope.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new A2aFault("INVALID_REQUEST", `the body is no request of JSON-RPC 2.0: ${formatIssues(parsed.error)}`);
}

function headerText({ headers }: IncomingMessage): string | undefined {
  const value = headers["a2a-version"];
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

function unknownVersion(request: IncomingMessage): string {
  const found = JSON.stringify((headerText(request) ?? "").slice(0, 40));
  return `A2A-Version: found ${found}; this gateway speaks ${versions.join(" and ")}`;
}
