/** MCP servers as they are: processes and HTTP, spoken to by the real client. */
import { mkdtemp, readFile, realpath } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { keepSecret, removeSecret } from "../../runtime/broker/secret-file.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { connect } from "../../runtime/mcp/connection.ts";
import { makeMcpHost } from "../../runtime/mcp/host.ts";
import { type McpForKernel, type McpServer, workspaceCwd } from "../../runtime/mcp/port.ts";
import { photo } from "../fixtures/mcp/tools.ts";
import { eventually } from "../support/eventually.ts";
import { httpServer, openHttpMcp, stdioServer } from "../support/mcp.ts";
import { isAlive } from "../support/processes.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function open(servers: readonly McpServer[], idleMs: number = limits.mcpIdleMs, given?: string) {
  const stateDir = given ?? (await realpath(await mkdtemp(path.join(os.tmpdir(), "mcp-state-"))));
  const workspace = await realpath(await mkdtemp(path.join(os.tmpdir(), "mcp-")));
  const logged: string[] = [];
  const changed: string[] = [];
  const host = makeMcpHost({
    settings: { servers, idleMs, stateDir, agentIds: ["ana", "bo"] },
    environment: { PATH: process.env["PATH"] ?? "" },
    connect,
    clock: {
      nowMs: () => Date.now(),
      random: () => 0,
      after: (ms, act) => {
        const timer = setTimeout(act, ms);
        return () => clearTimeout(timer);
      },
    },
    remote: {
      changed: async (_agentId, { server, result }) =>
        void changed.push(`${server} ${"tools" in result ? result.tools.length : result.failed}`),
      process: async () => undefined,
      ended: async () => undefined,
      log: async (level, message, fields) => void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
    },
  });
  closing.push(() => host.close());
  let id = 1;
  const call = (tool: string, params: object = {}, server = "test", agentId = "ana") =>
    host.call({ id: id++, agentId, workspace, server, tool, params: JSON.stringify(params), canBeTold: true });
  const text = async (...asked: Parameters<typeof call>): Promise<string> => {
    const result = (await call(...asked)) as { readonly status: string; readonly text: string };
    if (result.status !== "ok") throw new Error(JSON.stringify(result));
    return result.text;
  };
  return { host, call, text, logged, changed, workspace, stateDir, lastId: () => id - 1 };
}

const namesOf = async (host: McpForKernel): Promise<readonly string[]> => {
  const [listing] = await host.list({ agentId: "ana", workspace: "/" }, ["test"]);
  if (listing === undefined || "failed" in listing.result) throw new Error(JSON.stringify(listing));
  return listing.result.tools.map(({ spec }) => spec.name);
};

