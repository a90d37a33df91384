import { describe, expect, it } from "vitest";
import type { AgentRow } from "../../../runtime/cli/gateway-rows.ts";
import { parseHistory, parseSessions } from "../../../runtime/cli/gateway-rows.ts";
import { formatAgents, formatAgentTree, makeAgentEntries } from "../../../runtime/cli/views/agents.ts";
import { readAccountStates } from "../../../runtime/cli/views/channels.ts";
import { formatHealth, formatStatus, isHealthy } from "../../../runtime/cli/views/gateway-state.ts";
import { formatHistory, formatSessions } from "../../../runtime/cli/views/sessions.ts";
import { formatAuth, formatReady, formatStart } from "../../../runtime/cli/views/start.ts";
import { formatAge, formatJson, formatLeft, formatTable } from "../../../runtime/cli/views/table.ts";
import { twoAgents } from "./config-fixture.ts";

const text = (lines: readonly string[]): string => `\n${lines.join("\n")}\n`;
const nowMs = Date.UTC(2026, 0, 2, 12, 0, 0);

const row = (agentId: string, more: Partial<AgentRow> = {}): AgentRow => ({
  agentId,
  name: agentId,
  isDefault: agentId === "main",
  module: "scripted",
  workspace: "/w",
  phase: "live",
  reason: undefined,
  activeRuns: 0,
  queueDepth: 0,
  restarts: 0,
  mainSessionKey: `agent:${agentId}:main`,
  ...more,
});

describe("tables", () => {
  it("align, mark what is empty, and obey no control character of a cell", () => {
    const columns = [{ title: "A" }, { title: "N", align: "right" }, { title: "Z" }] as const;
    const red = "\u001b[31mred\nline";
    expect(
      text(
        formatTable(columns, [
          ["x", "5", ""],
          [red, "10000", "end"],
        ]),
      ),
    ).toMatchInlineSnapshot(`
      "
      A             N  Z
      x             5  -
      red line  10000  end
      "
    `);
  });

  it.each([
    [0, ""],
    [nowMs, "0 s ago"],
    [nowMs - 59_999, "59 s ago"],
    [nowMs - 60_000, "1 min ago"],
    [nowMs - 7_200_000, "2 h ago"],
    [nowMs - 200_000_000, "2 d ago"],
    [nowMs + 5_000, "0 s ago"],
  ])("a time at %d is %j", (atMs, age) => {
    expect(formatAge(atMs, nowMs)).toBe(age);
  });
});

it("what is left until an end has two units, and what is over none", () => {
  const left = (ms: number): string => formatLeft(nowMs + ms, nowMs);
  expect([7_199_990, 7_140_000, 90_000_000, 61_000, 60_000, 59_400, 400, 0, -5].map(left)).toEqual([
    "2 h",
    "1 h 59 min",
    "1 d 1 h",
    "1 min 1 s",
    "1 min",
    "59 s",
    "0 s",
    "0 s",
    "0 s",
  ]);
});

