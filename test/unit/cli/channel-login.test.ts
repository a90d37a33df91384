/** `cloister channels login` of accounts whose credential is a text: what it asks for, where it keeps it, and that it shows nothing of it. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseEnv } from "node:util";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../runtime/cli/program.ts";
import { setVariable } from "../../../runtime/config/index.ts";
import { eventually } from "../../support/eventually.ts";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();
const canary = "7000:canary-0123456789";

const configFile = (): string => path.join(cli.stateDir, "cloister.json");
const envFile = (): string => path.join(cli.stateDir, ".env");
const readJson = async (): Promise<unknown> => JSON.parse(await readFile(configFile(), "utf8"));
const variables = async () => parseEnv(await readFile(envFile(), "utf8"));
const shown = (): string => cli.terminal.outText() + cli.terminal.errText();

async function write(config: object): Promise<void> {
  await mkdir(cli.stateDir, { recursive: true, mode: 0o700 });
  await writeFile(configFile(), JSON.stringify(config));
}

const piped = (text: string, ...words: readonly string[]): Promise<number> => {
  cli.clear({ isTty: false });
  cli.terminal.input.end(text);
  return cli.run("channels", "login", "--token-stdin", ...words);
};

/** Types each answer when it is asked for. */
async function typed(answers: readonly (readonly [RegExp, string])[], ...words: readonly string[]): Promise<number> {
  cli.clear({ isTty: true });
  const ended = cli.run("channels", "login", ...words);
  ended.catch(() => undefined);
  for (const [question, answer] of answers) {
    await eventually(() => expect(cli.terminal.errText()).toMatch(question));
    cli.terminal.input.write(`${answer}\n`);
  }
  return ended;
}

/** A gateway whose configuration of Telegram says already what the first write would have it say. Gives each `enabled` that it is told. */
async function serveUnchanged(telegram: object): Promise<readonly unknown[]> {
  const asked: unknown[] = [];
  const parsed = { channels: { telegram } };
  await cli.serve((request, { answer }) => {
    const { set } = (request.params ?? {}) as { readonly set?: readonly { readonly value: unknown }[] };
    const [edit] = set ?? [];
    if (edit !== undefined)
      asked.push((edit.value as { channels: { telegram: { enabled?: boolean } } }).channels.telegram.enabled);
    const status = asked.length === 1 ? "unchanged" : "applied";
    return answer(request, request.method === "config.get" ? { path: "/c.json", parsed, hash: "h" } : { status });
  });
  return asked;
}

describe("the credential of an account that has none", () => {
  it("is asked for at a terminal without showing it, kept in .env, and referred to by the configuration", async () => {
    await write({});
    expect(await typed([[/Token of the bot, from @BotFather/, canary]], "--channel", "telegram")).toBe(0);
    expect(await readJson()).toEqual({
      channels: { telegram: { botToken: "${CHANNEL_TELEGRAM_BOT_TOKEN}", enabled: true } },
    });
    expect(await variables()).toEqual({ CHANNEL_TELEGRAM_BOT_TOKEN: canary });
    expect((await stat(envFile())).mode & 0o777).toBe(0o600);
    expect(shown()).not.toContain("canary");
    expect(await readFile(configFile(), "utf8")).not.toContain("canary");
  });

  it("is asked for in two parts by Slack, and in one of another kind where Slack calls", async () => {
    await write({});
    const answers = [
      [/Token of the bot/, "xoxb-1-a"],
      [/App-level token/, "xapp-1-b"],
    ] as const;
    expect(await typed(answers, "--channel", "slack")).toBe(0);
    expect(await variables()).toEqual({
      CHANNEL_SLACK_BOT_TOKEN: "xoxb-1-a",
      CHANNEL_SLACK_APP_TOKEN: "xapp-1-b",
    });
    await write({ channels: { slack: { accounts: { web: { mode: "http" } } } } });
    expect(await piped("xoxb-2\nsecret12345\n", "--channel", "slack", "--account", "web")).toBe(0);
    expect(await readJson()).toMatchObject({
      channels: { slack: { accounts: { web: { signingSecret: "${CHANNEL_SLACK_WEB_SIGNING_SECRET}" } } } },
    });
  });

  it("is for IRC a server, a nick and a password, which may be none", async () => {
    await write({});
    const answers = [
      [/Server of the network/, "irc.example.org"],
      [/Nick of the account/, "helper"],
      [/Password for NickServ/, ""],
    ] as const;
    expect(await typed(answers, "--channel", "irc")).toBe(0);
    expect(await readJson()).toEqual({ channels: { irc: { host: "irc.example.org", nick: "helper", enabled: true } } });
    // Asked again, it only switches on.
    expect(await typed([], "--channel", "irc")).toBe(0);
    expect(await piped("hunter'2 \"x", "--channel", "irc")).toBe(0);
    expect(await readJson()).toMatchObject({
      channels: { irc: { nickserv: { password: "${CHANNEL_IRC_NICKSERV_PASSWORD}" } } },
    });
    expect(await variables()).toEqual({ CHANNEL_IRC_NICKSERV_PASSWORD: "hunter'2 \"x" });
  });

  it("comes from a pipe for a script, for an account that is not there yet", async () => {
    await write({ channels: { discord: { accounts: { home: { token: "t" } } } } });
    expect(await piped("abc.DEF-123456\n", "--channel", "discord", "--account", "work", "--json")).toBe(0);
    expect(await readJson()).toMatchObject({
      channels: {
        discord: {
          accounts: { home: { token: "t" }, work: { token: "${CHANNEL_DISCORD_WORK_TOKEN}", enabled: true } },
        },
      },
    });
    expect(JSON.parse(cli.terminal.outText())).toMatchObject({ channel: "discord", account: "work", through: "file" });
  });

  it("leaves other variables as they are, and replaces an earlier one", async () => {
    await write({});
    await writeFile(envFile(), "# keys\nOTHER=1\nCHANNEL_TELEGRAM_BOT_TOKEN=old\n", { mode: 0o600 });
    expect(await piped(canary, "--channel", "telegram")).toBe(0);
    const text = `# keys\nOTHER=1\nCHANNEL_TELEGRAM_BOT_TOKEN='${canary}'\n`;
    expect(await readFile(envFile(), "utf8")).toBe(text);
  });

  it("takes no variable that another key refers to", async () => {
    await write({ channels: { telegram: { accounts: { "a-b": { botToken: "${CHANNEL_TELEGRAM_A_B_BOT_TOKEN}" } } } } });
    expect(await piped(canary, "--channel", "telegram", "--account", "a_b")).toBe(0);
    expect(await readJson()).toMatchObject({
      channels: { telegram: { accounts: { a_b: { botToken: "${CHANNEL_TELEGRAM_A_B_BOT_TOKEN_}" } } } },
    });
  });
});

