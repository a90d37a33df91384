import path from "node:path";
import { describe, expect, it } from "vitest";
import { resolveConfig } from "../../../runtime/config/index.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { defaultSupervision } from "../../../runtime/kernel/supervision.ts";
import { sharedSettings } from "../../support/agent-settings.ts";
import { loadText, nest, refusalOf } from "./load-text.ts";

const authOf = (config: object, env: Record<string, string> = {}) =>
  loadText(nest("gateway.auth", config), { env }).then(({ resolved }) => resolved.gateway.auth);

describe("what is not configured", () => {
  it("is filled in, and all of it lies in the state directory", async () => {
    const { resolved, stateDir } = await loadText(undefined, { cores: 3 });
    expect(resolved).toEqual({
      revision: expect.stringMatching(/^[0-9a-f]{16}$/),
      configPath: path.join(stateDir, "cloister.json"),
      configExists: false,
      configProposers: [],
      deliveries: [],
      stateDir,
      profile: undefined,
      agents: [
        {
          id: "main",
          name: "main",
          isDefault: true,
          module: "scripted",
          moduleKind: "builtin",
          options: {},
          workspace: path.join(stateDir, "workspace"),
          agentDir: path.join(stateDir, "agents", "main", "agent"),
          sessionsDir: path.join(stateDir, "agents", "main", "sessions"),
          model: undefined,
          settings: { ...sharedSettings(), timezone: Intl.DateTimeFormat().resolvedOptions().timeZone },
          seedsWorkspace: true,
          memory: { isEnabled: true, includesDefault: true, sources: [], resultsMax: 6 },
          sandboxMode: "off",
          sandbox: { scope: "agent", access: "none", folder: path.join(stateDir, "sandboxes") },
          exec: {
            backend: "bubblewrap",
            box: {
              image: "debian:stable-slim",
              network: "none",
              readOnlyRoot: true,
              tmpfs: ["/tmp", "/var/tmp", "/run"],
              memoryBytes: 2_147_483_648,
              processesMax: 256,
              binds: [],
              env: {},
            },
            sandboxOnly: false,
            onHost: { security: "allowlist", ask: "on-miss", allow: [] },
            inSandbox: { security: "full", ask: "off", allow: [] },
            yieldMs: 10_000,
            timeoutMs: 1_800_000,
            pathPrepend: [],
            elevated: { enabled: false, allowFrom: [{}] },
            news: "usual",
          },
          maxConcurrent: 4,
          mailbox: { depthMax: 10_000, sessionDepthMax: 2_000, overflow: "reject" },
          subagents: {
            allowAgents: [],
            requireAgentId: false,
            childrenMax: 5,
            depthMax: 1,
            runTimeoutMs: 0,
            archiveAfterMs: 3_600_000,
          },
          supervision: defaultSupervision(limits),
          isolation: { level: "thread", trust: "confined" },
        },
      ],
      defaultAgentId: "main",
      bindings: [],
      session: {
        mainKey: "main",
        scope: "per-sender",
        dmScope: "main",
        groupScope: "per-group",
        identityLinks: {},
        maxPingPongTurns: 5,
        notifyOnCreate: true,
        maintenance: {
          isEnforced: true,
          pruneAfterMs: 30 * 86_400_000,
          transcriptsAfterMs: 30 * 86_400_000,
          entriesMax: 5_000,
          bytes: { max: 10 * 2 ** 30, low: 8 * 2 ** 30 },
        },
        threadBindings: { enabled: true, idleMs: 86_400_000, maxAgeMs: 0 },
        sendPolicy: { default: "allow", rules: [] },
        reset: { byType: {}, byChannel: {} },
      },
      queue: undefined,
      commands: { text: true, native: true, owners: [], allowFrom: undefined, resetTriggers: ["/new", "/reset"] },
      channelDefaults: {},
      accountsOn: {},
      agentToAgent: { enabled: false, allow: [], grants: [], requests: "off" },
      loops: {
        sameFailuresMax: 10,
        sameSessionMax: 8,
        chainTokensMax: 200_000_000,
        chainCostNanosMax: Number.MAX_SAFE_INTEGER,
      },
      visibility: "tree",
      sessionToolsVisibility: "spawned",
      sessionToolsVisibilityOf: {},
      toolRules: {},
      subagentTools: { deny: [] },
      skills: {
        roots: [expect.stringMatching(/\.agents.skills$/), path.join(stateDir, "skills")],
        extraRoots: [],
        off: [],
        env: expect.any(Array),
        config: expect.arrayContaining(["gateway.port"]),
        path: expect.any(Array),
        platform: process.platform,
      },
      webFetch: {
        enabled: true,
        settings: {
          charsMax: 40_000,
          bytesMax: 2_000_000,
          timeoutMs: 30_000,
          redirectsMax: 3,
          cacheMs: 900_000,
          userAgent: "Mozilla/5.0 (compatible; Cloister)",
          allowedHosts: [],
        },
      },
      attachments: { isEnabled: false, totalBytesMax: 5_242_880, filesMax: 50, fileBytesMax: 1_048_576, isKept: false },
      lanes: { main: 12, subagent: 8, cron: 4, background: 3 },
      gateway: {
        host: "127.0.0.1",
        port: 18_789,
        auth: { mode: "token" },
        trustedProxies: [],
        http: { chatCompletions: false, responses: false, mcp: false, a2a: false },
        autoApproveLocal: true,
        metrics: {},
        nodeCommands: { allow: [], deny: [] },
        reload: { mode: "hybrid", debounceMs: 300 },
        controlUi: { enabled: true, basePath: "/", allowedOrigins: [] },
      },
      hooks: { enabled: false, path: "/hooks", allowRequestSessionKey: false, mappings: [] },
      webhook: null,
      jobs: { enabled: true },
      jobPosts: { allowedHosts: [] },
      typing: { intervalMs: 6_000 },
      channelModels: {},
      ackReactions: { removed: false, usual: { direct: false, rooms: "mentions" }, byChannel: {} },
      responsePrefixes: { usual: "", byChannel: {} },
      blocks: {
        byDefault: false,
        charsMin: 800,
        charsMax: 1_200,
        prefers: "paragraph",
        wholeTexts: false,
        idleMs: 1_000,
      },
      channels: {},
      ownChannels: {},
      models: {
        providers: expect.objectContaining({
          anthropic: {
            id: "anthropic",
            api: "anthropic-messages",
            apiKey: { missing: "ANTHROPIC_API_KEY is not set" },
            headers: {},
            models: {},
          },
        }),
        catalogue: [],
        aliases: {},
        authOrder: {},
        variables: {},
      },
      mcp: { servers: [], rules: [], idleMs: 600_000 },
      groups: {
        accounts: {},
        fallback: {
          debounceMs: 0,
          dmPolicy: "pairing",
          groupPolicy: "allowlist",
          groups: {},
          allowBots: false,
          botBudget: { enabled: true, events: 20, windowMs: 60_000, cooldownMs: 60_000 },
          implicitMentions: { replyToBot: true, quotedBot: true, threadParticipation: true },
          patternScope: { mode: "allow", allowIn: [], denyIn: [] },
          historyLimit: 50,
          keys: expect.objectContaining({ dmPolicy: "channels.<channel>.dmPolicy" }),
        },
        broadcast: { entries: [] },
      },
      logging: {
        level: "info",
        consoleLevel: "info",
        file: path.join(stateDir, "logs", "cloister.log"),
        redactSensitive: true,
      },
      warnings: [],
      notActive: [],
    });
  });

  it("is the same as what an empty file says", async () => {
    const { resolved, stateDir } = await loadText("{}");
    expect(resolved).toMatchObject({ configExists: true, defaultAgentId: "main", stateDir });
  });
});