describe("agents list", () => {
  it("without a gateway shows what is configured", () => {
    expect(text(formatAgents(makeAgentEntries(twoAgents, undefined), false))).toMatchInlineSnapshot(`
      "
      AGENT           NAME  IDENTITY  STATE       QUEUE  MODULE    MODEL  ISOLATION  BINDINGS  WORKSPACE              AGENT DIRECTORY
      main (default)  Main  -         configured      -  scripted  -      thread            1  /state/workspace       /state/agents/main/agent
      raul            Raúl  -         configured      -  scripted  -      thread            4  /state/workspace-raul  /state/agents/raul/agent
      "
    `);
  });

  it("shows the model and the identity", () => {
    const [main] = twoAgents.agents;
    if (main === undefined) throw new Error("the fixture has no agent");
    const fox = { ...main, model: "p/large", settings: { ...main.settings, emoji: "🦊", theme: "calm" } };
    expect(
      text(formatAgents(makeAgentEntries({ ...twoAgents, agents: [fox] }, undefined), false)),
    ).toMatchInlineSnapshot(`
      "
      AGENT           NAME  IDENTITY  STATE       QUEUE  MODULE    MODEL    ISOLATION  BINDINGS  WORKSPACE         AGENT DIRECTORY
      main (default)  Main  🦊 calm   configured      -  scripted  p/large  thread            1  /state/workspace  /state/agents/main/agent
      "
    `);
  });

  it("with a gateway shows live states, and agents that only one side knows", () => {
    const rows = [row("main", { queueDepth: 3 }), row("old", { phase: "parked", reason: "crashed 5 times" })];
    expect(text(formatAgents(makeAgentEntries(twoAgents, rows), false))).toMatchInlineSnapshot(`
      "
      AGENT           NAME  IDENTITY  STATE                    QUEUE  MODULE    MODEL  ISOLATION  BINDINGS  WORKSPACE              AGENT DIRECTORY
      main (default)  Main  -         live                         3  scripted  -      thread            1  /state/workspace       /state/agents/main/agent
      raul            Raúl  -         after restart                -  scripted  -      thread            4  /state/workspace-raul  /state/agents/raul/agent
      old             old   -         parked: crashed 5 times      0  scripted  -      -                 0  /w                     -
      "
    `);
  });

  it("names a process, its user, and trust", () => {
    const [main] = twoAgents.agents;
    if (main === undefined) throw new Error("the fixture has no agent");
    const user = { uid: 1_000, gid: 1_000 };
    const shown = (isolation: typeof main.isolation): string =>
      formatAgents(makeAgentEntries({ ...twoAgents, agents: [{ ...main, isolation }] }, undefined), false).at(-1) ?? "";
    expect(shown({ level: "process", trust: "confined" })).toContain(" process ");
    expect(shown({ level: "process", trust: "trusted", user })).toContain(" process, user 1000, trusted ");
  });

  it("as a tree tells all that is known of each agent", () => {
    const [main] = twoAgents.agents;
    if (main === undefined) throw new Error("the fixture has no agent");
    const fox = { ...main, model: "p/large", settings: { ...main.settings, emoji: "🦊", theme: "calm" } };
    const config = { ...twoAgents, agents: [fox, ...twoAgents.agents.slice(1)] };
    expect(text(formatAgentTree(makeAgentEntries(config, undefined)))).toMatchInlineSnapshot(`
      "
      main (default): configured
      ├─ name       Main
      ├─ identity   🦊 calm
      ├─ module     scripted
      ├─ model      p/large
      ├─ isolation  thread
      ├─ workspace  /state/workspace
      ├─ agentDir   /state/agents/main/agent
      ├─ sessions   /state/agents/main/sessions
      └─ bindings   1
         └─ bindings[1]  channel webhook, account home (channel default account only)  # the rest
      raul: configured
      ├─ name       Raúl
      ├─ module     scripted
      ├─ isolation  thread
      ├─ workspace  /state/workspace-raul
      ├─ agentDir   /state/agents/raul/agent
      ├─ sessions   /state/agents/raul/sessions
      └─ bindings   4
         ├─ bindings[0]  channel webhook, account home, peer direct p1
         ├─ bindings[2]  channel telegram, account biz (channel default account only)
         ├─ bindings[3]  channel discord, any account, guild g, roles any of a|b
         └─ bindings[4]  channel slack, account work, team T1
      "
    `);
    const [, gone] = makeAgentEntries({ ...config, agents: [fox] }, [
      row("main"),
      row("old", { phase: "parked", reason: "crashed" }),
    ]);
    expect(formatAgentTree(gone === undefined ? [] : [gone])).toEqual([
      "old: parked: crashed",
      "├─ name       old",
      "├─ module     scripted",
      "├─ workspace  /w",
      "└─ bindings   0",
    ]);
    expect(makeAgentEntries(config, undefined)[0]).toMatchObject({ identity: { emoji: "🦊", theme: "calm" } });
  });

  it("with bindings says which account each rule reaches", () => {
    expect(text(formatAgents(makeAgentEntries(twoAgents, undefined), true))).toMatchInlineSnapshot(`
      "
      main (default): configured, 1 binding
        bindings[1]  channel webhook, account home (channel default account only)  # the rest
        and every message that no binding matches

      raul: configured, 4 bindings
        bindings[0]  channel webhook, account home, peer direct p1
        bindings[2]  channel telegram, account biz (channel default account only)
        bindings[3]  channel discord, any account, guild g, roles any of a|b
        bindings[4]  channel slack, account work, team T1
      "
    `);
  });

  it("with bindings and a gateway says how the accounts are", () => {
    const account = (accountId: string, more: object) => ({ accountId, enabled: true, configured: true, ...more });
    const states = readAccountStates({
      channelAccounts: {
        webhook: [account("home", { running: true })],
        discord: [account("a", { connected: true }), account("b", { enabled: false })],
        slack: [],
      },
    });
    const entries = makeAgentEntries(twoAgents, [row("main"), row("raul")], states);
    const lines = formatAgents(entries, true);
    expect(lines.filter((line) => line.includes("bindings["))).toEqual([
      "  bindings[1]  channel webhook, account home (channel default account only); running  # the rest",
      "  bindings[0]  channel webhook, account home, peer direct p1; running",
      "  bindings[2]  channel telegram, account biz (channel default account only); not configured",
      "  bindings[3]  channel discord, any account, guild g, roles any of a|b; a connected, b disabled",
      "  bindings[4]  channel slack, account work, team T1; not configured",
    ]);
    expect(entries[1]?.bindings[2]).toMatchObject({ accountStates: { a: "connected", b: "disabled" } });
  });

  it("as JSON", () => {
    const [, raul] = makeAgentEntries({ ...twoAgents, bindings: twoAgents.bindings.slice(0, 3) }, [row("raul")]);
    expect(formatJson(raul)).toMatchInlineSnapshot(`
      "{
        "id": "raul",
        "name": "Raúl",
        "isDefault": false,
        "state": "live",
        "module": "scripted",
        "isolation": {
          "level": "thread",
          "trust": "confined"
        },
        "workspace": "/state/workspace-raul",
        "agentDir": "/state/agents/raul/agent",
        "sessionsDir": "/state/agents/raul/sessions",
        "activeRuns": 0,
        "queueDepth": 0,
        "restarts": 0,
        "bindings": [
          {
            "index": 0,
            "channel": "webhook",
            "account": "home",
            "accountScope": "this account only",
            "peer": "direct p1"
          },
          {
            "index": 2,
            "channel": "telegram",
            "account": "biz",
            "accountScope": "channel default account only"
          }
        ]
      }"
    `);
  });
});

