/** Changes of the authored configuration: paths, patches, secrets, agents, and what a mistake would lose. */
import { describe, expect, it } from "vitest";
import {
  addAgent,
  bindAgent,
  idsOf,
  removeAgent,
  unbindAgent,
  updateAgent,
} from "../../../runtime/config/agent-edits.ts";
import { type Authored, changeText, hashText } from "../../../runtime/config/change.ts";
import { applyEdits, mergePatch, parsePath } from "../../../runtime/config/edits.ts";
import { readSource } from "../../../runtime/config/file/source.ts";
import { redactionMark, redactValue, restoreMarks } from "../../../runtime/config/secrets.ts";
import { lookUpKey } from "../../../runtime/config/schema/lookup.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

const authored = (text: string | undefined): Authored => ({ file: "/c/cloister.json", text, hash: hashText(text) });
const base = {
  agents: { list: [{ id: "main" }, { id: "raul", name: "R" }] },
  gateway: { auth: { token: "t0p-s3cret" }, port: 1 },
  channels: { webhook: { accounts: { home: { token: "${HOME_TOKEN}", outboundUrl: "https://u:pw@x.test/" } } } },
  env: { vars: { ANY: "hidden" } },
};

describe("edits by path", () => {
  it.each([
    ["gateway.port", ["gateway", "port"]],
    ["agents.list[1].name", ["agents", "list", 1, "name"]],
    ["agents.list[id=raul].name", ["agents", "list", 1, "name"]],
    ['env.vars["A B"]', ["env", "vars", "A B"]],
    ['env.vars["\\u0041\\n"]', ["env", "vars", "A\n"]],
  ])("%s is a path", (text, path) => {
    expect(parsePath(text, base)).toEqual(path);
  });

  it.each(["a..b", "[", "agents.list[id=nobody]", 'env["\\q"]'])("%s is none", (text) => {
    expect(() => parsePath(text, base)).toThrow(/found|nothing in the list/);
  });

  it("set and unset what they name, and make what is on the way", () => {
    const set = [
      { path: ["session", "reset", "mode"], value: "daily" },
      { path: ["agents", "list", 2], value: { id: "ana" } },
    ];
    expect(
      applyEdits(base, {
        set,
        unset: [
          ["gateway", "port"],
          ["no", "such"],
        ],
      }),
    ).toEqual({
      ...base,
      agents: { list: [...base.agents.list, { id: "ana" }] },
      gateway: { auth: base.gateway.auth },
      session: { reset: { mode: "daily" } },
    });
  });

  it.each<[string, (string | number)[]]>([
    ["through a text", ["gateway", "auth", "token", "x"]],
    ["beyond a list", ["agents", "list", 7]],
    ["by the prototype", ["__proto__", "x"]],
  ])("are refused %s", (_name, path) => {
    expect(() => applyEdits(base, { set: [{ path, value: 1 }] })).toThrow(
      expect.objectContaining({ code: "CLOISTER_REQUEST_INVALID" }),
    );
  });
});

it.each(["__proto__", "constructor", "prototype"])("no change makes a key %j, wherever it would stand", (name) => {
  const refusal = expect.objectContaining({
    code: "CLOISTER_REQUEST_INVALID",
    message: expect.stringMatching(/cannot be a key$/),
  });
  for (const path of [[name], ["gateway", name], ["gateway", name, "x"]])
    expect(() => applyEdits(base, { set: [{ path, value: 1 }] })).toThrow(refusal);
  const patch: unknown = JSON.parse(`{ "gateway": { "${name}": { "x": 1 } } }`);
  expect(() => mergePatch(base, patch, [])).toThrow(refusal);
});

describe("a merge patch", () => {
  it("merges maps, removes with null, and merges lists by id", () => {
    const patch = {
      gateway: { port: null, bind: "lan" },
      agents: { list: [{ id: "raul", name: null, model: "m" }, { id: "ana" }] },
    };
    expect(mergePatch(base, patch, [])).toMatchObject({
      agents: { list: [{ id: "main" }, { id: "raul", model: "m" }, { id: "ana" }] },
      gateway: { auth: base.gateway.auth, bind: "lan" },
    });
  });

  it("loses no entry of a list without saying so", () => {
    const value = { tools: { agentToAgent: { allow: ["a", "b"] } } };
    const patch = { tools: { agentToAgent: { allow: ["a"] } } };
    expect(() => mergePatch(value, patch, [])).toThrow(/tools\.agentToAgent\.allow would lose 1/);
    expect(mergePatch(value, patch, ["tools.agentToAgent.allow"])).toEqual(patch);
    expect(mergePatch(value, { tools: { agentToAgent: { allow: ["a", "b", "c"] } } }, [])).toMatchObject({
      tools: { agentToAgent: { allow: ["a", "b", "c"] } },
    });
  });
});

