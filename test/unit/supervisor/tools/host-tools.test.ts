/** The tools' thread as the supervisor keeps it: started when it is needed, again after it was lost, and never beyond its bound. */
import { describe, expect, it, vi } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import type { HostCall, ToolsForKernel } from "../../../../runtime/tools/port.ts";
import { isRepeatable, type ToolCall } from "../../../../runtime/supervisor/tools/table.ts";
import { type HostToolsDeps, makeHostTools } from "../../../../runtime/supervisor/tools/host-tools.ts";
import { rootOf } from "../../../../runtime/supervisor/tools/places.ts";
import { resolveBox } from "../../../../runtime/config/exec.ts";
import { execSettings } from "../../../support/exec-settings.ts";
import { agentSettings } from "../../../support/agent-settings.ts";
import { makeConfig } from "../../../support/gateway.ts";

/** Folders of skills that agents share. */
let shared: readonly string[] = [];

const agentIds = ["main", "a", "b", "c", "d"];

/** Of a thread that has no commands. */
const idle: Omit<ToolsForKernel, "run" | "fetchPage"> = {
  postAnswer: () => Promise.reject(new Error("nobody posts")),
  plan: () => Promise.reject(new Error("nobody plans")),
  start: () => Promise.reject(new Error("nobody starts")),
  process: () => Promise.reject(new Error("nobody asks")),
  endTurn: () => undefined,
  endAll: () => Promise.resolve(),
  heldMemory: () => Promise.resolve([]),
  probe: ({ backend }) => Promise.resolve({ backend, works: false }),
};

const quietNews: HostToolsDeps["news"] = {
  expect: async () => undefined,
  ended: () => undefined,
  heard: () => undefined,
  processOf: () => undefined,
  turnOver: () => undefined,
  cellOver: () => undefined,
  lost: () => undefined,
  start: async () => undefined,
};

