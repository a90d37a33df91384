/** Agents propose changes of the configuration; an operator decides. Real cells, a real file. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { findPaths, loadConfig, resolveConfig } from "../../runtime/config/index.ts";
import type { ConfigFiles } from "../../runtime/config/last-good.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { actorPath } from "../support/actors.ts";
import { openGateway } from "../support/gateway.ts";

const written = `// the office
{
  agents: { list: [
    { id: "main", module: ${JSON.stringify(actorPath("tool-user"))} },
    { id: "raul", module: ${JSON.stringify(actorPath("tool-user"))} },
  ] },
  tools: { config: { propose: ["main"] } },
  gateway: { auth: { token: "t0p-s3cret" }, reload: { debounceMs: 0 } },
}
`;
const admin = { connId: "t", clientId: "op", mode: "cli", scopes: ["operator.admin"] };

async function open(home = mkdtempSync(path.join(os.tmpdir(), "cloister-proposals-"))) {
  const stateDir = path.join(home, ".cloister");
  const file = path.join(stateDir, "cloister.json");
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(file, written);
  const read = async (texts: ConfigFiles = new Map()) => {
    const loaded = await loadConfig({ ...(await findPaths({ env: {}, homeDir: home })), env: {}, texts });
    return { config: resolveConfig(loaded), files: loaded.files };
  };
  const { config, files } = await read();
  let nowMs = 1_700_000_000_000;
  const gateway = await openGateway([], {}, { config, configFile: { read, files }, nowMs: () => nowMs });
  await gateway.configDesk.start();
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever a method answers
  const call = async (method: string, params: object = {}): Promise<any> => {
    const result = await gateway.doors.rpc(admin, method, params);
    if (!result.ok) throw Object.assign(new Error(result.refusal.message), result.refusal);
    return result.payload;
  };
  const tool = async (agentId: string, name: string, params: object) =>
    JSON.parse(await gateway.reply(agentId, JSON.stringify({ tool: "call", params: { name, params } })));
  return {
    gateway,
    home,
    file,
    call,
    tool,
    propose: (params: object, agentId = "main") => tool(agentId, "config_propose", params),
    later: (ms: number) => {
      nowMs += ms;
    },
    now: () => readFileSync(file, "utf8"),
    types: async () =>
      (await gateway.store.audits(50)).map(({ type }) => type).filter((type) => type.startsWith("config_")),
  };
}

const rename = { reason: "it is called Raul", set: [{ key: "agents.list[id=raul].name", value: "Raul" }] };

describe("a proposal of an agent", () => {
  test("whose difference is too long to be shown whole is applied with force alone", async () => {
    const { call, propose, now } = await open();
    const filler = Array.from({ length: 40 }, (_, at) => ({ name: `a filler of some length, number ${at}` }));
    const told = await propose({
      reason: "harmless",
      set: [{ key: "agents.list[id=raul].options", value: { filler, last: "what nobody was to see" } }],
    });
    const { check, proposal } = await call("config.proposals.show", { id: told.proposalId });
    expect(check.changes).toMatchObject([{ path: "agents.list[1].options", isCut: true }]);
    expect(check.changes[0].after).not.toContain("nobody");
    expect(check.guarded).toContain("agents.list[1].options");
    expect(JSON.stringify(proposal.set)).toContain("what nobody was to see");
    const asked = { id: told.proposalId, hash: check.hash };
    await expect(call("config.proposals.apply", asked)).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_GUARDED",
      message: expect.stringContaining("agents.list[1].options"),
    });
    expect(now()).toBe(written);
    expect(await call("config.proposals.apply", { ...asked, force: true })).toMatchObject({ ok: true });
    expect(now()).toContain("what nobody was to see");
  });

  test("changes nothing until the operator applies what was shown; comments and secrets stay", async () => {
    const { call, propose, now, types, gateway } = await open();
    const told = await propose(rename);
    expect(told).toMatchObject({ status: "waiting", valid: true });
    expect(JSON.stringify(told)).not.toContain("t0p-s3cret");
    expect(now()).toBe(written);
    const { proposals } = await call("config.proposals");
    expect(proposals).toMatchObject([{ id: told.proposalId, agentId: "main", reason: "it is called Raul" }]);
    expect(proposals[0]).not.toHaveProperty("call");
    const { check } = await call("config.proposals.show", { id: told.proposalId });
    expect(check.changes).toEqual([{ path: "agents.list[1].name", after: '"Raul"' }]);
    expect(check.plan.agents.changed).toEqual(["raul"]);

    await expect(call("config.proposals.apply", { id: told.proposalId, hash: "another" })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_STALE",
    });
    expect(await call("config.proposals.apply", { id: told.proposalId, hash: check.hash })).toMatchObject({
      status: "applied",
      agents: { changed: ["raul"] },
    });
    expect(now()).toContain("// the office");
    expect(now()).toContain('name: "Raul"');
    expect(now()).toContain("t0p-s3cret");
    expect((await call("config.proposals")).proposals).toEqual([]);
    await expect(call("config.proposals.show", { id: told.proposalId })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_PROPOSAL_UNKNOWN",
    });
    await expect
      .poll(types)
      .toEqual(expect.arrayContaining(["config_proposed", "config_applied", "config_proposal_applied"]));
    const totals = gateway.events.flatMap((one) => (one.event === "config.proposals" ? [one.payload.total] : []));
    expect(totals).toEqual([1, 0]);
  });

  test("is rejected without a trace in the file", async () => {
    const { call, propose, now, types } = await open();
    const { proposalId: id } = await propose({ reason: "less", unset: ["gateway.auth.token"] });
    expect((await call("config.proposals.show", { id })).check.changes).toMatchObject([{ path: "gateway.auth.token" }]);
    await call("config.proposals.reject", { id });
    expect(now()).toBe(written);
    expect((await call("config.proposals")).proposals).toEqual([]);
    await expect.poll(types).toContain("config_proposal_rejected");
  });

  test("that would be wrong is kept with what is wrong, and cannot be applied", async () => {
    const { call, propose, now } = await open();
    const wrong = { reason: "x", set: [{ key: "agents.list[id=raul].modul", value: "echo" }] };
    const { proposalId: id, valid, issues } = await propose(wrong);
    expect({ valid, issues }).toMatchObject({ valid: false, issues: [{ path: "agents.list[1].modul" }] });
    const { check } = await call("config.proposals.show", { id });
    await expect(call("config.proposals.apply", { id, hash: check.hash })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_INVALID",
    });
    expect(now()).toBe(written);
    expect((await call("config.proposals")).proposals).toHaveLength(1);
  });

  test("is judged against the file as it is: an item that moved is the same one, one that is gone is told", async () => {
    const { call, propose, now } = await open();
    const { proposalId: id } = await propose(rename);
    const { parsed, hash: baseHash } = await call("config.get");
    const list = [{ id: "ana", module: "echo" }, ...parsed.agents.list.toReversed()];
    await call("config.patch", { set: [{ path: ["agents", "list"], value: list }], baseHash });
    const { check } = await call("config.proposals.show", { id });
    expect(check.changes).toMatchObject([{ path: "agents.list[1].name" }]);
    await call("agents.delete", { agentId: "raul" });
    expect((await call("config.proposals.show", { id })).check).toMatchObject({ valid: false });
    expect(now()).not.toContain("Raul");
  });

  test("outlives the gateway, is bounded, and goes when nobody decides", async () => {
    const first = await open();
    const { proposalId: id } = await first.propose(rename);
    await first.gateway.drain(1_000);
    const { call, propose, later } = await open(first.home);
    expect((await call("config.proposals")).proposals).toMatchObject([{ id }]);
    for (let n = 1; n < limits.configProposalsPerAgentMax; n++) expect((await propose(rename)).status).toBe("waiting");
    expect(await propose(rename)).toMatchObject({
      status: "error",
      error: expect.stringContaining("wait for a decision"),
    });
    const large = {
      reason: "x",
      set: [{ key: "agents.list[id=raul].name", value: "x".repeat(limits.configProposalCharsMax) }],
    };
    expect(await propose(large)).toMatchObject({ status: "error", code: "invalid" });
    expect(await propose({ reason: "nothing" })).toMatchObject({ error: expect.stringContaining("at least one key") });
    later(limits.configProposalAgeMs);
    expect((await call("config.proposals")).proposals).toEqual([]);
    expect((await propose(rename)).status).toBe("waiting");
  });
});

test("A10.5: only the agents of tools.config.propose may propose, from the change of that key on, and no agent writes", async () => {
  const { propose, call, now, gateway } = await open();
  const verbs = (agentId: string) => gateway.driver.pairings.of(`agent:${agentId}`).flatMap((pairing) => pairing.verbs);
  expect(verbs("main")).toContain("tool:config_propose");
  expect(verbs("raul")).not.toContain("tool:config_propose");
  expect(await propose(rename, "raul")).toMatchObject({ status: "forbidden" });
  expect((await call("config.proposals")).proposals).toEqual([]);
  const { hash: baseHash } = await call("config.get");
  await call("config.patch", { set: [{ path: ["tools", "config", "propose"], value: ["raul"] }], baseHash });
  const before = now();
  expect(await propose(rename, "raul")).toMatchObject({ status: "waiting" });
  expect(await propose(rename)).toMatchObject({ status: "forbidden" });
  expect((await call("tools.effective", { agentId: "raul" })).allowed).toContain("config_propose");
  expect((await call("tools.effective", { agentId: "main" })).allowed).not.toContain("config_propose");
  expect(now()).toBe(before);
});
