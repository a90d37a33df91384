/** Channels of the operator's own: what is read of their `channel.json`, and what of an account its thread is told. */
import path from "node:path";
import { describe, expect, test } from "vitest";
import { findManifest } from "../../../runtime/config/manifests.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type Given, loadText, refusalOf } from "./load-text.ts";

const manifest = {
  api: 1,
  id: "lines",
  text: { max: 500, unit: "utf8" },
  capabilities: { mentions: true },
  settings: {
    properties: {
      host: { type: "string", minLength: 1 },
      port: { type: "integer", minimum: 1, maximum: 65_535, default: 7_000 },
      token: { type: "string", writeOnly: true },
    },
    required: ["host", "token"],
  },
};

const section = { module: "./lines/index.ts", host: "h", token: "T" };

const load = (lines: object, file: unknown = manifest, given: Given = {}) =>
  loadText(
    { channels: { modules: { lines } } },
    {
      ...given,
      files:
        file === null
          ? {}
          : { "lines/channel.json": typeof file === "string" ? file : JSON.stringify(file), ...given.files },
    },
  );

async function accountsOf(lines: object, given: Given = {}) {
  const { resolved } = await load(lines, manifest, given);
  return { accounts: resolved.ownChannels["lines"]?.accounts, warnings: resolved.warnings };
}

test("a channel has its module, what it can do, and its account with the keys of every channel and its own", async () => {
  const { resolved, stateDir } = await load({ ...section, textChunkLimit: 300, reactionNotifications: "own" });
  const { lines } = resolved.ownChannels;
  expect(resolved.warnings).toEqual([]);
  expect(lines).toEqual({
    module: path.join(stateDir, "lines/index.ts"),
    manifest: {
      id: "lines",
      text: { max: 500, unit: "utf8" },
      dedupesSendsMs: 0,
      typingMs: 0,
      capabilities: {
        threads: false,
        edit: false,
        reactions: false,
        deletes: false,
        buttons: false,
        typing: false,
        nativeCommands: false,
        mentions: true,
        media: false,
      },
    },
    accounts: { default: { textChunkLimit: 300, reactions: { of: "own" }, host: "h", port: 7_000, token: "T" } },
  });
  expect(findManifest(resolved, "lines")).toBe(lines?.manifest);
  expect(findManifest(resolved, "irc")?.id).toBe("irc");
  expect([findManifest(resolved, "webhook"), findManifest(resolved, "constructor")]).toEqual([undefined, undefined]);
});

test("its rules, its accounts and its bindings are those of every channel", async () => {
  const { resolved } = await loadText(
    {
      agents: { list: [{ id: "main" }, { id: "raul" }] },
      channels: {
        modules: {
          lines: {
            ...section,
            dmPolicy: "allowlist",
            allowFrom: ["ana"],
            defaultAccount: "b",
            accounts: { a: {}, b: {} },
          },
        },
      },
      bindings: [{ agentId: "raul", match: { channel: "lines" } }],
      broadcast: { "lines:#room": ["main", "raul"] },
    },
    { files: { "lines/channel.json": JSON.stringify(manifest) } },
  );
  expect(resolved.channelDefaults).toEqual({ lines: "b" });
  expect(resolved.groups.accounts["lines"]?.["*"]).toMatchObject({
    dmPolicy: "allowlist",
    allowFrom: ["ana"],
    keys: { dmPolicy: "channels.modules.lines.dmPolicy" },
  });
  expect(resolved.groups.broadcast.entries).toMatchObject([{ channel: "lines", peerId: "#room" }]);
  const paths = resolved.warnings.map(({ path: at }) => at);
  expect(paths).toContain("channels.modules.lines.accounts.a");
  expect(paths.some((at) => at.startsWith("bindings[0].match.channel"))).toBe(false);
});

test("what is said of its bindings and its groups names its section", async () => {
  const config = {
    agents: { list: [{ id: "main" }, { id: "raul" }] },
    channels: { modules: { lines: { ...section, accounts: { a: {} } } } },
  };
  const files = { "lines/channel.json": JSON.stringify(manifest) };
  const bindings = [{ agentId: "raul", match: { channel: "lines", accountId: "zebra" } }];
  expect(await refusalOf({ ...config, bindings }, { files })).toMatchObject([
    {
      message: "names no account of channels.modules.lines",
      remedy: "Use one of: a; or add the account under channels.modules.lines.accounts.",
    },
  ]);
  const { resolved } = await loadText({ ...config, broadcast: { "lines:#room": ["main", "raul"] } }, { files });
  expect(resolved.warnings.map(({ remedy }) => remedy)).toContain('Add "#room" to channels.modules.lines.groups.');
});

test("an open door has to be said twice, and the default account has to be there", async () => {
  const issues = await refusalOf({ channels: { modules: { lines: { ...section, dmPolicy: "open" } } } });
  expect(issues).toMatchObject([{ path: "channels.modules.lines.dmPolicy" }]);
  const other = { ...section, defaultAccount: "c", accounts: { a: {} } };
  expect(await refusalOf({ channels: { modules: { lines: other } } })).toMatchObject([
    { path: "channels.modules.lines.defaultAccount", message: "names no account of channels.modules.lines" },
  ]);
});

