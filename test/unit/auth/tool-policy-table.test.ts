/**
 * The tool policy as one table: every profile × every group, allowed and denied × every level that has lists × every kind of sender. What is left and
 * which rule took the rest is worked out here from the tables of behaviour §7.2 and §7.3, written down once more, and not by the policy's own.
 */
import { describe, expect, it } from "vitest";
import type { ToolProfile } from "../../../auth/tool-names.ts";
import { judgeTools, type ToolFacts, type ToolLists, type ToolPolicy } from "../../../auth/tool-policy.ts";

const groups: Readonly<Record<string, readonly string[]>> = {
  "group:runtime": ["exec", "process", "code_execution"],
  "group:fs": ["read", "write", "edit", "apply_patch", "ls"],
  "group:sessions": [
    "sessions_list",
    "sessions_history",
    "sessions_search",
    "sessions_send",
    "sessions_spawn",
    "sessions_yield",
    "sessions",
    "subagents",
    "session_status",
  ],
  "group:memory": ["memory_search", "memory_get"],
  "group:web": ["web_search", "web_fetch"],
  "group:ui": ["browser", "canvas"],
  "group:automation": ["cron", "gateway", "heartbeat_respond"],
  "group:messaging": ["message"],
  "group:nodes": ["nodes"],
  "group:agents": ["agents_list"],
  "group:media": ["image", "tts", "pdf"],
  "group:plugins": ["mcp__notes__add", "mcp__web__get"],
};
const every = [...new Set(Object.values(groups).flat())];
const of = (...names: readonly string[]) => names.flatMap((name) => groups[name] ?? [name]);

const profiles: Readonly<Record<ToolProfile, readonly string[]>> = {
  minimal: ["session_status"],
  messaging: of("group:messaging", "group:sessions"),
  coding: of("group:fs", "group:runtime", "group:web", "group:sessions", "group:memory", "cron", "image"),
  full: every,
};
const profileNames = [...(Object.keys(profiles) as ToolProfile[]), undefined];

const senders = {
  "the operator": "trusted",
  "an agent or a timer": "nobody",
  "the one who is named": { channel: "telegram", id: "ana", name: "Ana" },
  "somebody else": { channel: "telegram", id: "bo", name: "Bo" },
} as const satisfies Readonly<Record<string, ToolFacts["sender"]>>;
type Who = keyof typeof senders;

const notForSubagents = ["gateway", "agents_list", "session_status", "cron", "message", "sessions_send"];

interface Level {
  readonly place: (lists: ToolLists) => {
    readonly policy?: Partial<ToolPolicy>;
    readonly facts?: Partial<ToolFacts>;
  };
  /** Of whom its lists say something; absent: of all. */
  readonly counts?: readonly Who[];
  /** Where the lists stand, and how the step is called. */
  readonly key: string;
  readonly rule: string;
  /** What the situation itself takes, whatever the lists say. */
  readonly never?: readonly string[];
}

const named = "the one who is named";
const own = "agents.list[id=kim].tools";
const levels: Readonly<Record<string, Level>> = {
  tools: { place: (lists) => ({ policy: { global: lists } }), key: "tools", rule: "tools" },
  "tools.byProvider": {
    place: (lists) => ({ policy: { global: { byProvider: { acme: lists } } }, facts: { model: "acme/large" } }),
    key: 'tools.byProvider["acme"]',
    rule: "tools by provider",
  },
  "tools.byProvider of the model": {
    place: (lists) => ({ policy: { global: { byProvider: { "acme/large": lists } } }, facts: { model: "acme/large" } }),
    key: 'tools.byProvider["acme/large"]',
    rule: "tools by provider",
  },
  "tools.byProvider of another": {
    place: (lists) => ({ policy: { global: { byProvider: { acme: lists } } }, facts: { model: "other/large" } }),
    counts: [],
    key: "",
    rule: "",
  },
  "the agent's tools": { place: (lists) => ({ policy: { agent: lists } }), key: own, rule: "agent tools" },
  "the agent's byProvider": {
    place: (lists) => ({ policy: { agent: { byProvider: { acme: lists } } }, facts: { model: "acme/large" } }),
    key: `${own}.byProvider["acme"]`,
    rule: "agent tools by provider",
  },
  "the group's tools": {
    place: (tools) => ({ facts: { group: { key: "channels.telegram.groups[-1]", tools } } }),
    key: "channels.telegram.groups[-1].tools",
    rule: "group tools",
  },
  "the group's toolsBySender": {
    place: (lists) => ({
      facts: { group: { key: "channels.telegram.groups[-1]", toolsBySender: { "id:ana": lists } } },
    }),
    counts: [named],
    key: 'channels.telegram.groups[-1].toolsBySender["id:ana"]',
    rule: "group tools by sender",
  },
  "tools.toolsBySender": {
    place: (lists) => ({ policy: { global: { toolsBySender: { "channel:telegram:ana": lists } } } }),
    counts: [named],
    key: 'tools.toolsBySender["channel:telegram:ana"]',
    rule: "tools by sender",
  },
  "tools.toolsBySender of all": {
    place: (lists) => ({ policy: { global: { toolsBySender: { "*": lists } } } }),
    counts: ["an agent or a timer", named, "somebody else"],
    key: 'tools.toolsBySender["*"]',
    rule: "tools by sender",
  },
  "the agent's toolsBySender": {
    place: (lists) => ({ policy: { agent: { toolsBySender: { "name:ana": lists } } } }),
    counts: [named],
    key: `${own}.toolsBySender["name:ana"]`,
    rule: "agent tools by sender",
  },
  "tools.sandbox.tools": {
    place: (lists) => ({ policy: { global: { sandboxTools: inSandbox(lists) } }, facts: { sandboxed: true } }),
    key: "tools.sandbox.tools",
    rule: "sandbox tools",
  },
  "the agent's sandbox.tools": {
    place: (lists) => ({ policy: { agent: { sandboxTools: inSandbox(lists) } }, facts: { sandboxed: true } }),
    key: `${own}.sandbox.tools`,
    rule: "sandbox tools",
  },
  "tools.sandbox.tools outside of a sandbox": {
    place: (lists) => ({ policy: { global: { sandboxTools: inSandbox(lists) } } }),
    counts: [],
    key: "",
    rule: "",
  },
  "tools.subagents.tools": {
    place: (lists) => ({ policy: { subagents: lists }, facts: { subagent: true } }),
    key: "tools.subagents.tools",
    rule: "sub-agent tools",
    never: notForSubagents,
  },
  "tools.subagents.tools for others": {
    place: (lists) => ({ policy: { subagents: lists } }),
    counts: [],
    key: "",
    rule: "",
  },
};

