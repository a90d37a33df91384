/** The tool policy: profiles × groups × levels × senders, each removal with its rule. Source: behaviour §7.2–§7.4. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expandTools, toolGroups, toolProfiles } from "../../../auth/tool-names.ts";
import { neverForSubagents } from "../../../auth/subagent-tools.ts";
import {
  judgeTools,
  sandboxDefaults,
  type ToolFacts,
  type ToolLists,
  type ToolPolicy,
  type ToolRules,
} from "../../../auth/tool-policy.ts";

/** Tools of every group, whether this version has them or not: the policy judges names. */
const every = [
  "exec",
  "process",
  "read",
  "write",
  "edit",
  "apply_patch",
  "ls",
  "web_fetch",
  "web_search",
  "message",
  "cron",
  "gateway",
  "browser",
  "memory_search",
  "memory_get",
  "agents_list",
  "sessions",
  "sessions_list",
  "sessions_history",
  "sessions_search",
  "sessions_send",
  "sessions_spawn",
  "sessions_yield",
  "session_status",
  "subagents",
  "image",
];

const plain: ToolFacts = { sender: "trusted", sandboxed: false, readOnly: false, subagent: false };
const policy = (changes: Partial<ToolPolicy> = {}): ToolPolicy => ({
  agentId: "kim",
  mcp: [],
  global: {},
  agent: {},
  subagents: {},
  ...changes,
});
const left = (rules: Partial<ToolPolicy>, facts: Partial<ToolFacts> = {}) =>
  judgeTools(policy(rules), { ...plain, ...facts }, every).allowed;
const gone = (rules: Partial<ToolPolicy>, facts: Partial<ToolFacts> = {}) =>
  judgeTools(policy(rules), { ...plain, ...facts }, every).removals.map(({ rule, key, tools }) => [rule, key, tools]);
const without = (...names: readonly string[]) => every.filter((tool) => !names.includes(tool));

it("a tool that is switched off is removed whatever allows it, with the key that would bring it back", () => {
  const off = [
    { tools: ["web_fetch"], rule: "switched off", key: "tools.web.fetch.enabled", remedy: "set it to true" },
  ];
  const judged = judgeTools(policy({ off, global: { allow: ["web_fetch"] } }), plain, ["web_fetch", "read"]);
  expect(judged).toMatchObject({
    allowed: [],
    removals: [{ key: "tools.web.fetch.enabled", tools: ["web_fetch"], byAllow: false }, { tools: ["read"] }],
  });
});

describe("a profile", () => {
  const sessions = [
    "sessions",
    "sessions_list",
    "sessions_history",
    "sessions_search",
    "sessions_send",
    "sessions_spawn",
    "sessions_yield",
    "session_status",
    "subagents",
  ];
  const coding = ["exec", "process", "read", "write", "edit", "apply_patch", "ls", "web_fetch", "web_search", "cron"];

  it.each([
    ["minimal", ["session_status"]],
    ["messaging", ["message", ...sessions]],
    ["coding", [...coding, "memory_search", "memory_get", ...sessions, "image"]],
    ["full", every],
  ] as const)("%s", (profile, names) => {
    expect(left({ global: { profile } }).toSorted()).toEqual([...names].toSorted());
    expect(left({ agent: { profile } }).toSorted()).toEqual([...names].toSorted());
  });

  it("of the agent stands for the global one, and both with what is also allowed", () => {
    expect(left({ global: { profile: "minimal" }, agent: { profile: "full" } })).toEqual(every);
    expect(left({ global: { profile: "full" }, agent: { profile: "minimal", alsoAllow: ["group:fs"] } })).toEqual([
      "read",
      "write",
      "edit",
      "apply_patch",
      "ls",
      "session_status",
    ]);
    expect(left({ global: { profile: "minimal", alsoAllow: ["exec"] } })).toEqual(["exec", "session_status"]);
    expect(left({ global: { profile: "minimal", alsoAllow: ["exec"] }, agent: { alsoAllow: ["read"] } })).toEqual([
      "read",
      "session_status",
    ]);
  });

  it("says what it removed, and how it is kept", () => {
    const [removal] = judgeTools(policy({ global: { profile: "minimal" } }), plain, [
      "exec",
      "session_status",
    ]).removals;
    expect(removal).toEqual({
      rule: 'profile "minimal"',
      key: "tools.profile",
      tools: ["exec"],
      remedy: "add it to tools.alsoAllow, or use another profile",
      byAllow: true,
    });
  });

  it.each([
    { global: { alsoAllow: ["exec"] }, agent: { profile: "minimal" }, keeps: "tools" },
    { global: { profile: "minimal" }, agent: { alsoAllow: ["exec"] }, keeps: "agents.list[id=kim].tools" },
    { global: { profile: "minimal" }, agent: {}, keeps: "tools" },
    { global: {}, agent: { profile: "minimal" }, keeps: "agents.list[id=kim].tools" },
  ] as const)("names the list that counts: $keeps", ({ keeps, ...rules }) => {
    const [removal] = judgeTools(policy(rules), plain, ["exec", "read"]).removals;
    expect(removal?.remedy).toBe(`add it to ${keeps}.alsoAllow, or use another profile`);
  });
});

