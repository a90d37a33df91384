/** The memory of agents from a cell through the kernel to the memory's thread: whose notes they are, and who has the tools. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";

const user = (id: string, changes: Partial<TestAgent> = {}): TestAgent => ({ id, ...actor("tool-user"), ...changes });

async function call(gateway: TestGateway, agentId: string, name: string, params: object, session?: string) {
  const text = JSON.stringify({ tool: "call", params: { name, params } });
  return JSON.parse(await gateway.reply(agentId, text, session)) as Readonly<Record<string, unknown>>;
}

function put(gateway: TestGateway, agentId: string, name: string, text: string): void {
  const file = path.join(gateway.config.agents.find(({ id }) => id === agentId)?.workspace ?? "", name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

describe("memory_search and memory_get", () => {
  test("A8.1: find an agent's own notes, and nothing of another agent's", async () => {
    const gateway = await openGateway([user("main"), user("raul")]);
    put(gateway, "raul", "MEMORY.md", "the canary sings");
    put(gateway, "main", "memory/2026-01-01.md", "the harbour is in Lisbon");
    expect(await call(gateway, "raul", "memory_search", { query: "canary" })).toMatchObject({ count: 1 });
    expect(await call(gateway, "main", "memory_search", { query: "canary" })).toMatchObject({ status: "ok", count: 0 });
    expect(await call(gateway, "main", "memory_search", { query: "harbour" })).toMatchObject({
      results: [{ collection: "memory-dir-main", path: "memory/2026-01-01.md", from: 1, to: 1 }],
    });
    expect(await call(gateway, "main", "memory_get", { path: "memory/2026-01-01.md" })).toMatchObject({
      text: "the harbour is in Lisbon",
    });
    expect(await call(gateway, "main", "memory_get", { path: "../workspace-raul/MEMORY.md" })).toMatchObject({
      status: "error",
    });
  });

  test("are for direct chats, and gone where they are switched off", async () => {
    const off = { isEnabled: false, includesDefault: true, sources: [], resultsMax: 6 };
    const gateway = await openGateway([user("main"), user("raul", { memory: off })]);
    put(gateway, "main", "MEMORY.md", "word");
    const query = { query: "word" };
    expect(await call(gateway, "main", "memory_search", query, "agent:main:webhook:group:room")).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("memory is for direct chats"),
    });
    expect(await call(gateway, "main", "memory_search", query, "agent:main:webhook:direct:kim")).toMatchObject({
      count: 1,
    });
    expect(await call(gateway, "raul", "memory_search", query)).toMatchObject({
      error: expect.stringContaining("memorySearch.enabled"),
    });
  });

  test("tell an operator what is indexed, and find for the operator what the agent would", async () => {
    const gateway = await openGateway([user("main")]);
    const client = { connId: "test", clientId: "test", mode: "test", scopes: ["operator.admin"] };
    const ask = async (method: "memory.status" | "memory.index" | "memory.search", params: object) => {
      const result = await gateway.doors.rpc(client, method, params);
      if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
      return result.payload;
    };
    put(gateway, "main", "MEMORY.md", "word");
    expect(await ask("memory.status", {})).toMatchObject({ agentId: "main", files: 0, behind: 1 });
    expect(await ask("memory.index", { agentId: "main", force: true })).toMatchObject({ files: 1, behind: 0 });
    expect(await ask("memory.search", { query: "word" })).toMatchObject({ count: 1 });
    expect(await ask("memory.search", { query: "word", collection: "x" })).toMatchObject({ code: "not_found" });
    await expect(ask("memory.status", { agentId: "nobody" })).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
  });
});