describe("agents", () => {
  it("come from the list and the entries, the first one as default", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "B" }], entries: { a: { name: "A" }, c: {} } } });
    expect(resolved.agents.map(({ id, name, isDefault }) => [id, name, isDefault])).toEqual([
      ["b", "b", true],
      ["a", "A", false],
      ["c", "c", false],
    ]);
    expect(resolved.defaultAgentId).toBe("b");
  });

  it("have one default, where the file says so", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "a" }, { id: "b", default: true }] } });
    expect(resolved.defaultAgentId).toBe("b");
    expect(resolved.agents.map(({ isDefault }) => isDefault)).toEqual([false, true]);
  });

  it("take their name from the identity, when they have no other", async () => {
    const { resolved } = await loadText({
      agents: {
        list: [
          { id: "a", identity: { name: "Family Bot" } },
          { id: "b", name: "B", identity: { name: "no" } },
        ],
      },
    });
    expect(resolved.agents.map(({ name }) => name)).toEqual(["Family Bot", "B"]);
  });

  it("live in the state directory, or where they say; ~ is the home and . the directory of the file", async () => {
    const { resolved, stateDir, home } = await loadText({
      agents: {
        list: [
          { id: "a" },
          { id: "b" },
          { id: "c", workspace: "~/c", agentDir: "here/agent", module: "./c.ts", options: { to: "a" } },
        ],
      },
    });
    const [a, b, c] = resolved.agents;
    expect(a?.workspace).toBe(path.join(stateDir, "workspace"));
    expect(b?.workspace).toBe(path.join(stateDir, "workspace-b"));
    expect(c).toMatchObject({
      workspace: path.join(home, "c"),
      agentDir: path.join(stateDir, "here", "agent"),
      sessionsDir: path.join(stateDir, "here", "sessions"),
      module: path.join(stateDir, "c.ts"),
      moduleKind: "file",
      options: { to: "a" },
    });
  });

  it("share a directory of workspaces that the defaults name", async () => {
    const { resolved, home } = await loadText({
      agents: { defaults: { workspace: "~/w" }, list: [{ id: "a" }, { id: "b" }] },
    });
    expect(resolved.agents.map(({ workspace }) => workspace)).toEqual([
      path.join(home, "w"),
      path.join(home, "w", "b"),
    ]);
  });

  it("take the workspace of the environment only where the file names none", async () => {
    const env = { OPENCLAW_WORKSPACE_DIR: "/elsewhere" };
    const silent = await loadText({ agents: { list: [{ id: "a" }, { id: "b" }] } }, { env });
    expect(silent.resolved.agents.map(({ workspace }) => workspace)).toEqual([
      "/elsewhere",
      path.join(silent.stateDir, "workspace-b"),
    ]);
    const named = await loadText({ agents: { defaults: { workspace: "/w" } } }, { env });
    expect(named.resolved.agents[0]?.workspace).toBe("/w");
  });

  it.each(["~/s/{agentId}", "~/s/{agentId}/sessions.json"])(
    "keep sessions where session.store says: %s",
    async (store) => {
      const { resolved, home } = await loadText({ session: { store } });
      expect(resolved.agents[0]?.sessionsDir).toBe(path.join(home, "s", "main"));
    },
  );

  it("are isolated as they say, key by key over the defaults; a thread has no user of its own", async () => {
    const user = { uid: 1_000, gid: 1_001 };
    const { resolved } = await loadText(
      {
        agents: {
          defaults: { isolation: { level: "process", user } },
          list: [
            { id: "a" },
            { id: "b", isolation: { trust: "trusted", user: { uid: 5, gid: 6 } } },
            { id: "c", isolation: { level: "thread" } },
          ],
        },
      },
      { isRoot: true },
    );
    expect(resolved.agents.map(({ isolation }) => isolation)).toEqual([
      { level: "process", trust: "confined", user },
      { level: "process", trust: "trusted", user: { uid: 5, gid: 6 } },
      { level: "thread", trust: "confined" },
    ]);
  });

  it("inherit from the defaults, maps key by key", async () => {
    const { resolved } = await loadText({
      agents: {
        defaults: {
          module: "relay",
          options: { to: "x", more: { a: 1, b: 2 } },
          model: { primary: "p/m", fallbacks: ["p/n"] },
          sandbox: { mode: "all" },
          isolation: { trust: "confined" },
        },
        list: [
          { id: "a" },
          {
            id: "b",
            module: "echo",
            options: { more: { b: 3 } },
            model: "q/m",
            sandbox: { mode: "non-main" },
            maxConcurrent: 1,
            lanes: { cron: 1, subagent: 2 },
            subagents: { maxConcurrent: 9 },
          },
          { id: "c", subagents: { maxConcurrent: 3 } },
        ],
      },
    });
    expect(resolved.agents[0]).not.toHaveProperty("lanes");
    expect(resolved.agents).toMatchObject([
      {
        module: "relay",
        options: { to: "x", more: { a: 1, b: 2 } },
        model: "p/m",
        sandboxMode: "all",
        maxConcurrent: 4,
      },
      {
        module: "echo",
        options: { to: "x", more: { a: 1, b: 3 } },
        model: "q/m",
        sandboxMode: "non-main",
        maxConcurrent: 1,
        lanes: { cron: 1, subagent: 2 },
      },
      { lanes: { subagent: 3 } },
    ]);
    expect(resolved.lanes.subagent, "in the whole gateway").toBe(8);
  });
});

