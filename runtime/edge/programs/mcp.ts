/**
 * `POST /mcp`: this gateway as a server of the Model Context Protocol, by streamable HTTP. Each agent that the program may call is a tool, and a
 * call of it is a call of the agent, with the same rights and bounds as any over HTTP. No state is kept between requests: what names a conversation is
 * a parameter. Source: needs A15.4; the protocol's specification.
 */
import { z } from "zod";
import { failure, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { securityHeaders } from "../answer.ts";
import { parseAs, readJson } from "../body.ts";
import type { ProgramAgent } from "../port.ts";
import type { Exchange } from "../route.ts";
import { type CallDeps, carryOutCall } from "./call.ts";
import { makeCall, nameCharsMax } from "./said.ts";

const toolPrefix = "agent_";

const params = z.strictObject({
  message: z.string().min(1).max(limits.bodyCharsMax).describe("What to say to the agent."),
  conversation: z
    .string()
    .trim()
    .min(1)
    .max(nameCharsMax)
    .describe("Goes on with the conversation of this name, which belongs to the caller. Without it: a new one.")
    .exactOptional(),
});

const form = z.toJSONSchema(params, { io: "input" });

const toolOf = ({ agentId, name }: ProgramAgent) => ({
  name: `${toolPrefix}${agentId}`,
  title: name,
  description: `Asks the agent ${name} and gives its answer.`,
  inputSchema: { ...form, type: "object" as const },
});

export async function answerMcp(exchange: Exchange, deps: CallDeps): Promise<void> {
  const { request, response } = exchange;
  const body = await readJson(exchange, deps.bounds);
  // One request, one call: a list would be a way around what a caller may have in hand.
  if (Array.isArray(body))
    throw failure("CLOISTER_REQUEST_INVALID", "the body is a list of messages; wanted one", "Send them one by one.");
  // Most gateways answer none of these.
  const [{ Server }, { StreamableHTTPServerTransport }, types] = await Promise.all([
    import("@modelcontextprotocol/sdk/server/index.js"),
    import("@modelcontextprotocol/sdk/server/streamableHttp.js"),
    import("@modelcontextprotocol/sdk/types.js"),
  ]);
  const program = deps.door.programOf(request);
  const server = new Server({ name: "cloister", version: "1" }, { capabilities: { tools: {} } });
  server.setRequestHandler(types.ListToolsRequestSchema, async () => ({
    tools: (await deps.kernel.callable(program)).map(toolOf),
  }));
  server.setRequestHandler(types.CallToolRequestSchema, async (asked, { sendNotification }) => {
    const { name, arguments: given = {}, _meta: meta } = asked.params;
    const agents = await deps.kernel.callable(program);
    // Of an agent that it may not call it learns nothing, not even that there is one.
    if (!agents.some(({ agentId }) => `${toolPrefix}${agentId}` === name))
      throw new types.McpError(types.ErrorCode.InvalidParams, `no tool is called ${name.slice(0, nameCharsMax)}`);
    let told = 0;
    const tell = (message: string): void => {
      if (meta?.progressToken === undefined) return;
      const progress = { progressToken: meta.progressToken, progress: ++told, message };
      // Who has gone hears nothing; the call ends by that.
      sendNotification({ method: "notifications/progress", params: progress }).catch(() => undefined);
    };
    try {
      const { message, conversation } = parseAs(params, given, '{"message": "hello"}');
      const call = makeCall({
        program,
        headers: request.headers,
        model: `agent/${name.slice(toolPrefix.length)}`,
        user: conversation,
        messages: [{ role: "user", text: message }],
        where: "message",
      });
      const reply = await carryOutCall(exchange, call, { accepted: () => undefined, text: tell }, deps);
      return { content: [{ type: "text", text: reply ?? "" }] };
    } catch (error) {
      const { code, message, remedy } = toRefusal(error);
      const text = `${code}: ${message}${remedy === undefined ? "" : ` (${remedy})`}`;
      return { content: [{ type: "text", text }], isError: true };
    }
  });
  const transport = new StreamableHTTPServerTransport();
  response.once("close", () => void server.close().catch(() => undefined));
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
  await server.connect(transport);
  await transport.handleRequest(request, response, body);
}
