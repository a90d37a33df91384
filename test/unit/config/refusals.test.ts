import { describe, expect, it } from "vitest";
import { formatIssues } from "../../../runtime/config/index.ts";
import { checkSource } from "../../../runtime/config/load.ts";
import { makePaths } from "../../../runtime/config/paths.ts";
import { hideVariables } from "../../../runtime/config/file/substitute.ts";
import { failureOf, type Given, loadText, refusalOf } from "./load-text.ts";

const two = { list: [{ id: "main" }, { id: "raul" }] };
const bound = (...bindings: object[]) => ({ agents: two, bindings });
const dirs = (main: object, raul: object, more: object = {}) => ({
  agents: {
    list: [
      { id: "main", ...main },
      { id: "raul", ...raul },
    ],
  },
  ...more,
});
const web = (peer: object) => ({ channel: "webhook", accountId: "*", ...peer });
const webhook = (accounts: object, more: object = {}) => ({ channels: { webhook: { accounts, ...more } } });

type Case = readonly [
  what: string,
  config: string | object,
  path: string,
  message: RegExp,
  remedy: RegExp,
  given?: Given,
];

const unknownKeys: readonly Case[] = [
  ["a misspelt key", { gateway: { bnd: "lan" } }, "gateway.bnd", /not a known key/, /`gateway\.bind`/],
  ["a misspelt section", { agens: {} }, "agens", /not a known key/, /`agents`/],
  [
    "swapped letters in a list",
    { agents: { list: [{ id: "a", nmae: "A" }] } },
    "agents.list[0].nmae",
    /known/,
    /`agents\.list\[0\]\.name`/,
  ],
  [
    "a seed's sessions.visibility",
    { sessions: { visibility: "all" } },
    "sessions.visibility",
    /known/,
    /`tools\.sessions\.visibility`/,
  ],
  [
    "a seed's agentToAgent.enabled",
    { agentToAgent: { enabled: true } },
    "agentToAgent.enabled",
    /known/,
    /`tools\.agentToAgent\.enabled`/,
  ],
  [
    "ping-pong turns at an agent",
    { agents: { list: [{ id: "a", maxPingPongTurns: 0 }] } },
    "agents.list[0].maxPingPongTurns",
    /known/,
    /`session\.agentToAgent\.maxPingPongTurns`/,
  ],
  ["a token outside auth", { gateway: { token: "t" } }, "gateway.token", /known/, /`gateway\.auth\.token`/],
  [
    "a peer outside match",
    { agents: two, bindings: [{ agentId: "main", match: { channel: "irc" }, peer: {} }] },
    "bindings[0].peer",
    /known/,
    /`bindings\[0\]\.match\.peer`/,
  ],
  ["an unknown channel", { channels: { telegrm: {} } }, "channels.telegrm", /known/, /`channels\.telegram`/],
  ["a key like no other", { gateway: { zzzzzzzz: 1 } }, "gateway.zzzzzzzz", /known/, /Known here: mode, port, bind/],
  [
    "the switch that was proposed for sub-agents",
    { gateway: { subagentAuth: { disable: true } } },
    "gateway.subagentAuth.disable",
    /inside the process.*never need pairing/,
    /Remove it/,
  ],
  [
    "a key that would change every object",
    '{ "__proto__": { a: 1 } }',
    "(root)",
    /`__proto__` cannot be a key/,
    /Remove it/,
  ],
  [
    "a webhook key that is none",
    webhook({ home: { token: "t", outboundURL: "x" } }),
    "channels.webhook.accounts.home.outboundURL",
    /known/,
    /outboundUrl/,
  ],
];