describe("bindings", () => {
  const agents = { list: [{ id: "main" }, { id: "raul-two" }] };

  it("are in one written form, and an omitted account stays omitted", async () => {
    const { resolved } = await loadText({
      agents,
      bindings: [
        {
          agentId: "Raul Two",
          match: {
            channel: " Discord ",
            accountId: "Work A",
            peer: { kind: "dm", id: 7 },
            guildId: 8,
            teamId: "T",
            roles: [9],
          },
          session: { dmScope: "per-peer" },
          comment: "why",
        },
        { type: "acp", agentId: "main", match: { channel: "irc", peer: { kind: "direct", id: "x" } } },
        { type: "route", agentId: "main", match: { channel: "irc", roles: [] } },
        { agentId: "main", match: { channel: "irc", accountId: "*" } },
      ],
    });
    expect(resolved.bindings).toEqual([
      {
        index: 0,
        agentId: "raul-two",
        match: {
          channel: "discord",
          accountId: "work-a",
          peer: { kind: "direct", id: "7" },
          guildId: "8",
          teamId: "T",
          roles: ["9"],
        },
        session: { dmScope: "per-peer" },
        comment: "why",
      },
      { index: 2, agentId: "main", match: { channel: "irc" } },
      { index: 3, agentId: "main", match: { channel: "irc", accountId: "*" } },
    ]);
  });

  it("take an omitted account from the channel's defaultAccount, and say that they did", async () => {
    const { resolved } = await loadText({
      agents,
      bindings: [{ agentId: "main", match: { channel: "telegram" } }],
      channels: { telegram: { defaultAccount: "Biz", accounts: { biz: {}, personal: {} } } },
    });
    expect(resolved.bindings).toEqual([
      { index: 0, agentId: "main", match: { channel: "telegram", accountId: "biz" }, accountFromDefault: true },
    ]);
  });

  it.each([
    ["the configured one", { defaultAccount: "B", accounts: { a: {}, b: {} } }, "b"],
    ["`default`, when there is one", { accounts: { a: {}, default: {} } }, "default"],
    ["the first by name", { accounts: { z: {}, b: {} } }, "b"],
    ["`default`, when none is named", {}, "default"],
  ])("know each channel's account: %s", async (_which, telegram, account) => {
    const { resolved } = await loadText({ channels: { telegram, irc: { enabled: false } } });
    expect(resolved.channelDefaults).toEqual({ telegram: account });
  });

  it("know which accounts are switched on", async () => {
    const accounts = { Home: { botToken: "1:a" }, away: { botToken: "2:b", enabled: false }, work: { enabled: true } };
    const { resolved } = await loadText({
      channels: { telegram: { accounts }, discord: { token: "x" }, irc: { enabled: false } },
    });
    expect(resolved.accountsOn).toEqual({ telegram: ["home", "work"], discord: ["default"] });
  });
});

