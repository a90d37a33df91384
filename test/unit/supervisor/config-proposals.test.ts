/** What an agent learns by a proposal, and what is looked at before an operator decides. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, test } from "vitest";
import type { CheckedChange } from "../../../runtime/supervisor/config-check.ts";
import { makeConfigProposals } from "../../../runtime/supervisor/config-proposals.ts";
import { makeConfigPropose } from "../../../runtime/supervisor/tools/config-propose.ts";
import type { ToolCall } from "../../../runtime/supervisor/tools/table.ts";
import { makeConfig } from "../../support/gateway.ts";

let stateDir: string;
let reads: number;
let calls = 0;
beforeEach(() => {
  stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-proposals-"));
  reads = 0;
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

function open(ids: string[] = ["raul"]) {
  const configPath = path.join(stateDir, "cloister.json");
  writeFileSync(configPath, '{ agents: { list: [{ id: "raul" }] } }');
  const nothing = () => undefined;
  return makeConfigProposals({
    live: {
      current: () =>
        makeConfig(
          ids.map((id) => ({ id })),
          { stateDir, configPath },
        ),
    },
    read: () => {
      reads += 1;
      return Promise.resolve({ config: makeConfig([{ id: "raul" }], { stateDir, configPath }), files: new Map() });
    },
    desk: {
      write: (_change, { review }) => {
        review?.({ a: 1 }, { a: 2 });
        return Promise.reject(new Error("nothing is applied here"));
      },
    },
    store: { audit: () => Promise.resolve() },
    publish: nothing,
    newId: () => "p-1",
    nowMs: () => 0,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  });
}

const proposal = (set: readonly { readonly key: string; readonly value: unknown }[]) => ({
  agentId: "raul",
  sessionKey: "agent:raul:main",
  reason: "x",
  set: [...set],
  unset: [],
  call: { turn: "t", key: ++calls },
});

it("names no file to include: none is read by an agent's word", async () => {
  const proposals = open();
  const value = { theme: [{ $include: "/etc/hostname" }] };
  await expect(proposals.propose(proposal([{ key: "agents.list[id=raul].identity", value }]))).rejects.toMatchObject({
    code: "CLOISTER_REQUEST_INVALID",
    message: expect.stringContaining("$include"),
  });
  expect(await proposals.list()).toEqual([]);
  for (const key of ["agents.list[id=raul].identity.$include", 'agents.list[id=raul].identity["\\u0024include"]']) {
    const { check } = await proposals.propose(proposal([{ key, value: "/etc/hostname" }]));
    expect(check).toMatchObject({ valid: false, issues: [{ message: expect.stringContaining("$include") }] });
  }
  expect(reads).toBe(0);
  await proposals.propose(proposal([{ key: "agents.list[id=raul].name", value: "Raul" }]));
  expect(reads).toBe(1);
});

it("is shown without the secrets in it", async () => {
  const proposals = open();
  const set = [
    { key: "gateway.auth", value: { mode: "token", token: "s3cret-a" } },
    { key: "channels.webhook.accounts.home.tokens[0]", value: "plain" },
    { key: 'channels.webhook.accounts["home"].apiKey', value: "s3cret-b" },
    { key: "agents.list[id=raul].name", value: "Raul" },
  ];
  const { id } = await proposals.propose(proposal(set));
  const shown = JSON.stringify([await proposals.list(), await proposals.show(id)]);
  expect(shown).not.toContain("s3cret");
  expect(shown).toContain('"Raul"');
  expect(shown).toContain('"plain"');
});

it("is shown with what no eye would see written out", async () => {
  const proposals = open();
  const value = "a\u202eb\u00a0c";
  const { id } = await proposals.propose(proposal([{ key: "agents.list[id=raul].name", value }]));
  const { check } = await proposals.show(id);
  expect(JSON.stringify(check.changes)).toContain(String.raw`a\\u{202e}b\\u{a0}c`);
});

async function tell(params: object, issues: CheckedChange["issues"]) {
  const check = { file: "f", hash: "h", valid: false, issues, changes: [], moreChanges: 0 };
  const tool = makeConfigPropose({ propose: () => Promise.resolve({ id: "p-1", check }) });
  const header = { agentId: "raul", sessionKey: "agent:raul:main", id: "t" };
  return tool.run({ tool: "config_propose", header, key: 1, body: JSON.stringify(params) } as ToolCall);
}

test("an agent that names a variable is told nothing of what comes of it", async () => {
  const id = { key: "agents.list[id=raul].id", value: "${API_KEY}" };
  const said = [{ path: "agents.list[0].id", message: 'is the agent "sk-live", which agents.list[1] already is' }];
  const waiting = { status: "waiting", proposalId: "p-1", note: "An operator decides; nothing has changed." };
  expect(await tell({ reason: "x", set: [id] }, said)).toEqual(waiting);
  expect(await tell({ reason: "x", set: [{ ...id, value: "sk" }] }, said)).toEqual({
    ...waiting,
    valid: false,
    issues: said,
  });
});

test("an agent is told of the keys that it named and of what is below or around them, not of those that begin alike", async () => {
  const at = (where: string) => ({ path: where, message: "is wrong" });
  const issues = [at("agents.list[3].name"), at("agents.list[3].names"), at("agents"), at("bindings[0]"), at("(root)")];
  const named = async (key: string) =>
    (await tell({ reason: "x", unset: [key] }, issues)) as { readonly issues: CheckedChange["issues"] };
  expect((await named("agents.list[id=raul].name")).issues).toEqual([at("agents.list[3].name"), at("agents")]);
  expect((await named("b")).issues).toEqual(
    [at("(elsewhere)")].map((one) => ({ ...one, message: expect.any(String) })),
  );
});

test("what names an item that is not there is told why that cannot be", async () => {
  const propose = makeConfigPropose(open());
  const ask = async (set: object) => {
    const call = { turn: "t", key: ++calls, body: JSON.stringify({ reason: "x", set: [set] }), params: "" };
    const header = { agentId: "raul", sessionKey: "agent:raul:main", id: `t-${calls}` };
    return JSON.stringify(await propose.run({ ...call, tool: "config_propose", header } as unknown as ToolCall));
  };
  expect(await ask({ key: "agents.list[id=nobody].name", value: "x" })).toContain(
    "nothing in the list has the id nobody",
  );
});

it("applies by one reading of the configuration: what is too long to be seen is judged on what is written", async () => {
  const proposals = open();
  const { id } = await proposals.propose(proposal([{ key: "agents.list[id=raul].name", value: "Raul" }]));
  reads = 0;
  const applied = proposals.apply(id, { hash: "h", force: false, by: "op" });
  await expect(applied).rejects.toThrow("nothing is applied here");
  expect(reads).toBe(0);
});

it("is gone with its agent, also when that is removed while the gateway is down, and does not come back with its name", async () => {
  const ids = ["raul"];
  const proposals = open(ids);
  await proposals.propose(proposal([{ key: "agents.list[id=raul].name", value: "Raul" }]));
  proposals.forget("raul");
  expect(await proposals.list(), "it is there").toHaveLength(1);
  ids.splice(0, 1, "other");
  proposals.forget("raul");
  ids.push("raul");
  expect(await proposals.list()).toEqual([]);
  await proposals.propose(proposal([{ key: "agents.list[id=raul].name", value: "Raul" }]));
  expect(await open(["other"]).list()).toEqual([]);
});
