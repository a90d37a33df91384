/** What the program says of a gateway: `gateway status|probe|call`, `status`, `doctor --pairing`. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { operatorScopes } from "../../../auth/scopes.ts";
import { runStatus } from "../../../runtime/cli/commands/status.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { thisMachine } from "../../../runtime/cli/diagnosis/machine.ts";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { run } = cli;

const agent = (agentId: string, more: object = {}): object => ({ agentId, phase: "dormant", ...more });

const payloads: Record<string, object> = {
  health: { ok: true },
  status: { agents: [agent("main", { isDefault: true }), agent("raul")], deadLetters: { total: 0, byFate: {} } },
  "gateway.status": { pid: 7, bootId: "b", startedAtMs: 1, ready: true, runs: 0, launcher: { pid: 8, restarts: 0 } },
  "sessions.list": { sessions: [{ key: "agent:raul:main", updatedAt: Date.UTC(2026, 0, 1, 22) }] },
  "device.pair.list": { pending: [], paired: [] },
  "grants.requests": { requests: [] },
};

/** A gateway that grants these scopes, whatever it is asked for. */
async function serve(changes: Record<string, object> = {}, scopes: readonly string[] = operatorScopes): Promise<void> {
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") {
      answer(request, { ...helloOk, auth: { role: "operator", scopes } });
      return;
    }
    const payload = { ...payloads, ...changes }[request.method];
    if (payload === undefined) refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
    else answer(request, payload);
  };
  await cli.serve(script, { raw: true });
}

const asked = (): readonly string[] => cli.requests.slice(1).map(({ method }) => method);
const connected = (): Readonly<Record<string, unknown>> => cli.requests[0]?.params ?? {};