describe("the gateway", () => {
  it.each([
    ["a token", { token: "t" }, {}, { mode: "token", secret: "t" }],
    ["a password", { password: "p" }, {}, { mode: "password", secret: "p" }],
    [
      "the mode before what else is there",
      { mode: "password", token: "t", password: "p" },
      {},
      { mode: "password", secret: "p" },
    ],
    ["no authentication", { mode: "none", token: "t" }, {}, { mode: "none" }],
    ["an empty token as none", { token: "" }, {}, { mode: "token" }],
    [
      "a token of the environment",
      {},
      { OPENCLAW_GATEWAY_TOKEN: "o", CLOISTER_GATEWAY_TOKEN: "c" },
      { mode: "token", secret: "c" },
    ],
    ["an older name in the environment", {}, { OPENCLAW_GATEWAY_TOKEN: "o" }, { mode: "token", secret: "o" }],
    ["a password of the environment", {}, { CLOISTER_GATEWAY_PASSWORD: "p" }, { mode: "password", secret: "p" }],
    [
      "the file before the environment",
      { token: "t" },
      { CLOISTER_GATEWAY_TOKEN: "c" },
      { mode: "token", secret: "t" },
    ],
    [
      "the environment where the file is empty",
      { token: "" },
      { CLOISTER_GATEWAY_TOKEN: "c" },
      { mode: "token", secret: "c" },
    ],
    [
      "a reference",
      { token: { source: "env", provider: "default", id: "T" } },
      { T: "r" },
      { mode: "token", secret: "r" },
    ],
    ["a variable that is missing as no token", { token: "${T}" }, {}, { mode: "token" }],
    ["the text of a variable", { token: "$${T}" }, { T: "r" }, { mode: "token", secret: "${T}" }],
  ])("authenticates by %s", async (_what, config, env, expected) => {
    expect(await authOf(config, env)).toEqual(expected);
  });

  it.each([
    ["this machine", {}, "127.0.0.1"],
    ["this machine, automatically", { bind: "auto" }, "127.0.0.1"],
    ["every interface", { bind: "lan" }, "0.0.0.0"],
    ["the Tailscale address", { bind: "tailnet" }, "100.101.2.3"],
    ["the address that is named", { bind: "custom", customBindHost: "10.1.2.3" }, "10.1.2.3"],
  ])("listens on %s", async (_what, config, host) => {
    const { resolved } = await loadText(
      { gateway: { ...config, auth: { token: "t" } } },
      { addresses: ["10.0.0.1", "100.101.2.3"] },
    );
    expect(resolved.gateway.host).toBe(host);
  });

  it("takes the port from the command line, then the environment, then the file", async () => {
    const { loaded, resolved } = await loadText({ gateway: { port: 1 } }, { env: { OPENCLAW_GATEWAY_PORT: "2" } });
    expect(resolved.gateway.port).toBe(2);
    expect(resolveConfig(loaded, { port: 0 }).gateway.port).toBe(0);
    expect((await loadText({ gateway: { port: 1 } })).resolved.gateway.port).toBe(1);
    expect(() => resolveConfig(loaded, { port: 65_536 })).toThrow(/--port is 65536/);
  });

  it("can be bound from the command line, under the same rules as from the file", async () => {
    const { loaded } = await loadText({});
    expect(resolveConfig(loaded, { bind: "127.0.0.2" }).gateway.host).toBe("127.0.0.2");
    expect(() => resolveConfig(loaded, { bind: "lan" })).toThrow(/gateway\.bind: is "lan".*no token is configured/);
    expect(() => resolveConfig(loaded, { bind: "10.0.0.1" })).toThrow(/no token is configured/);
    expect(() => resolveConfig(loaded, { bind: "world" })).toThrow(
      /--bind is "world"; must be an IP address or one of auto/,
    );
    const guarded = await loadText({ gateway: { auth: { token: "t" } } });
    expect(resolveConfig(guarded.loaded, { bind: "lan" }).gateway.host).toBe("0.0.0.0");
  });

  it("bounds the turns of the assistant, and of no other module, where a time is written", async () => {
    const list = [
      { id: "a", model: "p/m" },
      { id: "b", module: "echo" },
    ];
    const timesOf = async (defaults: object) =>
      (await loadText({ agents: { defaults, list } })).resolved.agents.map(({ turnMsMax }) => turnMsMax);
    expect(await timesOf({ timeoutSeconds: 60 })).toEqual([60_000, undefined]);
    expect(await timesOf({})).toEqual([undefined, undefined]);
  });

  it("serves its page and its hooks at tidy paths", async () => {
    const { resolved } = await loadText({
      gateway: { controlUi: { basePath: "ui/" } },
      hooks: { enabled: true, token: "t", path: "in//hooks/" },
    });
    expect(resolved.gateway.controlUi.basePath).toBe("/ui");
    expect(resolved.hooks).toEqual({
      enabled: true,
      token: "t",
      path: "/in/hooks",
      allowRequestSessionKey: false,
      mappings: [],
    });
  });

  it("gives the turn of a mapping the time that it says", async () => {
    const mappings = [{ match: { path: "a" }, timeoutSeconds: 0.5 }, { match: { path: "b" } }];
    const { resolved } = await loadText({ hooks: { enabled: true, token: "t", mappings } });
    expect(resolved.hooks.mappings).toEqual([
      { path: "a", action: "agent", turnMsMax: 500 },
      { path: "b", action: "agent" },
    ]);
  });

  it.each([
    [
      ["main", "Raul"],
      ["main", "raul"],
    ],
    [[], []],
    [["*", "main"], undefined],
  ])("lets hooks reach %j", async (allowedAgentIds, expected) => {
    const { resolved } = await loadText({ hooks: { enabled: true, token: "t", allowedAgentIds } });
    expect(resolved.hooks.allowedAgentIds).toEqual(expected);
  });
});