describe("a list", () => {
  it.each(Object.keys(toolGroups))("names every tool of %s, and none beside", (group) => {
    const named = every.filter((tool) =>
      (toolGroups[group] ?? []).some(
        (name) => name === tool || (name.endsWith("*") && tool.startsWith(name.slice(0, -1))),
      ),
    );
    for (const level of ["global", "agent"] as const) {
      expect(left({ [level]: { deny: [group] } })).toEqual(every.filter((tool) => !named.includes(tool)));
      expect(left({ [level]: { allow: [group] } })).toEqual(named);
    }
  });

  it("is read whatever its case, with stars and with the other names of tools", () => {
    expect(left({ global: { deny: [" BASH ", "Web_*", "apply-patch"] } })).toEqual(
      without("exec", "web_fetch", "web_search", "apply_patch"),
    );
  });

  it("may have any name: what every object has is no other name of a tool", () => {
    const names = ["constructor", "__proto__", "group:constructor"];
    expect(left({ global: { deny: names } })).toEqual(every);
    expect(left({ global: { allow: names } })).toEqual([]);
  });

  it("denies more than it allows, and an empty one says nothing", () => {
    expect(left({ agent: { allow: ["read", "exec"], deny: ["exec"] } })).toEqual(["read"]);
    expect(left({ agent: { allow: [], deny: [] } })).toEqual(every);
  });

  it("that denies write leaves apply_patch: they are two tools", () => {
    expect(left({ global: { deny: ["write"] } })).toContain("apply_patch");
  });

  it("of a group that nobody knows stands for nothing", () => {
    expect(left({ global: { deny: ["group:unheard-of"] } })).toEqual(every);
    expect(left({ global: { allow: ["group:unheard-of"] } })).toEqual([]);
  });

  it("of an inner level adds nothing that an outer one removed", () => {
    expect(left({ global: { deny: ["exec"] }, agent: { allow: ["exec", "read"] } })).toEqual(["read"]);
    expect(left({ global: { allow: ["read"] }, agent: { alsoAllow: ["exec"] } })).toEqual(["read"]);
  });
});

describe("a provider", () => {
  const byProvider = { openai: { deny: ["exec"] }, "openai/small": { profile: "minimal" as const } };

  it.each([
    ["openai/large", without("exec")],
    ["OpenAI/Small", ["session_status"]],
    ["anthropic/any", every],
    [undefined, every],
  ] as const)("of %s", (model, names) => {
    const facts = model === undefined ? {} : { model };
    expect(left({ global: { byProvider } }, facts)).toEqual(names);
    expect(left({ agent: { byProvider } }, facts)).toEqual(names);
  });

  it("is named by its key", () => {
    expect(gone({ agent: { byProvider } }, { model: "openai/large" })).toEqual([
      ["agent tools by provider: deny", 'agents.list[id=kim].tools.byProvider["openai"].deny', ["exec"]],
    ]);
  });
});

