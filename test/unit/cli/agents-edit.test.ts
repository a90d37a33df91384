/** `cloister agents set-identity` and `agents add --copy-auth`, without a gateway. Source: behaviour §6.4, §6.6. */
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import JSON5 from "json5";
import { beforeEach, describe, expect, it } from "vitest";
import { parseIdentity } from "../../../runtime/cli/identity-file.ts";
import { useCliHome } from "./cli-home.ts";

const home = useCliHome();
const file = (): string => path.join(home.stateDir, "cloister.json");
const identityOf = async (): Promise<unknown> => {
  const config: { agents: { list: { identity?: object }[] } } = JSON5.parse(await readFile(file(), "utf8"));
  return config.agents.list[0]?.identity;
};

beforeEach(async () => {
  await writeFile(file(), JSON.stringify({ agents: { list: [{ id: "main", default: true }] } }), { mode: 0o600 });
});

describe("IDENTITY.md", () => {
  it.each<[string, string, object]>([
    [
      "as the template has it",
      "# Identity\n\n- Name: Ada\n- Emoji: 🦊\n- In a few words: calm, exact",
      { name: "Ada", emoji: "🦊", theme: "calm, exact" },
    ],
    [
      "as the peer has it",
      "- **Name:** Ada\n- **Vibe:** calm\n- **Avatar:** ada.png\n- **Creature:** fox",
      { name: "Ada", theme: "calm", avatar: "ada.png" },
    ],
    ["as a new workspace has it", "# Identity\n\n- Name:\n- Emoji:\n- In a few words:\n", {}],
    ["with hints", "- Name: _(pick something)_\n- Emoji: [one]\n- Theme: <a few words>", {}],
    ["with a field twice", "Name: Ada\nName: Eve\nI say: hello", { name: "Ada" }],
  ])("is read %s", (_what, text, identity) => {
    expect(parseIdentity(text)).toEqual(identity);
  });
});

describe("agents delete without a gateway", () => {
  const agents = async (...list: readonly object[]): Promise<void> => {
    await writeFile(file(), JSON.stringify({ agents: { list: [{ id: "main", default: true }, ...list] } }));
    for (const folder of ["workspace", "workspace-work", "agents/work/sessions"])
      await mkdir(path.join(home.stateDir, folder), { recursive: true });
  };

  it("names the folders that stay, those that are there, and that jobs and grants stay as well", async () => {
    await agents({ id: "work" });
    expect(await home.run("agents", "delete", "work", "--force")).toBe(0);
    expect(home.terminal.outText()).toContain(
      `so they stay: remove them, or an agent of its name has them again\n  ${path.join(home.stateDir, "workspace-work")}\n  ${path.join(home.stateDir, "agents/work/sessions")}\nits jobs and grants stay`,
    );
    await agents({ id: "work" });
    home.clear();
    expect(await home.run("agents", "delete", "work", "--force", "--json")).toBe(0);
    expect(JSON.parse(home.terminal.outText())).toMatchObject({
      through: "file",
      answer: {
        filesLeft: {
          workspace: path.join(home.stateDir, "workspace-work"),
          sessionsDir: path.join(home.stateDir, "agents/work/sessions"),
        },
      },
    });
  });

  it("names no folder that another agent uses, and none that is to be kept", async () => {
    await agents({ id: "work", workspace: path.join(home.stateDir, "workspace") });
    expect(await home.run("agents", "delete", "work", "--force")).toBe(0);
    expect(home.terminal.outText()).toContain("agents/work/sessions");
    expect(home.terminal.outText()).not.toContain("/workspace");
    await agents({ id: "work" });
    home.clear();
    expect(await home.run("agents", "delete", "work", "--force", "--keep-files")).toBe(0);
    expect(home.terminal.outText()).not.toContain("/workspace-work");
  });
});