describe("a credential that stands in a variable", () => {
  const asVariables = (entries: Readonly<Record<string, string>>) =>
    writeFile(
      envFile(),
      Object.entries(entries)
        .map(([name, value]) => `${name}='${value}'\n`)
        .join(""),
      { mode: 0o600 },
    );

  it.each([
    ["at a terminal", true],
    ["in a script", false],
  ])("of .env is taken from there without a question, and it is said so, %s", async (_where, isTty) => {
    await write({});
    await asVariables({ TELEGRAM_BOT_TOKEN: canary });
    cli.clear({ isTty });
    expect(await cli.run("channels", "login", "--channel", "telegram")).toBe(0);
    expect(await readJson()).toEqual({ channels: { telegram: { enabled: true } } });
    expect(cli.terminal.errText()).toContain(
      `channels.telegram.botToken: taken from TELEGRAM_BOT_TOKEN in ${envFile()}`,
    );
    expect(shown()).not.toContain("canary");
  });

  it("of the environment is taken from there, with a word about the gateway", async () => {
    await write({});
    cli.clear({ isTty: true });
    const context = { ...cli.context(), env: { TELEGRAM_BOT_TOKEN: canary } };
    expect(await runProgram(context, ["channels", "login", "--channel", "telegram"])).toBe(0);
    expect(cli.terminal.errText()).toMatch(/taken from TELEGRAM_BOT_TOKEN in the environment, which the gateway needs/);
    expect(shown()).not.toContain("canary");
  });

  it("may have the word Bot before it, as in a header of HTTP, which the channel of Discord leaves out", async () => {
    await write({});
    await asVariables({ DISCORD_BOT_TOKEN: "Bot abc.DEF-123456" });
    expect(await typed([], "--channel", "discord")).toBe(0);
    expect(cli.terminal.errText()).toContain("channels.discord.token: taken from DISCORD_BOT_TOKEN");
    expect(await readJson()).toEqual({ channels: { discord: { enabled: true } } });
    expect(await piped("bot  abc.DEF-654321\n", "--channel", "discord")).toBe(0);
    expect(await variables()).toMatchObject({ CHANNEL_DISCORD_TOKEN: "bot  abc.DEF-654321" });
  });

  it.each([
    ["of .env, which it may not have read since", ".env", [true, false, true]],
    ["of the environment, which it has or has not", "environment", [true]],
  ])("is looked at again by a running gateway where it may be new: %s", async (_what, where, wanted) => {
    await write({});
    const asked = await serveUnchanged({ enabled: true });
    if (where === ".env") await asVariables({ TELEGRAM_BOT_TOKEN: canary });
    cli.clear({ isTty: false });
    const context = { ...cli.context(), ...(where === ".env" ? {} : { env: { TELEGRAM_BOT_TOKEN: canary } }) };
    expect(await runProgram(context, ["channels", "login", "--channel", "telegram"])).toBe(0);
    expect(asked).toEqual(wanted);
  });

  it("that an earlier login has kept is referred to again, and what lacks beside it is asked for", async () => {
    await write({});
    await asVariables({ CHANNEL_SLACK_BOT_TOKEN: "xoxb-1-a" });
    expect(await typed([[/App-level token/, "xapp-1-b"]], "--channel", "slack")).toBe(0);
    expect(cli.terminal.errText()).not.toContain("Token of the bot");
    expect(await readJson()).toEqual({
      channels: {
        slack: { botToken: "${CHANNEL_SLACK_BOT_TOKEN}", appToken: "${CHANNEL_SLACK_APP_TOKEN}", enabled: true },
      },
    });
    expect(await variables()).toEqual({ CHANNEL_SLACK_BOT_TOKEN: "xoxb-1-a", CHANNEL_SLACK_APP_TOKEN: "xapp-1-b" });
  });

  it("of the platform's name is the default account's, by its name as well, and no other's", async () => {
    await write({ channels: { telegram: { accounts: { default: {}, work: {} } } } });
    await asVariables({ TELEGRAM_BOT_TOKEN: canary });
    expect(await typed([], "--channel", "telegram", "--account", "default")).toBe(0);
    expect(await typed([[/Token of the bot/, "7001:other"]], "--channel", "telegram", "--account", "work")).toBe(0);
    expect(await readJson()).toMatchObject({
      channels: {
        telegram: {
          accounts: { default: { enabled: true }, work: { botToken: "${CHANNEL_TELEGRAM_WORK_BOT_TOKEN}" } },
        },
      },
    });
  });

  it("in another form than a credential has is asked for", async () => {
    await write({});
    await asVariables({ TELEGRAM_BOT_TOKEN: "not a token" });
    expect(await typed([[/Token of the bot/, canary]], "--channel", "telegram")).toBe(0);
    expect(await variables()).toMatchObject({ CHANNEL_TELEGRAM_BOT_TOKEN: canary });
  });
});

