/** `cloister mcp list`: what it asks, and what it prints. */
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { run } = cli;

const connection = { agentId: "kim", state: "open", tools: 3, calls: 1, pid: 4711 };
const gone = { agentId: "raul", state: "failed", tools: 0, calls: 0, reason: "it ended with exit code 3" };

async function serve(servers: readonly object[]): Promise<void> {
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") answer(request, helloOk);
    else if (request.method === "mcp.list") answer(request, { servers });
    else refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
  };
  await cli.serve(script, { raw: true });
}

describe("mcp list", () => {
  const servers = [
    { server: "notes", type: "stdio", agents: 2, connections: [connection, gone] },
    { server: "web", type: "http", agents: 1, connections: [] },
  ];

  it("names each connection with its state, and why one is not there", async () => {
    await serve(servers);
    expect(await run("mcp", "list")).toBe(0);
    const text = cli.terminal.outText();
    expect(text).toMatch(/^notes +stdio +kim +open +3 +1 +4711/m);
    expect(text).toMatch(/^notes +stdio +raul +failed +0 +0 +- +it ended with exit code 3$/m);
    expect(text).toMatch(/^web +http +for 1 +not in use/m);
  });

  it("says when there is none, and prints JSON", async () => {
    await serve([]);
    expect(await run("mcp", "list")).toBe(0);
    expect(cli.terminal.outText()).toContain("No MCP servers are configured");
    await serve(servers);
    expect(await run("mcp", "list", "--json")).toBe(0);
    expect(cli.terminal.outText()).toContain('"server": "notes"');
  });
});