describe("a sender", () => {
  const sender = { channel: "WhatsApp", id: "+4915551234567", name: "Ana Lima" };
  const rest = { deny: ["exec"] };

  it.each([
    "channel:whatsapp:+4915551234567",
    "id:+4915551234567",
    "e164:+4915551234567",
    "e164:4915551234567",
    "name:ana lima",
    "Name: Ana Lima".replace(": ", ":"),
    "*",
  ])("is named by %s", (form) => {
    const rules: ToolRules = { toolsBySender: { [form]: { allow: ["read"] } } };
    expect(left({ global: rules }, { sender })).toEqual(["read"]);
    expect(left({ agent: rules }, { sender })).toEqual(["read"]);
    expect(left({}, { sender, group: { key: "channels.x.groups[1]", ...rules } })).toEqual(["read"]);
    const other = { channel: "telegram", id: "7", name: "Bo" };
    expect(left({ global: rules }, { sender: other })).toEqual(form === "*" ? ["read"] : every);
  });

  it("has the most exact entry of its id alone, whatever the order of the file", () => {
    const toolsBySender = { "*": rest, "id:+4915551234567": { deny: ["read"] } };
    expect(left({ global: { toolsBySender } }, { sender })).toEqual(without("read"));
    expect(left({ global: { toolsBySender } }, { sender: { channel: "x", id: "9" } })).toEqual(without("exec"));
  });

  it("does not get out of * by a name that it took", () => {
    const toolsBySender = { "*": rest, "name:ana lima": { deny: ["read"] } };
    const named = { channel: "telegram", id: "666", name: "Ana Lima" };
    expect(left({ global: { toolsBySender } }, { sender: named })).toEqual(without("exec", "read"));
  });

  it("who is nobody has the entry *, and the operator none", () => {
    const toolsBySender = { "*": rest, "id:nobody": { deny: ["read"] } };
    expect(left({ global: { toolsBySender } }, { sender: "nobody" })).toEqual(without("exec"));
    expect(left({ global: { toolsBySender } }, { sender: "trusted" })).toEqual(every);
  });

  it("in a group has that group's tools at the most", () => {
    const group = { key: 'channels.telegram.groups["-1"]', tools: { allow: ["read", "message"] } };
    expect(gone({ agent: { allow: ["read", "exec"] } }, { group, sender })).toEqual([
      ["agent tools: allow", "agents.list[id=kim].tools.allow", without("read", "exec")],
      ["group tools: allow", 'channels.telegram.groups["-1"].tools.allow', ["exec"]],
    ]);
  });
});

describe("a sandboxed session", () => {
  const facts = { sandboxed: true };

  it("has what sandboxes have by default", () => {
    expect(left({}, facts).toSorted()).toEqual([...sandboxDefaults.allow].toSorted());
    for (const tool of ["browser", "cron", "gateway", "message", "web_fetch"])
      expect(left({}, facts)).not.toContain(tool);
  });

  it("has the agent's lists, else the global ones", () => {
    const global: ToolRules = { sandboxTools: { alsoAllow: ["web_fetch", "cron"] } };
    expect(left({ global }, facts)).toEqual(expect.arrayContaining(["web_fetch", "cron", "exec"]));
    expect(left({ global, agent: { sandboxTools: { allow: ["read"] } } }, facts)).toEqual(["read"]);
    expect(left({ agent: { sandboxTools: { deny: ["exec"] } } }, facts)).not.toContain("exec");
    expect(left({ global, agent: { sandboxTools: { allow: ["read"] } } }, { sandboxed: false })).toEqual(every);
  });

  it("that may only read the workspace has nothing that writes", () => {
    expect(gone({ agent: { sandboxTools: { allow: ["group:fs"] } } }, { ...facts, readOnly: true }).at(-1)).toEqual([
      "the workspace is read only in the sandbox",
      "sandbox.workspaceAccess",
      ["write", "edit", "apply_patch"],
    ]);
  });

  it("is not given what another level denies", () => {
    expect(left({ agent: { deny: ["exec"], sandboxTools: { allow: ["exec", "read"] } } }, facts)).toEqual(["read"]);
  });
});

describe("a sub-agent", () => {
  const facts = { subagent: true };

  it("never has what no sub-agent has, and no more than tools.subagents.tools", () => {
    expect(left({ global: { allow: ["*"] } }, facts)).toEqual(
      every.filter((tool) => !neverForSubagents.includes(tool)),
    );
    expect(left({ subagents: { allow: ["group:fs"], deny: ["write"] } }, facts)).toEqual([
      "read",
      "edit",
      "apply_patch",
      "ls",
    ]);
    expect(gone({ subagents: { deny: ["exec"] } }, facts).at(-1)).toEqual([
      "sub-agent tools: deny",
      "tools.subagents.tools.deny",
      ["exec"],
    ]);
  });
});