describe("the webhook", () => {
  it("has the accounts that are on, with their credentials", async () => {
    const { resolved } = await loadText(
      {
        channels: {
          webhook: {
            defaultAccount: "Home",
            accounts: {
              Home: {
                token: "${HOME_TOKEN}",
                outboundUrl: "https://example.test/in",
                outboundToken: { source: "env", id: "OUT" },
              },
              off: { enabled: false },
            },
          },
        },
      },
      { env: { HOME_TOKEN: "h", OUT: "o" } },
    );
    expect(resolved.webhook).toEqual({
      defaultAccount: "home",
      accounts: { home: { token: "h", outboundUrl: "https://example.test/in", outboundToken: "o" } },
    });
  });

  it.each([
    { enabled: false, accounts: { a: { token: "t" } } },
    { accounts: {} },
    { accounts: { a: { enabled: false } } },
  ])("is absent when nobody can send: %j", async (webhook) => {
    expect((await loadText({ channels: { webhook } })).resolved.webhook).toBeNull();
  });
});

describe("the rest", () => {
  it("is taken over as it is written", async () => {
    const { resolved, stateDir } = await loadText({
      session: {
        mainKey: "Home",
        scope: "global",
        dmScope: "per-peer",
        groupScope: "main",
        identityLinks: { ana: ["telegram:1", 2] },
      },
      tools: {
        agentToAgent: {
          enabled: true,
          allow: ["Main", "Te*"],
          grants: [{ from: "Main", to: "T*", verbs: ["send"] }],
          requests: "operator",
        },
        sessions: { visibility: "agent" },
        // A key of another program, beside ours.
        loopDetection: { sameFailuresMax: 3, historySize: 30 },
      },
      agents: { defaults: { maxConcurrent: 3, sandbox: { sessionToolsVisibility: "all" } } },
      logging: { level: "debug", consoleLevel: "silent", file: "my.log", redactSensitive: "off" },
    });
    expect(resolved).toMatchObject({
      session: {
        mainKey: "home",
        scope: "global",
        dmScope: "per-peer",
        groupScope: "main",
        identityLinks: { ana: ["telegram:1", "2"] },
      },
      agentToAgent: {
        enabled: true,
        allow: ["main", "te*"],
        grants: [{ from: "main", to: "t*", verbs: ["send"] }],
        requests: "operator",
      },
      loops: {
        sameFailuresMax: 3,
        sameSessionMax: 8,
        chainTokensMax: 200_000_000,
        chainCostNanosMax: Number.MAX_SAFE_INTEGER,
      },
      visibility: "agent",
      sessionToolsVisibility: "all",
      lanes: { main: 3, subagent: 8, cron: 4, background: 3 },
      logging: { level: "debug", consoleLevel: "silent", file: path.join(stateDir, "my.log"), redactSensitive: false },
    });
  });

  it("cannot be changed afterwards", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "a", options: { deep: { x: 1 } } }] } });
    const [agent] = resolved.agents;
    expect(() => Object.assign(resolved.gateway.auth, { mode: "none" })).toThrow(TypeError);
    expect(() => Object.assign(agent?.options["deep"] ?? {}, { x: 2 })).toThrow(TypeError);
  });

  it("keeps settings that agents have in common once, and no others", async () => {
    const { resolved } = await loadText({
      agents: {
        defaults: { options: { tone: "dry" } },
        list: [
          { id: "a" },
          { id: "b" },
          { id: "c", options: { tone: "warm" }, isolation: { trust: "trusted" }, mailbox: { depthMax: 7 } },
        ],
      },
    });
    const [a, b, c] = resolved.agents;
    for (const key of ["options", "isolation", "mailbox"] as const) {
      expect(b?.[key], key).toBe(a?.[key]);
      expect(c?.[key], key).not.toEqual(a?.[key]);
    }
  });

  it("has a revision that follows the meaning, not the writing", async () => {
    const { loaded, resolved } = await loadText("{ gateway: { port: 5, auth: { mode: 'none' } } }");
    expect(resolveConfig(loaded).revision).toBe(resolved.revision);
    expect(resolveConfig(loaded, { port: 5 }).revision).toBe(resolved.revision);
    expect(resolveConfig(loaded, { port: 6 }).revision).not.toBe(resolved.revision);
  });
});