describe("login with a credential that is there", () => {
  it("asks nothing, and asks with --ask", async () => {
    await write({ channels: { telegram: { botToken: "7000:old", enabled: false } } });
    expect(await typed([], "--channel", "telegram")).toBe(0);
    expect(await readJson()).toEqual({ channels: { telegram: { botToken: "7000:old", enabled: true } } });
    expect(await typed([[/Token of the bot/, canary]], "--channel", "telegram", "--ask")).toBe(0);
    expect(await variables()).toEqual({ CHANNEL_TELEGRAM_BOT_TOKEN: canary });
  });

  it("makes a running gateway read the new one, also where the configuration says the same as before", async () => {
    const asked = await serveUnchanged({ botToken: "${CHANNEL_TELEGRAM_BOT_TOKEN}", enabled: true });
    expect(await piped(canary, "--channel", "telegram")).toBe(0);
    expect(asked).toEqual([true, false, true]);
  });
});

describe("what cannot be a credential", () => {
  it.each([
    ["telegram", "not a token", /botToken.*11 characters.*@BotFather/s],
    ["telegram", "", /botToken.*0 characters/s],
    ["discord", "Bot abc", /token.*wanted letters/s],
    ["slack", "xapp-1\nxoxb-1", /botToken.*xoxb-/s],
    ["slack", "xoxb-1", /1 lines, wanted 2: botToken, appToken/],
    ["irc", "secret", /channels\.irc\.host is not set.*config set channels\.irc\.host/s],
    ["whatsapp", "x", /have no token/],
  ])("is refused by its key, with what is wanted, and changes nothing: %s %j", async (channel, text, wanted) => {
    await write({});
    const error: unknown = await piped(text, "--channel", channel).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
    const { message, remedy } = error as { readonly message: string; readonly remedy: string };
    expect(`${message} ${remedy}`).toMatch(wanted);
    expect(await readJson()).toEqual({});
    await expect(readFile(envFile())).rejects.toThrow();
    if (text.length > 8) expect(`${message} ${remedy}`).not.toContain(text);
  });

  it("is not kept in a file that others may read, or for a gateway elsewhere, or beside an account that it would end", async () => {
    await write({});
    await writeFile(envFile(), "", { mode: 0o644 });
    await expect(piped(canary, "--channel", "telegram")).rejects.toMatchObject({
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringContaining("chmod 600"),
    });
    expect(await readJson()).toEqual({});
    await write({ channels: { telegram: { botToken: "7000:x" } } });
    await expect(piped(canary, "--channel", "telegram", "--account", "work")).rejects.toMatchObject({
      code: "CLOISTER_CHANNEL_UNKNOWN",
      remedy: expect.stringContaining("accounts.default"),
    });
  });

  it.each(["a\nb", "'\"`"])("cannot stand in the file: %j", (value) => {
    expect(() => setVariable("", "A", value)).toThrow(/cannot stand in a \.env file/);
  });

  it("is not put into the middle of another value", () => {
    expect(() => setVariable('B="\nA=1\n"\n', "A", "x")).toThrow(/no line that sets A/);
    expect(setVariable("export A=1", "A", "2")).toBe("A='2'");
    expect(setVariable("B=1", "A", "2")).toBe("B=1\nA='2'\n");
  });
});
