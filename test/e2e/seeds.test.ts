/**
 * Four questions that users of the existing product asked, replayed with their configs and their steps against the real program:
 * siblings that could not send (000), a wrong config that another error hid (001), a fresh install that could not spawn (003), and
 * a command line that was stuck at fewer rights than it needed (004).
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { connectAs, makeDevice } from "../contract/device-kit.ts";
import { actorPath } from "../support/actors.ts";
import { makeMessage, openBotApi } from "../support/bot-api.ts";
import { runLine } from "../support/command-lines.ts";
import { eventually } from "../support/eventually.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";

afterEach(endPrograms);

interface Shell {
  readonly program: Program;
  readonly run: (...args: string[]) => Promise<string>;
  readonly json: <T>(...args: string[]) => Promise<T>;
  readonly code: (...args: string[]) => Promise<number | null>;
}

interface Diagnosis {
  readonly ok: boolean;
  readonly findings: readonly { readonly id: string; readonly remedy?: string }[];
}

function shellOf(program: Program): Shell {
  const finished = (...args: string[]) => runLine(program.stateDir, args);
  const run: Shell["run"] = async (...args) => {
    const { code, stdout, stderr } = await finished(...args);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    return stdout;
  };
  return {
    program,
    run,
    json: async <T>(...args: string[]) => JSON.parse((await finished(...args, "--json")).stdout) as T,
    code: async (...args) => (await finished(...args)).code,
  };
}

/**
 * What the specification calls "no device activity": nobody came to the gateway's port, and whoever connected is a command line at the socket of
 * its operator. Commands that may decide about devices come after it: their scopes are logged.
 */
async function expectNoDevices({ program, json }: Shell): Promise<void> {
  const log = readFileSync(path.join(program.stateDir, "logs", "cloister.log"), "utf8").split("\n");
  expect(log.filter((line) => /pairing|scope-upgrade|\b1008\b/.test(line))).toEqual([]);
  const connected = log.filter((line) => line.includes("client connected")).map((line) => JSON.parse(line) as object);
  expect(connected.length).toBeGreaterThan(0);
  for (const line of connected) expect(line).toMatchObject({ clientId: "cli", by: "local-socket" });
  expect(await json("devices", "list")).toEqual({ pending: [], paired: [] });
}

