/** The gateway as an MCP server, by the SDK's own client, against real cells behind a real edge. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { makeEdge } from "../../runtime/edge/edge.ts";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";
import { openMcpBridge } from "../../runtime/cli/mcp-bridge.ts";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { openGateway } from "../support/gateway.ts";
import { gatewayToken, settingsWith } from "./edge-kit.ts";

const agents = ["main", "shop", "raul"].map((id) => ({ id, ...actor("speaker") }));
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };

const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

async function open(settings: Partial<EdgeSettings> = {}) {
  const gateway = await openGateway(agents);
  const edge = makeEdge(gateway.doors, () => undefined, { bounds: { socketCloseGraceMs: 500 } });
  closings.push(() => edge.close("end of the test"));
  const { port } = await edge.listen({ ...settingsWith(gateway.config.stateDir), ...settings });
  gateway.attachEdge(edge);
  const url = new URL(`http://127.0.0.1:${port}/mcp`);
  const connect = async (token: string): Promise<Client> => {
    const client = new Client({ name: "test", version: "1" });
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    const transport = new StreamableHTTPClientTransport(url, { requestInit });
    closings.unshift(() => client.close());
    await client.connect(transport);
    return client;
  };
  const caller = async (name: string, ...names: string[]): Promise<string> => {
    const result = await gateway.doors.rpc(operator, "callers.add", { name, agents: names });
    if (!result.ok) throw new Error(result.refusal.message);
    return (result.payload as { token: string }).token;
  };
  return { gateway, connect, caller, url };
}

interface Told {
  readonly agent: string;
  readonly text: string;
  readonly session: string;
  readonly turns: number;
}

async function ask(client: Client, name: string, args: object, onprogress?: (text: string) => void): Promise<Told> {
  const options =
    onprogress === undefined
      ? {}
      : { onprogress: (p: { message?: string | undefined }) => onprogress(p.message ?? "") };
  const answer = await client.callTool({ name, arguments: { ...args } }, undefined, options);
  const [block] = answer.content as [{ text: string }];
  if (answer.isError === true) throw new Error(block.text);
  return JSON.parse(block.text) as Told;
}

/** A client that speaks over two pipes, as one that started `cloister mcp serve` does. */
async function serve(url: URL, token: string) {
  const [toBridge, toClient] = [new PassThrough(), new PassThrough()];
  const reported: string[] = [];
  const bridge = await openMcpBridge({
    client: new StdioServerTransport(toBridge, toClient),
    url,
    token,
    report: (message) => reported.push(message),
  });
  const client = new Client({ name: "test", version: "1" });
  closings.unshift(
    () => client.close(),
    () => bridge.close(),
  );
  await client.connect(new StdioServerTransport(toClient, toBridge));
  return { client, bridge, reported };
}

describe("A15.4: over standard input and output", () => {
  test("a caller has the agents that it was granted, and what they say while they work", async () => {
    const { caller, url } = await open();
    const { client } = await serve(url, await caller("ci", "shop"));
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["agent_shop"]);
    const pieces: string[] = [];
    const first = await ask(client, "agent_shop", { message: "one", conversation: "trip" }, (text) =>
      pieces.push(text),
    );
    expect(JSON.parse(pieces.join(""))).toEqual(first);
    expect(await ask(client, "agent_shop", { message: "two", conversation: "trip" })).toMatchObject({
      session: first.session,
      turns: 2,
    });
    await expect(ask(client, "agent_main", { message: "x" })).rejects.toThrow("no tool is called agent_main");
  });

  test("a client that takes its request back, or goes, ends the agent's turn", async () => {
    const { gateway, url } = await open();
    const { client, bridge } = await serve(url, gatewayToken);
    const atWork = () => gateway.agents().find(({ agentId }) => agentId === "main")?.activeRuns;
    for (const leave of ["cancel", "close"]) {
      const stop = new AbortController();
      const asked = client.callTool({ name: "agent_main", arguments: { message: "stream" } }, undefined, {
        signal: stop.signal,
      });
      const failed = expect(asked).rejects.toThrow(leave === "cancel" ? /abort/i : /closed/i);
      await eventually(() => expect(atWork()).toBe(1));
      if (leave === "cancel") stop.abort();
      else await Promise.all([bridge.close(), client.close()]);
      await failed;
      await eventually(() => expect(atWork()).toBe(0));
    }
  });

  test("the id of a request that is in hand is given to no other: its answer is the first one's", async () => {
    const { url } = await open();
    const { client, reported } = await serve(url, gatewayToken);
    const { transport } = client;
    if (transport === undefined) throw new Error("the client is not connected");
    const stop = new AbortController();
    let id: unknown;
    const send = transport.send.bind(transport);
    transport.send = (message, options) => {
      if ("id" in message && "method" in message) id = message.id;
      return send(message, options);
    };
    const asked = client.callTool({ name: "agent_main", arguments: { message: "stream" } }, undefined, {
      signal: stop.signal,
    });
    const failed = expect(asked).rejects.toThrow(/abort/i);
    await eventually(() => expect(id).toBeDefined());
    await send({ jsonrpc: "2.0", id: id as number, method: "ping" });
    await eventually(() => expect(reported.join()).toContain(`the id ${JSON.stringify(id)} of one that is in hand`));
    stop.abort();
    await failed;
    expect((await client.listTools()).tools).not.toEqual([]);
  });

  test("a refused token and a gateway that is not there are told to the client as the failure of its request", async () => {
    const { url } = await open();
    await expect(serve(url, "wrong")).rejects.toThrow(/401|UNAUTHENTICATED/);
    await expect(serve(new URL("http://127.0.0.1:1/mcp"), "x")).rejects.toThrow("127.0.0.1:1 did not answer");
  });
});