test("accounts inherit what the channel has, but for its credential, which is the default account's", async () => {
  const { accounts, warnings } = await accountsOf({
    ...section,
    accounts: { default: { port: 1 }, work: { token: { source: "file", id: "/run/token" }, host: "w" }, bare: {} },
  });
  expect(accounts).toEqual({
    default: { textChunkLimit: limits.textChunkDefault, host: "h", port: 1, token: "T" },
    work: {
      textChunkLimit: limits.textChunkDefault,
      host: "w",
      port: 7_000,
      token: { key: "channels.modules.lines.accounts.work.token", ref: { source: "file", id: "/run/token" } },
    },
  });
  expect(warnings).toMatchObject([
    { path: "channels.modules.lines.accounts.bare.token", message: "is missing; the account is not started" },
  ]);
});

describe("an account that is written wrong is told of with its key, and is not started", () => {
  test.each([
    [{ ...section, port: "x" }, "channels.modules.lines.port", /must be integer/],
    [{ ...section, port: 70_000 }, "channels.modules.lines.port", /must be <= 65535/],
    [{ module: section.module, token: "T" }, "channels.modules.lines.host", /is missing/],
    [{ ...section, host: "" }, "channels.modules.lines.host", /must NOT have fewer than 1 char/],
    [{ ...section, hots: "h" }, "channels.modules.lines.hots", /is no key of this channel/],
    [{ ...section, token: 7 }, "channels.modules.lines.token", /must be a text, or a reference/],
    [{ ...section, token: " " }, "channels.modules.lines.token", /is empty/],
  ])("%o", async (lines, at, message) => {
    const { accounts, warnings } = await accountsOf(lines);
    expect(accounts).toEqual({});
    expect(warnings).toMatchObject([
      { path: at, message: expect.stringMatching(message), remedy: expect.stringMatching(/./) },
    ]);
  });

  test("with the key that was meant", async () => {
    const { warnings } = await accountsOf({ ...section, hots: "h" });
    expect(warnings[0]?.remedy).toBe('Did you mean "host"?');
  });
});

describe("A15.2: a channel.json that cannot be used is told of, and leaves its channel alone out", () => {
  test.each([
    ["not there", null, /cannot read .*channel\.json: there is no such file/],
    ["no JSON", "{", /channel\.json is not JSON/],
    [
      "of a later version",
      { ...manifest, api: 2 },
      /is for version 2 of the API of channels; this Cloister has version 1/,
    ],
    ["without a version", { ...manifest, api: undefined }, /is for version \(none\)/],
    ["of another channel", { ...manifest, id: "other" }, /is of the channel "other"/],
    ["with a key that nobody knows", { ...manifest, capabilites: {} }, /is not valid: .*capabilites/],
    ["without a bound of texts", { ...manifest, text: undefined }, /is not valid: text/],
    [
      "with a secret whose name does not say so",
      { ...manifest, settings: { properties: { door: { type: "string", writeOnly: true } } } },
      /settings\.properties\.door, whose name does not say that it is one/,
    ],
    [
      "with settings that are no schema",
      { ...manifest, settings: { properties: { host: { type: "text" } } } },
      /settings that are no JSON Schema/,
    ],
  ])("%s", async (_name, file, message) => {
    const { resolved } = await load(section, file);
    expect(resolved.ownChannels).toEqual({});
    expect(resolved.warnings).toMatchObject([
      {
        path: "channels.modules.lines.module",
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(/./),
      },
    ]);
    expect(resolved.warnings[0]?.message).toMatch(/; the channel is not started$/);
  });
});

test.each(["telegram", "webhook", "webchat", "url", "last"])("the name %s is taken", async (name) => {
  expect(await refusalOf({ channels: { modules: { [name]: section } } })).toMatchObject([
    { path: `channels.modules.${name}`, message: `has a name that is taken: "${name}"` },
  ]);
});

test("a channel that has a section under the same name is refused, and one that has none may be named as a platform", async () => {
  const files = { "lines/channel.json": JSON.stringify({ ...manifest, id: "matrix" }) };
  expect(await refusalOf({ channels: { matrix: {}, modules: { matrix: section } } }, { files })).toMatchObject([
    { path: "channels.modules.matrix", message: 'is the channel "matrix", which channels.matrix already is' },
  ]);
  const { resolved } = await loadText({ channels: { modules: { matrix: section } } }, { files });
  expect(Object.keys(resolved.ownChannels)).toEqual(["matrix"]);
});

test("a path may have a variable, and one that is not set is refused", async () => {
  const lines = { ...section, module: "${HERE}/index.ts" };
  const { resolved } = await load(lines, manifest, { env: { HERE: "./lines" } });
  expect(Object.keys(resolved.ownChannels)).toEqual(["lines"]);
  expect(await refusalOf({ channels: { modules: { lines } } })).toMatchObject([
    { path: "channels.modules.lines.module", message: "needs the variable HERE, which is not set" },
  ]);
});

test("names that no session's key could have, and more channels than may be, are refused", async () => {
  expect(await refusalOf({ channels: { modules: { "Li nes": section } } })).toMatchObject([
    { message: expect.stringContaining("lower-case letters, digits and dashes") },
  ]);
  const many = Object.fromEntries(Array.from({ length: limits.ownChannelsMax + 1 }, (_, at) => [`c${at}`, section]));
  expect(await refusalOf({ channels: { modules: many } })).toMatchObject([
    { message: `must have at most ${limits.ownChannelsMax}` },
  ]);
});

test("a channel that is switched off is not started, and nothing is said of it", async () => {
  const { resolved } = await load({ ...section, enabled: false }, "{");
  expect([resolved.ownChannels, resolved.warnings]).toEqual([{}, []]);
});