const wrongValues: readonly Case[] = [
  ["a list as the file", "[]", "(root)", /must be a map/, /Correct/],
  ["a text for a number", { gateway: { port: "80" } }, "gateway.port", /must be a number/, /Correct gateway\.port/],
  ["a port that is none", { gateway: { port: 70_000 } }, "gateway.port", /at most 65535/, /Correct/],
  [
    "a word that is not offered",
    { session: { dmScope: "per-pear" } },
    "session.dmScope",
    /one of "main", "per-peer"/,
    /"per-peer"/,
  ],
  [
    "a word that is far from all",
    { tools: { sessions: { visibility: "everything" } } },
    "tools.sessions.visibility",
    /one of "self"/,
    /Correct/,
  ],
  ["a list for a map", { agents: [] }, "agents", /must be a map/, /Correct/],
  ["a blank agent id", { agents: { list: [{ id: " " }] } }, "agents.list[0].id", /must not be blank/, /Correct/],
  [
    "an agent without an id",
    { agents: { list: [{ name: "A" }] } },
    "agents.list[0].id",
    /is missing; must be a text/,
    /Add agents\.list\[0\]\.id/,
  ],
  [
    "a binding without a channel",
    bound({ agentId: "main", match: {} }),
    "bindings[0].match.channel",
    /is missing/,
    /Add/,
  ],
  [
    "a peer of no kind",
    bound({ agentId: "main", match: web({ peer: { kind: "person", id: "1" } }) }),
    "bindings[0].match.peer.kind",
    /one of "direct"/,
    /Correct/,
  ],
  [
    "a peer without an id",
    bound({ agentId: "main", match: web({ peer: { kind: "group" } }) }),
    "bindings[0].match.peer.id",
    /is missing/,
    /Add/,
  ],
  [
    "a main key with a colon",
    { session: { mainKey: "a:b" } },
    "session.mainKey",
    /without blanks and colons/,
    /Correct/,
  ],
  [
    "too many ping-pong turns",
    { session: { agentToAgent: { maxPingPongTurns: 6 } } },
    "session.agentToAgent.maxPingPongTurns",
    /at most 5/,
    /Correct/,
  ],
  [
    "an idle reset without its minutes",
    { session: { resetByType: { group: { mode: "idle" } } } },
    "session.resetByType.group.idleMinutes",
    /is needed with mode `idle`/,
    /Add session\.resetByType\.group\.idleMinutes/,
  ],
  [
    "an hour that is none",
    { session: { reset: { mode: "daily", atHour: 24 } } },
    "session.reset.atHour",
    /at most 23/,
    /Correct/,
  ],
  [
    "no turn at a time",
    { agents: { defaults: { maxConcurrent: 0 } } },
    "agents.defaults.maxConcurrent",
    /more than 0/,
    /Correct/,
  ],
  [
    "an address that is no web address",
    webhook({ home: { token: "t", outboundUrl: "ftp://x" } }),
    "channels.webhook.accounts.home.outboundUrl",
    /http or https/,
    /Correct/,
  ],
  [
    "a model without a name",
    { agents: { list: [{ id: "a", model: 3 }] } },
    "agents.list[0].model",
    /provider\/model/,
    /Correct/,
  ],
  [
    "a credential of an unknown source",
    { gateway: { auth: { token: { source: "moon", id: "x" } } } },
    "gateway.auth.token.source",
    /one of "env"/,
    /Correct/,
  ],
  [
    "too many agents in a broadcast",
    { broadcast: { x: Array.from({ length: 17 }, () => "main") } },
    "broadcast.x",
    /at most 16/,
    /Correct/,
  ],
];

