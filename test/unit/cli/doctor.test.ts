/** `cloister doctor` and `cloister agents doctor`: each fault named with what to do, on a machine that has it. */
import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepSecret } from "../../../runtime/broker/secret-file.ts";
import { runAgentsDoctor, runDoctor } from "../../../runtime/cli/commands/doctor.ts";
import { type DiagnosedMachine, thisMachine } from "../../../runtime/cli/diagnosis/machine.ts";
import type { StoreReport } from "../../../runtime/cli/diagnosis/store.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { useCliHome } from "./cli-home.ts";
import { type Script, type ScriptedGateway, startGateway } from "./scripted-gateway.ts";

const cli = useCliHome();
let gateway: ScriptedGateway | undefined;
let store: StoreReport;
beforeEach(async () => {
  await writeFile(path.join(cli.stateDir, "operator.key"), "ab".repeat(32), { mode: 0o600 });
  store = { environments: [] };
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

interface Shown {
  readonly ok: boolean;
  readonly repaired: readonly string[];
  readonly findings: readonly {
    readonly id: string;
    readonly severity: string;
    readonly what: string;
    readonly remedy?: string;
  }[];
}

const healthy: DiagnosedMachine = {
  ...thisMachine,
  answerMs: 100,
  disk: () => Promise.resolve({ freeBytes: limits.doctorFreeBytesLow, lasts: "yes" }),
  isListening: () => Promise.resolve(false),
};

async function doctor(
  machine: Partial<DiagnosedMachine> = {},
  options: object = {},
): Promise<Shown & { readonly code: number }> {
  cli.clear();
  const code = await runDoctor(cli.context(), { json: true, ...options }, { ...healthy, ...machine }, () =>
    Promise.resolve(store),
  );
  return { code, ...(JSON.parse(cli.terminal.outText()) as Shown) };
}

const wrong = ({ findings }: Shown): readonly string[] =>
  findings.filter(({ severity }) => severity === "error" || severity === "warning").map(({ id }) => id);

const configure = (config: object): Promise<void> =>
  writeFile(path.join(cli.stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });

const answers: Record<string, object> = {
  "gateway.status": { pid: 1, bootId: "b", startedAtMs: 1, ready: true, runs: 0, launcher: { pid: 2, restarts: 0 } },
  status: { agents: [], deadLetters: { total: 0, byFate: {} } },
  "device.pair.list": { pending: [], paired: [] },
  "grants.requests": { requests: [] },
};

async function serve(script: Script, pid = process.pid): Promise<void> {
  gateway = await startGateway(script);
  const place = { pid, port: gateway.port, host: "127.0.0.1", startedAtMs: 1 };
  await writeFile(path.join(cli.stateDir, "run", "gateway.json"), JSON.stringify(place));
}

const answering =
  (changes: Record<string, object> = {}): Script =>
  (request, { answer }) =>
    answer(request, { ...answers, ...changes }[request.method] ?? {});

it("a model whose provider has no credential is told of before the first message, once, until there is one", async () => {
  const found = async () => (await doctor()).findings.filter(({ id }) => id === "model.credential");
  await configure({
    agents: {
      defaults: { model: "anthropic/x" },
      list: [{ id: "main" }, { id: "raul" }, { id: "own", model: "ollama/y" }],
    },
  });
  expect(await found()).toMatchObject([
    {
      severity: "warning",
      what: "there is no credential for anthropic, whose anthropic/x the agent main asks: ANTHROPIC_API_KEY is not set",
      remedy: expect.stringContaining("models status"),
    },
  ]);
  const agentDir = path.join(cli.stateDir, "agents/main/agent");
  await mkdir(agentDir, { recursive: true });
  const profiles = { "anthropic:a": { type: "api_key", provider: "anthropic", key: "k" } };
  await writeFile(path.join(agentDir, "auth-profiles.json"), JSON.stringify({ profiles }), { mode: 0o600 });
  expect(await found()).toEqual([]);
});

describe("references to secrets", () => {
  const secretFindings = async () =>
    (await doctor()).findings
      .filter(({ id }) => id === "config.secret")
      .map(({ severity, what, remedy }) => ({ severity, what, remedy }));

  it("that lead nowhere are errors, with key, place and remedy; of variables they are warnings, and what is found is in none", async () => {
    const open = path.join(cli.dir, "open-key");
    await writeFile(open, "canary", { mode: 0o644 });
    await keepSecret(cli.stateDir, "there", "canary", 1);
    const ref = (source: string, id: string) => ({ source, id });
    await configure({
      gateway: { auth: { token: ref("store", "there") } },
      models: {
        providers: {
          openai: { apiKey: ref("file", open), headers: { "x-team": ref("store", "team") } },
          local: {
            api: "openai-completions",
            baseUrl: "http://127.0.0.1:1/v1",
            models: [],
            apiKey: ref("env", "LOCAL_KEY"),
          },
        },
      },
      channels: { telegram: { enabled: true, botToken: ref("store", "bot") } },
    });
    const agentDir = path.join(cli.stateDir, "agents", "main", "agent");
    await mkdir(agentDir, { recursive: true, mode: 0o700 });
    const profiles = {
      work: { type: "api_key", provider: "anthropic", keyRef: ref("store", "anthropic") },
      odd: { type: "token", provider: "anthropic", tokenRef: ref("cloud", "x") },
      plain: { type: "api_key", provider: "anthropic", key: "canary" },
    };
    await writeFile(path.join(agentDir, "auth-profiles.json"), JSON.stringify({ profiles }), { mode: 0o600 });
    const found = await secretFindings();
    expect(found).toEqual([
      {
        severity: "error",
        what: expect.stringMatching(/^channels\.telegram.*botToken refers to .*: store: bot: there is none$/),
        remedy: expect.stringContaining("cloister secrets set"),
      },
      {
        severity: "error",
        what: expect.stringMatching(/^models\.providers\.openai\.apiKey refers to .*: file: .*open-key: /),
        remedy: expect.stringContaining("closed to others"),
      },
      {
        severity: "error",
        what: expect.stringMatching(
          /^models\.providers\.openai\.headers\.x-team refers to .*: store: team: there is none$/,
        ),
        remedy: expect.any(String),
      },
      {
        severity: "warning",
        what: "models.providers.local.apiKey needs the variable LOCAL_KEY, which is not set",
        remedy: expect.stringContaining("correct models.providers.local.apiKey"),
      },
      {
        severity: "error",
        what: expect.stringMatching(
          /auth-profiles\.json: profiles\.work\.keyRef refers to .*: store: anthropic: there is none$/,
        ),
        remedy: expect.any(String),
      },
      {
        severity: "error",
        what: expect.stringMatching(/profiles\.odd\.tokenRef refers to .*: cloud: x: there is none$/),
        remedy: expect.stringContaining("env, file, store, exec"),
      },
    ]);
    expect(JSON.stringify(found)).not.toContain("canary");
  });

  it("are followed by config validate as well: the file is valid, and each one that leads nowhere is a warning", async () => {
    await configure({
      gateway: { auth: { token: { source: "file", id: path.join(cli.dir, "none") } } },
      mcp: {
        servers: { notes: { command: "x", env: { KEY: { source: "env", id: "NOTES_KEY" }, MORE: "${MORE_KEY}" } } },
      },
    });
    cli.clear();
    expect(await cli.run("config", "validate")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/cloister\.json is valid: 1 agent, 0 bindings\n$/);
    expect(cli.terminal.errText().trim().split("\n")).toEqual([
      expect.stringMatching(/^warning: mcp\.servers\.notes\.env\.MORE: needs the variable MORE_KEY/),
      expect.stringMatching(
        /^warning: gateway\.auth\.token: refers to a secret that cannot be read: file: .*none: .* → let the file be there/,
      ),
      "warning: mcp.servers.notes.env.KEY: needs the variable NOTES_KEY, which is not set → Set the variable in the gateway's environment or in .env of the state directory, or correct mcp.servers.notes.env.KEY.",
    ]);
    cli.clear();
    expect(await cli.run("config", "validate", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({
      ok: true,
      warnings: [
        { path: "mcp.servers.notes.env.MORE" },
        { path: "gateway.auth.token" },
        { path: "mcp.servers.notes.env.KEY" },
      ],
    });
  });

  it("that lead somewhere are no findings", async () => {
    await keepSecret(cli.stateDir, "there", "canary", 1);
    await configure({ gateway: { auth: { token: { source: "store", id: "there" } } } });
    expect(await secretFindings()).toEqual([]);
  });
});

describe("doctor", () => {
  it("without a fault ends with 0, whether the gateway is stopped or runs", async () => {
    const stopped = await doctor();
    expect([stopped.code, wrong(stopped)]).toEqual([0, []]);
    expect(stopped.findings.map(({ id }) => id)).toContain("gateway.stopped");
    await serve((request, caller) => answering()(request, caller));
    const running = await doctor();
    expect([running.code, wrong(running)]).toEqual([0, ["gateway.version"]]);
    expect(running.findings.map(({ id }) => id)).toContain("gateway.access");
  });

  it("finds a full disk before the gateway does, and a low one", async () => {
    const disk = (freeBytes: number) => ({ disk: () => Promise.resolve({ freeBytes, lasts: "yes" as const }) });
    const full = await doctor(disk(limits.doctorFreeBytesMin - 1));
    expect([full.code, wrong(full)]).toEqual([1, ["disk.full"]]);
    const low = await doctor(disk(limits.doctorFreeBytesMin));
    expect([low.code, wrong(low)]).toEqual([0, ["disk.low"]]);
  });

  it("says when the state directory goes with the container", async () => {
    const lasts = "until the container is removed";
    const found = await doctor({ disk: () => Promise.resolve({ freeBytes: 1e12, lasts }) });
    expect(wrong(found)).toEqual(["state.ephemeral"]);
    expect(found.findings.find(({ id }) => id === "state.ephemeral")?.remedy).toContain(cli.stateDir);
  });

  it("names open file modes, and --fix closes them and nothing else", async () => {
    await chmod(path.join(cli.stateDir, "operator.key"), 0o644);
    await chmod(cli.stateDir, 0o755);
    const found = await doctor();
    expect([found.code, wrong(found)]).toEqual([1, ["state.open", "state.key-open", "gateway.not-asked"]]);
    const fixed = await doctor({}, { fix: true });
    expect([fixed.code, wrong(fixed)]).toEqual([0, []]);
    expect(fixed.repaired).toEqual([
      `chmod 700 ${cli.stateDir}`,
      `chmod 600 ${path.join(cli.stateDir, "operator.key")}`,
    ]);
    expect((await stat(path.join(cli.stateDir, "operator.key"))).mode & 0o777).toBe(0o600);
  });

  it("names a key that is none, and a directory of another user", async () => {
    await writeFile(path.join(cli.stateDir, "operator.key"), "zzz");
    expect(wrong(await doctor())).toEqual(["key.unusable", "gateway.not-asked"]);
    await serve(answering());
    const running = await doctor();
    expect(wrong(running)).toEqual(["key.unusable", "gateway.not-asked"]);
    expect(running.findings.at(-1)?.what).toContain(`a gateway with pid ${process.pid} runs`);
    await writeFile(path.join(cli.stateDir, "operator.key"), "ab".repeat(32));
    const foreign = await doctor({ uid: (process.getuid?.() ?? 0) + 1 });
    expect([foreign.code, wrong(foreign)]).toEqual([1, ["state.owner", "gateway.version"]]);
  });

  it("a broken config is named key by key, and everything else is still looked at", async () => {
    await configure({ gateway: { port: "many" }, agnts: {} });
    const found = await doctor({ disk: () => Promise.resolve({ freeBytes: 0, lasts: "yes" }) });
    expect([found.code, wrong(found)]).toEqual([1, ["disk.full", "config.invalid", "config.invalid"]]);
    expect(found.findings.filter(({ id }) => id === "config.invalid").map(({ what }) => what)).toEqual([
      expect.stringContaining("gateway.port"),
      expect.stringContaining("agnts"),
    ]);
    await writeFile(path.join(cli.stateDir, "cloister.json"), "{");
    expect(wrong(await doctor())).toEqual(["config.unreadable"]);
  });

  it("a folder of an agent that cannot be used", async () => {
    const file = path.join(cli.dir, "a-file");
    await writeFile(file, "");
    await configure({ agents: { list: [{ id: "main", workspace: file }] } });
    expect(wrong(await doctor())).toEqual(["agent.folder"]);
  });

  it("a damaged store, one of a newer version, and one that was not read to its end", async () => {
    const each = { kind: "journal", dir: "/s/journal", reason: "because" } as const;
    store = {
      environments: [
        { ...each, state: "damaged" },
        { ...each, state: "newer" },
        { ...each, state: "unread" },
      ],
    };
    const found = await doctor();
    expect([found.code, wrong(found)]).toEqual([1, ["store.damaged", "store.version", "store.unread"]]);
  });

  it("what a crash has left is named, and --fix removes it", async () => {
    const file = path.join(cli.stateDir, "run", "gateway.json");
    await writeFile(file, JSON.stringify({ pid: 2 ** 22 + 1, port: 1, host: "127.0.0.1" }));
    expect(wrong(await doctor())).toEqual(["gateway.stale-file"]);
    const fixed = await doctor({}, { fix: true });
    expect([fixed.repaired, wrong(fixed)]).toEqual([[`removed ${file}`], []]);
    await expect(stat(file)).rejects.toThrow("ENOENT");
  });

  it("a process number that was given again is not taken for the gateway: the store's own row says it", async () => {
    await writeFile(
      path.join(cli.stateDir, "run", "gateway.json"),
      JSON.stringify({ pid: process.pid, port: 1, host: "127.0.0.1" }),
    );
    expect(wrong(await doctor())).toEqual(["gateway.hangs"]);
    store = { environments: [], owner: { pid: process.pid, host: "h", sinceMs: 1, isAlive: false } };
    expect(wrong(await doctor())).toEqual(["gateway.stale-file"]);
  });

  it("a gateway that has not come to answer yet", async () => {
    store = { environments: [], owner: { pid: 7, host: "h", sinceMs: 1, isAlive: true } };
    const found = await doctor();
    expect([found.code, wrong(found)]).toEqual([1, ["gateway.hangs"]]);
    expect(found.findings.find(({ id }) => id === "gateway.hangs")?.what).toContain("pid 7");
  });

  it("a gateway that takes connections and does not answer is half dead", async () => {
    await serve(() => undefined);
    const found = await doctor();
    expect([found.code, wrong(found)]).toEqual([1, ["gateway.half-dead"]]);
  });

  it("a gateway that refuses this command line", async () => {
    gateway = await startGateway(
      (request, caller) =>
        caller.refuse(request, { code: "UNAUTHORIZED", message: "unauthorized: no", details: { remedy: "Do this." } }),
      { raw: true },
    );
    await writeFile(
      path.join(cli.stateDir, "run", "gateway.json"),
      JSON.stringify({ pid: 1, port: gateway.port, host: "127.0.0.1" }),
    );
    const found = await doctor();
    expect([found.code, wrong(found)]).toEqual([1, ["gateway.shut"]]);
    expect(found.findings.find(({ id }) => id === "gateway.shut")?.remedy).toBe("Do this.");
  });

  it("says who has the port: another program, or another gateway", async () => {
    const server = createServer((request, response) => {
      response.end(request.url === "/startupz" ? JSON.stringify({ ok: true, status: page }) : "");
    });
    let page = "hello";
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      await configure({ gateway: { port } });
      const look = async (): Promise<string | undefined> => {
        const found = await doctor({ isListening: thisMachine.isListening });
        expect([found.code, wrong(found)]).toEqual([1, ["gateway.port-taken"]]);
        return found.findings.find(({ id }) => id === "gateway.port-taken")?.what;
      };
      expect(await look()).toContain("another program");
      page = "started";
      expect(await look()).toContain("another gateway");
    } finally {
      server.close();
    }
  });

  it("what the running gateway says: parked agents, dead letters, who waits, a crash before", async () => {
    const agent = { agentId: "raul", phase: "parked", reason: "crashed too often", queueDepth: 3 };
    await serve(
      answering({
        status: { agents: [agent], deadLetters: { total: 2, byFate: { poison: 2 } } },
        "device.pair.list": { pending: [{ requestId: "r-1", clientId: "cli", kind: "upgrade-scope" }] },
        "grants.requests": { requests: [{ id: "g-1", from: "main", to: "raul", verb: "send" }] },
        "gateway.status": { pid: 1, ready: false, launcher: { pid: 2, restarts: 1, lastEnd: "with SIGABRT" } },
      }),
    );
    const found = await doctor();
    expect(found.code).toBe(1);
    expect(wrong(found)).toEqual([
      "gateway.version",
      "gateway.crashed",
      "agent.parked",
      "mail.dead-letters",
      "device.waiting",
    ]);
    expect(found.findings.find(({ id }) => id === "device.waiting")?.remedy).toContain("cloister devices approve r-1");
    expect(found.findings.map(({ id }) => id)).toEqual(expect.arrayContaining(["gateway.resuming", "grant.waiting"]));
  });

  it("an agent that an operator has stopped is no fault", async () => {
    const agent = { agentId: "raul", phase: "parked", reason: "stopped by the operator", queueDepth: 0 };
    await serve(answering({ status: { agents: [agent] } }));
    expect((await doctor()).code).toBe(0);
  });

  it("for people: the worst first, each with what to do, in plain text", async () => {
    await chmod(cli.stateDir, 0o755);
    await configure({ tools: { agentToAgent: { enabled: true } } });
    cli.clear();
    expect(await runDoctor(cli.context(), {}, healthy, () => Promise.resolve(store))).toBe(0);
    const lines = cli.terminal.outText().split("\n");
    expect(lines[0]).toMatch(/^cloister 1\.2\.3, Node /);
    expect(lines[1]).toContain(`warning  ${cli.stateDir} has mode 755`);
    expect(lines).toContain(`         → Run \`chmod 700 ${cli.stateDir}\`.`);
    expect(lines.at(-2)).toMatch(/^0 errors, \d warnings, \d notes?$/);
    expect(cli.terminal.errText()).toBe("`cloister doctor --fix` repairs 1 of them without loss\n");
  });
});

describe("agents doctor", () => {
  const siblings = {
    agents: { list: [{ id: "main", subagents: { allowAgents: ["raul"] } }, { id: "raul" }] },
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
  };
  const run = async (config: object): Promise<{ code: number; out: string }> => {
    await configure(config);
    cli.clear();
    const code = await runAgentsDoctor(cli.context(), { json: true });
    return { code, out: cli.terminal.outText() };
  };

  it("AC-21.1: names the pattern for siblings, for throw-away work and for other gateways, and judges each pair", async () => {
    const { code, out } = await run(siblings);
    expect(code).toBe(0);
    const { advice, pairs } = JSON.parse(out) as { advice: { use: string }[]; pairs: object[] };
    expect(advice.map(({ use }) => use)).toEqual([
      expect.stringMatching(/bindings.*tools\.agentToAgent.*sessions_send/),
      expect.stringContaining("sessions_spawn"),
      expect.stringContaining("gateway"),
    ]);
    expect(pairs).toMatchObject([
      { from: "main", to: "raul", send: { allowed: true, rule: "tools.agentToAgent.allow" }, spawn: { allowed: true } },
      { from: "raul", to: "main", send: { allowed: true }, spawn: { allowed: false } },
    ]);
  });

  it("AC-21.1: names the key that keeps a pattern shut, and ends with 1 when all ways are", async () => {
    const { code, out } = await run({
      ...siblings,
      tools: { agentToAgent: siblings.tools.agentToAgent, sessions: { visibility: "agent" } },
    });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      pairs: [{ send: { allowed: false, rule: "tools.sessions.visibility" } }, { send: { allowed: false } }],
      findings: [{ id: "agents.messages-refused", severity: "error", remedy: 'Set tools.sessions.visibility: "all".' }],
    });
    const partly = await run({
      ...siblings,
      agents: { list: [...siblings.agents.list, { id: "alone" }] },
    });
    expect([partly.code, JSON.parse(partly.out)]).toEqual([
      0,
      expect.objectContaining({ findings: [expect.objectContaining({ severity: "note" })] }),
    ]);
  });

  it("for people: one line a pair", async () => {
    await configure(siblings);
    cli.clear();
    expect(await runAgentsDoctor(cli.context(), {})).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^main +raul +yes \(tools\.agentToAgent\.allow\) +yes/m);
  });
});