describe("agents set-identity", () => {
  const write = async (text: string): Promise<string> => {
    const name = path.join(home.stateDir, "workspace", "IDENTITY.md");
    await mkdir(path.dirname(name), { recursive: true });
    await writeFile(name, text);
    return name;
  };

  it("sets without options what IDENTITY.md of the agent's workspace says, and with options those alone", async () => {
    await write("- Name: Ada\n- Emoji: 🦊\n");
    expect(await home.run("agents", "set-identity", "--agent", "main")).toBe(0);
    expect(await identityOf()).toEqual({ name: "Ada", emoji: "🦊" });
    expect(await home.run("agents", "set-identity", "--agent", "main", "--theme", "calm")).toBe(0);
    expect(await identityOf()).toEqual({ name: "Ada", emoji: "🦊", theme: "calm" });
  });

  it("says what to do where nothing is written, and follows no link", async () => {
    const refusal = {
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining("IDENTITY.md says no name") as string,
    };
    await expect(home.run("agents", "set-identity", "--agent", "main")).rejects.toMatchObject(refusal);
    const name = await write("- Name:\n");
    await expect(home.run("agents", "set-identity", "--agent", "main")).rejects.toMatchObject(refusal);
    await rm(name);
    await writeFile(path.join(home.dir, "elsewhere.md"), "Name: secret");
    await symlink(path.join(home.dir, "elsewhere.md"), name);
    await expect(home.run("agents", "set-identity", "--agent", "main")).rejects.toMatchObject(refusal);
    await expect(home.run("agents", "set-identity", "--agent", "nobody")).rejects.toMatchObject({
      message: "nothing to set: the config has no agent nobody",
    });
  });
});

it("agents add makes the agent's folders, for nobody else, and its files only where they are wanted", async () => {
  const config = { agents: { defaults: { skipBootstrap: true }, list: [{ id: "main", default: true }] } };
  const foldersOf = (id: string) => [`workspace-${id}`, `agents/${id}/agent`, `agents/${id}/sessions`];
  expect(await home.run("agents", "add", "work")).toBe(0);
  await writeFile(file(), JSON.stringify(config), { mode: 0o600 });
  expect(await home.run("agents", "add", "bare")).toBe(0);
  for (const name of [...foldersOf("work"), ...foldersOf("bare")])
    expect([name, (await stat(path.join(home.stateDir, name))).mode & 0o777]).toEqual([name, 0o700]);
  expect(await readdir(path.join(home.stateDir, "workspace-work"))).toContain("AGENTS.md");
  expect(await readdir(path.join(home.stateDir, "workspace-bare"))).toEqual([]);
});

describe("agents add at a terminal", () => {
  const added = async (): Promise<unknown> => {
    const config: { agents: { list: unknown[] }; bindings?: unknown } = JSON5.parse(await readFile(file(), "utf8"));
    return { agent: config.agents.list.at(-1), bindings: config.bindings };
  };
  /** Types each answer when its question is there. */
  const talk = async (args: readonly string[], answers: readonly (readonly [question: string, answer: string])[]) => {
    home.clear({ isTty: true });
    const exit = home.run("agents", "add", ...args);
    for (const [question, answer] of answers) {
      await expect.poll(() => home.terminal.outText()).toContain(question);
      home.terminal.input.write(`${answer}\n`);
    }
    return exit;
  };
  const accounts = { webhook: { accounts: { home: { token: "t0ken-of-home-1" } } } };

  it("asks for what belongs to an agent, and for nothing that there is no choice of", async () => {
    expect(
      await talk(
        ["Work"],
        [
          ["Workspace (empty: the usual place): ", ""],
          ["Model (empty: the default): ", ""],
        ],
      ),
    ).toBe(0);
    expect(home.terminal.outText()).not.toMatch(/Name of|Copy|Accounts/);
    expect(await added()).toEqual({ agent: { id: "work", name: "Work" } });
  });

  it("offers the default agent's credentials and the accounts that are set up", async () => {
    await writeFile(file(), JSON.stringify({ agents: { list: [{ id: "main", default: true }] }, channels: accounts }));
    const folder = path.join(home.stateDir, "agents/main/agent");
    await mkdir(folder, { recursive: true });
    const profiles = { "a:key": { type: "api_key", provider: "a", key: "canary-1" } };
    await writeFile(path.join(folder, "auth-profiles.json"), JSON.stringify({ profiles }), { mode: 0o600 });
    expect(
      await talk(
        [],
        [
          ["Name of the agent: ", "coding"],
          ["Workspace", path.join(home.dir, "code")],
          ["Model", "anthropic/claude-opus-4-6"],
          ["Copy the keys and tokens of main? It reads them from there otherwise. [y/N] ", "y"],
          ["Accounts whose messages it gets, of webhook:home (empty: none): ", "webhook:home"],
        ],
      ),
    ).toBe(0);
    expect(home.terminal.outText()).toContain("credentials that were copied: a:key");
    expect(await added()).toEqual({
      agent: {
        id: "coding",
        name: "coding",
        workspace: path.join(home.dir, "code"),
        model: "anthropic/claude-opus-4-6",
      },
      bindings: [{ agentId: "coding", match: { channel: "webhook", accountId: "home" } }],
    });
  });

  it("refuses a name that is taken before it asks for more, and asks nothing where something else is given", async () => {
    await expect(talk(["main"], [])).rejects.toMatchObject({
      message: "the agent main is in the configuration already",
    });
    expect(home.terminal.outText()).toBe("");
    for (const args of [
      ["one", "--workspace", path.join(home.dir, "one")],
      ["two", "--non-interactive"],
      ["three", "--json"],
    ]) {
      expect(await talk(args, [])).toBe(0);
      expect(home.terminal.outText()).not.toContain("empty");
    }
  });
});