const agentCases: readonly Case[] = [
  [
    "one id twice",
    { agents: { list: [{ id: "Raul" }, { id: " raul " }] } },
    "agents.list[1].id",
    /"raul", which agents\.list\[0\] already is/,
    /another id/,
  ],
  [
    "one id in both forms",
    { agents: { list: [{ id: "a" }], entries: { A: {} } } },
    "agents.entries.A.id",
    /already is/,
    /another id/,
  ],
  [
    "an entry whose id is not its key",
    { agents: { entries: { a: { id: "b" } } } },
    "agents.entries.a.id",
    /differs from its key/,
    /Remove the id/,
  ],
  [
    "two default agents",
    {
      agents: {
        list: [
          { id: "a", default: true },
          { id: "b", default: true },
        ],
      },
    },
    "agents.list[1].default",
    /second default agent beside agents\.list\[0\]/,
    /one agent/,
  ],
  [
    "a module that does not exist",
    { agents: { list: [{ id: "a", module: "ecco" }] } },
    "agents.list[0].module",
    /one of assistant, scripted, echo, relay/,
    /"echo"/,
  ],
  [
    "a time zone that is none",
    { agents: { defaults: { userTimezone: "Mars/Olympus" } } },
    "agents.defaults.userTimezone",
    /must be a time zone/,
    /./,
  ],
  [
    "an age of the cache without a unit",
    { agents: { defaults: { contextPruning: { mode: "cache-ttl", ttl: "5" } } } },
    "agents.defaults.contextPruning.ttl",
    /must be a time like 5m/,
    /./,
  ],
  [
    "a shared agentDir",
    dirs({ agentDir: "/s/x" }, { agentDir: "/s/x" }),
    "agents.list[1].agentDir",
    /is also the agentDir of "main"/,
    /directory of its own/,
  ],
  [
    "an agentDir of the list in the map",
    { agents: { list: [{ id: "main", agentDir: "/s/x" }], entries: { raul: { agentDir: "/s/x" } } } },
    "agents.entries.raul.agentDir",
    /is also the agentDir of "main"/,
    /directory of its own/,
  ],
  [
    "a nested agentDir",
    dirs({ agentDir: "/s/x/deep" }, { agentDir: "/s/x" }),
    "agents.list[0].agentDir",
    /lies in the agentDir of "raul"/,
    /directory of its own/,
  ],
  [
    "a workspace in another agentDir",
    dirs({ agentDir: "/s/x" }, { workspace: "/s/x/w" }),
    "agents.list[1].workspace",
    /lies in the agentDir of "main"/,
    /directory of its own/,
  ],
  [
    "a workspace in another agent's state",
    dirs({ agentDir: "/s/x" }, { workspace: "agents/main/w" }),
    "agents.list[1].workspace",
    /lies in the state of "main"/,
    /Move/,
  ],
  [
    "one sessions directory for all",
    { agents: two, session: { store: "/s/all" } },
    "session.store",
    /is also the sessions directory of "main"/,
    /\{agentId\}/,
  ],
  [
    "a workspace that holds the state directory",
    dirs({ workspace: "~" }, {}),
    "agents.list[0].workspace",
    /holds the state directory/,
    /only the agent's own files/,
  ],
  [
    "a workspace that holds its own agentDir",
    dirs({ workspace: "/w", agentDir: "/w/state" }, {}),
    "agents.list[0].workspace",
    /holds the agentDir of "main"/,
    /own files/,
  ],
  [
    "allow beside alsoAllow",
    { agents: { list: [{ id: "a", tools: { allow: ["read"], alsoAllow: ["exec"] } }] } },
    "agents.list[0].tools.alsoAllow",
    /beside `allow`/,
    /into `allow`/,
  ],
  [
    "allow beside alsoAllow in the sandbox",
    { tools: { sandbox: { tools: { allow: ["a"], alsoAllow: ["b"] } } } },
    "tools.sandbox.tools.alsoAllow",
    /beside `allow`/,
    /into `allow`/,
  ],
  [
    "an unknown agent in a broadcast",
    { agents: two, broadcast: { "1@g.us": ["main", "rual"] } },
    'broadcast["1@g.us"][1]',
    /no configured agent/,
    /"raul"/,
  ],
  [
    "an unknown agent in a long broadcast",
    { agents: two, broadcast: { g: { agents: ["nobody"] } } },
    "broadcast.g.agents[0]",
    /no configured agent/,
    /main, raul/,
  ],
  [
    "a workspace from a variable that is not set",
    dirs({ workspace: "${NOWHERE}/w" }, {}),
    "agents.list[0].workspace",
    /variable NOWHERE, which is not set/,
    /Set NOWHERE/,
  ],
];

const isolated = (isolation: object, rest: object = {}) => ({ agents: { list: [{ id: "main", isolation, ...rest }] } });
const isolationCases: readonly Case[] = [
  [
    "a user without a process",
    isolated({ user: { uid: 1_000, gid: 1_000 } }),
    "agents.list[0].isolation.user",
    /isolation\.level "thread"/,
    /"process"/,
    { isRoot: true },
  ],
  [
    "a user when the gateway is not root",
    isolated({ level: "process", user: { uid: 1_000, gid: 1_000 } }),
    "agents.list[0].isolation.user",
    /only a gateway that runs as root/,
    /as root, or remove/,
  ],
  [
    "a user of the defaults when the gateway is not root",
    {
      agents: {
        defaults: { isolation: { level: "process", user: { uid: 1_000, gid: 1_000 } } },
        list: [{ id: "a" }, { id: "b" }],
      },
    },
    "agents.defaults.isolation.user",
    /only a gateway that runs as root/,
    /as root, or remove/,
  ],
  ["a user by number alone", isolated({ level: "process", user: 1_000 }), "agents.list[0].isolation.user", /./, /./],
  [
    "root as the user",
    isolated({ level: "process", user: { uid: 0, gid: 1 } }),
    "agents.list[0].isolation.user.uid",
    /./,
    /./,
  ],
  ["another level", isolated({ level: "container" }), "agents.list[0].isolation.level", /process/, /Correct/],
];