describe("gateway status", () => {
  it("AC-20.2: tells role and scopes, and what is missing beside a probe that is ok", async () => {
    await serve({}, ["operator.read"]);
    expect(await run("gateway", "status")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^Gateway RPC probe {2}ok$/m);
    expect(cli.terminal.outText()).toMatch(
      /^access +operator with operator\.read; not operator\.admin, operator\.write,/m,
    );
    expect(connected()["scopes"]).toEqual(operatorScopes);
  });

  it("AC-20.2: with everything there is nothing missing, also as JSON", async () => {
    await serve();
    expect(await run("gateway", "status", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({ role: "operator", scopes: operatorScopes, pid: 7 });
    cli.clear();
    await run("gateway", "status");
    expect(cli.terminal.outText()).not.toContain("; not ");
  });
});

describe("gateway probe", () => {
  it("looks as a monitor does, and ends with 0", async () => {
    await serve();
    expect(await run("gateway", "probe", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({ ok: true, connectMs: expect.any(Number) });
    expect(connected()).toMatchObject({ client: { mode: "probe" }, scopes: ["operator.read"] });
    expect(asked()).toEqual(["health"]);
  });

  it("ends with 1 for a gateway that is not well, and says so when none answers", async () => {
    await serve({ health: { ok: false } });
    expect([await run("gateway", "probe"), cli.terminal.outText()]).toEqual([
      1,
      expect.stringMatching(/^healthy +no$/m),
    ]);
    await cli.stop();
    await expect(run("gateway", "probe")).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
  });
});

describe("gateway call", () => {
  it("asks a method with its own scope, and prints what it answers", async () => {
    await serve();
    expect(await run("gateway", "call", "sessions.list", "--params", '{"limit": 5}')).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual(payloads["sessions.list"]);
    expect([connected()["scopes"], cli.requests[1]?.params]).toEqual([["operator.read"], { limit: 5 }]);
  });

  it("a method that is not known here is asked with all rights, and the gateway's refusal is told", async () => {
    await serve();
    await expect(run("gateway", "call", "no.such")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    expect(connected()["scopes"]).toEqual(["operator.admin"]);
  });

  it.each([["{"], ["[1]"], ["5"]])("parameters %s are a mistake in usage", async (text) => {
    expect(await run("gateway", "call", "health", "--params", text)).toBe(2);
    expect(cli.terminal.errText()).toContain("Wanted a JSON object");
  });
});

describe("status", () => {
  it("asks for the right to read alone, and tells what was active last", async () => {
    await serve();
    expect(await run("status")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^recent +agent:raul:main, 2 h ago$/m);
    expect(connected()["scopes"]).toEqual(["operator.read"]);
  });

  it("is one screen with any number of agents: those with trouble and work, and how many more there are", async () => {
    const many = Array.from({ length: 500 }, (_, index) => agent(`a${index}`));
    many[333] = agent("a333", { phase: "parked", reason: "crashed" });
    many[444] = agent("a444", { queueDepth: 3 });
    await serve({ status: { agents: many } });
    await run("status");
    const lines = cli.terminal.outText().trim().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(lines.join("\n")).toMatch(/^a333 +parked[^]*^a444/m);
    expect(lines.at(-1)).toBe(`and ${500 - limits.statusAgentsMax} agents more: \`cloister agents\``);
  });

  const whole = (options: object): Promise<number> =>
    runStatus(
      cli.context(),
      options,
      { ...thisMachine, disk: () => Promise.resolve({ freeBytes: 1e12, lasts: "yes" }) },
      () => Promise.resolve({ environments: [] }),
    );

  it("--all adds access and what the doctor finds, and shows every agent", async () => {
    await serve({ status: { agents: Array.from({ length: 40 }, (_, index) => agent(`a${index}`)) } });
    expect(await whole({ all: true })).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /^cloister 1\.2\.3, Node [^]*^access +operator with[^]*^a39 [^]*^0 errors, /m,
    );
    expect(cli.requests.filter(({ method }) => method === "connect")).toHaveLength(1);
    cli.clear();
    expect(await whole({ all: true, json: true })).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({
      access: { role: "operator" },
      findings: expect.arrayContaining([expect.objectContaining({ id: "gateway.access" })]),
    });
  });

  it("--all tells of a gateway that does not run; without it that is an error", async () => {
    expect(await whole({ all: true })).toBe(0);
    expect(cli.terminal.outText()).toContain("no gateway is running");
    await expect(whole({})).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
  });

  it("--all shows no secret, wherever one stands", async () => {
    const token = "ghp_0123456789abcdefghij";
    await serve({ status: { agents: [agent("main", { phase: "parked", reason: `its token=${token} was wrong` })] } });
    await whole({ all: true });
    await whole({ all: true, json: true });
    expect(cli.terminal.outText()).toContain("[redacted]");
    expect(cli.terminal.outText()).not.toContain(token);
  });

  it("--deep asks the channels, and says so when the gateway cannot", async () => {
    const accounts = [
      { accountId: "home", enabled: true, configured: true, connected: true },
      { accountId: "shop", enabled: false },
      { accountId: "old", connected: false, lastError: "401" },
    ];
    await serve({ "channels.status": { channelAccounts: { webhook: accounts } } });
    await whole({ deep: true });
    expect(cli.requests.at(-1)).toMatchObject({ method: "channels.status", params: { probe: true } });
    expect(cli.terminal.outText()).toMatch(
      /^webhook +home +connected[^]*^webhook +shop +disabled[^]*^webhook +old +not connected +401/m,
    );
    await cli.stop();
    await serve();
    cli.clear();
    expect(await whole({ deep: true })).toBe(0);
    expect(cli.terminal.outText()).toContain("channels were not asked: ");
  });
});

describe("status --usage", () => {
  const sum = { input: 1_000, output: 55, totalTokens: 1_055, totalCost: 0.25, missingCostEntries: 0 };
  const usage = {
    startDate: "2026-01-01",
    endDate: "2026-01-30",
    truncated: true,
    totals: { ...sum, missingCostEntries: 2 },
    daily: [{ date: "2026-01-30", ...sum }],
    agents: [{ agentId: "raul", ...sum }],
    budgets: [
      { agentId: "raul", tokensPerDay: 2_000, tokensLeft: 945, costUsdPerDay: 5, costUsdLeft: 4.75 },
      { agentId: "ann", toolCallsPerDay: 9, toolCallsLeft: 8, turnMinutesPerDay: 60, turnMinutesLeft: 1 / 3 },
    ],
  };

  it("tells tokens and money by day and agent, what has no price, and that older days are missing", async () => {
    await serve({ "usage.cost": usage });
    expect(await run("status", "--usage")).toBe(0);
    const text = cli.terminal.outText();
    expect(text).toMatch(/^2026-01-30 +1000 +55 +1055 +\$0\.2500$/m);
    expect(text).toMatch(/^raul +1000 +55 +1055 +\$0\.2500$/m);
    expect(text).toMatch(/^2026-01-01 to 2026-01-30 +1000 +55 +1055 +\$0\.2500$/m);
    expect(text).toContain("2 days of sessions have no known price");
    expect(text).toContain("older days are not in it");
    expect(text).toContain("raul has 945 of 2000 tokens and $4.7500 of $5.0000 left today");
    expect(text).toContain("ann has 8 of 9 tool calls and 0.3 of 60 minutes of turns left today");
  });

  it("is asked for with --all as well, is in the JSON, and is not asked for otherwise", async () => {
    await serve({ "usage.cost": usage });
    await run("status", "--all", "--usage", "--json");
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({ usage });
    cli.clear();
    await run("status", "--json");
    expect(JSON.parse(cli.terminal.outText())).not.toHaveProperty("usage");
  });

  it("nothing was taken: it says so", async () => {
    await serve({
      "usage.cost": { ...usage, truncated: false, totals: { ...sum, totalTokens: 0 }, daily: [], agents: [] },
    });
    await run("status", "--usage");
    expect(cli.terminal.outText()).toContain("no model was used from 2026-01-01 to 2026-01-30");
  });
});

describe("AC-20.1: the report about access", () => {
  const device = {
    deviceId: "a2db8970aba2b534c3ff841ad0f625450251c90e83de730f916a0d9aea153d60",
    publicKey: "VIzlZVE18Fi0CUyJSmtR1DtAxpQCl_yIX-j7vtzKUFI",
    clientId: "cli",
  };
  const pending = {
    ...device,
    requestId: "8b796ecc",
    revision: 3,
    kind: "upgrade-scope",
    role: "operator",
    clientMode: "cli",
    scopes: ["operator.admin", "operator.read"],
    adds: ["operator.admin"],
    already: ["operator.read"],
    explanations: { "operator.admin": "everything" },
    ts: Date.UTC(2026, 0, 1),
  };
  const paired = { ...device, clientMode: "probe", scopes: ["operator.read"], roles: ["operator"] };

  async function writeLog(): Promise<void> {
    const line = (msg: string): string => JSON.stringify({ level: 40, time: "2026-01-01T00:00:00.000Z", msg });
    const upgrade = "security audit: device access upgrade requested reason=scope-upgrade";
    const lines = Array.from({ length: 30 }, (_, index) => line(`${upgrade} conn=c${index} TOKEN=secret-${index}`));
    const rest = [line("client connected"), line("closed before connect conn=c30 code=1008 reason=pairing required")];
    await writeFile(path.join(cli.stateDir, "logs", "cloister.log"), `${[...lines, ...rest].join("\n")}\n`);
  }

  it.each([[["doctor", "--pairing"]], [["devices", "doctor"]]])(
    "`%s` tells versions, auth, what this command line may do, the diff and the last 20 lines, without keys",
    async (words) => {
      await serve({ "device.pair.list": { pending: [pending], paired: [paired] } }, [
        "operator.read",
        "operator.pairing",
      ]);
      await writeFile(
        path.join(cli.stateDir, "cloister.json"),
        '{ gateway: { auth: { mode: "token", token: "ghp_0123456789abcdefghij" } } }',
      );
      await writeLog();
      expect(await run(...words)).toBe(0);
      const told = cli.terminal.outText();
      expect(told).toMatch(/^cloister +1\.2\.3$/m);
      expect(told).toMatch(/^gateway +.*version 9\.9\.9$/m);
      expect(told).toMatch(/^auth +token/m);
      expect(told).toMatch(/^this command line +operator with operator\.read, operator\.pairing; not operator\.admin/m);
      expect(told).toContain("  + operator.admin: everything");
      expect(told).toContain("  has already: operator.read");
      expect(told).toContain("cloister devices approve 8b796ecc");
      expect(told.match(/security audit/g)).toHaveLength(19);
      expect(told).toContain("code=1008 reason=pairing required");
      for (const secret of [device.publicKey, "ghp_", "secret-29", "ab".repeat(32)]) expect(told).not.toContain(secret);
    },
  );

  it("as JSON, and with a gateway that does not answer: exit code 1, and all that is known without it", async () => {
    await writeLog();
    expect(await run("doctor", "--pairing", "--json")).toBe(1);
    const report = JSON.parse(cli.terminal.outText()) as { audit: string[] };
    expect(report).toMatchObject({ version: "1.2.3", gateway: { fault: expect.any(String) }, pending: [], paired: [] });
    expect(report.audit).toHaveLength(20);
    expect(cli.terminal.outText()).not.toContain("secret-29");
  });
});