describe("agents add --copy-auth", () => {
  const fileOf = (agent: string): string => path.join(home.stateDir, "agents", agent, "agent", "auth-profiles.json");
  const profiles = {
    "a:key": { type: "api_key", provider: "a", key: "canary-1" },
    "a:fixed": { type: "api_key", provider: "a", key: "canary-2", copyToAgents: false },
    "a:token": { type: "token", provider: "a", token: "canary-3", expires: 9e15 },
    "a:login": { type: "oauth", provider: "a", access: "canary-4", refresh: "canary-5", expires: 9e15 },
    "a:shared": {
      type: "oauth",
      provider: "a",
      access: "canary-6",
      refresh: "canary-7",
      expires: 9e15,
      copyToAgents: true,
    },
  };

  it("copies keys and tokens that may be copied, and of a sign-in never what renews it", async () => {
    await mkdir(path.dirname(fileOf("main")), { recursive: true });
    const order = { a: ["a:token", "a:login", "a:key"] };
    await writeFile(fileOf("main"), JSON.stringify({ profiles, order }), { mode: 0o600 });
    expect(await home.run("agents", "add", "work", "--copy-auth")).toBe(0);
    const { refresh: _, ...shared } = profiles["a:shared"];
    expect(JSON.parse(await readFile(fileOf("work"), "utf8"))).toEqual({
      profiles: { "a:key": profiles["a:key"], "a:token": profiles["a:token"], "a:shared": shared },
      order: { a: ["a:token", "a:key"] },
    });
    expect((await stat(fileOf("work"))).mode & 0o777).toBe(0o600);
    const shown = home.terminal.outText();
    expect(shown).toContain("credentials that were copied: a:key, a:token, a:shared");
    expect(shown).toContain("a:fixed was not: copyToAgents is false");
    expect(shown).toContain("a:login was not: a sign-in is copied where copyToAgents is true");
    expect(shown).not.toContain("canary");
    expect(JSON.parse(await readFile(fileOf("main"), "utf8"))).toEqual({ profiles, order });
  });

  it("is not done without the option, and not for a gateway elsewhere", async () => {
    await mkdir(path.dirname(fileOf("main")), { recursive: true });
    await writeFile(fileOf("main"), JSON.stringify({ profiles }), { mode: 0o600 });
    expect(await home.run("agents", "add", "work")).toBe(0);
    await expect(stat(fileOf("work"))).rejects.toMatchObject({ code: "ENOENT" });
    await expect(home.run("--url", "ws://127.0.0.1:1", "agents", "add", "other", "--copy-auth")).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
    });
  });
});