const bindingCases: readonly Case[] = [
  [
    "an unknown agent",
    bound({ agentId: "main", match: web({}) }, { agentId: "ruol", match: web({ peer: { kind: "group", id: 1 } }) }),
    "bindings[1].agentId",
    /no configured agent/,
    /agents\.list|"raul"/,
  ],
  [
    "an unknown account",
    {
      ...bound({ agentId: "main", match: { channel: "webhook", accountId: "hme" } }),
      ...webhook({ home: { token: "t" } }),
    },
    "bindings[0].match.accountId",
    /no account of channels\.webhook/,
    /"home"/,
  ],
  [
    "a duplicate",
    bound(
      { agentId: "main", match: { channel: "irc" } },
      { agentId: "raul", match: { channel: " IRC ", accountId: "Default" } },
    ),
    "bindings[1]",
    /bindings\[0\] comes first/,
    /Remove bindings\[1\]/,
  ],
  [
    "the same peer under both names of a room",
    bound(
      { agentId: "main", match: web({ peer: { kind: "group", id: "7" } }) },
      { agentId: "raul", match: web({ peer: { kind: "channel", id: 7 } }) },
    ),
    "bindings[1]",
    /never match/,
    /bindings\[0\]/,
  ],
  [
    "a peer after the same peer in any account",
    bound(
      { agentId: "main", match: web({ peer: { kind: "direct", id: "7" } }) },
      { agentId: "raul", match: { channel: "webhook", accountId: "home", peer: { kind: "dm", id: "7" } } },
    ),
    "bindings[1]",
    /binding\.peer/,
    /narrower/,
  ],
  [
    "a peer in a guild after the peer",
    bound(
      { agentId: "main", match: web({ peer: { kind: "channel", id: "7" } }) },
      { agentId: "raul", match: web({ guildId: "g", peer: { kind: "channel", id: "7" } }) },
    ),
    "bindings[1]",
    /never match/,
    /narrower/,
  ],
  [
    "roles that earlier ones cover together",
    bound(
      { agentId: "main", match: web({ guildId: "g", roles: ["a"] }) },
      { agentId: "main", match: web({ guildId: "g", roles: ["b", "c"] }) },
      { agentId: "raul", match: web({ guildId: "g", roles: ["b", "a"] }) },
    ),
    "bindings[2]",
    /guild\+roles/,
    /Remove/,
  ],
  [
    "an account with roles after the account",
    bound(
      { agentId: "main", match: { channel: "irc", accountId: "x" } },
      { agentId: "raul", match: { channel: "irc", accountId: "x", roles: ["a"] } },
    ),
    "bindings[1]",
    /binding\.account/,
    /narrower/,
  ],
];

