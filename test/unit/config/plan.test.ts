/** What a change of the configuration comes to: which agents, which sections, which keys need a restart. */
import { describe, expect, it } from "vitest";
import { holdBack, isEmpty, planConfig, type ResolvedConfig } from "../../../runtime/config/index.ts";
import { resolveText } from "./resolve-text.ts";

const base = {
  agents: { list: [{ id: "main" }, { id: "raul", module: "~/modules/raul.ts", workspace: "~/raul" }] },
  channels: { webhook: { accounts: { home: { token: "t" } } } },
  gateway: { auth: { token: "secret" } },
};

const plan = (from: object, to: object) => planConfig(resolveText(from), resolveText(to));
const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id);
const told = (from: object, to: object) => {
  const { agents, sections, restart } = plan(from, to);
  return {
    added: ids(agents.added),
    removed: agents.removed,
    changed: ids(agents.changed),
    renewed: ids(agents.renewed),
    sections,
    restart: restart.map(({ key }) => key),
  };
};
const nothing = { added: [], removed: [], changed: [], renewed: [], sections: [], restart: [] };

const withAgents = (...list: object[]) => ({ ...base, agents: { list } });
const [main, raul] = base.agents.list as [object, object];

describe("the plan of a change", () => {
  it("is empty for the same configuration, however it is written", () => {
    expect(isEmpty(plan(base, structuredClone(base)))).toBe(true);
    const turned = Object.fromEntries(Object.entries(base).toReversed());
    expect(isEmpty(plan(base, turned))).toBe(true);
    expect(isEmpty(plan(base, { ...base, session: { dmScope: "main" } }))).toBe(true);
  });

  it.each<[string, object, object]>([
    ["an agent that is new", withAgents(main, raul, { id: "ana" }), { added: ["ana"] }],
    ["one that is gone", withAgents(main), { removed: ["raul"] }],
    ["one with another bound", withAgents(main, { ...raul, maxConcurrent: 1 }), { changed: ["raul"] }],
    ["one with another name", withAgents(main, { ...raul, name: "R" }), { changed: ["raul"] }],
    ["one with other options", withAgents(main, { ...raul, options: { a: 1 } }), { renewed: ["raul"] }],
    ["one with another module", withAgents(main, { ...raul, module: "./other.ts" }), { renewed: ["raul"] }],
    ["one with another workspace", withAgents(main, { ...raul, workspace: "~/elsewhere" }), { renewed: ["raul"] }],
    [
      "one at another level of isolation",
      withAgents(main, { ...raul, isolation: { level: "process" } }),
      { renewed: ["raul"] },
    ],
    [
      "another default agent",
      withAgents({ id: "main", workspace: "~/.cloister/workspace" }, { ...raul, default: true }),
      { changed: ["main", "raul"], sections: ["agents"] },
    ],
    [
      "an agent whose places lie beside another's module, which that one's cell could read",
      withAgents(main, raul, { id: "ana", workspace: "~/modules/inner" }),
      { added: ["ana"], renewed: ["raul"] },
    ],
  ])("names %s", (_name, to, expected) => {
    expect(told(base, to)).toEqual({ ...nothing, ...expected });
  });

  it.each([
    [{ name: "R" }, "renewed"],
    [{ skills: [] }, "renewed"],
    [{ weight: 2 }, "changed"],
  ] as const)(
    "renews the cell of an agent that a model speaks for where its model is told of it: %j",
    (change, kind) => {
      const speaker = { id: "ana", module: "assistant" };
      const to = withAgents(main, { ...speaker, ...change });
      expect(told(withAgents(main, speaker), to)).toEqual({ ...nothing, [kind]: ["ana"] });
    },
  );

  it.each<[string, object, string]>([
    ["bindings", { bindings: [{ agentId: "raul", match: { channel: "webhook" } }] }, "bindings"],
    ["rights", { tools: { agentToAgent: { enabled: true, allow: ["*"] } } }, "tools.agentToAgent"],
    ["what session tools see", { tools: { sessions: { visibility: "all" } } }, "tools.sessions"],
    ["the lanes", { agents: { ...base.agents, defaults: { maxConcurrent: 3 } } }, "agents.defaults.maxConcurrent"],
    ["queues", { messages: { queue: { mode: "collect" } } }, "messages.queue"],
    ["the token of the same mode", { gateway: { auth: { token: "another" } } }, "gateway.auth"],
    ["hooks", { hooks: { enabled: true, token: "h" } }, "hooks"],
    ["accounts", { channels: { webhook: { accounts: { home: { token: "new" } } } } }, "channels.webhook"],
    ["the reset of sessions", { session: { reset: { mode: "daily", atHour: 4 } } }, "session"],
    ["the reload itself", { gateway: { auth: base.gateway.auth, reload: { debounceMs: 5 } } }, "gateway.reload"],
  ])("applies %s while the gateway runs", (_name, change, section) => {
    const { sections, restart } = told(base, { ...base, ...change });
    expect(sections).toContain(section);
    expect(restart).toEqual([]);
  });

  it.each<[string, object, string]>([
    ["the port", { gateway: { ...base.gateway, port: 1234 } }, "gateway.port"],
    ["the address", { gateway: { ...base.gateway, bind: "lan" } }, "gateway.bind"],
    ["the mode of auth", { gateway: { auth: { mode: "none" } } }, "gateway.auth.mode"],
    ["the page's path", { gateway: { ...base.gateway, controlUi: { basePath: "/ui" } } }, "gateway.controlUi.basePath"],
    ["the main key", { session: { mainKey: "home" } }, "session.mainKey"],
    ["the log", { logging: { level: "debug" } }, "logging"],
    [
      "where an agent's sessions are",
      withAgents(main, { ...raul, agentDir: "~/elsewhere/agent" }),
      "agents.raul.agentDir",
    ],
  ])("says that %s needs a restart, and why", (_name, change, key) => {
    const { restart } = plan(base, { ...base, ...change });
    expect(restart.map((row) => row.key)).toEqual([key]);
    expect(restart[0]?.why).toMatch(/\w/);
  });
});

it("what is held back is what needs a restart, and nothing else", () => {
  const from = resolveText(base);
  const to = resolveText({
    agents: { list: [main, { ...raul, agentDir: "~/elsewhere/agent", name: "R" }, { id: "ana" }] },
    bindings: [{ agentId: "raul", match: { channel: "webhook" } }],
    channels: base.channels,
    gateway: { auth: { token: "another" }, port: 1234 },
    logging: { level: "debug" },
  });
  const held: ResolvedConfig = holdBack(from, to);
  expect(planConfig(from, held)).toEqual({ ...planConfig(from, to), restart: [], agents: expect.anything() });
  expect(planConfig(held, to)).toMatchObject({ sections: [], agents: { added: [], removed: [], renewed: [] } });
  expect(planConfig(held, to).restart).toEqual(planConfig(from, to).restart);
  expect(ids(planConfig(from, held).agents.added)).toEqual(["ana"]);
});