/** Without the defaults, which have a test of their own. */
function inSandbox({ allow = ["*"], deny = [] }: ToolLists): ToolLists {
  return { allow, deny };
}

interface Row {
  readonly profile: (typeof profileNames)[number];
  readonly group: string;
  readonly form: "allow" | "deny";
  readonly who: Who;
}

const rows: readonly Row[] = profileNames.flatMap((profile) =>
  Object.keys(groups).flatMap((group) =>
    (["allow", "deny"] as const).flatMap((form) =>
      (Object.keys(senders) as Who[]).map((who) => ({ profile, group, form, who })),
    ),
  ),
);

/** By sets alone: what the profile leaves, what the situation never leaves, what the list leaves. */
function work({ profile, group, form, who }: Row, level: Level) {
  const steps: { readonly rule: string; readonly key: string; readonly takes: (tool: string) => boolean }[] = [
    {
      rule: `profile "${profile ?? ""}"`,
      key: "tools.profile",
      takes: (tool) => profile !== undefined && !profiles[profile].includes(tool),
    },
    {
      rule: "never for sub-agents",
      key: "behaviour of sub-agents",
      takes: (tool) => level.never?.includes(tool) === true,
    },
    {
      rule: `${level.rule}: ${form}`,
      key: `${level.key}.${form}`,
      takes: (tool) =>
        (level.counts ?? Object.keys(senders)).includes(who) &&
        (groups[group]?.includes(tool) === true) === (form === "deny"),
    },
  ];
  const by = (tool: string) => steps.find(({ takes }) => takes(tool));
  return {
    allowed: every.filter((tool) => by(tool) === undefined),
    removed: steps.flatMap((step) => {
      const tools = every.filter((tool) => by(tool) === step);
      return tools.length === 0 ? [] : [[step.rule, step.key, tools]];
    }),
  };
}

describe.each(Object.entries(levels))("%s", (_name, level) => {
  it(`leaves and explains what its lists say: ${rows.length} cases`, () => {
    for (const row of rows) {
      const { policy, facts } = level.place({ [row.form]: [row.group] });
      const { global = {}, ...rest } = policy ?? {};
      const judged = judgeTools(
        {
          agentId: "kim",
          mcp: [],
          agent: {},
          subagents: {},
          ...rest,
          global: { ...global, ...(row.profile === undefined ? {} : { profile: row.profile }) },
        },
        { sender: senders[row.who], sandboxed: false, readOnly: false, subagent: false, ...facts },
        every,
      );
      const found = {
        allowed: judged.allowed,
        removed: judged.removals.map(({ rule, key, tools }) => [rule, key, tools]),
      };
      expect(found, JSON.stringify(row)).toEqual(work(row, level));
      // What to do stands beside each, and names the place that was told.
      for (const { key, remedy, rule } of judged.removals)
        if (!rule.startsWith("never")) expect(remedy, JSON.stringify(row)).toContain(key.replace(/\.profile$/, ""));
    }
  });
});
