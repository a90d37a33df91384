/** Every credential of the file may be a reference: the thread that uses it is told the place, and the config holds no secret. */
import { expect, test } from "vitest";
import { auditSecurity } from "../../../runtime/cli/diagnosis/security.ts";
import { redactValue } from "../../../runtime/config/secrets.ts";
import { loadText } from "./load-text.ts";

const resolve = async (file: object) => (await loadText(JSON.stringify(file))).resolved;
const ref = (id: string) => ({ source: "store", id });
const written = {
  gateway: {
    bind: "lan",
    auth: { token: ref("gateway") },
    metrics: { scrapeToken: { source: "exec", provider: "vault", id: "figures" } },
  },
  hooks: { enabled: true, token: ref("hooks") },
  cron: { webhookToken: { source: "file", id: "~/keys/cron" } },
  channels: {
    telegram: { botToken: ref("tg"), webhookUrl: "https://x.example/", webhookSecret: ref("tg-hook") },
    discord: { token: ref("dc") },
    slack: {
      accounts: {
        a: { botToken: ref("sl"), appToken: ref("sl-app") },
        b: { mode: "http", botToken: ref("sl-b"), signingSecret: ref("sl-sign") },
      },
    },
    irc: {
      host: "h",
      nick: "n",
      password: ref("irc"),
      nickserv: { password: ref("ns") },
      channels: [{ name: "#a", password: ref("room") }],
    },
    webhook: { accounts: { w: { token: ref("in"), outboundUrl: "https://x.example/", outboundToken: ref("out") } } },
  },
};

test("all are told by their place, with the key that says so", async () => {
  const config = await resolve(written);
  const at = (key: string, id: string) => ({ key, ref: { source: "store", id } });
  expect(config.gateway.auth).toEqual({ mode: "token", secret: at("gateway.auth.token", "gateway") });
  expect(config.gateway.metrics.token).toEqual({
    key: "gateway.metrics.scrapeToken",
    ref: { source: "exec", provider: "vault", id: "figures" },
  });
  expect(config.hooks.token).toEqual(at("hooks.token", "hooks"));
  expect(config.jobPosts.token).toMatchObject({ key: "cron.webhookToken", ref: { source: "file" } });
  expect(config.jobPosts.token).not.toMatchObject({ ref: { id: expect.stringContaining("~") } });
  const { telegram, discord, slack, irc } = config.channels;
  expect(telegram?.["default"]).toMatchObject({
    botToken: at("channels.telegram.botToken", "tg"),
    webhook: { secret: at("channels.telegram.webhookSecret", "tg-hook") },
  });
  expect(discord?.["default"]?.token).toEqual(at("channels.discord.token", "dc"));
  expect(slack?.["a"]).toMatchObject({
    botToken: at("channels.slack.accounts.a.botToken", "sl"),
    transport: { type: "socket", appToken: at("channels.slack.accounts.a.appToken", "sl-app") },
  });
  expect(slack?.["b"]?.transport).toEqual({
    type: "http",
    signingSecret: at("channels.slack.accounts.b.signingSecret", "sl-sign"),
  });
  expect(irc?.["default"]).toMatchObject({
    password: at("channels.irc.password", "irc"),
    nickserv: { password: at("channels.irc.nickserv.password", "ns") },
    channels: [{ name: "#a", key: at("channels.irc.channels[0].password", "room") }],
  });
  expect(config.webhook?.accounts["w"]).toMatchObject({
    token: at("channels.webhook.accounts.w.token", "in"),
    outboundToken: at("channels.webhook.accounts.w.outboundToken", "out"),
  });
  expect(config.warnings).toEqual([]);
  // What is shown of them is where they are, and the audit takes no place for a weak secret.
  expect(redactValue(written)).toEqual(written);
  expect(auditSecurity(config).filter(({ id }) => id.endsWith("secret-weak"))).toEqual([]);
});

test("two doors with one place are told as two with one text", async () => {
  const same = { gateway: { auth: { token: ref("one") } }, hooks: { enabled: true, token: ref("one") } };
  expect(auditSecurity(await resolve(same))).toMatchObject(
    expect.arrayContaining([expect.objectContaining({ id: "hooks.secret", severity: "error" })]),
  );
  const others = { ...same, hooks: { enabled: true, token: ref("two") } };
  expect(auditSecurity(await resolve(others)).filter(({ id }) => id === "hooks.secret")).toEqual([]);
});

test.each([
  [{ source: "file", id: "keys/x" }, "names a file by a path that is not absolute"],
  [{ source: "exec", id: "x" }, "names no program"],
])("a reference that leads nowhere is told where it stands: %o", async (token, message) => {
  const config = await resolve({ channels: { telegram: { botToken: token } } });
  expect(config.channels.telegram).toBeUndefined();
  expect(config.warnings).toMatchObject([
    { path: "channels.telegram.botToken", message: expect.stringContaining(message) },
  ]);
  await expect(resolve({ hooks: { enabled: true, token } })).rejects.toThrow(message);
});