describe("child specs", () => {
  it("take each key from the agent, then from the defaults, then from the bounds", async () => {
    const { resolved } = await loadText({
      agents: {
        defaults: { supervision: { intensity: 2, restart: "permanent" } },
        groups: { pair: { strategy: "one_for_all" } },
        list: [{ id: "main", supervision: { restart: "temporary", group: "pair" } }, { id: "raul" }],
      },
    });
    const usual = defaultSupervision(limits);
    expect(resolved.agents.map(({ supervision }) => supervision)).toEqual([
      { ...usual, intensity: 2, restart: "temporary" },
      { ...usual, intensity: 2, restart: "permanent" },
    ]);
    expect(resolved.agents.map(({ group }) => group)).toEqual([{ name: "pair", strategy: "one_for_all" }, undefined]);
  });

  it("are one object for all agents that say nothing", async () => {
    const { resolved } = await loadText({ agents: { list: [{ id: "main" }, { id: "raul" }] } });
    expect(resolved.agents[0]?.supervision).toBe(resolved.agents[1]?.supervision);
  });
});

describe("the queue and the commands", () => {
  it("an older name of a mode means the mode, and a channel has its own", async () => {
    const { resolved } = await loadText({
      messages: {
        queue: {
          mode: "queue",
          cap: 3,
          byChannel: { Webhook: "steer-backlog" },
          debounceMsByChannel: { webchat: 20 },
        },
      },
      commands: { text: false, ownerAllowFrom: [7, "ana"], allowFrom: { Webhook: ["*"] } },
      session: { resetTriggers: ["/Fresh"] },
    });
    const policy = { mode: "followup", debounceMs: 500, cap: 3, drop: "summarize" };
    expect(resolved.queue).toEqual({
      policy,
      byChannel: { webhook: { ...policy, mode: "steer" }, webchat: { ...policy, debounceMs: 20 } },
    });
    expect(resolved.commands).toEqual({
      text: false,
      native: true,
      owners: ["7", "ana"],
      allowFrom: { webhook: ["*"] },
      resetTriggers: ["/fresh"],
    });
    expect(resolved.notActive).toEqual([]);
  });

  it("reads when sessions begin anew: of the channel, of the kind, of all, and the older spellings", async () => {
    const { resolved } = await loadText({
      session: {
        reset: { mode: "daily", idleMinutes: 90 },
        resetByType: {
          dm: { mode: "idle", idleMinutes: 5 },
          group: { mode: "none" },
          thread: { mode: "daily", atHour: 0 },
        },
        resetByChannel: { Slack: { mode: "idle", idleMinutes: 1 } },
      },
    });
    expect(resolved.session.reset).toEqual({
      all: { dailyAtHour: 4, idleMs: 90 * 60_000 },
      byType: { direct: { idleMs: 5 * 60_000 }, group: {}, thread: { dailyAtHour: 0 } },
      byChannel: { slack: { idleMs: 60_000 } },
    });
    expect(resolved.notActive).toEqual([]);
    const older = await loadText({ session: { idleMinutes: 7 } });
    expect(older.resolved.session.reset.all).toEqual({ idleMs: 7 * 60_000 });
  });

  it("an empty section is steer with the bounds", async () => {
    const { resolved } = await loadText({ messages: { queue: {} } });
    expect(resolved.queue?.policy).toEqual({ mode: "steer", debounceMs: 500, cap: 20, drop: "summarize" });
  });
});

describe("commands of nodes", () => {
  it("are read as they are written, and are in force; a pattern is refused, since it would allow or deny nothing", async () => {
    const nodes = { allowCommands: ["location.get"], denyCommands: ["screen.record"] };
    const { resolved } = await loadText({ gateway: { nodes } });
    expect(resolved.gateway.nodeCommands).toEqual({ allow: ["location.get"], deny: ["screen.record"] });
    expect(resolved.notActive).toEqual([]);
    const [issue] = await refusalOf({ gateway: { nodes: { denyCommands: ["camera.*"] } } });
    expect(issue).toMatchObject({
      path: "gateway.nodes.denyCommands[0]",
      message: expect.stringContaining("must be the whole name of a command"),
    });
  });
});