const doorCases: readonly Case[] = [
  ["a remote gateway", { gateway: { mode: "remote" } }, "gateway.mode", /for clients/, /"local"/],
  [
    "a trusted proxy without its header",
    { gateway: { trustedProxies: ["10.0.0.1"], auth: { mode: "trusted-proxy" } } },
    "gateway.auth.trustedProxy.userHeader",
    /nobody can be identified/,
    /x-forwarded-user/,
  ],
  [
    "a trusted proxy without its address",
    { gateway: { auth: { mode: "trusted-proxy", trustedProxy: { userHeader: "x-user" } } } },
    "gateway.trustedProxies",
    /nobody could come in/,
    /addresses from which the proxy connects/,
  ],
  ...["127.0.0.1", "::1", "::/8", "127.0.0.0/8"].map(
    (address): Case => [
      `a trusted proxy at ${address}`,
      {
        gateway: { trustedProxies: [address], auth: { mode: "trusted-proxy", trustedProxy: { userHeader: "x-user" } } },
      },
      "gateway.trustedProxies",
      /this machine itself/,
      /allowLoopback/,
    ],
  ),
  ...["token", "password"].map(
    (name): Case => [
      `a trusted proxy beside a ${name}`,
      {
        gateway: {
          trustedProxies: ["10.0.0.0/24"],
          auth: { mode: "trusted-proxy", [name]: "s", trustedProxy: { userHeader: "x-user" } },
        },
      },
      "gateway.auth.mode",
      /a way past the proxy/,
      /Remove/,
    ],
  ),
  ...["0.0.0.0/0", "10.0.0.0/7", "proxy.example.org", "10.0.0.1/33", "10.0.0.1/8/8"].map(
    (address): Case => [
      `a trusted proxy at ${address}, which is no address of one`,
      { gateway: { trustedProxies: [address] } },
      "gateway.trustedProxies[0]",
      /IP address or a network/,
      /./,
    ],
  ),
  [
    "a token and a password without a mode",
    { gateway: { auth: { token: "a", password: "b" } } },
    "gateway.auth.mode",
    /both a token and a password/,
    /gateway\.auth\.mode/,
  ],
  [
    "a password beside a token of the environment",
    { gateway: { auth: { password: "b" } } },
    "gateway.auth.mode",
    /both/,
    /gateway\.auth\.mode/,
    { env: { OPENCLAW_GATEWAY_TOKEN: "t" } },
  ],
  [
    "the local network without authentication",
    { gateway: { bind: "lan", auth: { mode: "none" } } },
    "gateway.bind",
    /other machines.*"none"/,
    /gateway\.auth\.token/,
  ],
  [
    "the local network without a token",
    { gateway: { bind: "lan" } },
    "gateway.bind",
    /no token is configured/,
    /CLOISTER_GATEWAY_TOKEN/,
  ],
  [
    "the local network with an empty token",
    { gateway: { bind: "lan", auth: { token: " " } } },
    "gateway.bind",
    /no token is configured/,
    /"loopback"/,
  ],
  [
    "a custom address without a password",
    { gateway: { bind: "custom", customBindHost: "10.0.0.7", auth: { mode: "password", token: "t" } } },
    "gateway.bind",
    /no password is configured/,
    /"loopback"/,
  ],
  [
    "a custom address that is not given",
    { gateway: { bind: "custom", auth: { token: "t" } } },
    "gateway.bind",
    /needs gateway\.customBindHost/,
    /gateway\.customBindHost/,
  ],
  [
    "a custom address that is none",
    { gateway: { bind: "custom", customBindHost: "here", auth: { token: "t" } } },
    "gateway.customBindHost",
    /IP address/,
    /Correct/,
  ],
  [
    "Tailscale where there is none",
    { gateway: { bind: "tailnet", auth: { token: "t" } } },
    "gateway.bind",
    /no Tailscale address/,
    /Start Tailscale/,
    { addresses: ["10.0.0.1", "100.63.0.1", "100.128.0.1", "::1"] },
  ],
  [
    "a port of the environment that is none",
    {},
    "gateway.port",
    /"http" by CLOISTER_GATEWAY_PORT/,
    /Correct the variable/,
    { env: { CLOISTER_GATEWAY_PORT: "http" } },
  ],
  ["hooks without a token", { hooks: { enabled: true } }, "hooks.token", /anybody could start turns/, /hooks\.token/],
  [
    "hooks with an empty token",
    { hooks: { enabled: true, token: "" } },
    "hooks.token",
    /is empty/,
    /Give hooks\.token a value/,
  ],
  [
    "a turn that may take longer than a chain of messages",
    { agents: { defaults: { timeoutSeconds: 604_801 } } },
    "agents.defaults.timeoutSeconds",
    /604800/,
    /./,
  ],
  [
    "a session of all hooks that no prefix allows",
    { hooks: { enabled: true, token: "t", defaultSessionKey: "main", allowedSessionKeyPrefixes: ["hook:"] } },
    "hooks.defaultSessionKey",
    /is "main", which begins with no text of hooks\.allowedSessionKeyPrefixes/,
    /Let it begin with "hook:"/,
  ],
  [
    "a session of a mapping that no prefix allows",
    {
      hooks: {
        enabled: true,
        token: "t",
        mappings: [
          { match: { path: "a" }, sessionKey: "agent:main:hook:a" },
          { match: { path: "b" }, sessionKey: "hook:{{id}}" },
          { match: { path: "c" }, sessionKey: "alerts" },
        ],
        allowedSessionKeyPrefixes: ["hook:"],
      },
    },
    "hooks.mappings[2].sessionKey",
    /is "alerts"/,
    /add what it begins with there/,
  ],
  ["a body of hooks above what is read", { hooks: { maxBodyBytes: 8_388_609 } }, "hooks.maxBodyBytes", /8388608/, /./],
  [
    "hooks at the root",
    { hooks: { enabled: true, token: "t", path: "/" } },
    "hooks.path",
    /root of the server/,
    /"\/hooks"/,
  ],
  [
    "a token for answers of jobs from a variable that is not set",
    { cron: { webhookToken: "${GONE}" } },
    "cron.webhookToken",
    /variable GONE/,
    /Set GONE/,
  ],
  [
    "a token for answers of jobs in a file that is named by half a path",
    { cron: { webhookToken: { source: "file", id: "run/token" } } },
    "cron.webhookToken",
    /names a file by a path that is not absolute/,
    /"\/…"/,
  ],
];