describe("secrets", () => {
  it("are replaced by marks, and put back where the marks are", () => {
    const shown = redactValue(base);
    expect(JSON.stringify(shown)).not.toMatch(/s3cret|:pw@|hidden/);
    expect(shown).toMatchObject({
      gateway: { auth: { token: redactionMark }, port: 1 },
      channels: { webhook: { accounts: { home: { token: "${HOME_TOKEN}", outboundUrl: redactionMark } } } },
    });
    expect(restoreMarks(shown, base)).toEqual(base);
  });

  it("of a list follow the id of their item; a mark without a secret behind it is refused", () => {
    const list = [
      { id: "a", token: "1" },
      { id: "b", token: "2" },
    ];
    const turned = (redactValue(list) as object[]).toReversed();
    expect(restoreMarks(turned, list)).toEqual(list.toReversed());
    expect(() => restoreMarks({ gateway: { auth: { password: redactionMark } } }, base)).toThrow(
      /gateway\.auth\.password holds the mark/,
    );
  });
});

describe("the text after a change", () => {
  it("keeps comments and gets its secrets back", () => {
    const before = '{\n  // the door\n  gateway: { auth: { token: "s3cret" } },\n}\n';
    const shown = redactValue({ gateway: { auth: { token: "s3cret" } } }) as object;
    const { text, isRewritten } = changeText(authored(before), { edit: () => ({ ...shown, session: {} }) });
    expect({ text, isRewritten }).toEqual({
      text: '{\n  // the door\n  gateway: { auth: { token: "s3cret" } },\n  session: {},\n}\n',
      isRewritten: false,
    });
    const raw = before.replace("s3cret", redactionMark).replace("the door", "the gate");
    expect(changeText(authored(before), { raw }).text).toBe(before.replace("the door", "the gate"));
  });

  it("does not reach through an include", () => {
    const before = '{ agents: { $include: "./agents.json5" }, session: { $include: "./s.json5" } }';
    const edit = (value: unknown) => applyEdits(value, { set: [{ path: ["agents"], value: { list: [] } }] });
    expect(() => changeText(authored(before), { edit })).toThrow(/agents comes from a file that/);
    const beside = (value: unknown) => applyEdits(value, { set: [{ path: ["session", "dmScope"], value: "main" }] });
    expect(changeText(authored(before), { edit: beside }).text).toContain('{ $include: "./s.json5", dmScope: "main" }');
  });

  it("says when much would be lost", () => {
    const long = JSON.stringify({ gateway: { mode: "local" }, env: { vars: { A: "x".repeat(600) } } });
    expect(changeText(authored(long), { edit: () => ({ gateway: { mode: "local" } }) }).lost).toMatch(/would shrink/);
    expect(
      changeText(authored(long), { edit: (value) => applyEdits(value, { unset: [["gateway", "mode"]] }) }).lost,
    ).toBe("gateway.mode would be lost");
    expect(
      changeText(authored(long), { edit: (value) => applyEdits(value, { set: [{ path: ["session"], value: {} }] }) })
        .lost,
    ).toBeUndefined();
    expect(() => changeText(authored(long), { raw: "[]" })).toThrow(/is not a map/);
    expect(() => changeText(authored("{ broken"), { edit: (value) => value })).toThrow(/not valid JSON5/);
    expect(changeText(authored("{ broken"), { raw: "{}" }).text).toBe("{}");
  });
});