describe("over random configs", () => {
  const names = fc.constantFrom(...every, "group:fs", "group:runtime", "group:sessions", "web_*", "*");
  const lists: fc.Arbitrary<ToolLists> = fc.record(
    {
      allow: fc.array(names, { maxLength: 4 }),
      alsoAllow: fc.array(names, { maxLength: 2 }),
      deny: fc.array(names, { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  const profile = fc.constantFrom(...(Object.keys(toolProfiles) as (keyof typeof toolProfiles)[]));
  const withProfile = fc.tuple(lists, fc.option(profile, { nil: undefined })).map(([some, named]) => ({
    ...some,
    ...(named === undefined ? {} : { profile: named }),
  }));
  const senders = fc.dictionary(fc.constantFrom("*", "id:ana", "name:ana", "channel:x:ana", "id:bo"), lists);
  const rules: fc.Arbitrary<ToolRules> = fc
    .tuple(withProfile, fc.dictionary(fc.constantFrom("p", "p/m", "q"), withProfile), senders, lists)
    .map(([base, byProvider, toolsBySender, sandboxTools]) => ({ ...base, byProvider, toolsBySender, sandboxTools }));
  const policies: fc.Arbitrary<ToolPolicy> = fc.record({
    agentId: fc.constant("kim"),
    mcp: fc.constant([]),
    global: rules,
    agent: rules,
    subagents: lists,
  });
  const someFacts: fc.Arbitrary<ToolFacts> = fc.record({
    model: fc.constantFrom("p/m", "p/n", "q/x", "z/z"),
    sender: fc.constantFrom<ToolFacts["sender"]>(
      "trusted",
      "nobody",
      { channel: "x", id: "ana", name: "Ana" },
      { channel: "y", id: "bo" },
    ),
    group: fc.record({ key: fc.constant("g"), tools: lists, toolsBySender: senders }),
    sandboxed: fc.boolean(),
    readOnly: fc.boolean(),
    subagent: fc.boolean(),
  });

  it("every tool is allowed or removed once by a rule that names its key, and a denied one is never allowed", () => {
    fc.assert(
      fc.property(policies, someFacts, (given, facts) => {
        const { allowed, removals } = judgeTools(given, facts, every);
        const removed = removals.flatMap(({ tools }) => tools);
        expect([...allowed, ...removed].toSorted()).toEqual([...every].toSorted());
        for (const { key, rule, remedy } of removals)
          expect([key, rule, remedy].every((text) => text !== "")).toBe(true);
        const denied = expandTools([
          ...(given.global.deny ?? []),
          ...(given.agent.deny ?? []),
          ...(facts.group?.tools?.deny ?? []),
        ]);
        for (const tool of allowed) expect(denied).not.toContain(tool);
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it("a tool is judged the same alone and among others", () => {
    fc.assert(
      fc.property(policies, someFacts, fc.constantFrom(...every), (given, facts, tool) => {
        const { allowed } = judgeTools(given, facts, every);
        expect(judgeTools(given, facts, [tool]).allowed).toEqual(allowed.includes(tool) ? [tool] : []);
      }),
      { numRuns: 300, seed: 8 },
    );
  });

  it("a further rule never gives a tool back", () => {
    fc.assert(
      fc.property(policies, someFacts, lists, (given, facts, { allow, deny }) => {
        const before = judgeTools(given, facts, every).allowed;
        const more = { ...(allow === undefined ? {} : { allow }), ...(deny === undefined ? {} : { deny }) };
        const narrower = {
          ...facts,
          group: { key: "g", tools: more, toolsBySender: facts.group?.toolsBySender ?? {} },
        };
        const base = judgeTools(
          given,
          { ...facts, group: { key: "g", toolsBySender: facts.group?.toolsBySender ?? {} } },
          every,
        ).allowed;
        const after = judgeTools(given, narrower, every).allowed;
        expect(base.filter((tool) => after.includes(tool))).toEqual(after);
        expect(
          judgeTools(given, { ...facts, subagent: true }, every).allowed.every((tool) => before.includes(tool)),
        ).toBe(true);
      }),
      { numRuns: 300, seed: 9 },
    );
  });
});

it("a rule means a tool of another program whatever its case: nothing that is denied comes back by its spelling", () => {
  const files = { server: "files", agents: ["*"], include: [], exclude: [] };
  const held = ["mcp__files__Delete", "mcp__files__Read"];
  const rules = policy({ mcp: [files], global: { deny: ["MCP__files__delete"] } });
  expect(judgeTools(rules, plain, held).allowed).toEqual(["mcp__files__Read"]);
});