const channelCases: readonly Case[] = [
  [
    "a webhook account without a token",
    webhook({ home: {} }),
    "channels.webhook.accounts.home.token",
    /anybody could send/,
    /long random text/,
  ],
  [
    "a webhook account with an empty token",
    webhook({ home: { token: "" } }),
    "channels.webhook.accounts.home.token",
    /is empty/,
    /a value/,
  ],
  [
    "a webhook token from a variable that is not set",
    webhook({ home: { token: "${GONE}" } }),
    "channels.webhook.accounts.home.token",
    /variable GONE/,
    /Set GONE/,
  ],
  [
    "a webhook token of a program without a name",
    webhook({ home: { token: { source: "exec", id: "x" } } }),
    "channels.webhook.accounts.home.token",
    /names no program/,
    /secret-programs/,
  ],
  [
    "an outbound token from a variable that is not set",
    webhook({ home: { token: "t", outboundToken: { source: "env", id: "GONE" } } }),
    "channels.webhook.accounts.home.outboundToken",
    /variable GONE/,
    /Set GONE/,
  ],
  [
    "one account twice",
    webhook({ Home: { token: "t" }, home: { token: "t" } }),
    "channels.webhook.accounts.home",
    /"Home" already is/,
    /another name/,
  ],
  [
    "a default account that does not exist",
    webhook({ home: { token: "t" } }, { defaultAccount: "hom" }),
    "channels.webhook.defaultAccount",
    /no account/,
    /"home"/,
  ],
  [
    "a default account far from all",
    { channels: { irc: { defaultAccount: "x", accounts: { libera: {} } } } },
    "channels.irc.defaultAccount",
    /no account/,
    /libera/,
  ],
  [
    "an open channel that does not say so twice",
    { channels: { telegram: { dmPolicy: "open" } } },
    "channels.telegram.dmPolicy",
    /lets everybody in/,
    /\["\*"\]/,
  ],
  [
    "an open account that does not say so twice",
    { channels: { telegram: { accounts: { a: { dmPolicy: "open", allowFrom: [5] } } } } },
    "channels.telegram.accounts.a.dmPolicy",
    /lets everybody in/,
    /accounts\.a\.allowFrom/,
  ],
  ["an unknown policy", { channels: { irc: { dmPolicy: "opn" } } }, "channels.irc.dmPolicy", /one of/, /"open"/],
];

