/** `cloister channels` against a scripted gateway. */
import { renderUnicodeCompact } from "uqr";
import { describe, expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";

const cli = useCliHome();

describe("cloister channels", () => {
  const channelAccounts = {
    webhook: [
      { accountId: "shop", enabled: true, configured: true, running: true },
      { accountId: "old", enabled: true, configured: true, running: false, lastError: "no route" },
    ],
  };

  it.each([[[]], [["status"]], [["list"]]])(
    "channels %s lists accounts with their state and last error",
    async (words) => {
      await cli.serve((asked, { answer }) => answer(asked, { channelAccounts }));
      expect(await cli.run("channels", ...words)).toBe(0);
      expect(cli.requests.map(({ method }) => method)).toEqual(["connect", "channels.status"]);
      expect(cli.terminal.outText()).toMatch(/webhook +shop +running\s/);
      expect(cli.terminal.outText()).toMatch(/webhook +old +stopped +no route/);
    },
  );

  it("tells how many texts may have arrived twice, and where each is named", async () => {
    const channels = { telegram: { possibleDuplicates: 2 }, webhook: { configured: true } };
    await cli.serve((asked, { answer }) => answer(asked, { channels, channelAccounts }));
    expect(await cli.run("channels")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /telegram: 2 possible duplicates\nwhich: cloister audit --kind possible_duplicate/,
    );
    expect(cli.terminal.outText()).not.toMatch(/webhook: /);
  });

  it("--probe and --channel are asked of the gateway, and what a platform said is shown", async () => {
    const telegram = [{ accountId: "default", connected: false, lastError: "Telegram does not know the bot token" }];
    await cli.serve((asked, { answer }) => answer(asked, { channelAccounts: { telegram } }));
    expect(await cli.run("channels", "status", "--probe", "--channel", "telegram")).toBe(0);
    expect(cli.requests.at(-1)).toMatchObject({
      method: "channels.status",
      params: { probe: true, channel: "telegram" },
    });
    expect(cli.terminal.outText()).toMatch(/telegram +default +not connected +Telegram does not know/);
    expect(cli.terminal.outText()).not.toContain("what helps");
  });

  it("says below the accounts what helps each of them", async () => {
    const faults = { lastError: "not known", remedy: "set channels.x.accounts.y.token\nto another one" };
    const telegram = [
      { accountId: "home", connected: true },
      { accountId: "work", connected: false, ...faults },
    ];
    await cli.serve((asked, { answer }) => answer(asked, { channelAccounts: { telegram, irc: [{ accountId: "a" }] } }));
    expect(await cli.run("channels")).toBe(0);
    expect(cli.terminal.outText()).toMatch(
      /\n\nwhat helps:\ntelegram\/work: set channels\.x\.accounts\.y\.token.to another one\s*$/s,
    );
  });

  it("capabilities tells of each channel what it can and what it cannot, without a gateway", async () => {
    expect(await cli.run("channels", "capabilities")).toBe(0);
    expect(cli.terminal.outText()).toMatch(/telegram +threads, edit, .*media +.*4096 characters/);
    expect(cli.terminal.outText()).toMatch(/irc +mentions +threads, edit, .*media +350 bytes/);
    expect(await cli.run("channels", "capabilities", "--channel", "irc", "--json")).toBe(0);
    expect(cli.terminal.outText()).toContain('"id": "irc"');
  });

  it.each(["login", "logout"])("%s switches the account that is named, and leaves its credential", async (command) => {
    const authored = {
      channels: { telegram: { accounts: { Work: { botToken: "mark" }, home: { botToken: "mark" } } } },
    };
    await cli.serve((asked, { answer }) =>
      answer(
        asked,
        asked.method === "config.get" ? { path: "/c.json", parsed: authored, hash: "h" } : { status: "applied" },
      ),
    );
    expect(await cli.run("channels", command, "--channel", "telegram", "--account", "work")).toBe(0);
    const { params } = cli.requests.at(-1) ?? {};
    expect(params).toMatchObject({
      baseHash: "h",
      set: [
        {
          path: [],
          value: {
            channels: {
              telegram: {
                accounts: { Work: { botToken: "mark", enabled: command === "login" }, home: { botToken: "mark" } },
              },
            },
          },
        },
      ],
    });
  });

  it.each([
    [["--channel", "matrix"], /no channel "matrix".*telegram, discord/s],
    [["--channel", "irc"], /no section channels\.irc.*docs\/guides\/irc\.md/s],
    [["--channel", "telegram", "--account", "other"], /no account "other".*Work/s],
  ])("login %j is refused with what to do", async (words, wanted) => {
    const parsed = { channels: { telegram: { accounts: { Work: {} } } } };
    await cli.serve((asked, { answer }) => answer(asked, { path: "/c.json", parsed, hash: "h" }));
    const refused: unknown = await cli.run("channels", "login", ...words).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "CLOISTER_CHANNEL_UNKNOWN" });
    const { message, remedy } = refused as { readonly message: string; readonly remedy: string };
    expect(`${message} ${remedy}`).toMatch(wanted);
    expect(cli.requests.map(({ method }) => method)).not.toContain("config.patch");
  });

  describe("of an account that is linked by a code", () => {
    const code = (text: string) => ({ accountId: "work", status: "code", code: { text, expiresAtMs: 0 } });

    it("login shows each code once, as a picture that a camera can read, and ends when one was scanned", async () => {
      const answers: object[] = [
        { accountId: "work", status: "connecting" },
        code("first"),
        code("first"),
        code("second"),
        { accountId: "work", status: "linked", name: "Ana (+15550001234)" },
      ];
      await cli.serve((asked, { answer }) => answer(asked, asked.method === "connect" ? {} : (answers.shift() ?? {})));
      expect(await cli.run("channels", "login", "--channel", "whatsapp", "--account", "work")).toBe(0);
      const asked = cli.requests.filter(({ method }) => method === "channels.login").map(({ params }) => params);
      expect(asked[0]).toEqual({ channel: "whatsapp", accountId: "work", begin: true });
      expect(asked).toHaveLength(5);
      for (const params of asked.slice(1))
        expect(params).toEqual({ channel: "whatsapp", accountId: "work", begin: false });
      const text = cli.terminal.outText();
      expect(text.match(/Scan it with the app/g)).toHaveLength(2);
      expect(text).toContain(renderUnicodeCompact("second", { ecc: "L", border: 2 }).split("\n")[4]);
      expect(text).toContain("whatsapp/work is linked as Ana (+15550001234)");
    });

    it("login says why an account cannot be linked, and what to do", async () => {
      const failed = { accountId: "default", status: "failed", reason: "not installed", remedy: "npm install it" };
      await cli.serve((asked, { answer }) => answer(asked, failed));
      await expect(cli.run("channels", "login", "--channel", "whatsapp")).rejects.toMatchObject({
        code: "CLOISTER_CHANNEL_CREDENTIAL",
        message: "not installed",
        remedy: "npm install it",
      });
    });

    it("logout ends the link at the gateway, and leaves the configuration alone", async () => {
      await cli.serve((asked, { answer }) => answer(asked, { accountId: "default" }));
      expect(await cli.run("channels", "logout", "--channel", "whatsapp", "--json")).toBe(0);
      expect(cli.requests.map(({ method }) => method)).toEqual(["connect", "channels.logout"]);
      expect(JSON.parse(cli.terminal.outText())).toEqual({
        channel: "whatsapp",
        accountId: "default",
        loggedOut: true,
      });
    });
  });
});