describe("a server that is a process", () => {
  test("tells its tools, runs them in a folder of its own, and is one process for all calls of an agent", async () => {
    const { host, call, text, workspace, stateDir, changed } = await open([stdioServer("test")]);
    const [listing] = await host.list({ agentId: "ana", workspace }, ["test"]);
    expect(listing).toMatchObject({
      server: "test",
      result: {
        tools: expect.arrayContaining([
          {
            name: "echo",
            spec: {
              name: "mcp__test__echo",
              description: "Says the same again.",
              parameters: expect.objectContaining({ type: "object", required: ["text"] }),
            },
          },
        ]),
      },
    });
    expect(await text("echo", { text: "hello ", times: 2 })).toBe("hello hello ");
    expect(await text("where")).toBe(path.join(stateDir, "mcp", "test", "ana"));
    expect(await text("where", {}, "test", "bo")).toBe(path.join(stateDir, "mcp", "test", "bo"));
    const pids = await Promise.all([text("pid"), text("pid"), text("pid", {}, "test", "bo")]);
    expect(pids[0]).toBe(pids[1]);
    expect(pids[2]).not.toBe(pids[0]);
    expect(await host.connections()).toMatchObject([
      { agentId: "ana", server: "test", state: "open", calls: 0, pid: Number(pids[0]) },
      { agentId: "bo", pid: Number(pids[2]) },
    ]);
    expect(await call("fail")).toEqual({ status: "error", code: "tool_error", error: "there is no paper" });
    expect(await call("echo", { text: 5 })).toMatchObject({ status: "error", code: "tool_error" });
    expect(await call("no such tool")).toMatchObject({ status: "error" });
    expect(
      await host.call({
        id: 99,
        agentId: "ana",
        workspace,
        server: "test",
        tool: "echo",
        params: "[1]",
        canBeTold: true,
      }),
    ).toEqual({
      status: "error",
      code: "invalid",
      error: "the parameters of echo are no JSON object",
    });
    expect(await text("grow")).toBe("grown");
    await eventually(() => expect(changed).toEqual(["test 14"]));
    await host.close();
    for (const pid of pids) expect(isAlive(Number(pid))).toBe(false);
  });

  test("starts in the agent's workspace when it says so, in a folder that it names, and not in one that is not there", async () => {
    const { at, ...rest } = stdioServer("test");
    if (at.type !== "stdio") throw new Error("it is no process");
    const inside = await open([{ ...rest, at: { ...at, cwd: workspaceCwd } }]);
    expect(await inside.text("where")).toBe(inside.workspace);
    const named = await open([{ ...rest, at: { ...at, cwd: "/" } }]);
    expect(await named.text("where")).toBe("/");
    const wrong = await open([{ ...rest, at: { ...at, cwd: path.join(named.stateDir, "typo") } }]);
    await expect(wrong.call("where")).resolves.toMatchObject({ code: "worker_unavailable" });
    expect((await wrong.host.connections())[0]?.reason).toMatch(
      /^it cannot be started: its folder \(cwd\) .*typo is not there$/,
    );
  });

  test("is given its own variables and none of the gateway's but those it may have", async () => {
    process.env["CLOISTER_TEST_SECRET"] = "canary";
    const server = stdioServer("test");
    if (server.at.type !== "stdio") throw new Error("it is no process");
    const { text } = await open([{ ...server, at: { ...server.at, env: { TOKEN: { value: "mine" } } } }]);
    const given = JSON.parse(await text("environment")) as Record<string, string>;
    expect(given["TOKEN"]).toBe("mine");
    expect(Object.keys(given).toSorted()).toEqual(["PATH", "TOKEN"]);
    delete process.env["CLOISTER_TEST_SECRET"];
  });

  test("is given secrets that stand elsewhere, as they are when it is started", async () => {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "mcp-state-"));
    await keepSecret(stateDir, "notes", "first-canary", 1);
    const server = stdioServer("test");
    if (server.at.type !== "stdio") throw new Error("it is no process");
    const env = { TOKEN: { ref: { source: "store", id: "notes" } } } as const;
    const { host, text, call, logged } = await open([{ ...server, at: { ...server.at, env } }], undefined, stateDir);
    const tokenOf = async (): Promise<string | undefined> =>
      (JSON.parse(await text("environment")) as Record<string, string>)["TOKEN"];
    expect(await tokenOf()).toBe("first-canary");
    await keepSecret(stateDir, "notes", "second-canary", 2);
    expect(await tokenOf()).toBe("first-canary");
    await call("exit");
    expect(await eventually(tokenOf)).toBe("second-canary");
    await call("exit");
    await removeSecret(stateDir, "notes");
    const failed = await eventually(async () => {
      const [view] = await host.connections();
      if (view?.reason?.includes("store") !== true) await call("environment");
      expect(view?.reason).toContain("store: notes: there is none");
      return call("environment");
    });
    // Where secrets are is the operator's to know.
    expect(failed).toMatchObject({ code: "worker_unavailable", error: expect.not.stringContaining("notes") as string });
    expect(logged.join()).not.toContain("canary");
  });

  test("gives pictures as files of the workspace, which the result names, and tells of what is none", async () => {
    const { call, workspace } = await open([stdioServer("test")]);
    const result = (await call("photo")) as { readonly text: string; readonly pictures: readonly string[] };
    const [file = ""] = result.pictures;
    expect(file).toMatch(/^inbox\/\d{4}-\d{2}-\d{2}T\d{6}-[0-9a-f]{12}\/1-result\.png$/);
    expect(result).toEqual({ status: "ok", text: `It is this:\n\n[image: ${file}]`, pictures: [file] });
    expect((await readFile(path.join(workspace, file))).toString("base64")).toBe(photo);
    expect(await call("picture")).toEqual({ status: "ok", text: "[image: image/png, 3 bytes, not shown]" });
  });

  test("A6.4: ends with every process that it started, also when it wants to stay", async () => {
    const { host, text } = await open([stdioServer("test", {}, ["--stubborn"])]);
    const [pid, child] = [Number(await text("pid")), Number(await text("child"))];
    expect([isAlive(pid), isAlive(child)]).toEqual([true, true]);
    await host.close();
    await eventually(() => expect([isAlive(pid), isAlive(child)]).toEqual([false, false]));
  });

  test("that ends by itself takes its processes with it, and is started again; what it printed is the operator's to know", async () => {
    const { host, call, text, logged } = await open([stdioServer("test")]);
    const [pid, child] = [await text("pid"), Number(await text("child"))];
    const lost = await call("exit");
    expect(lost).toMatchObject({ status: "error", code: "outcome_unknown" });
    expect(JSON.stringify(lost)).not.toContain("s3cr3t");
    await eventually(() => expect(isAlive(child)).toBe(false));
    const [view] = await host.connections();
    expect(view).toMatchObject({ state: "failed", reason: "it ended with exit code 3: the secret is s3cr3t" });
    expect(logged.join("\n")).toContain("an MCP server failed");
    const again = await eventually(() => text("pid"));
    expect(again).not.toBe(pid);
  });

  test("is ended when it has been idle, and started again by the next call", async () => {
    const { host, text } = await open([stdioServer("test")], 1);
    const pid = Number(await text("pid"));
    await eventually(() => expect(isAlive(pid)).toBe(false));
    await eventually(async () => expect(await host.connections()).toEqual([]));
    expect(Number(await text("pid"))).not.toBe(pid);
  });

  test("that does not answer in time, or whose call is wanted no more, is told to stop", async () => {
    const { host, call, text, lastId } = await open([stdioServer("test", { requestMs: 50 }), stdioServer("slow")]);
    await host.list({ agentId: "ana", workspace: os.tmpdir() }, ["test", "slow"]);
    expect(await call("hang")).toMatchObject({
      status: "timeout",
      code: "timeout",
      operatorHint: "mcp.servers.test.requestTimeoutMs",
    });
    const pid = await text("pid", {}, "slow");
    const ended = call("hang", {}, "slow");
    await eventually(async () =>
      expect(await host.connections()).toContainEqual(expect.objectContaining({ server: "slow", calls: 1 })),
    );
    await host.cancel(lastId());
    expect(await ended).toMatchObject({ error: "the call of hang was stopped: the turn that made it is over" });
    expect(await text("pid", {}, "slow")).toBe(pid);
  });

  test("whose message is larger than its bound is ended before anybody reads it", async () => {
    const { host, call } = await open([stdioServer("test")]);
    expect(
      await call("echo", { text: "x".repeat(1_000), times: Math.ceil(limits.mcpMessageBytesMax / 1_000) }),
    ).toMatchObject({
      code: "outcome_unknown",
    });
    const reason = async () => (await host.connections())[0]?.reason;
    await eventually(async () =>
      expect(await reason()).toContain(`a message of more than ${limits.mcpMessageBytesMax} bytes`),
    );
  });

  test("that cannot be started, or lacks a secret, says so to the operator", async () => {
    const at = (command: string, env = {}) => ({ at: { type: "stdio" as const, command, args: [], env } });
    const { host, call } = await open([
      stdioServer("test", at("no-such-program")),
      stdioServer("other", at("true", { KEY: { missing: "KEY is not set" } })),
      stdioServer("short", at("true")),
    ]);
    for (const server of ["test", "other", "short"])
      expect(await call("echo", {}, server)).toMatchObject({
        code: "worker_unavailable",
        error: `the MCP server ${server} is not available: it could not be reached or started`,
        retryAfterMs: expect.any(Number),
      });
    expect((await host.connections()).map(({ reason }) => reason)).toEqual([
      "it cannot be started: there is no program no-such-program on the gateway's PATH",
      "KEY is not set",
      "it ended with exit code 0",
    ]);
  });
});

