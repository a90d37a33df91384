/** Which credential logs an account of a channel in: its own, its channel's, or the environment's. Source: seeds 002 (F058, F059), behaviour §1.8. */
import { describe, expect, test } from "vitest";
import { loadText } from "./load-text.ts";

const platforms = [
  { channel: "telegram", key: "botToken", variable: "TELEGRAM_BOT_TOKEN", more: {} },
  { channel: "discord", key: "token", variable: "DISCORD_BOT_TOKEN", more: {} },
  { channel: "slack", key: "botToken", variable: "SLACK_BOT_TOKEN", more: { appToken: "xapp-1" } },
] as const;

describe.each(platforms)("the credential of an account of $channel", ({ channel, key, variable, more }) => {
  const load = async (section: object, env: Record<string, string>) => {
    const { resolved } = await loadText({ channels: { [channel]: section } }, { env });
    const accounts: Readonly<Record<string, object>> = resolved.channels[channel] ?? {};
    const found = Object.fromEntries(Object.entries(accounts).map(([id, account]) => [id, Reflect.get(account, key)]));
    return { found, warnings: resolved.warnings };
  };
  const account = (value?: string): object => ({ ...more, ...(value === undefined ? {} : { [key]: value }) });

  test("is the environment's for the default account, without blanks around it", async () => {
    const { found } = await load(account(), { [variable]: " from-env\n" });
    expect(found).toEqual({ default: "from-env" });
  });

  test("is the account's own before the channel's, and the channel's before the environment's", async () => {
    const env = { [variable]: "from-env" };
    expect((await load({ ...account("channel"), accounts: { default: account("own") } }, env)).found).toEqual({
      default: "own",
    });
    expect((await load({ ...account("channel"), accounts: { default: account() } }, env)).found).toEqual({
      default: "channel",
    });
    expect((await load({ accounts: { default: account() } }, env)).found).toEqual({ default: "from-env" });
  });

  test("is never the environment's or the channel's for another account, which is not started and says what it lacks", async () => {
    const section = { ...account("channel"), accounts: { default: account(), other: account() } };
    const { found, warnings } = await load(section, { [variable]: "from-env" });
    expect(found).toEqual({ default: "channel" });
    expect(warnings).toContainEqual(
      expect.objectContaining({
        path: `channels.${channel}.accounts.other.${key}`,
        message: expect.stringMatching(/is missing; the account is not started/),
      }),
    );
  });

  test("goes with `defaultAccount`, wherever that points", async () => {
    const section = { defaultAccount: "second", accounts: { first: account("own"), second: account() } };
    const { found } = await load(section, { [variable]: "from-env" });
    expect(found).toEqual({ first: "own", second: "from-env" });
  });
});