describe("sessions", () => {
  it("are a table with the age of each", () => {
    const rows = parseSessions({
      sessions: [
        {
          key: "agent:main:main",
          classification: "main",
          channel: "web",
          updatedAt: nowMs - 120_000,
          messages: 12,
          lastMessagePreview: "a\nb  c",
        },
        { key: "agent:raul:main", label: "team", lastMessagePreview: "x".repeat(80) },
      ],
    });
    expect(text(formatSessions(rows, nowMs))).toMatchInlineSnapshot(`
      "
      SESSION                 KIND  CHANNEL  MESSAGES  UPDATED    LAST
      agent:main:main         main  web            12  2 min ago  a b c
      agent:raul:main (team)  -     -               0  -          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      "
    `);
  });

  it("a row without a key fails and says what to do", () => {
    expect(() => parseSessions({ sessions: [{ label: "x" }] })).toThrowErrorMatchingInlineSnapshot(`
      [Error: Reading the gateway's answer to sessions.list: ✖ Invalid input: expected string, received undefined
        → at sessions[0].key]
    `);
  });
});

describe("history", () => {
  it("says who spoke, also when it was another agent or somebody in a channel", () => {
    const rows = parseHistory({
      messages: [
        {
          role: "user",
          content: "hello",
          timestamp: nowMs,
          provenance: { kind: "external_user", sourceChannel: "webhook", senderName: "Ana" },
        },
        {
          role: "assistant",
          content: [{ type: "text", text: "one\ntwo" }, { type: "image" }],
          timestamp: nowMs + 1_000,
        },
        {
          role: "user",
          content: "what time?\u0007",
          timestamp: 0,
          provenance: { kind: "inter_session", sourceSessionKey: "agent:main:main" },
        },
      ],
    });
    expect(text(formatHistory(rows))).toMatchInlineSnapshot(`
      "
      2026-01-02 12:00:00  user, Ana, through webhook
        hello

      2026-01-02 12:00:01  assistant
        one
        two

      user, from agent:main:main
        what time?
      "
    `);
  });
});

describe("status and health", () => {
  const gateway = { url: "ws://127.0.0.1:1/", version: "1.2.3", uptimeMs: 125_000 };

  it("status", () => {
    const rows = [
      row("main", { activeRuns: 1, phase: "running" }),
      row("raul", { phase: "parked", reason: "crashed", restarts: 5 }),
    ];
    const quiet = { gateway, agents: rows, agentsMax: 12, lanes: [], recent: [], nowMs };
    const none = formatStatus({ ...quiet, deadLetters: { total: 0, byFate: {} } });
    const lanes = [
      { lane: "session", per: "session", places: 1, running: 1, waiting: 7 },
      { lane: "main", per: "gateway", places: 8, running: 8, waiting: 2 },
      { lane: "cron", per: "gateway", places: 4, running: 0, waiting: 0 },
    ];
    const some = formatStatus({ ...quiet, lanes, deadLetters: { total: 3, byFate: { poison: 2, expired: 1 } } });
    expect(some).toContain("lanes         main 8 of 8 (2 sessions waiting), cron 0 of 4");
    expect(some.filter((line) => !none.includes(line)).join("\n")).toContain("dead letters  3: 2 poison, 1 expired");
    expect(text(none)).toMatchInlineSnapshot(`
      "
      gateway  running at ws://127.0.0.1:1/, version 1.2.3, up 2 min
      agents   2, of which 1 live
      work     1 run, 0 waiting

      AGENT           STATE    RUNS  QUEUE  RESTARTS  REASON
      main (default)  running     1      0         0  -
      raul            parked      0      0         5  crashed
      "
    `);
  });

  it.each([
    [{ ok: true }, true, "healthy"],
    [{}, true, "healthy"],
    [{ ok: false }, false, "not healthy"],
    [{ ok: true, failing: ["store"] }, false, "not healthy: store"],
  ])("health of %j", (payload, healthy, words) => {
    expect(isHealthy(payload)).toBe(healthy);
    expect(formatHealth(gateway, payload)).toEqual([`gateway  ${words}`, "version  1.2.3", "up       2 min"]);
  });
});

