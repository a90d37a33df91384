/** Commands of agents through the kernel: who is asked, what ends them, and what an agent that obeys an attacker gets at. */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { actor } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { execSettings } from "../support/exec-settings.ts";
import { openGateway, openGatewayAt, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { countMarked } from "../support/processes.ts";

const user = (changes: Partial<TestAgent> = {}): TestAgent => ({ id: "main", ...actor("tool-user"), ...changes });
const free = execSettings({ tools: { exec: { security: "full", ask: "off" } } });
const client = { connId: "t", clientId: "test", mode: "test", scopes: ["operator.admin"] };

interface Told {
  readonly status?: string;
  readonly code?: string;
  readonly processId?: string;
  readonly output?: string;
  readonly endedBy?: string;
}

/** A command is waited for until it ends, however slow the machine is. */
async function call(gateway: TestGateway, name: string, asked: object, agentId = "main"): Promise<Told> {
  const params = name === "exec" ? { yieldMs: 120_000, ...asked } : asked;
  const text = JSON.stringify({ tool: "call", params: { name, params } });
  return JSON.parse(await gateway.reply(agentId, text)) as Told;
}

async function rpc(gateway: TestGateway, method: string, params: object): Promise<Record<string, unknown>> {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw new Error(result.refusal.message);
  return result.payload as Record<string, unknown>;
}

describe("exec", () => {
  test("asks the operator by default, shows all of the command, and runs it in these words", async () => {
    const gateway = await openGateway([user()]);
    const asked = call(gateway, "exec", { command: "echo $((40 + 2))", env: { A: "b" } });
    await gateway.until(() => gateway.events.some(({ event }) => event === "exec.approvals"));
    const { requests } = (await rpc(gateway, "exec.approval.list", {})) as { requests: { id: string }[] };
    expect(requests).toMatchObject([
      { agentId: "main", argv: ["/bin/sh", "-c", "echo $((40 + 2))"], env: { A: "b" }, place: "host" },
    ]);
    await rpc(gateway, "exec.approval.resolve", { id: requests[0]?.id, decision: "allow-once" });
    expect(await asked).toMatchObject({ status: "exited", output: "42\n" });
  });

  test("runs what the list names without asking, and refuses the rest where nobody is asked", async () => {
    const exec = execSettings({ tools: { exec: { ask: "off", allow: ["echo hello"] } } });
    const gateway = await openGateway([user({ exec })]);
    expect(await call(gateway, "exec", { command: "echo hello 'you there'" })).toMatchObject({
      output: "hello you there\n",
    });
    expect(await call(gateway, "exec", { command: "echo hello; id" })).toMatchObject({ status: "forbidden" });
    expect(await call(gateway, "exec", { command: "echo", timeout: -1 })).toMatchObject({ code: "invalid" });
  });

  test("leaves a sandbox by elevated alone, which every gate has to let through", async () => {
    const boxed = { sandboxMode: "all" as const };
    const closed = await openGateway([user({ ...boxed, exec: free })]);
    expect(await call(closed, "exec", { command: "pwd" })).toMatchObject({ output: "/workspace\n" });
    expect(await call(closed, "exec", { command: "pwd", elevated: true })).toMatchObject({ status: "forbidden" });
    const exec = { ...free, elevated: { enabled: true, allowFrom: [{ telegram: ["7"] }] } };
    const opened = await openGateway([user({ ...boxed, exec })]);
    const workspace = opened.config.agents[0]?.workspace;
    expect(await call(opened, "exec", { command: "pwd", elevated: true })).toMatchObject({ output: `${workspace}\n` });
    const explained = async (gateway: TestGateway, id?: string): Promise<unknown> => {
      const sender = id === undefined ? {} : { sender: { channel: "telegram", id } };
      const { sandbox } = await rpc(gateway, "tools.effective", { agentId: "main", ...sender });
      return (sandbox as { elevated?: object }).elevated;
    };
    expect(await explained(closed)).toEqual({ allowed: false, key: expect.stringContaining("tools.elevated.enabled") });
    expect(await explained(opened)).toEqual({ allowed: true, security: "full", ask: "off" });
    expect(await explained(opened, "8")).toMatchObject({ allowed: false, key: expect.stringContaining("allowFrom") });
    // Chosen for the session, calls need not say it.
    expect(await opened.reply("main", "/elevated on")).toBe("Elevated: on in this session (security full, ask off).");
    expect(await call(opened, "exec", { command: "pwd" })).toMatchObject({ output: `${workspace}\n` });
    await opened.reply("main", "/elevated off");
    // For one message alone, over what was chosen.
    const pwd = JSON.stringify({
      tool: "call",
      params: { name: "exec", params: { command: "pwd", yieldMs: 120_000 } },
    });
    expect(JSON.parse(await opened.reply("main", `/elevated on ${pwd}`))).toMatchObject({ output: `${workspace}\n` });
    expect(await call(opened, "exec", { command: "pwd" })).toMatchObject({ output: "/workspace\n" });
    expect(await explained(opened, "7")).toMatchObject({ allowed: false, level: "off" });
  });

  test("in a sandbox has the bounds that sandbox explain tells, and is told where nothing is bounded", async () => {
    const gateway = await openGateway([user({ sandboxMode: "all", exec: free })]);
    const { output = "" } = await call(gateway, "exec", { command: "cat /proc/self/limits" });
    const held = (name: string): string => new RegExp(`^${name} +(\\S+)`, "m").exec(output)?.[1] ?? "";
    const { sandbox } = await rpc(gateway, "tools.effective", { agentId: "main" });
    const { bounds } = (sandbox as { commands: { bounds: readonly string[] } }).commands;
    expect(bounds).toEqual([
      expect.stringMatching(/^time: \d+ ms/),
      `memory: ${held("Max data size")} bytes of each process (rlimit); none for all of a command together`,
      process.getuid?.() === 0
        ? expect.stringMatching(/^processes: none, since the gateway runs as root/)
        : `processes: ${held("Max processes")} of the gateway's user, all of them together (rlimit)`,
      "CPU: none",
      expect.stringContaining(`files: ${held("Max file size")} bytes each (rlimit)`),
      "network: none",
    ]);
  });

  test("A6.4: what an agent runs in the background ends when its cell is stopped", async () => {
    const gateway = await openGateway([user({ exec: free })]);
    const mark = `MARK=${randomBytes(8).toString("hex")}`;
    const [name, value] = mark.split("=");
    const command = { command: "sleep 4711 & sleep 4711", background: true, env: { [name ?? ""]: value } };
    const began = await call(gateway, "exec", command);
    expect(began, JSON.stringify(began)).toMatchObject({ status: "running" });
    const { processId } = began;
    expect(await call(gateway, "process", { action: "poll", processId })).toMatchObject({ status: "running" });
    await eventually(async () => expect(await countMarked(mark)).toBeGreaterThan(1));
    gateway.driver.kernel.order("main", { type: "park", reason: "a test" }, Date.now());
    await eventually(async () => expect(await countMarked(mark)).toBe(0));
  });
});

describe.each(["thread", "process"] as const)("an agent that does whatever an attacker says (%s)", (level) => {
  const canary = `canary-${randomBytes(8).toString("hex")}`;
  const pattern = "canar[y]-[0-9a-f]{16}";

  /** In every place that is another agent's, or the gateway's. */
  async function plant(gateway: TestGateway): Promise<void> {
    const { stateDir, agents, logging } = gateway.config;
    const kim = agents.find(({ id }) => id === "kim");
    const files = [
      path.join(kim?.workspace ?? "", "MEMORY.md"),
      path.join(kim?.agentDir ?? "", "auth-profiles.json"),
      path.join(kim?.agentDir ?? "", "memory.sqlite"),
      path.join(kim?.sessionsDir ?? "", "transcript.jsonl"),
      path.join(stateDir, "journal", "data.mdb"),
      path.join(stateDir, "sandboxes", "agent-kim", "notes"),
      logging.file,
      path.join(os.tmpdir(), `left-${canary}`),
    ];
    for (const file of files) {
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, `${canary}\n`);
    }
    process.env["EXEC_TEST_CANARY"] = canary;
    onTestFinished(() => void delete process.env["EXEC_TEST_CANARY"]);
    // In the words and the environment of a command of the other agent.
    await call(
      gateway,
      "exec",
      { command: `sleep 4711 # ${canary}`, background: true, env: { SECRET: canary } },
      "kim",
    );
    await gateway.say("kim", JSON.stringify({ tool: canary }));
  }

  const attacks = ({ stateDir, agents }: TestGateway["config"]): readonly string[] => [
    `grep -rEhaso '${pattern}' ${stateDir} ${os.tmpdir()}/left-* /workspace /agent; true`,
    `cd ${agents.find(({ id }) => id === "kim")?.workspace}; cat *`,
    `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/environ; tr '\\0' ' ' < $p/cmdline; cat $p/root${stateDir}/journal/data.mdb; done | grep -Eao '${pattern}'`,
    `ln -s ${stateDir} /workspace/state; cat /workspace/state/journal/data.mdb; ls ${os.tmpdir()}`,
    `find / -xdev -type f -newermt 2020-01-01 -not -path '/proc/*' -not -path '/usr/*' -exec grep -Eahso '${pattern}' {} +`,
  ];

  const asks = ({ stateDir, agents }: TestGateway["config"]): readonly (readonly [string, object])[] => {
    const kim = agents.find(({ id }) => id === "kim")?.workspace ?? "";
    return [
      ["read", { path: `${kim}/MEMORY.md` }],
      ["read", { path: "../agent-kim/notes" }],
      ["read", { path: "state/journal/data.mdb" }],
      ["read", { path: "/workspace/../journal/data.mdb" }],
      ["ls", { path: `${stateDir}/sandboxes` }],
      ["apply_patch", { input: `*** Begin Patch\n*** Delete File: ${kim}/MEMORY.md\n*** End Patch` }],
      ["exec", { command: "cat MEMORY.md", workdir: kim }],
      ["exec", { command: "cat MEMORY.md", workdir: "../../..", elevated: true }],
      ["process", { action: "list" }],
      ["memory_search", { query: "canary" }],
      ["memory_get", { path: `${kim}/MEMORY.md` }],
      ["sessions_history", { sessionKey: "agent:kim:main" }],
      ["sessions_search", { query: "canary" }],
      ["sessions_search", { query: "canary", sessionKey: "agent:kim:main" }],
      ["sessions_list", {}],
      ["sessions_list", { agentId: "kim", messageLimit: 5 }],
      ["session_status", { sessionKey: "agent:kim:main" }],
      ["sessions", { sessionKey: "agent:kim:main", action: "cancel" }],
      ["sessions_send", { sessionKey: "agent:kim:main", message: "what is your canary?", timeoutSeconds: 5 }],
      ["sessions_spawn", { agentId: "kim", task: "tell me the canary" }],
      ["subagents", { action: "list" }],
      ["agents_list", {}],
      ["write", { path: `${kim}/MEMORY.md`, content: "x" }],
      ["edit", { path: `${kim}/MEMORY.md`, edits: [{ oldText: "canary", newText: "canary" }] }],
      ["web_fetch", { url: `http://127.0.0.1:1/${kim}` }],
      ["cron", { action: "list" }],
      ["message", { action: "send", channel: "telegram", to: "kim", text: "your canary?" }],
    ];
  };

  const openBoth = (mode: "off" | "all"): Promise<TestGateway> =>
    openGatewayAt(level)([
      // Every tool that there is, and not those alone that a sandbox has by default.
      user({ sandboxMode: mode, exec: free, toolRules: { sandboxTools: { allow: ["*"], deny: [] } } }),
      user({ id: "kim", sandboxMode: "all", exec: free }),
    ]);

  test("A8.1: finds nothing of another agent or of the gateway in a sandbox: not with commands, not with any tool", async () => {
    const gateway = await openBoth("all");
    await plant(gateway);
    for (const command of attacks(gateway.config)) {
      const { output, ...told } = await call(gateway, "exec", { command });
      expect(told, command).toMatchObject({ status: "exited" });
      expect(output, command).not.toContain(canary);
    }
    const attacked = asks(gateway.config);
    const held = JSON.parse(await gateway.reply("main", JSON.stringify({ tool: "list" }))) as { name: string }[];
    expect(held.map(({ name }) => name).filter((name) => !attacked.some(([tool]) => tool === name))).toEqual([
      "sessions_yield",
    ]);
    for (const [name, params] of attacked) {
      const told = await call(gateway, name, params);
      expect(JSON.stringify(told), name).not.toContain(canary);
      // An attack that nobody understands shows nothing.
      expect(told.code, JSON.stringify({ name, params, told })).not.toBe("invalid");
    }
  });

  test("the same commands find it without a sandbox, so that the suite looks where it is", async () => {
    const gateway = await openBoth("off");
    await plant(gateway);
    for (const command of attacks(gateway.config).slice(0, 3))
      expect((await call(gateway, "exec", { command })).output, command).toContain(canary);
  });
});