describe("A15.4: an agent is a tool of an MCP server", () => {
  test("for the operator each of them, and a conversation goes on by its name", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(["agent_main", "agent_shop", "agent_raul"]);
    expect(tools[0]?.inputSchema).toMatchObject({ type: "object", required: ["message"] });
    expect(await ask(client, "agent_shop", { message: "hello" })).toMatchObject({
      agent: "shop",
      text: "hello",
      turns: 1,
    });
    const first = await ask(client, "agent_main", { message: "one", conversation: "trip" });
    const pieces: string[] = [];
    const second = await ask(client, "agent_main", { message: "two", conversation: "trip" }, (text) =>
      pieces.push(text),
    );
    expect(second).toMatchObject({ session: first.session, turns: 2 });
    expect(JSON.parse(pieces.join(""))).toEqual(second);
    expect((await ask(client, "agent_main", { message: "x" })).session).not.toBe(first.session);
  });

  test("for a caller the one that it was granted, and no word of others; another caller's conversation is another", async () => {
    const { connect, caller } = await open();
    const [ci, other] = [await connect(await caller("ci", "shop")), await connect(await caller("other", "shop"))];
    expect((await ci.listTools()).tools.map(({ name }) => name)).toEqual(["agent_shop"]);
    const mine = await ask(ci, "agent_shop", { message: "x", conversation: "trip" });
    expect(mine).toMatchObject({ agent: "shop", turns: 1 });
    const theirs = await ask(other, "agent_shop", { message: "x", conversation: "trip" });
    expect(theirs).toMatchObject({ turns: 1 });
    expect(theirs.session).not.toBe(mine.session);
    const refusals = await Promise.all(
      ["agent_main", "agent_nobody"].map((name) => ci.callTool({ name, arguments: { message: "x" } }).catch(String)),
    );
    expect(refusals).toEqual([
      expect.stringContaining("no tool is called agent_main"),
      expect.stringContaining("no tool is called agent_nobody"),
    ]);
  });

  test("what is wrong with a call is told as its failure", async () => {
    const { connect } = await open();
    const client = await connect(gatewayToken);
    await expect(ask(client, "agent_main", {})).rejects.toThrow(/CLOISTER_REQUEST_INVALID: .*message/);
    await expect(ask(client, "agent_main", { message: "x", session: "y" })).rejects.toThrow("CLOISTER_REQUEST_INVALID");
    await expect(ask(client, "agent_main", { message: " " })).rejects.toThrow("visible character");
  });

  test("nobody gets in without a token, with a list of messages, or where it is not enabled", async () => {
    const { connect, url } = await open();
    await expect(connect("wrong")).rejects.toThrow(/401|UNAUTHENTICATED/);
    const post = (body: unknown, token = gatewayToken) =>
      fetch(url, {
        method: "POST",
        body: JSON.stringify(body),
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
        },
      });
    expect((await post([])).status).toBe(400);
    expect((await fetch(url, { headers: { authorization: `Bearer ${gatewayToken}` } })).status).toBe(405);
    const closed = await open({ programs: { chatCompletions: true, responses: true, mcp: false, a2a: true } });
    const refused = await fetch(closed.url, { method: "POST" });
    expect(refused.status).toBe(404);
    expect(await refused.text()).toContain("gateway.http.endpoints.mcp.enabled");
  });
});