describe("agents of the file", () => {
  it("a first one beside main keeps main", () => {
    expect(addAgent({}, { id: "Work", name: "Work" })).toEqual({
      agents: { list: [{ id: "main" }, { id: "work", name: "Work" }] },
    });
    expect(idsOf({})).toEqual(["main"]);
    expect(() => addAgent(base, { id: "RAUL" })).toThrow(/raul is in the configuration already/);
    expect(() => addAgent(base, { id: "---" })).toThrow(/wanted letters/);
  });

  it("one that is removed leaves no mention of it, and an empty allow allows nobody", () => {
    const value = {
      agents: {
        list: [{ id: "main", subagents: { allowAgents: ["raul", "x"] } }, { id: "raul" }],
        entries: { ana: {} },
      },
      bindings: [
        { agentId: "Raul", match: { channel: "webhook" } },
        { agentId: "main", match: { channel: "irc" } },
      ],
      tools: {
        agentToAgent: { enabled: true, allow: ["raul"], grants: [{ from: "main", to: "raul", verbs: ["send"] }] },
      },
      hooks: { allowedAgentIds: ["main", "raul"] },
      broadcast: {
        strategy: "parallel",
        "g-1": ["raul"],
        "g-2": ["main", "raul"],
        "g-3": { agents: ["main", "ana", "raul"], triggers: { main: ["ana", "Raul"], RAUL: ["main"] } },
      },
    };
    expect(removeAgent(value, "raul")).toEqual({
      agents: { list: [{ id: "main", subagents: { allowAgents: ["x"] } }], entries: { ana: {} } },
      bindings: [{ agentId: "main", match: { channel: "irc" } }],
      tools: { agentToAgent: { enabled: true, allow: [], grants: [] } },
      hooks: { allowedAgentIds: ["main"] },
      broadcast: {
        strategy: "parallel",
        "g-2": ["main"],
        "g-3": { agents: ["main", "ana"], triggers: { main: ["ana"] } },
      },
    });
    expect(() => removeAgent({}, "main")).toThrow(/is the only agent/);
    expect(() => removeAgent(base, "nobody")).toThrow(expect.objectContaining({ code: "CLOISTER_AGENT_UNKNOWN" }));
  });

  it("rules are added once, told when they are another's, and taken away", () => {
    const bound = bindAgent(base, "raul", ["webhook:home", "irc", "webhook:*"]) as { bindings: unknown[] };
    expect(bound.bindings).toEqual([
      { agentId: "raul", match: { channel: "webhook", accountId: "home" } },
      { agentId: "raul", match: { channel: "irc" } },
      { agentId: "raul", match: { channel: "webhook", accountId: "*" } },
    ]);
    expect(bindAgent(bound, "raul", ["irc"])).toEqual(bound);
    expect(() => bindAgent(bound, "main", ["irc"])).toThrow(/the rule for irc is raul's already/);
    expect(unbindAgent(bound, "raul", ["irc"])).toMatchObject({ bindings: [bound.bindings[0], bound.bindings[2]] });
    expect(unbindAgent(bound, "raul", "all")).toMatchObject({ bindings: [] });
    expect(() => unbindAgent(bound, "main", "all")).toThrow(/main has no such rule/);
    expect(() => bindAgent(base, "main", ["a b"])).toThrow(/wanted <channel>/);
  });

  it("a change of one leaves the rest of it", () => {
    expect(updateAgent(base, { id: "raul", identity: { emoji: "🦊" } })).toMatchObject({
      agents: { list: [{ id: "main" }, { id: "raul", name: "R", identity: { emoji: "🦊" } }] },
    });
    expect(updateAgent({}, { id: "main", name: "M" })).toEqual({ agents: { list: [{ id: "main", name: "M" }] } });
    expect(updateAgent({ agents: { entries: { ana: { name: "A" } } } }, { id: "ana", model: "m" })).toEqual({
      agents: { entries: { ana: { name: "A", model: "m" } } },
    });
  });
});

it("a key can be looked up, and one that is not there says what is", () => {
  expect(lookUpKey("gateway.reload.mode")).toMatchObject({
    type: "choice",
    choices: ["hybrid", "off", "hot", "restart"],
  });
  expect(lookUpKey("agents.list[].id")).toMatchObject({ type: "text", children: [] });
  expect(lookUpKey("")).toMatchObject({ type: "map", children: expect.arrayContaining(["agents", "gateway"]) });
  expect(lookUpKey("gateway.tls").later).toBe("TLS");
  expect(() => lookUpKey("gateway.prot")).toThrow(/gateway has no prot, but .*port/);
  expect(() => lookUpKey("gateway.constructor")).toThrow(/gateway has no constructor, but .*port/);
});

it("a text of more bytes than can be read again is refused before it is written", async () => {
  const text = `// ${"é".repeat(limits.configBytesMax / 2)}\n{}\n`;
  expect(text.length).toBeLessThan(limits.configBytesMax);
  await expect(readSource("/c.json5", new Map([["/c.json5", text]]))).rejects.toThrow(/at most 1048576 are read/);
});