const supervised = (supervision: object, more: object = {}) => ({
  agents: { list: [{ id: "main", supervision }], ...more },
});
const childSpecs: readonly Case[] = [
  [
    "an unknown kind of restart",
    supervised({ restart: "always" }),
    "agents.list[0].supervision.restart",
    /one of/,
    /Correct/,
  ],
  [
    "a negative intensity",
    supervised({ intensity: -1 }),
    "agents.list[0].supervision.intensity",
    /at least 0/,
    /Correct/,
  ],
  [
    "a shortest back-off above the longest",
    supervised({ backoffMinMs: 20_000 }),
    "agents.list[0].supervision.backoffMinMs",
    /20000 ms above the longest, 10000 ms/,
    /at most backoffMaxMs/,
  ],
  [
    "a group that is none",
    supervised({ group: "wrkers" }, { groups: { workers: {} } }),
    "agents.list[0].supervision.group",
    /no group of agents\.groups/,
    /"workers"/,
  ],
  [
    "a group stop without a group",
    supervised({ escalate: "stop-group" }),
    "agents.list[0].supervision.escalate",
    /belongs to no group/,
    /supervision\.group/,
  ],
  [
    "a group stop for all, without a group",
    { agents: { defaults: { supervision: { escalate: "stop-group" } } } },
    "agents.defaults.supervision.escalate",
    /belongs to no group/,
    /supervision\.group/,
  ],
  [
    "a strategy that is none",
    supervised({}, { groups: { workers: { strategy: "one_for_two" } } }),
    "agents.groups.workers.strategy",
    /one of "one_for_one"/,
    /Correct/,
  ],
];

const all = {
  unknownKeys,
  wrongValues,
  childSpecs,
  agentCases,
  isolationCases,
  bindingCases,
  doorCases,
  channelCases,
};

describe.each(Object.entries(all))("refusing: %s", (_group, cases) => {
  it.each(cases.map((row) => [row[0], row] as const))("%s", async (_what, [, config, path, message, remedy, given]) => {
    const issues = await refusalOf(config, given);
    expect(issues.map((issue) => issue.path)).toEqual([path]);
    expect(issues[0]?.message).toMatch(message);
    expect(issues[0]?.remedy).toMatch(remedy);
  });
});

describe("the value of a variable", () => {
  const env = { SECRET_NAME: "S3cret.Agent", QUOTED: 'a"b\\c' };

  it("is in no message, remedy or warning, at its own key or at another one, in its case or in lower case", async () => {
    const agents = { list: [{ id: "${SECRET_NAME}" }, { id: "x", name: "${QUOTED}" }] };
    const twice = { list: [...agents.list, { id: "${SECRET_NAME}" }] };
    for (const config of [
      { agents: twice },
      { agents, bindings: [{ agentId: "y${SECRET_NAME}", match: { channel: "webhook" } }] },
      { agents, session: { dmScope: "${SECRET_NAME}" } },
    ]) {
      const told = JSON.stringify(await refusalOf(config, { env })).toLowerCase();
      expect(told).not.toContain("s3cret");
      expect(told).not.toContain("c.agent");
    }
    expect(JSON.stringify(await refusalOf({ agents: twice }, { env }))).toContain("${SECRET_NAME}");
    const { resolved } = await loadText({ agents, tools: { deny: ["group:${SECRET_NAME}"] } }, { env });
    expect(JSON.stringify(resolved.warnings)).not.toMatch(/s3cret/i);
    expect(resolved.warnings.map(({ message }) => message).join()).toContain("group:${SECRET_NAME}");
  });

  it("is hidden as JSON writes it, and one that is too short to be a secret is left", () => {
    const values = new Map(Object.entries({ [env.QUOTED]: "QUOTED", abc: "SHORT" }));
    expect(hideVariables(`is ${JSON.stringify(env.QUOTED)}, or ${env.QUOTED}, not abc`, values)).toBe(
      'is "${QUOTED}", or ${QUOTED}, not abc',
    );
  });
});

