/** The endpoints for programs that speak OpenAI's API, MCP or A2A. Each is there only when the config enables it. */
import { fromRefusal } from "../../kernel/errors.ts";
import { sendJson } from "../answer.ts";
import type { EdgeSettings } from "../settings.ts";
import { type Exchange, noSuchPath, type Route, type RouteFinder } from "../route.ts";
import type { CallDeps } from "./call.ts";
import { answerChatCompletion } from "./chat-completions.ts";
import { openAiRefusal } from "./openai-error.ts";
import { answerMcp } from "./mcp.ts";
import { type A2aDeps, makeA2aRoutes } from "./a2a/routes.ts";
import { answerResponse } from "./responses.ts";
import { agentOf, unknownModel } from "./said.ts";

const base = "/v1/";

export function makeProgramRoutes(
  { chatCompletions, responses, mcp, a2a }: EdgeSettings["programs"],
  deps: A2aDeps,
  now: () => number,
): RouteFinder {
  const route = (methods: Route["methods"], handle: Route["handle"]): Route => ({
    methods,
    access: deps.door.guard,
    refusalBody: openAiRefusal,
    handle,
  });
  const off = (path: string, key: string): Route => ({
    ...route(["GET", "HEAD", "POST"], async () => {
      throw fromRefusal(noSuchPath(path, "it is not enabled", `Set gateway.http.endpoints.${key}.enabled to true.`));
    }),
    access: "open",
  });
  const chatPath = `${base}chat/completions`;
  const responsesPath = `${base}responses`;
  const isAny = chatCompletions || responses;
  const routes = new Map<string, Route>([
    [
      chatPath,
      chatCompletions
        ? route(["POST"], (exchange) => answerChatCompletion(exchange, deps, now()))
        : off(chatPath, "chatCompletions"),
    ],
    [
      responsesPath,
      responses
        ? route(["POST"], (exchange) => answerResponse(exchange, deps, now()))
        : off(responsesPath, "responses"),
    ],
    // The stream of messages that no request asked for, and the end of a session, are not there: 405, as the protocol has it.
    ["/mcp", mcp ? route(["POST"], (exchange) => answerMcp(exchange, deps)) : off("/mcp", "mcp")],
  ]);
  const list = route(["GET", "HEAD"], (exchange) => answerModels(exchange, deps));
  const one = route(["GET", "HEAD"], (exchange) => answerModel(exchange, deps));
  const findA2a = makeA2aRoutes(a2a, deps, off);
  return (path) => {
    const known = routes.get(path) ?? findA2a(path);
    if (known !== undefined || !isAny) return known;
    if (path === `${base}models`) return list;
    return path.startsWith(`${base}models/`) ? one : undefined;
  };
}

/** The agents that the program may call, and no others. */
async function answerModels({ request, response }: Exchange, { kernel, door }: CallDeps): Promise<void> {
  const agents = await kernel.callable(door.programOf(request));
  sendJson(response, 200, { object: "list", data: agents.map(({ agentId }) => modelOf(agentId)) });
}

async function answerModel({ request, response, path }: Exchange, { kernel, door }: CallDeps): Promise<void> {
  const agents = await kernel.callable(door.programOf(request));
  const name = decode(path.slice(`${base}models/`.length));
  const agentId = agentOf(name, {});
  const found = agents.find((agent) => (agentId === undefined ? agent.isDefault : agent.agentId === agentId));
  // Of an agent that it may not call it learns nothing, not even that there is one.
  if (found === undefined) throw unknownModel(name);
  sendJson(response, 200, modelOf(found.agentId));
}

const modelOf = (agentId: string) => ({ id: `agent/${agentId}`, object: "model", created: 0, owned_by: "cloister" });

/** A text that is not encoded as it should be names nothing. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
