/** `cloister tools explain` and `cloister sandbox explain`: what they ask, and what they print. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type Asked, explainConfig } from "../../../runtime/cli/explain-config.ts";
import { loadText } from "../config/load-text.ts";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();
const { run } = cli;

const explained = {
  agentId: "kim",
  sessionKey: "agent:kim:side",
  sandbox: {
    mode: "non-main",
    sandboxed: true,
    scope: "agent",
    workspaceAccess: "ro",
    root: "/ws/kim",
    commands: {
      in: "bubblewrap",
      folder: "/agent",
      security: "full",
      ask: "off",
      bounds: ["CPU: none", "network: none"],
      broken: "bwrap is not installed",
    },
    elevated: { allowed: true, level: "ask", security: "allowlist", ask: "always" },
  },
  allowed: ["read", "ls"],
  removed: [
    { rule: "tools: deny", key: "tools.deny", tools: ["sessions_list"], remedy: "take it out of tools.deny" },
    { rule: "sandbox tools: allow", key: "tools.sandbox.tools.allow", tools: ["sessions"], remedy: "add it" },
    {
      rule: "the workspace is read only in the sandbox",
      key: "sandbox.workspaceAccess",
      tools: ["write"],
      remedy: "rw",
    },
  ],
};

async function serve(): Promise<void> {
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") answer(request, helloOk);
    else if (request.method === "tools.effective") answer(request, explained);
    else refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
  };
  await cli.serve(script, { raw: true });
}

const asked = (): object => cli.requests.at(-1)?.params ?? {};

describe("tools explain", () => {
  it("asks for the session and the sender, and names the rule of each tool that is gone", async () => {
    await serve();
    expect(
      await run("tools", "explain", "--agent", "kim", "--channel", "telegram", "--sender", "7", "--group", "-100"),
    ).toBe(0);
    expect(asked()).toEqual({
      agentId: "kim",
      sender: { channel: "telegram", id: "7" },
      group: { channel: "telegram", id: "-100" },
    });
    const text = cli.terminal.outText();
    expect(text).toMatch(/^may call +read, ls$/m);
    expect(text).toMatch(/^sessions_list +tools: deny +tools\.deny +take it out of tools\.deny$/m);
    expect(text).toMatch(/^write +the workspace is read only/m);
  });

  it("prints JSON, and refuses a channel without a sender or group and the other way round", async () => {
    await serve();
    expect(await run("tools", "explain", "--session", "agent:kim:side", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual({ source: "gateway", ...explained });
    expect(asked()).toEqual({ sessionKey: "agent:kim:side" });
    await expect(run("tools", "explain", "--channel", "telegram")).rejects.toThrow("--channel goes with");
    await expect(run("tools", "explain", "--sender", "7")).rejects.toThrow("--channel goes with");
    const account = ["--channel", "telegram", "--sender", "7", "--account", "home"];
    await expect(run("tools", "explain", ...account)).rejects.toThrow("--account goes with --group");
  });
});

describe("sandbox explain", () => {
  it("tells the folder, why it is that one, and what the sandbox alone takes", async () => {
    await serve();
    expect(await run("sandbox", "explain", "--session", "agent:kim:side")).toBe(0);
    expect(asked()).toEqual({ sessionKey: "agent:kim:side" });
    const text = cli.terminal.outText();
    expect(text).toMatch(/^folder +\/ws\/kim$/m);
    expect(text).toMatch(/^because +sandbox\.workspaceAccess "ro", sandbox\.scope "agent"$/m);
    expect(text).toMatch(/^commands +bubblewrap, the folder is \/agent$/m);
    expect(text).toMatch(/^which +tools\.exec: security "full", ask "off"$/m);
    expect(text).toMatch(/^bounds +CPU: none\n +network: none$/m);
    expect(text).toMatch(/^refused +bwrap is not installed$/m);
    expect(text).toMatch(
      /^elevated +every call may leave the sandbox \(\/elevated ask\): security "allowlist", ask "always"$/m,
    );
    expect(text).toMatch(/^sessions +sandbox tools: allow/m);
    expect(text).not.toContain("tools.deny");
    cli.clear();
    expect(await run("sandbox", "explain", "--json")).toBe(0);
    expect(JSON.parse(cli.terminal.outText())).toEqual({ source: "gateway", ...explained });
  });

  it("asks for one sender, of a channel", async () => {
    await serve();
    expect(await run("sandbox", "explain", "--channel", "telegram", "--sender", "7")).toBe(0);
    expect(asked()).toEqual({ sender: { channel: "telegram", id: "7" } });
    for (const half of [
      ["--channel", "telegram"],
      ["--sender", "7"],
    ])
      await expect(run("sandbox", "explain", ...half)).rejects.toThrow("--channel goes with --sender");
  });

  it.each([
    [{ allowed: false, key: "tools.elevated.enabled" }, "no: tools.elevated.enabled"],
    [{ allowed: false, level: "off", key: "/elevated default" }, "no (/elevated off): /elevated default"],
    [
      { allowed: true, security: "full", ask: "off" },
      'calls that ask for it may leave the sandbox: security "full", ask "off"',
    ],
  ])("F135: tells whether commands leave the sandbox: %j", async (elevated, said) => {
    await cli.serve((frame, { answer }) =>
      answer(frame, { ...explained, sandbox: { ...explained.sandbox, elevated } }),
    );
    expect(await run("sandbox", "explain")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/^elevated +(.*)$/m);
    expect(/^elevated +(.*)$/m.exec(cli.terminal.outText())?.[1]).toBe(said);
  });
});

describe("without a gateway", () => {
  const fromConfig = "from the config alone, since no gateway is running";
  const config = {
    agents: {
      list: [
        { id: "kim", default: true, tools: { deny: ["cron"] } },
        { id: "lee", sandbox: { mode: "non-main", workspaceAccess: "ro", docker: {} }, tools: { profile: "minimal" } },
      ],
    },
    mcp: { servers: { notes: { command: "true" } } },
    tools: { config: { propose: ["kim"] }, elevated: { enabled: true, allowFrom: { telegram: ["7"] } } },
  };
  const writeConfig = (text: string): Promise<void> => writeFile(path.join(cli.stateDir, "cloister.json"), text);
  const probe = { state: async () => ({ backend: "docker", works: false, why: "no engine answers" }) as const };
  const explain = async (question: Asked) =>
    explainConfig((await loadText(config)).resolved, question, probe) as Promise<typeof explained>;

  it("both are told from the config, and say so", async () => {
    await writeConfig(JSON.stringify(config));
    for (const command of ["tools", "sandbox"]) {
      cli.clear();
      expect(await run(command, "explain", "--agent", "kim", "--json")).toBe(0);
      expect(JSON.parse(cli.terminal.outText())).toMatchObject({
        source: "config",
        sessionKey: "agent:kim:main",
        sandbox: { mode: "off", sandboxed: false, commands: { in: "host" } },
        removed: [{ tools: ["cron"], key: "agents.list[id=kim].tools.deny" }],
      });
      expect(cli.terminal.errText()).toContain(fromConfig);
    }
  });

  it("an unknown agent, a broken config and a gateway that was named are told as ever", async () => {
    await writeConfig(JSON.stringify(config));
    await expect(run("tools", "explain", "--agent", "nobody")).rejects.toThrow("agent not found: nobody");
    const away = run("sandbox", "explain", "--url", "ws://127.0.0.1:1");
    await expect(away).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_UNREACHABLE" });
    await writeConfig("{ tools: { deni: [] } }");
    await expect(run("tools", "explain")).rejects.toMatchObject({ code: "CLOISTER_CONFIG_INVALID" });
  });

  it("a refusal of a gateway that runs is not passed over", async () => {
    await writeConfig(JSON.stringify(config));
    await cli.serve(
      (request, { answer, refuse }) =>
        request.method === "connect"
          ? answer(request, helloOk)
          : refuse(request, { code: "INVALID_REQUEST", message: "agent not found: kim" }),
      { raw: true },
    );
    await expect(run("tools", "explain", "--agent", "kim")).rejects.toThrow("agent not found: kim");
  });

  it("rights, servers and proposals are those of a gateway that starts with it", async () => {
    const { allowed, removed } = await explain({ agentId: "kim" });
    expect(allowed).toEqual(expect.arrayContaining(["exec", "config_propose", "mcp__notes__*"]));
    expect(removed.flatMap(({ tools }) => tools)).toEqual(["cron"]);
  });

  it("a sandboxed session is judged with its sandbox, and this machine's backend is asked", async () => {
    const sessionKey = "agent:lee:telegram:default:direct:7";
    const told = await explain({ sessionKey, sender: { channel: "telegram", id: "8" } });
    expect(told.sandbox).toMatchObject({
      sandboxed: true,
      workspaceAccess: "ro",
      commands: { in: "docker", folder: "/agent", broken: "no engine answers" },
      elevated: { allowed: false, key: expect.stringContaining("tools.elevated.allowFrom") },
    });
    expect(told.allowed).toEqual(["session_status"]);
    const known = await explain({ sessionKey, sender: { channel: "telegram", id: "7" } });
    expect(known.sandbox.elevated).toEqual({ allowed: true, security: "allowlist", ask: "on-miss" });
  });

  it("no sub-agent has a run", async () => {
    await expect(explain({ sessionKey: "agent:kim:subagent:1" })).rejects.toMatchObject({
      code: "CLOISTER_RUN_UNKNOWN",
    });
  });
});