describe("the start text", () => {
  it("names config, agents, both layers of access, and each warning once", () => {
    const config = {
      ...twoAgents,
      warnings: [{ path: "gateway.auth.token", message: "is empty", remedy: "set it" }],
    };
    expect(text(formatStart("0.1.0", config))).toMatchInlineSnapshot(`
      "
      cloister 0.1.0
        config   /state/cloister.json
        state    /state
        agents   main (scripted, default), raul (scripted)
        auth     token: clients give gateway.auth.token, or on this machine the operator key
        devices  a client that proves a key is approved once; agents never are: they live in this process
      warning: gateway.auth.token: is empty → set it
      "
    `);
  });

  it("names the first of many agents and counts the others", () => {
    const [first] = twoAgents.agents;
    if (first === undefined) throw new Error("found no agent, wanted one");
    const agents = Array.from({ length: 10_000 }, (_, n) => ({ ...first, id: `a${n}`, isDefault: n === 0 }));
    const line = formatStart("0.1.0", { ...twoAgents, agents }).find((one) => one.includes("agents"));
    expect(line).toMatch(
      /^ {2}agents {3}a0 \(scripted, default\), a1 .*, a19 \(scripted\) and 9980 more \(cloister agents list\)$/,
    );
  });

  it("without a config, with a profile", () => {
    const config = { ...twoAgents, configExists: false, profile: "dev", agents: twoAgents.agents.slice(0, 1) };
    expect(text(formatStart("0.1.0", config))).toMatchInlineSnapshot(`
      "
      cloister 0.1.0
        config   none at /state/cloister.json: defaults
        state    /state (profile dev)
        agents   main (scripted, default)
        auth     token: clients give gateway.auth.token, or on this machine the operator key
        devices  a client that proves a key is approved once; agents never are: they live in this process
      "
    `);
  });

  it.each([
    [{ mode: "none" }, "none: every client on this machine may connect (gateway.auth.mode)"],
    [
      { mode: "token" },
      "no token configured (gateway.auth.token): the operator key of this machine is the only way in",
    ],
    [
      { mode: "password", secret: "x" },
      "password: clients give gateway.auth.password, or on this machine the operator key",
    ],
  ] as const)("auth %j in words, without the secret", (auth, words) => {
    expect(formatAuth(auth)).toBe(words);
  });

  const steps = {
    pageLink: "http://127.0.0.1:1/#key=abc",
    keyShown: true,
    httpUrl: "http://127.0.0.1:1",
    prefix: "cloister",
  };

  it("says what to type next", () => {
    expect(text(formatReady(twoAgents, steps))).toMatchInlineSnapshot(`
      "
      ready
        page  http://127.0.0.1:1/#key=abc
        talk  cloister chat
        send  cloister send --agent raul hello
        http  curl -H 'Authorization: Bearer <channels.webhook.accounts.home.token>' -H 'Content-Type: application/json' -d '{"text":"hello","sender":{"id":"me"},"wait":true}' http://127.0.0.1:1/channels/webhook/home
      "
    `);
  });

  it("says where the key is when it is not shown, and offers what is configured", () => {
    const config = { ...twoAgents, webhook: null, hooks: { ...twoAgents.hooks, enabled: true } };
    const hidden = { ...steps, pageLink: "http://127.0.0.1:1/", keyShown: false };
    expect(text(formatReady(config, hidden))).toMatchInlineSnapshot(`
      "
      ready
        page  http://127.0.0.1:1/ (with its key: cloister dashboard)
        talk  cloister chat
        send  cloister send --agent raul hello
        http  curl -H 'Authorization: Bearer <hooks.token>' -H 'Content-Type: application/json' -d '{"message":"hello","waitForCompletion":true}' http://127.0.0.1:1/hooks/agent
      "
    `);
  });

  it("without page, hooks and webhook, for one agent", () => {
    const { controlUi, ...gateway } = twoAgents.gateway;
    const config = {
      ...twoAgents,
      agents: twoAgents.agents.slice(0, 1),
      webhook: null,
      gateway: { ...gateway, controlUi: { ...controlUi, enabled: false } },
    };
    expect(text(formatReady(config, steps))).toMatchInlineSnapshot(`
      "
      ready
        talk  cloister chat
        send  cloister send --agent main hello
        http  curl http://127.0.0.1:1/healthz
      "
    `);
  });
});
