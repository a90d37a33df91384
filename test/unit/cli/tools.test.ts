/** `cloister tools explain` and `cloister sandbox explain`: what they ask, and what they print. */
import { describe, expect, it } from "vitest";
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
    expect(JSON.parse(cli.terminal.outText())).toEqual(explained);
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
    expect(JSON.parse(cli.terminal.outText())).toEqual(explained);
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