describe("000: two siblings with workspaces and bots of their own", () => {
  const [mainBot, raulBot] = ["1:A", "2:B"];
  /** Nobody answers at the usual address: bots that do not exist are asked of nobody. */
  const config = (home: string, apiRoot = "http://127.0.0.1:9") => ({
    gateway: { mode: "local", bind: "loopback", auth: { mode: "none" } },
    agents: {
      list: [
        { id: "main", workspace: path.join(home, "workspace"), agentDir: path.join(home, "agents/main/agent") },
        { id: "raul", workspace: path.join(home, "workspace-raul"), agentDir: path.join(home, "agents/raul/agent") },
      ],
    },
    channels: {
      telegram: {
        apiRoot,
        dmPolicy: "open",
        allowFrom: ["*"],
        accounts: { default: { botToken: mainBot }, raul: { botToken: raulBot } },
      },
    },
    bindings: [
      { agentId: "main", match: { channel: "telegram", accountId: "default" } },
      { agentId: "raul", match: { channel: "telegram", accountId: "raul" } },
    ],
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
  });

  test("AC-01.5: main and raul ask one another while both chat with people, each bot sends its own answers alone, and nobody is asked for a pairing", async () => {
    const api = await openBotApi();
    onTestFinished(() => api.close());
    api.addBot(mainBot, "main_bot");
    api.addBot(raulBot, "raul_bot");
    const stateDir = makeStateDir();
    const written = JSON.stringify(config(stateDir, api.root));
    writeFileSync(path.join(stateDir, "cloister.json"), written, { mode: 0o600 });
    const shell = shellOf(await startProgram(stateDir));
    const [bo, cy] = [51, 52];
    let messageId = 0;
    const say = (bot: string, id: number, text: string): void => {
      messageId += 1;
      const about = { id, first_name: "P" };
      const said = { message_id: messageId, from: { ...about, is_bot: false }, text };
      api.push(bot, { message: makeMessage({ ...said, chat: { ...about, type: "private" } }) });
    };
    const sent = (bot: string) => api.sent(bot).map(({ chat, text }) => [chat, text]);
    const untilSent = (fromMain: number, fromRaul: number): Promise<void> =>
      eventually(() => expect([sent(mainBot).length, sent(raulBot).length]).toEqual([fromMain, fromRaul]));

    say(raulBot, cy, "remember that the key is under the mat");
    await untilSent(0, 1);
    // Three of Bo's and two of Cy's at once: the answers of a chat come in the order of its questions.
    say(mainBot, bo, "ask raul what do you remember");
    say(raulBot, cy, "what time is it");
    say(mainBot, bo, "who are you");
    say(raulBot, cy, "who are you");
    say(mainBot, bo, "list sessions");
    await untilSent(3, 3);
    // And the other way.
    say(raulBot, cy, "ask main who are you");
    await untilSent(3, 4);
    expect(sent(mainBot)).toEqual([
      [bo, expect.stringMatching(/raul says: .*under the mat/s)],
      [bo, expect.stringContaining("I am main")],
      [bo, expect.stringContaining("agent:raul:main")],
    ]);
    expect(sent(raulBot)).toEqual([
      [cy, expect.any(String)],
      [cy, expect.stringMatching(/It is \d{4}-/)],
      [cy, expect.stringContaining("I am raul")],
      [cy, expect.stringContaining("main says: ")],
    ]);

    // The same from the command line, of which no bot says anything.
    expect(await shell.run("send", "--agent", "main", "ask raul who are you")).toContain(
      `I am raul, in the session agent:raul:main. My workspace is ${path.join(stateDir, "workspace-raul")}`,
    );
    expect(await shell.run("send", "--agent", "main", "list sessions")).toContain("agent:raul:main");
    await expectNoDevices(shell);
    // His questions have answers of the program's own.
    expect(await shell.run("agents", "doctor")).toMatch(/^main +raul +yes \(tools\.agentToAgent\.allow\)/m);
    expect(await shell.code("doctor")).toBe(0);
    expect([mainBot, raulBot].map((bot) => api.unconfirmed(bot))).toEqual([0, 0]);
    expect(await shell.program.stop()).toBe(0);
    expect([sent(mainBot).length, sent(raulBot).length]).toEqual([3, 4]);
    expect(api.violations).toEqual([]);
  });

  test.each<[string, object]>([
    ["none", { auth: { mode: "none" } }],
    ["a token", { auth: { mode: "token", token: "the-token-of-the-gateway" } }],
    ["an empty token", { auth: { token: "" } }],
    ["a password", { auth: { mode: "password", password: "the-password-of-the-gateway" } }],
    [
      "a trusted proxy",
      {
        trustedProxies: ["127.0.0.1"],
        auth: { mode: "trusted-proxy", trustedProxy: { userHeader: "x-user", allowLoopback: true } },
      },
    ],
  ])(
    "AC-01.1, AC-01.2: in a fresh state directory main's sessions_send has raul's reply under auth by %s",
    async (_name, gateway) => {
      const stateDir = makeStateDir();
      const seed = config(stateDir);
      const modules = [actorPath("tool-user"), "echo"];
      const agents = { list: seed.agents.list.map((agent, at) => ({ ...agent, module: modules[at] })) };
      writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify({ ...seed, gateway, agents }), {
        mode: 0o600,
      });
      const shell = shellOf(await startProgram(stateDir));
      const params = { sessionKey: "agent:raul:main", message: "how are you?", timeoutSeconds: 30 };
      const answer = await shell.run("send", "--agent", "main", JSON.stringify({ tool: "sessions_send", params }));
      expect(JSON.parse(answer)).toEqual({
        status: "ok",
        reply: "how are you?",
        sessionKey: "agent:raul:main",
        runId: expect.any(String),
      });
      await expectNoDevices(shell);
      expect(await shell.program.stop()).toBe(0);
    },
  );
});

describe("001: agent-to-agent sends under a visibility that forbids them", () => {
  const config = {
    session: { agentToAgent: { maxPingPongTurns: 0 } },
    agents: {
      defaults: { sandbox: { sessionToolsVisibility: "all" } },
      list: [
        { id: "main", module: actorPath("tool-user") },
        { id: "strategy", name: "Strategy" },
      ],
    },
    tools: { agentToAgent: { enabled: true, allow: ["main", "strategy"] }, sessions: { visibility: "agent" } },
  };

  test("the wrong key is named by the doctor and by the send itself, and correcting it is all that it takes", async () => {
    const stateDir = makeStateDir(config);
    const shell = shellOf(await startProgram(stateDir));
    const label = { tool: "sessions_send", params: { label: "Strategy", message: "who are you", timeoutSeconds: 30 } };
    await shell.run("send", "--agent", "strategy", "who are you");
    await shell.run("sessions", "label", "agent:strategy:main", "Strategy");

    const refused = await shell.run("send", "--agent", "main", JSON.stringify(label));
    expect(JSON.parse(refused)).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining('tools.sessions.visibility is "agent", needs "all"'),
      operatorHint: 'tools.sessions.visibility: "all"',
    });
    expect(refused).not.toMatch(/pairing|1008|WebSocket/);
    const diagnosis = await shell.json<Diagnosis>("doctor");
    expect(diagnosis).toMatchObject({ ok: false });
    expect(diagnosis.findings).toContainEqual(
      expect.objectContaining({
        id: "agents.messages-refused",
        severity: "error",
        remedy: 'Set tools.sessions.visibility: "all".',
      }),
    );
    expect(await shell.code("doctor")).toBe(1);

    expect(await shell.program.stop()).toBe(0);
    config.tools.sessions.visibility = "all";
    writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify(config), { mode: 0o600 });
    const again = shellOf(await startProgram(stateDir));
    expect(await again.run("send", "--agent", "main", JSON.stringify(label))).toContain("I am strategy");
    expect(await again.code("doctor")).toBe(0);
  });
});

