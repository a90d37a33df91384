/** `cloister security audit`: each finding with a config that has it and one that has not. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runSecurityAudit } from "../../../runtime/cli/commands/security.ts";
import { thisMachine } from "../../../runtime/cli/diagnosis/machine.ts";
import { auditSecurity, securityChecks } from "../../../runtime/cli/diagnosis/security.ts";
import { loadText } from "../config/load-text.ts";
import { makeContext, makeFakeTerminal } from "./fake-terminal.ts";

const long = "c0ffee0123456789abcdef9876543210";
const agents = (...list: object[]) => ({ agents: { list } });
const three = agents({ id: "a" }, { id: "b" }, { id: "c" });
const telegram = (section: object, more: object = {}) => ({ channels: { telegram: section }, ...more });
const webhook = (accounts: object) => ({ channels: { webhook: { accounts } } });
const a2a = (allow: readonly string[]) => ({
  tools: { agentToAgent: { enabled: true, allow }, sessions: { visibility: "all" } },
});
const token = (text: string, more: object = {}) => ({ gateway: { auth: { mode: "token", token: text }, ...more } });

interface Case {
  readonly has: object;
  readonly key: string;
  readonly not: object;
}

const cases: Readonly<Record<keyof typeof securityChecks, readonly Case[]>> = {
  "gateway.exposed": [{ has: token(long, { bind: "lan" }), key: "gateway.bind", not: token(long) }],
  "gateway.auth-none": [{ has: { gateway: { auth: { mode: "none" } } }, key: "gateway.auth.mode", not: token(long) }],
  "gateway.secret-weak": [
    { has: token("sesame"), key: "gateway.auth.token", not: token(long) },
    { has: token("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), key: "gateway.auth.token", not: token("") },
    {
      has: { gateway: { auth: { mode: "password", password: "hunter2" } } },
      key: "gateway.auth.password",
      not: { gateway: { auth: { mode: "password", password: long } } },
    },
  ],
  "gateway.origin-plain": [
    {
      has: token(long, { controlUi: { allowedOrigins: ["https://a.example", "http://b.example"] } }),
      key: "gateway.controlUi.allowedOrigins[1]",
      not: token(long, { controlUi: { allowedOrigins: ["https://a.example", "http://127.0.0.1:5173"] } }),
    },
    {
      has: token(long, { controlUi: { allowedOrigins: ["http://127.elsewhere.example"] } }),
      key: "gateway.controlUi.allowedOrigins[0]",
      not: token(long, { controlUi: { allowedOrigins: ["http://127.0.0.2", "http://[::1]:5173"] } }),
    },
  ],
  "gateway.proxy-wide": [
    {
      has: token(long, { trustedProxies: ["10.0.0.0/8"] }),
      key: "gateway.trustedProxies[0]",
      not: token(long, { trustedProxies: ["10.0.0.7", "10.0.1.0/28"] }),
    },
  ],
  "senders.dm-open": [
    {
      has: telegram({ dmPolicy: "open", allowFrom: ["*"] }),
      key: "channels.telegram.dmPolicy",
      not: telegram({ dmPolicy: "allowlist", allowFrom: ["1"] }),
    },
    {
      has: telegram({ accounts: { shop: { dmPolicy: "open", allowFrom: ["*"] } } }),
      key: "channels.telegram.accounts.shop.dmPolicy",
      not: webhook({ home: { token: long } }),
    },
  ],
  "senders.group-open": [
    { has: telegram({ groupPolicy: "open" }), key: "channels.telegram.groupPolicy", not: telegram({}) },
  ],
  "senders.bots": [
    {
      has: telegram({ allowBots: true, botLoopProtection: { enabled: false } }),
      key: "channels.telegram.botLoopProtection",
      not: telegram({ allowBots: true }),
    },
  ],
  "session.dm-shared": [
    {
      has: telegram({ dmPolicy: "allowlist", allowFrom: ["1", "2"] }),
      key: "session.dmScope",
      not: telegram({ dmPolicy: "allowlist", allowFrom: ["1", "2"] }, { session: { dmScope: "per-peer" } }),
    },
    {
      has: telegram({ dmPolicy: "open", allowFrom: ["*"] }),
      key: "session.dmScope",
      not: telegram({ dmPolicy: "allowlist", allowFrom: ["1"] }),
    },
  ],
  "commands.anybody": [
    {
      has: { commands: { ownerAllowFrom: ["*"] } },
      key: "commands.ownerAllowFrom",
      not: { commands: { ownerAllowFrom: ["telegram:1"] } },
    },
    {
      has: { commands: { allowFrom: { telegram: ["*"] } } },
      key: "commands.allowFrom.telegram",
      not: { commands: { allowFrom: { telegram: ["1"] } } },
    },
  ],
  "agents.messages-open": [
    { has: { ...three, ...a2a(["*"]) }, key: "tools.agentToAgent.allow", not: { ...three, ...a2a(["a", "b"]) } },
  ],
  "agents.spawn-open": [
    {
      has: agents({ id: "a", subagents: { allowAgents: ["*"] } }, { id: "b" }),
      key: "agents.list[].subagents.allowAgents (a)",
      not: agents({ id: "a", subagents: { allowAgents: ["b"] } }, { id: "b" }),
    },
  ],
  "agents.trusted": [
    {
      has: agents({ id: "a", isolation: { trust: "trusted" } }),
      key: "agents.list[].isolation.trust (a)",
      not: agents({ id: "a", isolation: { level: "process" } }),
    },
  ],
  "agents.workspace-shared": [
    {
      has: agents({ id: "a", workspace: "/w" }, { id: "b", workspace: "/w/b" }),
      key: "agents.list[].workspace (b)",
      not: agents({ id: "a", workspace: "/w" }, { id: "b", workspace: "/wb" }),
    },
  ],
  "exec.unbounded": [
    {
      has: { ...agents({ id: "a" }), tools: { exec: { security: "full" } } },
      key: "agents.list[].tools.exec.security (a)",
      not: { ...agents({ id: "a", sandbox: { mode: "all" } }), tools: { exec: { security: "full" } } },
    },
  ],
  "hooks.secret": [
    {
      has: { ...token(long), hooks: { enabled: true, token: long } },
      key: "hooks.token",
      not: { ...token(long), hooks: { enabled: true, token: `hook-${long}` } },
    },
    {
      has: { hooks: { enabled: true, token: "ring" } },
      key: "hooks.token",
      not: { hooks: { enabled: false, token: "ring" } },
    },
  ],
  "hooks.wide": [
    {
      has: { ...three, hooks: { enabled: true, token: long } },
      key: "hooks.allowedAgentIds",
      not: { ...three, hooks: { enabled: true, token: long, allowedAgentIds: ["a"] } },
    },
    {
      has: { hooks: { enabled: true, token: long, allowRequestSessionKey: true } },
      key: "hooks.allowRequestSessionKey",
      not: { hooks: { enabled: true, token: long } },
    },
  ],
  "webhook.secret": [
    {
      has: webhook({ a: { token: long }, b: { token: long } }),
      key: "channels.webhook.accounts.b.token",
      not: webhook({ a: { token: long }, b: { token: `b-${long}` } }),
    },
    {
      has: webhook({ a: { token: "short" } }),
      key: "channels.webhook.accounts.a.token",
      not: webhook({ a: { token: long } }),
    },
  ],
  "webhook.plain": [
    {
      has: webhook({ a: { token: long, outboundUrl: "http://b.example/in" } }),
      key: "channels.webhook.accounts.a.outboundUrl",
      not: webhook({ a: { token: long, outboundUrl: "http://127.0.0.1:9/in" } }),
    },
  ],
  "logging.open": [{ has: { logging: { redactSensitive: "off" } }, key: "logging.redactSensitive", not: {} }],
};

const flat = Object.entries(cases).flatMap(([id, list]) => list.map((each, index) => ({ id, index, ...each })));

describe("a finding", () => {
  it.each(flat)("$id ($index) is named with its key, and is not where it is closed", async ({ id, has, key, not }) => {
    const found = auditSecurity((await loadText(has)).resolved).filter((finding) => finding.id === id);
    expect(found.map((finding) => finding.key)).toEqual([key]);
    for (const { severity, what, remedy } of found) {
      expect(["error", "warning", "note"]).toContain(severity);
      expect([what, remedy]).toEqual([expect.any(String), expect.any(String)]);
      expect(`${what} ${remedy}`).not.toContain(long);
    }
    expect(auditSecurity((await loadText(not)).resolved).map((finding) => finding.id)).not.toContain(id);
  });

  it("no config at all has none", async () => {
    expect(auditSecurity((await loadText(undefined)).resolved)).toEqual([]);
  });

  it("a weak secret is worse where other machines reach it", async () => {
    const severity = async (bind: string) =>
      auditSecurity((await loadText(token("sesame", { bind }))).resolved).find(({ id }) => id === "gateway.secret-weak")
        ?.severity;
    expect([await severity("loopback"), await severity("lan")]).toEqual(["warning", "error"]);
  });
});

describe("the command", () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), "cloister-audit-"));
    await mkdir(path.join(home, ".cloister"), { mode: 0o700 });
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const machine = { ...thisMachine, disk: () => Promise.resolve({ freeBytes: 0, lasts: "yes" as const }) };
  const run = async (config: object, options: object = {}, uid = machine.uid) => {
    const terminal = makeFakeTerminal();
    await writeFile(path.join(home, ".cloister", "cloister.json"), JSON.stringify(config));
    const code = await runSecurityAudit(makeContext(home, terminal), options, { ...machine, uid });
    return { code, out: terminal.outText() };
  };

  it("ends with 1 for what is open to strangers, with 0 for what is only wide, and tells modes but not room", async () => {
    // Tests run as root in some places.
    const idsOf = ({ out }: { out: string }): readonly string[] =>
      (JSON.parse(out) as { findings: { id: string }[] }).findings
        .map(({ id }) => id)
        .filter((id) => id !== "process.root");
    const open = await run(telegram({ dmPolicy: "open", allowFrom: ["*"] }), { json: true });
    expect([open.code, idsOf(open)]).toEqual([1, ["senders.dm-open", "session.dm-shared"]]);
    const wide = await run({ gateway: { auth: { mode: "none" } } }, { json: true });
    expect([wide.code, idsOf(wide)]).toEqual([0, ["gateway.auth-none"]]);
    await chmod(path.join(home, ".cloister"), 0o755);
    expect((await run({})).out).toContain("state.open");
    expect((await run({})).out).not.toContain("disk.full");
  });

  it("says when it runs as root", async () => {
    expect((await run({}, {}, 0)).out).toContain("process.root");
    expect((await run({}, {}, 1_000)).out).not.toContain("process.root");
  });
});
