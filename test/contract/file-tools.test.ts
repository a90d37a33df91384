/** The file tools from a cell through the kernel to the tools' thread: whose folder it is, and what is recorded. */
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, subagentPolicy, type TestAgent, type TestGateway } from "../support/gateway.ts";

const user = (changes: Partial<TestAgent> = {}): TestAgent => ({ id: "main", ...actor("tool-user"), ...changes });

async function call(gateway: TestGateway, name: string, params: object, session?: string): Promise<object> {
  const text = JSON.stringify({ tool: "call", params: { name, params } });
  return JSON.parse(await gateway.reply("main", text, session)) as object;
}

const workspaceOf = (gateway: TestGateway, agentId = "main"): string =>
  gateway.config.agents.find(({ id }) => id === agentId)?.workspace ?? "";

describe("the file tools of an agent", () => {
  test("work in its workspace, and their results are in the transcript", async () => {
    const gateway = await openGateway([user()]);
    expect(await call(gateway, "write", { path: "notes/a.md", content: "one\n" })).toMatchObject({ created: true });
    const edits = [{ oldText: "one", newText: "two" }];
    expect(await call(gateway, "edit", { path: "notes/a.md", edits })).toMatchObject({ status: "ok" });
    expect(await readFile(path.join(workspaceOf(gateway), "notes/a.md"), "utf8")).toBe("two\n");
    expect(await call(gateway, "read", { path: "notes/a.md" })).toMatchObject({ text: "two" });
    expect(await call(gateway, "ls", {})).toMatchObject({ entries: [{ name: "notes", type: "directory" }] });
    expect(await call(gateway, "read", { path: "../../etc/passwd" })).toMatchObject({ status: "forbidden" });
    const { rows } = await gateway.store.history("main", "agent:main:main", 50, 0);
    expect(rows.filter(({ role }) => role === "toolResult").map(({ toolName }) => toolName)).toEqual([
      "write",
      "edit",
      "read",
      "ls",
      "read",
    ]);
  });

  test("take and give more than the parameters of a session tool may have", async () => {
    const gateway = await openGateway([user()]);
    const content = `${"x".repeat(50_000)}\n`.repeat(4);
    expect(await call(gateway, "write", { path: "large.txt", content })).toMatchObject({ bytes: content.length });
    expect(await call(gateway, "read", { path: "large.txt", offset: 4 })).toMatchObject({ totalLines: 4, lines: 1 });
  });

  test("of a sub-agent work in the workspace of its agent, not in its requester's", async () => {
    const spawner = {
      ...actor("spawner"),
      subagents: subagentPolicy(),
    };
    const gateway = await openGateway([
      { id: "main", ...spawner },
      { id: "raul", ...spawner },
    ]);
    const task = JSON.stringify({ do: "call", tool: "write", params: { path: "from-run.txt", content: "hello" } });
    const end = await gateway.reply("main", JSON.stringify({ do: "spawn", options: { agentId: "raul", task } }));
    expect(JSON.parse(end)).toMatchObject({ status: "succeeded" });
    expect(await readFile(path.join(workspaceOf(gateway, "raul"), "from-run.txt"), "utf8")).toBe("hello");
    expect(existsSync(path.join(workspaceOf(gateway), "from-run.txt"))).toBe(false);
  });
});

describe("web_fetch", () => {
  test("is the agent's own address and bounds, judged by the tool policy, and gone where it is switched off", async () => {
    const server = createServer((_, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<h1>Hi"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const gateway = await openGateway([user()]);
    const url = `http://127.0.0.1:${port}/`;
    expect(await call(gateway, "web_fetch", { url })).toMatchObject({ status: "forbidden", code: "forbidden" });
    const { settings } = gateway.config.webFetch;
    const allowing = { settings: { ...settings, allowedHosts: [`127.0.0.1:${port}`] } };
    const other = await openGateway([user()], { webFetch: { enabled: true, ...allowing } });
    expect(await call(other, "web_fetch", { url })).toMatchObject({ status: "ok", text: "# Hi" });
    const off = await openGateway([user()], { webFetch: { enabled: false, ...allowing } });
    expect(await call(off, "web_fetch", { url })).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("tools.web.fetch.enabled"),
    });
  });
});

describe("the file tools of a sandboxed session", () => {
  const boxed = (access: "none" | "ro" | "rw", scope: "session" | "agent" = "agent"): Promise<TestGateway> => {
    const folder = path.join(path.sep, "tmp", "unused");
    return openGateway([user({ sandboxMode: "non-main", sandbox: { scope, access, folder } })]);
  };

  test("see the workspace to read, with nothing that writes", async () => {
    const gateway = await boxed("ro");
    await call(gateway, "write", { path: "a.txt", content: "a" });
    expect(await call(gateway, "read", { path: "a.txt" }, "agent:main:side")).toMatchObject({ text: "a" });
    expect(await call(gateway, "write", { path: "a.txt", content: "b" }, "agent:main:side")).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("sandbox.workspaceAccess"),
    });
  });

  test("see the workspace to change", async () => {
    const gateway = await boxed("rw");
    await call(gateway, "write", { path: "a.txt", content: "b" }, "agent:main:side");
    expect(readdirSync(workspaceOf(gateway))).toContain("a.txt");
  });

  test("see a folder of their sandbox alone", async () => {
    const gateway = await openGateway([user({ sandboxMode: "non-main" })]);
    await call(gateway, "write", { path: "mine.txt", content: "m" });
    expect(await call(gateway, "ls", {}, "agent:main:side")).toMatchObject({ entries: [] });
    await call(gateway, "write", { path: "boxed.txt", content: "b" }, "agent:main:side");
    expect(await call(gateway, "ls", {}, "agent:main:other")).toMatchObject({ entries: [{ name: "boxed.txt" }] });
    expect(readdirSync(workspaceOf(gateway))).toEqual(["mine.txt"]);
    expect(readdirSync(path.join(gateway.config.stateDir, "sandboxes"))).toEqual(["agent-main"]);
  });
});
