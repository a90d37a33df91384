/** `cloister channels …` against the real program, whose accounts are let in, refused, on a server that is down, or on one that does not answer. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openBotApi } from "../support/bot-api.ts";
import { runLine } from "../support/command-lines.ts";
import { openDiscordApi } from "../support/discord-api.ts";
import { eventually } from "../support/eventually.ts";
import { findFreePort } from "../support/free-port.ts";
import { openIrcd } from "../support/ircd.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { appToken, botToken, openSlackApi } from "../support/slack-api.ts";

const kinds = ["telegram", "discord", "slack", "irc"] as const;
type Kind = (typeof kinds)[number];
const states = ["good", "wrong", "down", "slow"] as const;
type State = (typeof states)[number];

interface Account {
  readonly accountId: string;
  readonly enabled: boolean;
  readonly connected: boolean;
  readonly lastError?: string;
  readonly remedy?: string;
  readonly probe?: { readonly ok: boolean; readonly elapsedMs: number };
}

const opened: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  endPrograms();
  await Promise.all(opened.map((close) => close()));
});

/** A server that takes connections, and says no more than `greeting` on what it is told. */
async function openSilent(greeting?: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined).on("close", () => sockets.delete(socket)));
    socket.on("data", (data) => {
      if (greeting !== undefined && data.includes("USER ")) socket.write(greeting);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

const local = (port: number, path = ""): string => `http://127.0.0.1:${port}${path}`;

/** Of each kind its four accounts, as the configuration has them. */
async function makeAccounts(): Promise<Readonly<Record<Kind, Readonly<Record<State, object>>>>> {
  const [telegram, discord, slack] = await Promise.all([openBotApi(), openDiscordApi(), openSlackApi()]);
  const ircd = await openIrcd({ password: "open" });
  for (const api of [telegram, discord, slack, ircd]) opened.push(() => api.close());
  telegram.addBot("7000:GOOD", "helper_bot");
  discord.addBot("GOOD.TOKEN.1", { id: "200000000000000001", username: "helper" });
  const [down, silent] = await Promise.all([findFreePort(), openSilent()]);
  const mute = await openSilent(":irc.test 001 helper :Welcome\r\n");
  const irc = { host: "127.0.0.1", tls: false, nick: "helper", password: "open" };
  const tokens = { botToken, appToken };
  return {
    telegram: {
      good: { botToken: "7000:GOOD", apiRoot: telegram.root },
      wrong: { botToken: "7000:WRONG", apiRoot: telegram.root },
      down: { botToken: "7000:GOOD", apiRoot: local(down) },
      slow: { botToken: "7000:GOOD", apiRoot: local(silent) },
    },
    discord: {
      good: { token: "GOOD.TOKEN.1", apiRoot: discord.root },
      wrong: { token: "WRONG.TOKEN.1", apiRoot: discord.root },
      down: { token: "GOOD.TOKEN.1", apiRoot: local(down, "/api") },
      slow: { token: "GOOD.TOKEN.1", apiRoot: local(silent, "/api") },
    },
    slack: {
      good: { ...tokens, apiRoot: slack.root },
      wrong: { ...tokens, botToken: "xoxb-WRONG", apiRoot: slack.root },
      down: { ...tokens, apiRoot: local(down, "/api") },
      slow: { ...tokens, apiRoot: local(silent, "/api") },
    },
    irc: {
      good: { ...irc, port: ircd.port },
      wrong: { ...irc, port: ircd.port, password: "WRONG" },
      down: { ...irc, port: down },
      slow: { ...irc, port: mute },
    },
  };
}

let program: Program;
const run = (...args: readonly string[]) => runLine(program.stateDir, ["channels", ...args]);
const input = (text: string, ...args: readonly string[]) => runLine(program.stateDir, ["channels", ...args], text);

async function statusOf(...args: readonly string[]): Promise<Readonly<Record<string, readonly Account[]>>> {
  const { code, stdout, stderr } = await run("status", "--json", ...args);
  expect([code, stderr]).toEqual([0, ""]);
  return (JSON.parse(stdout) as { channelAccounts: Readonly<Record<string, readonly Account[]>> }).channelAccounts;
}

const find = (all: Readonly<Record<string, readonly Account[]>>, kind: Kind, state: State): Account | undefined =>
  all[kind]?.find(({ accountId }) => accountId === state);

const isConnected = async (kind: Kind): Promise<boolean> =>
  find(await statusOf("--channel", kind), kind, "good")?.connected === true;

beforeAll(async () => {
  const accounts = await makeAccounts();
  program = await startProgram(
    makeStateDir({
      gateway: { auth: { mode: "none" } },
      agents: { list: [{ id: "main", module: "echo" }] },
      channels: Object.fromEntries(kinds.map((kind) => [kind, { defaultAccount: "good", accounts: accounts[kind] }])),
      bindings: kinds.map((channel) => ({ agentId: "main", match: { channel } })),
    }),
  );
  for (const kind of kinds) await eventually(async () => expect(await isConnected(kind)).toBe(true));
});

describe("status", () => {
  /** What it says of an account that is not let in, and what helps. */
  const wrong: Readonly<Record<Kind, readonly [message: RegExp, remedy: RegExp]>> = {
    telegram: [/does not know the bot token of account wrong/, /channels\.telegram\.accounts\.wrong\.botToken/],
    discord: [/does not know the bot token of account wrong/, /channels\.discord\.accounts\.wrong\.token/],
    slack: [/does not take the botToken of account wrong/, /channels\.slack\.accounts\.wrong\.botToken/],
    irc: [/was not reached: .*password/i, /channels\.irc\.accounts\.wrong\.password/],
  };
  const slow = /not reached: no answer in time|does not answer at the moment/;

  test("--probe asks every platform at once, and tells why each account does not work, without any token", async () => {
    const startedAtMs = performance.now();
    const [text, all] = await Promise.all([run("status", "--probe"), statusOf("--probe")]);
    // All of them together as long as one.
    expect(performance.now() - startedAtMs).toBeLessThan(2.5 * limits.channelProbeMs);
    for (const kind of kinds) {
      const [message, remedy] = wrong[kind];
      expect([kind, find(all, kind, "good")]).toMatchObject([kind, { connected: true, probe: { ok: true } }]);
      expect([kind, find(all, kind, "good")?.lastError]).toEqual([kind, undefined]);
      expect([kind, find(all, kind, "wrong")]).toMatchObject([
        kind,
        { connected: false, probe: { ok: false }, lastError: expect.stringMatching(message) },
      ]);
      expect(find(all, kind, "wrong")?.remedy).toMatch(remedy);
      expect(text.stdout).toMatch(new RegExp(`^${kind}/wrong: .*${remedy.source}`, "m"));
      expect([kind, find(all, kind, "down")]).toMatchObject([
        kind,
        { connected: false, probe: { ok: false }, lastError: expect.stringMatching(/ECONNREFUSED/) },
      ]);
      const late = find(all, kind, "slow");
      expect([kind, late]).toMatchObject([kind, { probe: { ok: false }, lastError: expect.stringMatching(slow) }]);
      expect([kind, (late?.probe?.elapsedMs ?? 0) >= limits.channelProbeMs - 500]).toEqual([kind, true]);
    }
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(`${text.stdout}${JSON.stringify(all)}`).not.toMatch(/7000:|TOKEN\.1|SECRET|WRONG/);
  });

  test("of one channel shows that one, and a channel that is none is refused with those that are", async () => {
    expect(Object.keys(await statusOf("--channel", "irc"))).toEqual(["irc"]);
    const none = await run("status", "--channel", "teams");
    expect(none.code).not.toBe(0);
    expect(none.stderr).toMatch(/telegram[^]*irc[^]*CLOISTER_CHANNEL_UNKNOWN/);
  });
});

test.each(kinds)("capabilities says what %s can", async (kind) => {
  const { code, stdout } = await run("capabilities", "--channel", kind, "--json");
  const { channels } = JSON.parse(stdout) as { channels: readonly { id: string; capabilities: object }[] };
  expect([code, channels.map(({ id }) => id)]).toEqual([0, [kind]]);
  expect((await run("capabilities")).stdout).toMatch(new RegExp(`^${kind} .*(characters|bytes)$`, "m"));
});

test.each(kinds)(
  "logout ends the account of %s and login has it back, also the default one by no name",
  async (kind) => {
    for (const named of [["--account", "good"], []]) {
      expect(await run("logout", "--channel", kind, ...named)).toMatchObject({ code: 0, stderr: "" });
      await eventually(async () => expect(await isConnected(kind)).toBe(false));
      expect(await run("login", "--channel", kind, ...named)).toMatchObject({ code: 0 });
      await eventually(async () => expect(await isConnected(kind)).toBe(true));
    }
  },
);

test.each([
  ["telegram", "7000:GOOD\n", "nonsense"],
  ["discord", "GOOD.TOKEN.1\n", "short"],
  ["slack", `${botToken}\n${appToken}\n`, "xoxp-1\nxapp-1"],
] as const)(
  "login takes another token of %s, which counts at once, and refuses one of another form",
  async (kind, good, bad) => {
    const asked = ["login", "--channel", kind, "--account", "wrong", "--token-stdin"];
    const refused = await input(`${bad}\n`, ...asked);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/given for (botToken|token) [^]*CLOISTER_REQUEST_INVALID/);
    expect(refused.stderr).not.toContain(bad.split("\n")[0]);
    const taken = await input(good, ...asked);
    expect([taken.code, taken.stderr]).toEqual([0, ""]);
    expect(taken.stdout).not.toContain(good.trim());
    // Another program may have the messages of a bot of Telegram: then it says so, and no more of a token.
    await eventually(async () => {
      const account = find(await statusOf("--channel", kind), kind, "wrong");
      expect(account?.connected === true || /409/.test(account?.lastError ?? "")).toBe(true);
    });
  },
);

test.each(["login", "logout"])("%s of a channel that is none is refused with those that are", async (command) => {
  const none = await run(command, "--channel", "teams");
  expect(none.code).not.toBe(0);
  expect(none.stderr).toMatch(/telegram[^]*CLOISTER_CHANNEL_UNKNOWN/);
});