describe("003: a fresh server install that spawns", () => {
  test("accepted, done, told, and nobody is asked for a pairing", async () => {
    const stateDir = makeStateDir({
      gateway: { auth: { mode: "token", token: "" } },
      agents: {
        defaults: { module: actorPath("spawner") },
        list: [{ id: "concierge", subagents: { allowAgents: ["native"] } }, { id: "native" }],
      },
    });
    const shell = shellOf(await startProgram(stateDir));
    const task = JSON.stringify({ do: "say", text: "the video is ready" });
    const spawn = {
      do: "tool",
      tool: "sessions_spawn",
      params: { runtime: "subagent", agentId: "native", mode: "run", task },
    };
    const accepted = JSON.parse(await shell.run("send", "--agent", "concierge", JSON.stringify(spawn)));
    expect(accepted).toMatchObject({
      status: "accepted",
      runId: expect.any(String),
      childSessionKey: expect.stringMatching(/^agent:native:subagent:/),
    });
    const heard = (): Promise<string> => shell.run("send", "--agent", "concierge", JSON.stringify({ do: "heard" }));
    await expect.poll(heard).toContain("the video is ready");
    expect(await heard()).toContain(accepted.runId);
    await expectNoDevices(shell);
    expect(await shell.code("doctor")).toBe(0);
  });
});

describe("004: a command line that was approved with too little", () => {
  const token = "a-token-of-the-gateway";
  const bundle = ["admin", "read", "write", "approvals", "pairing", "talk.secrets"].map((name) => `operator.${name}`);

  test("spawns do not ask for it, its request keeps its id, and one command repairs it", async () => {
    const stateDir = makeStateDir({
      gateway: {
        auth: { mode: "token", token },
        controlUi: { allowInsecureAuth: true },
        nodes: { pairing: { autoApproveLocal: false } },
      },
      agents: { defaults: { module: actorPath("spawner") }, list: [{ id: "main" }] },
    });
    const shell = shellOf(await startProgram(stateDir));
    const { port } = shell.program;
    const device = makeDevice();

    // As it came to be in 004: the first thing that the device did was to look, and looking was all that it was approved for.
    const first = await connectAs(port, device, { scopes: ["operator.read"], auth: { token } });
    expect(first.answer.ok).toBe(false);
    await shell.run("devices", "approve", first.answer.error.details.requestId);
    const narrow = await connectAs(port, device, { scopes: bundle, auth: { token } });
    const { auth } = narrow.answer.payload;
    expect([auth.scopes, auth.pendingUpgrade.requestId]).toEqual([["operator.read"], expect.any(String)]);
    const { deviceToken } = auth;

    // The failing call of 004 was never the device's.
    const spawn = { do: "tool", tool: "sessions_spawn", params: { runtime: "subagent", mode: "run", task: "{}" } };
    expect(await shell.run("send", JSON.stringify(spawn))).toContain('"status":"accepted"');

    // The doctor names the request and the command; the device goes on retrying with this and that meanwhile.
    const { findings } = await shell.json<Diagnosis>("doctor");
    const waiting = findings.find(({ id }) => id === "device.waiting");
    const command = /`cloister (devices approve \S+)`/.exec(waiting?.remedy ?? "")?.[1] ?? "";
    await connectAs(port, device, { scopes: ["operator.read", "operator.write"], auth: { token } });
    await connectAs(port, device, { scopes: bundle, auth: { token } });
    const { program } = shell;
    const approved = await runLine(program.stateDir, command.split(" "));
    expect([approved.code, approved.stdout]).toEqual([0, expect.stringContaining("operator.admin: everything")]);

    const repaired = await connectAs(port, device, { scopes: bundle, auth: { deviceToken } });
    expect(repaired.answer.payload.auth.scopes).toEqual(expect.arrayContaining(bundle));
    expect(await shell.json("devices", "list")).toMatchObject({ pending: [] });
  });
});