function open(
  run: (call: HostCall) => Promise<object>,
  more: Partial<ToolsForKernel> = {},
  news: Partial<HostToolsDeps["news"]> = {},
  own: object | ((id: string) => object) = {},
) {
  const logged: object[] = [];
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push({ level, message, ...fields });
  const ofAgent = (id: string): object => (typeof own === "function" ? own(id) : own);
  const config = makeConfig(agentIds.map((id) => ({ id, workspace: `/ws/${id}`, ...ofAgent(id) })));
  let heard: Parameters<HostToolsDeps["start"]>[1] | undefined;
  const lost: ((reason: string) => void)[] = [];
  let stops = 0;
  const host = makeHostTools({
    config,
    agents: new Map(config.agents.map((agent) => [agent.id, agent])),
    log: { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    skills: { foldersOf: (allowed) => (allowed?.length === 0 ? [] : shared) },
    news: { ...quietNews, ...news },
    approvals: { ask: () => Promise.reject(new Error("nobody asks")), isAllowed: () => false },
    kernel: () => ({ judgedTurn: () => ({ messages: [] }) }),
    start: (onLost, handlers) => {
      heard = handlers;
      lost.push(onLost);
      const thread = { remote: { ...idle, run, fetchPage: run as never, ...more }, stop: async () => void stops++ };
      return lost.length === 3 ? Promise.reject(new Error("no thread")) : Promise.resolve(thread);
    },
  });
  const call = (agentId = "main") =>
    host.tools.read.run({ header: { agentId, sessionKey: `agent:${agentId}:main` }, body: '{"path":"a"}' } as ToolCall);
  return { host, call, lost, logged, handlers: () => heard, stops: () => stops };
}

describe("the tools' thread", () => {
  it("starts with the first call, again after it was lost or could not start, and ends once", async () => {
    const calls: HostCall[] = [];
    const { host, call, lost, stops } = open(async (made) => {
      calls.push(made);
      return { status: "ok" };
    });
    expect(lost).toHaveLength(0);
    await Promise.all([call(), call()]);
    expect(lost).toHaveLength(1);
    expect(calls[0]).toEqual({ tool: "read", params: '{"path":"a"}', root: "/ws/main", showsPictures: true });
    lost[0]?.("it ended");
    await call();
    lost[1]?.("it ended");
    await expect(call()).rejects.toThrow("no thread");
    await call();
    // What an earlier thread says of itself is no word of the present one.
    lost[1]?.("once more");
    await call();
    expect(lost).toHaveLength(4);
    await host.close();
    expect(stops()).toBe(1);
    await expect(call()).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_DRAINING" });
  });

  it("has no more calls in hand than its bound, and takes further ones when they end", async () => {
    const gate = Promise.withResolvers<object>();
    const { call } = open(() => gate.promise);
    const inTurn = Array.from({ length: limits.toolHostCallsMax }, (_, at) => call(agentIds[at % 4]));
    const calls = [...inTurn];
    expect(await call("d")).toMatchObject({ code: "busy", error: expect.stringContaining("of all agents") });
    gate.resolve({ status: "ok" });
    await Promise.all(calls);
    expect(await call()).toEqual({ status: "ok" });
    expect(await call("gone")).toMatchObject({ code: "not_found" });
  });

  it("keeps places for other agents beside one that has many calls in hand", async () => {
    const gate = Promise.withResolvers<object>();
    const { call } = open(({ root }) => (root === "/ws/main" ? gate.promise : Promise.resolve({ status: "ok" })));
    const calls = Array.from({ length: limits.toolHostCallsOfAgentMax }, () => call());
    expect(await call()).toMatchObject({ code: "busy", error: expect.stringContaining("of main") });
    expect(await call("a")).toEqual({ status: "ok" });
    gate.resolve({ status: "ok" });
    await Promise.all(calls);
    expect(await call()).toEqual({ status: "ok" });
  });

  it("says what became of a command that it was told to end", async () => {
    const task = { id: "c-1", agentId: "main", sessionKey: "agent:main:main" };
    const told: unknown[] = [];
    const end = (answer: object, processId: string | null = "p-1") => {
      const remote = {
        run: () => Promise.resolve({}),
        process: async (...asked: unknown[]) => (told.push(asked), answer),
      };
      const news = { processOf: () => processId ?? undefined };
      return open(remote.run, { process: remote.process }, news).host.commands.end(task);
    };
    expect(await end({ status: "exited", exitCode: null, endedBy: "killed" })).toBe("ended");
    expect(await end({ status: "running", processId: "p-1" })).toBe("running");
    // It has ended meanwhile: by itself, or so long ago that nothing is known of it.
    expect(await end({ status: "exited", exitCode: 0 })).toBe("over");
    expect(await end({ status: "error", code: "not_found" })).toBe("over");
    expect(told).toHaveLength(4);
    // It is of the process before, which nobody can end.
    expect(await end({}, null)).toBe("over");
    expect(told).toHaveLength(4);
    expect(told[0]).toEqual([
      JSON.stringify({ action: "kill", processId: "p-1" }),
      { agentId: "main", sessionKey: "agent:main:main" },
    ]);
  });

  it("answers for a file system that does not, and takes the next call", async () => {
    vi.useFakeTimers();
    try {
      const { host, call } = open(({ tool }) =>
        tool === "read" ? Promise.resolve({ status: "ok" }) : new Promise<never>(() => undefined),
      );
      const header = { agentId: "main", sessionKey: "agent:main:main" };
      const calls = Array.from({ length: limits.toolHostCallsOfAgentMax }, () =>
        host.tools.edit.run({ header, body: "{}" } as ToolCall),
      );
      expect(await call()).toMatchObject({ code: "busy" });
      await vi.advanceTimersByTimeAsync(limits.toolFileMs);
      for (const result of await Promise.all(calls))
        expect(result).toMatchObject({ code: "timeout", operatorHint: expect.stringContaining("took effect") });
      expect(await call()).toEqual({ status: "ok" });
    } finally {
      vi.useRealTimers();
    }
  });

  it("reads the folders of skills that agents share, and does nothing else to them", async () => {
    shared = ["/shared/a"];
    try {
      const calls: HostCall[] = [];
      const { host, call } = open(async (made) => {
        calls.push(made);
        return { status: "ok" };
      });
      await call();
      const header = { agentId: "main", sessionKey: "agent:main:main" };
      await host.tools.write.run({ header, body: "{}" } as ToolCall);
      expect(calls.map(({ tool, beside }) => [tool, beside])).toEqual([
        ["read", [{ root: "/shared/a" }]],
        ["write", undefined],
      ]);
    } finally {
      shared = [];
    }
  });

  it("reads the agent's own skills for a session that does not see the workspace, and nothing else of that", async () => {
    const besideOf = async (more: object): Promise<HostCall["beside"]> => {
      const calls: HostCall[] = [];
      const { host } = open(
        async (made) => {
          calls.push(made);
          return { status: "ok" };
        },
        {},
        {},
        more,
      );
      const header = { agentId: "main", sessionKey: "agent:main:irc:direct:ana" };
      await host.tools.read.run({ header, body: "{}" } as ToolCall);
      return calls[0]?.beside;
    };
    const sandbox = { scope: "agent", access: "none", folder: "/boxes" };
    const own = [{ root: "/ws/main", folders: ["skills", ".agents/skills"] }];
    expect(await besideOf({ sandboxMode: "non-main", sandbox })).toEqual(own);
    expect(await besideOf({ sandboxMode: "non-main", sandbox: { ...sandbox, access: "ro" } })).toBeUndefined();
    expect(await besideOf({ sandboxMode: "off", sandbox })).toBeUndefined();
    const settings = agentSettings("main", { skills: [] });
    expect(await besideOf({ sandboxMode: "non-main", sandbox, settings })).toBeUndefined();
  });

  it("is not called twice for what must not be done twice", () => {
    const { host } = open(() => Promise.resolve({}));
    const names = Object.keys(host.tools).filter((name) => !isRepeatable(host.tools, name));
    expect(names).toEqual(["edit", "apply_patch", "exec", "process"]);
  });
});

describe("the folder of a call", () => {
  const session = makeConfig([]).session;
  const at = (scope: "session" | "agent" | "shared", access: "none" | "ro" | "rw", key: string, mode = "non-main") =>
    rootOf(
      { id: "kim", workspace: "/ws", sandboxMode: mode as "non-main", sandbox: { scope, access, folder: "/boxes" } },
      key,
      session,
    );

  it.each([
    ["agent", "none", "agent:kim:main", "/ws"],
    ["agent", "none", "agent:kim:x", "/boxes/agent-kim"],
    ["shared", "none", "agent:kim:x", "/boxes/shared"],
    ["agent", "ro", "agent:kim:x", "/ws"],
    ["agent", "rw", "agent:kim:x", "/ws"],
  ] as const)("with scope %s and access %s for %s", (scope, access, key, folder) => {
    expect(at(scope, access, key)).toBe(folder);
  });

  it("is each session's own with scope session", () => {
    const [one, two] = [at("session", "none", "agent:kim:x"), at("session", "none", "agent:kim:y")];
    expect(one).toMatch(/^\/boxes\/session-[0-9a-f]{32}$/);
    expect(two).not.toBe(one);
    expect(at("session", "none", "agent:kim:main", "all")).toMatch(/^\/boxes\/session-/);
  });
});

describe("the sandboxes of a configuration", () => {
  const ok = () => Promise.resolve({ status: "ok" });
  const boxed = (backend: string, more: object = {}): object => ({
    sandboxMode: "all",
    exec: { ...execSettings(), backend, box: resolveBox(more) },
  });

  it("that cannot be set up here are told when the gateway starts, by what is the matter with them", async () => {
    const settings: Readonly<Record<string, object>> = {
      main: boxed("docker"),
      a: boxed("docker", { image: "alpine" }),
      b: boxed("docker", { image: "alpine", memory: "1g" }),
      c: boxed("bubblewrap"),
      d: { ...boxed("docker", { image: "gone" }), sandboxMode: "off" },
    };
    const asked: object[] = [];
    const probe: ToolsForKernel["probe"] = async ({ backend, settings: box }) => {
      asked.push([backend, box?.image]);
      if (backend === "bubblewrap") throw new Error("the thread was lost");
      return box?.image === "alpine"
        ? { backend, works: false, why: "the engine has no image alpine" }
        : { backend, works: true };
    };
    const { host, logged } = open(ok, { probe }, {}, (id) => settings[id] ?? {});
    await host.commands.checkSandboxes();
    expect(asked).toEqual([
      ["docker", "debian:stable-slim"],
      ["docker", "alpine"],
      ["bubblewrap", "debian:stable-slim"],
    ]);
    const message = "a sandbox cannot be set up: commands in it are refused";
    expect(logged).toEqual([
      { level: "warn", message, agents: ["a", "b"], backend: "docker", reason: "the engine has no image alpine" },
      { level: "warn", message, agents: ["c"], backend: "bubblewrap", reason: "the thread was lost" },
    ]);
  });

  it("are told once for each reason, and again when they worked in between", async () => {
    let why: string | undefined = "no engine answers";
    const probe: ToolsForKernel["probe"] = async ({ backend }) =>
      why === undefined ? { backend, works: true } : { backend, works: false, why };
    const { host, logged } = open(ok, { probe }, {}, (id) => (id === "main" ? boxed("docker") : {}));
    const look = async (now: string | undefined): Promise<readonly unknown[]> => {
      why = now;
      logged.length = 0;
      await host.commands.checkSandboxes();
      return logged.map((row) => ("reason" in row ? row.reason : undefined));
    };
    expect(await look("no engine answers")).toEqual(["no engine answers"]);
    expect(await look("no engine answers")).toEqual([]);
    expect(await look("no image")).toEqual(["no image"]);
    expect(await look(undefined)).toEqual([]);
    expect(await look("no image")).toEqual(["no image"]);
  });

  it("F132: what a setupCommand wrote is in the log, as a warning where it failed", async () => {
    const { call, logged, handlers } = open(ok);
    await call();
    const told = { agentId: "main", image: "debian:stable-slim" };
    await handlers()?.setUp({ ...told, output: "E: no network" });
    await handlers()?.setUp({ ...told, made: "cloister-sandbox:1", output: "done" });
    expect(logged).toMatchObject([
      { level: "warn", agent: "main", image: "debian:stable-slim", output: "E: no network" },
      { level: "info", agent: "main", made: "cloister-sandbox:1", output: "done" },
    ]);
  });
});