describe("a refusal", () => {
  it("names file, line, key, value, wish and remedy, and every problem at once", async () => {
    const text = `{
  // a comment with a quote: don't
  gateway: { port: "eighty" },
  agents: { list: [
    { id: "main" },
    { id: "raul", wrkspace: "x" },
  ] },
}`;
    const error = await failureOf(text);
    expect(error).toMatchObject({ code: "CLOISTER_CONFIG_INVALID" });
    const lines = formatIssues(await refusalOf(text)).split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/cloister\.json:6 agents\.list\[1\]\.wrkspace: is not a known key → Did you mean/);
    expect(lines[1]).toMatch(/cloister\.json:3 gateway\.port: must be a number \(found "eighty"\) → Correct/);
    for (const line of lines) expect(error.message).toContain(line.replace(/^\S*\//, ""));
  });

  it("reports all problems of sense together", async () => {
    const issues = await refusalOf({
      agents: { list: [{ id: "a", module: "x" }, { id: "a" }] },
      bindings: [{ agentId: "b", match: { channel: "irc" } }],
      gateway: { mode: "remote" },
      hooks: { enabled: true },
    });
    expect(issues.map(({ path }) => path)).toEqual([
      "agents.list[0].module",
      "agents.list[1].id",
      "bindings[0].agentId",
      "gateway.mode",
      "hooks.token",
    ]);
  });

  it.each([
    ["under the name of a credential", { gateway: { auth: { token: 12_345_678 } } }],
    ["under a name that nobody knows", { gateway: { auth: { tokn: "12345678" } } }],
    ["in an address", webhook({ home: { token: "t", outboundUrl: "ftp://u:12345678@x" } })],
    ["from a variable", { gateway: { bind: "${WRONG}" } }],
  ])("keeps a secret %s to itself", async (_where, config) => {
    const error = await failureOf(config, { env: { WRONG: "12345678" } });
    expect(error).toMatchObject({ code: "CLOISTER_CONFIG_INVALID" });
    expect(error.message).not.toContain("12345678");
    expect(JSON.stringify(error)).not.toContain("12345678");
  });
});

describe("a workspace", () => {
  it("may not hold the configuration, which its agent could then write", () => {
    const paths = makePaths({ env: {}, homeDir: "/home/ana", flags: { configPath: "/w/deep/cloister.json5" } });
    const load = (workspace: string) =>
      checkSource(
        { value: { agents: { list: [{ id: "a", workspace }] } }, places: new Map(), issues: [], files: new Map() },
        {
          paths,
          env: {},
          machine: { cores: 2, addresses: [], isRoot: false },
          exists: true,
          repeated: [],
          channelFiles: new Map(),
        },
      );
    expect(() => load("/w")).toThrow(/agents\.list\[0\]\.workspace: .*holds the configuration/);
    expect(load("/w/deep/own").draft.paths).toBe(paths);
  });
});

describe("accepting what looks similar", () => {
  it.each([
    [
      "different peers",
      bound(
        { agentId: "main", match: web({ peer: { kind: "direct", id: "7" } }) },
        { agentId: "raul", match: web({ peer: { kind: "group", id: "7" } }) },
      ),
    ],
    [
      "a narrower binding first",
      bound(
        { agentId: "raul", match: { channel: "irc", accountId: "x", roles: ["a"] } },
        { agentId: "main", match: { channel: "irc", accountId: "x" } },
      ),
    ],
    [
      "a role that only some earlier ones cover",
      bound(
        { agentId: "main", match: web({ guildId: "g", roles: ["a"] }) },
        { agentId: "raul", match: web({ guildId: "g", roles: ["a", "b"] }) },
      ),
    ],
    [
      "a broad tier before a narrow one",
      bound(
        { agentId: "main", match: web({}) },
        { agentId: "raul", match: web({ peer: { kind: "direct", id: "1" } }) },
      ),
    ],
    [
      "a custom address of this machine",
      { gateway: { bind: "custom", customBindHost: "::1", auth: { mode: "none" } } },
    ],
    ["the local network with a token", { gateway: { bind: "lan", auth: { token: "t" } } }],
    ["a webhook account that is off", webhook({ home: { enabled: false } })],
    ["a webhook that is off", webhook({ home: {} }, { enabled: false })],
    [
      "a default account that a channel's own keys describe",
      {
        ...bound({ agentId: "main", match: { channel: "irc", accountId: "default" } }),
        channels: { irc: { accounts: { x: {} } } },
      },
    ],
    [
      "an open channel that says so",
      { channels: { irc: { dmPolicy: "open", allowFrom: ["*"], accounts: { a: { dmPolicy: "open" } } } } },
    ],
    ["a workspace in its agent's own part of the state directory", dirs({ workspace: "agents/main/w" }, {})],
    ["one workspace for two", dirs({ workspace: "/w" }, { workspace: "/w" })],
    [
      "a sessions file, as older configurations name it",
      { agents: two, session: { store: "~/s/{agentId}/sessions.json" } },
    ],
  ])("%s", async (_what, config) => {
    await expect(loadText(config)).resolves.toBeDefined();
  });
});