describe("a server over HTTP", () => {
  test("gets its headers with each request, and a call once more when it was started again", async () => {
    const server = await openHttpMcp();
    closing.unshift(server.close);
    const { host, text, call } = await open([httpServer("test", server.url, { "x-key": { value: "secret" } })]);
    expect(await namesOf(host)).toContain("mcp__test__echo");
    expect(await text("echo", { text: "hello" })).toBe("hello");
    expect(server.seen.every((headers) => headers["x-key"] === "secret")).toBe(true);
    server.forget();
    expect(await text("echo", { text: "again" })).toBe("again");
    await server.close();
    expect(await call("echo", { text: "x" })).toMatchObject({ status: "error", code: "outcome_unknown" });
    expect(await call("echo", { text: "x" })).toMatchObject({ status: "error", code: "worker_unavailable" });
  });

  test("gets another secret with the next call after it was read anew; a call in hand ends as it began, and what is the same stays", async () => {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "mcp-state-"));
    await keepSecret(stateDir, "notes", "first", 1);
    const [server, other] = [await openHttpMcp(), await openHttpMcp()];
    closing.unshift(server.close, other.close);
    const headers = { "x-key": { ref: { source: "store", id: "notes" } } } as const;
    const { host, text } = await open(
      [httpServer("test", server.url, headers), httpServer("other", other.url, { "x-key": { value: "plain" } })],
      undefined,
      stateDir,
    );
    const slow = text("report");
    await text("echo", { text: "x" }, "other");
    await eventually(() => expect(server.tasks.begun).toHaveLength(1));
    expect(await host.readSecrets()).toEqual({ renewed: [], unread: [], servers: [] });
    await keepSecret(stateDir, "notes", "second", 2);
    expect(await host.readSecrets()).toEqual({
      renewed: ["mcp.servers.test.headers.x-key"],
      unread: [],
      servers: ["test"],
    });
    const begun = server.seen.length;
    expect(await text("echo", { text: "again" })).toBe("again");
    expect(server.seen.slice(begun).map((seen) => seen["x-key"])).not.toContain("first");
    await server.tasks.finish("42 pages");
    expect(await slow).toBe("42 pages");
    // Of before, whose last call this was: the session is given back.
    await eventually(() => expect(server.ended).toEqual(["first"]));
    await removeSecret(stateDir, "notes");
    expect(await host.readSecrets()).toMatchObject({
      renewed: [],
      unread: [{ path: "mcp.servers.test.headers.x-key", message: "store: notes: there is none" }],
      servers: [],
    });
    expect(await text("echo", { text: "still" })).toBe("still");
    expect(server.seen.at(-1)?.["x-key"]).toBe("second");
    expect(other.ended).toEqual([]);
  });

  test("that refuses, redirects elsewhere or sends too much is not available, with the reason for the operator", async () => {
    const answers: Record<string, (response: import("node:http").ServerResponse) => unknown> = {
      refuses: (response) => response.writeHead(401).end("who are you"),
      redirects: (response) => response.writeHead(307, { location: "http://localhost:9/" }).end(),
      floods: (response) =>
        response
          .writeHead(200, { "content-type": "application/json" })
          .end(Buffer.alloc(limits.mcpMessageBytesMax + 1, " ")),
    };
    const server = await openHttpMcp(({ url }, response) => {
      answers[url?.slice(1) ?? ""]?.(response);
      return true;
    });
    closing.push(server.close);
    const gone = await openHttpMcp();
    await gone.close();
    const names = [...Object.keys(answers), "gone"];
    const urlOf = (name: string): string => (name === "gone" ? gone.url : new URL(name, server.url).href);
    const { host, call } = await open(
      names.map((name) => httpServer(name, urlOf(name), { authorization: { value: "s3cr3t" } })),
    );
    for (const name of names)
      expect(await call("echo", {}, name)).toMatchObject({ status: "error", code: "worker_unavailable" });
    const reasons = (await host.connections()).map(({ reason }) => reason);
    expect(reasons).toEqual([
      expect.stringMatching(/who are you.*\(HTTP 401\)/),
      expect.stringMatching(/redirect/i),
      expect.stringContaining(`more than ${limits.mcpMessageBytesMax} bytes`),
      expect.stringMatching(/^it cannot be reached: connect ECONNREFUSED/),
    ]);
    expect(reasons.join(" ")).not.toContain("s3cr3t");
  });
});
