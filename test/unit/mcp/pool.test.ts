/** Connections to MCP servers: who shares one, when it is closed, and when one that failed is tried again. On a virtual clock. */
import { mkdtemp } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { keepSecret, removeSecret } from "../../../runtime/broker/secret-file.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Connect, Connection } from "../../../runtime/mcp/connection.ts";
import { isUnavailable, makePool } from "../../../runtime/mcp/pool.ts";
import type { McpListing, McpServer } from "../../../runtime/mcp/port.ts";

const ana = { agentId: "ana", workspace: "/ana" };
const bo = { agentId: "bo", workspace: "/bo" };
const server = (name: string, command = "x"): McpServer => ({
  name,
  at: { type: "stdio", command, args: [], env: {} },
  connectMs: 1_000,
  requestMs: 1_000,
  taskWaitMs: 1_000,
});

const form: { [key: string]: unknown; type: "object" } = { type: "object" };
const bigTools = [
  { name: "huge", inputSchema: { ...form, title: "x".repeat(limits.mcpToolSchemaCharsMax) } },
  { name: "long", description: "x".repeat(limits.mcpToolTextCharsMax + 1), inputSchema: form },
];

interface Made {
  readonly name: string;
  isClosed: boolean;
  tools: string[];
  end(reason: string): void;
  announce(): void;
}

function open(names: readonly string[] = ["notes"]) {
  const made: Made[] = [];
  const told: McpListing[] = [];
  const timers = new Set<{ readonly atMs: number; readonly act: () => void }>();
  let nowMs = 0;
  let broken: string | undefined;
  const given: string[] = [];
  const connect: Connect = async ({ server: { name, at }, onEnded, onProcess, onToolsChanged }) => {
    if (at.type === "http" && broken === undefined)
      given.push(
        Object.values(at.headers)
          .map((one) => ("value" in one ? one.value : one.missing))
          .join(" "),
      );
    if (broken !== undefined) throw new Error(broken);
    const mine: Made = { name, isClosed: false, tools: ["add"], end: onEnded, announce: onToolsChanged };
    const pid = made.push(mine);
    onProcess(pid, true);
    return {
      pid,
      tools: async () => (name === "big" ? bigTools : mine.tools.map((tool) => ({ name: tool, inputSchema: form }))),
      call: () => Promise.reject(new Error("not called here")),
      startTask: () => Promise.reject(new Error("not called here")),
      task: () => Promise.reject(new Error("not called here")),
      taskResult: () => Promise.reject(new Error("not called here")),
      cancelTask: () => Promise.reject(new Error("not called here")),
      close: async () => {
        mine.isClosed = true;
        onProcess(pid, false);
      },
    } satisfies Connection;
  };
  const settings = (list = names.map((name) => server(name)), agentIds = ["ana", "bo"]) => ({
    servers: list,
    idleMs: 1_000,
    stateDir: "/nowhere",
    agentIds,
  });
  const pool = makePool({
    settings: settings(),
    environment: {},
    connect,
    clock: {
      nowMs: () => nowMs,
      random: () => 1,
      after: (ms, act) => {
        const timer = { atMs: nowMs + ms, act };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
    remote: {
      changed: async (_agentId, listing) => void told.push(listing),
      ended: async () => undefined,
      log: async () => undefined,
      process: async () => undefined,
    },
  });
  const pass = (ms: number): void => {
    nowMs += ms;
    for (const timer of [...timers].toSorted((a, b) => a.atMs - b.atMs))
      if (timer.atMs <= nowMs && timers.delete(timer)) timer.act();
  };
  const why = async (agent = ana, name = "notes"): Promise<string> => {
    const error = await pool.hold(agent, name).then(
      () => new Error("it was held"),
      (found: unknown) => found,
    );
    return isUnavailable(error) ? `${error.message} (${error.retryAfterMs ?? "-"})` : String(error);
  };
  return {
    pool,
    made,
    given,
    told,
    pass,
    why,
    settings,
    timers,
    fault: (reason: string | undefined) => void (broken = reason),
  };
}

test("A6.2: the agent of each process is known until it ends, also when nobody gets its connection any more", async () => {
  const { pool, settings } = open();
  const [own, other] = [await pool.hold(ana, "notes"), await pool.hold(bo, "notes")];
  const all = [
    { pid: 1, agentId: "ana" },
    { pid: 2, agentId: "bo" },
  ];
  expect(pool.processes()).toEqual(all);
  pool.configure(settings([]));
  expect([pool.view(), pool.processes()]).toEqual([[], all]);
  own.release();
  expect(pool.processes()).toEqual(all.slice(1));
  other.release();
  expect(pool.processes()).toEqual([]);
});

describe("a connection", () => {
  test("that was given up ends without the one that took its place", async () => {
    const { pool, made } = open();
    const held = await pool.hold(ana, "notes");
    held.renew();
    const { connection, release } = await pool.hold(ana, "notes");
    expect(made).toHaveLength(2);
    made[0]?.end("it ended");
    held.discard("it ended");
    expect(pool.view()).toMatchObject([{ state: "open", pid: 2 }]);
    release();
    expect((await pool.hold(ana, "notes")).connection).toBe(connection);
  });

  test("A15.6: is one for each agent and server, shared by all calls, and closed when nobody has used it for a while", async () => {
    const { pool, made, pass } = open();
    const held = await Promise.all([pool.hold(ana, "notes"), pool.hold(ana, "notes"), pool.hold(bo, "notes")]);
    expect(made).toHaveLength(2);
    expect(pool.view().map(({ agentId, calls }) => [agentId, calls])).toEqual([
      ["ana", 2],
      ["bo", 1],
    ]);
    held[0].release();
    held[0].release();
    pass(5_000);
    expect(made.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    held[1].release();
    held[2].release();
    pass(999);
    (await pool.hold(ana, "notes")).release();
    pass(999);
    expect(made.map(({ isClosed }) => isClosed)).toEqual([false, true]);
    pass(1);
    expect(made.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    expect(pool.view()).toEqual([]);
  });

  test("that failed is tried again later, each time later, and at once again when it has worked", async () => {
    const { pool, made, pass, why, fault } = open();
    fault("no such program");
    expect(await why()).toBe(
      `the MCP server notes is not available: it could not be reached or started (${limits.mcpRetryMs})`,
    );
    expect(await why()).toBe(
      `the MCP server notes is not available: it failed a moment ago, and is tried again later (${limits.mcpRetryMs})`,
    );
    expect(pool.view()).toMatchObject([{ state: "failed", reason: "no such program", retryAtMs: limits.mcpRetryMs }]);
    let waitMs: number = limits.mcpRetryMs;
    for (let failures = 2; failures < 12; failures++) {
      pass(waitMs);
      waitMs = Math.min(waitMs * 2, limits.mcpRetryMsMax);
      expect(await why()).toContain(`(${waitMs})`);
    }
    fault(undefined);
    pass(waitMs);
    const held = await pool.hold(ana, "notes");
    held.worked();
    made[0]?.end("it ended with exit code 3");
    held.release();
    expect(await why()).toContain(`(${limits.mcpRetryMs})`);
    pass(limits.mcpRetryMs);
    (await pool.hold(ana, "notes")).release();
    expect(made).toHaveLength(2);
    expect(made[0]?.isClosed).toBe(true);
  });

  test("that connects and fails at each call is tried again later and later all the same", async () => {
    const { pool, made, pass, why } = open();
    for (const waitMs of [1, 2, 4].map((factor) => factor * limits.mcpRetryMs)) {
      const held = await pool.hold(ana, "notes");
      made.at(-1)?.end("it ended");
      held.release();
      expect(await why()).toContain(`(${waitMs})`);
      pass(waitMs);
    }
  });

  test("whose server is another by now, or whose agent is gone, ends with its last call; others stay", async () => {
    const { pool, made, settings } = open(["notes", "files"]);
    const held = await pool.hold(ana, "notes");
    (await pool.hold(ana, "files")).release();
    (await pool.hold(bo, "files")).release();
    pool.configure(settings([server("notes", "y"), server("files")], ["ana"]));
    expect(made.map(({ name, isClosed }) => [name, isClosed])).toEqual([
      ["notes", false],
      ["files", false],
      ["files", true],
    ]);
    const next = await pool.hold(ana, "notes");
    expect(next.connection).not.toBe(held.connection);
    held.release();
    expect(made[0]?.isClosed).toBe(true);
    pool.configure(settings([]));
    next.release();
    expect(made.every(({ isClosed }) => isClosed)).toBe(true);
  });

  test("whose server would be given another secret ends with its last call; those of others stay, and so does what cannot be read", async () => {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "mcp-secrets-"));
    for (const name of ["a", "b", "c"]) await keepSecret(stateDir, name, `${name}-1`, 0);
    const { pool, made, given, settings } = open(["a", "b", "c", "plain"]);
    const referring = (name: string): McpServer => ({
      ...server(name),
      at: {
        type: "http",
        url: "http://x/",
        headers: { key: { ref: { source: "store", id: name } }, k: { value: "x" } },
      },
    });
    pool.configure({ ...settings([...["a", "b", "c"].map(referring), server("plain")]), stateDir });
    const held = await pool.hold(ana, "a");
    for (const name of ["b", "c", "plain"]) (await pool.hold(ana, name)).release();
    expect(await pool.readSecrets()).toEqual({ renewed: [], unread: [], servers: [] });
    await keepSecret(stateDir, "a", "a-2", 1);
    await removeSecret(stateDir, "b");
    expect(await pool.readSecrets()).toEqual({
      renewed: ["mcp.servers.a.headers.key"],
      unread: [
        {
          path: "mcp.servers.b.headers.key",
          message: "store: b: there is none",
          remedy: "keep it with `cloister secrets set <name>`, or correct mcp.servers.b.headers.key",
        },
      ],
      servers: ["a"],
    });
    expect(made.every(({ isClosed }) => !isClosed)).toBe(true);
    const next = await pool.hold(ana, "a");
    expect(next.connection).not.toBe(held.connection);
    held.release();
    next.release();
    expect(made.map(({ name, isClosed }) => [name, isClosed])).toEqual([
      ["a", true],
      ["b", false],
      ["c", false],
      ["plain", false],
      ["a", false],
    ]);
    expect(given).toEqual(["a-1 x", "b-1 x", "c-1 x", "a-2 x"]);
    expect(await pool.readSecrets()).toMatchObject({ renewed: [], servers: [] });
  });

  test("that failed is tried at once when its secrets are read anew, whatever it failed for", async () => {
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "mcp-secrets-"));
    await keepSecret(stateDir, "notes", "n-1", 0);
    const { pool, made, why, fault, settings } = open();
    const at = { type: "http", url: "http://x/", headers: { key: { ref: { source: "store", id: "notes" } } } } as const;
    pool.configure({ ...settings([{ ...server("notes"), at }]), stateDir });
    fault("401");
    expect(await why()).toContain("could not be reached");
    expect(await why()).toContain("tried again later");
    fault(undefined);
    expect(await pool.readSecrets()).toEqual({ renewed: [], unread: [], servers: ["notes"] });
    (await pool.hold(ana, "notes")).release();
    expect(made).toHaveLength(1);
  });

  test("of an agent that has another workspace by now is another one", async () => {
    const { pool, made } = open();
    const held = await pool.hold(ana, "notes");
    const next = await pool.hold({ ...ana, workspace: "/elsewhere" }, "notes");
    expect(next.connection).not.toBe(held.connection);
    held.release();
    expect(made.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  });

  test("beyond the bound takes the place of the one that was idle for longest, and is refused when none is", async () => {
    const { pool, made, pass } = open();
    const agents = Array.from({ length: limits.mcpConnectionsMax }, (_, index) => ({
      agentId: `a${index}`,
      workspace: "/",
    }));
    const held = await Promise.all(agents.map((agent) => pool.hold(agent, "notes")));
    await expect(pool.hold(ana, "notes")).rejects.toMatchObject({ isBusy: true });
    pass(1);
    held[7]?.release();
    pass(1);
    held[3]?.release();
    await pool.hold(ana, "notes");
    expect(made.flatMap(({ isClosed }, index) => (isClosed ? [index] : []))).toEqual([7]);
    expect(pool.view()).toHaveLength(limits.mcpConnectionsMax);
  });

  test("is closed with the pool, held or not, and nobody gets another", async () => {
    const { pool, made, timers, why } = open();
    await pool.hold(ana, "notes");
    await pool.close();
    expect(made[0]?.isClosed).toBe(true);
    expect(timers.size).toBe(0);
    expect(await why(bo)).toContain("the gateway stops");
  });
});

describe("the tools of a server", () => {
  test("that says that they have changed are told anew, not more often than once a while", async () => {
    const { pool, made, told, pass } = open();
    expect((await pool.tools(ana, "notes")).map(({ spec }) => spec.name)).toEqual(["mcp__notes__add"]);
    await pool.hold(ana, "notes");
    const [mine] = made as [Made];
    for (let round = 0; round < 3; round++) {
      mine.tools.push(`more${round}`);
      mine.announce();
    }
    await Promise.resolve();
    await new Promise(setImmediate);
    expect(told).toHaveLength(1);
    mine.tools.push("last");
    pass(limits.mcpRetryMs);
    await new Promise(setImmediate);
    expect(told).toHaveLength(2);
    expect(told[1]).toMatchObject({ server: "notes", result: { tools: { length: 5 } } });
    pass(limits.mcpRetryMs);
    await new Promise(setImmediate);
    expect(told).toHaveLength(2);
  });

  test("of another configuration are told no more", async () => {
    const { pool, made, told, settings } = open();
    const held = await pool.hold(ana, "notes");
    pool.configure(settings([server("notes", "y")]));
    made[0]?.announce();
    await new Promise(setImmediate);
    expect(told).toEqual([]);
    held.release();
  });

  test("whose parameters would fill a conversation are left out; of a long description the beginning is told", async () => {
    const { pool } = open(["big"]);
    const { mcpToolSchemaCharsMax: most, mcpToolTextCharsMax: shown } = limits;
    const tools = await pool.tools(ana, "big");
    expect(tools.map(({ name, spec }) => [name, spec.description.length])).toEqual([["long", shown]]);
    expect(JSON.stringify(tools[0]?.spec.parameters).length).toBeLessThan(most);
  });
});
