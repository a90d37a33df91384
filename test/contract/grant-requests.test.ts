/** Rights that agents lacked, put to the operator, on a gateway with real cells and one store over restarts. */
import { expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { envelope } from "./store-envelopes.ts";

const toolUser = actor("tool-user");
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };
const asking: ResolvedConfig["agentToAgent"] = { enabled: false, allow: [], requests: "operator" };
const agents = [
  { id: "main", ...toolUser },
  { id: "raul", module: "echo" },
];

// oxlint-disable-next-line typescript/no-explicit-any -- answers of methods, looked into by the tests
type Answer = any;

async function rpc(gateway: TestGateway, method: string, params: object): Promise<Answer> {
  const result = await gateway.doors.rpc(operator, method, params);
  return result.ok ? result.payload : result.refusal;
}

async function use(gateway: TestGateway, tool: string, params: object): Promise<Answer> {
  return JSON.parse(await gateway.reply("main", JSON.stringify({ tool, params })));
}

const send = (gateway: TestGateway, message: string, more: object = {}) =>
  use(gateway, "sessions_send", { sessionKey: "agent:raul:main", message, timeoutSeconds: 0, ...more });
const waiting = async (gateway: TestGateway): Promise<readonly Answer[]> =>
  (await rpc(gateway, "grants.requests", {})).requests;

async function heard(gateway: TestGateway): Promise<readonly string[]> {
  const { rows } = await gateway.store.history("raul", "agent:raul:main", 100, 0);
  return rows.filter(({ isUser, role }) => isUser || role === "user").map(({ text }) => text);
}

const letters = async (gateway: TestGateway) =>
  (await gateway.store.deadLetters({ limit: 10, fate: "refused" })).rows.map(({ preview, reason }) => [
    preview,
    reason,
  ]);

const next = async (gateway: TestGateway, changes: Partial<ResolvedConfig> = {}): Promise<TestGateway> => {
  await gateway.drain(0);
  return openGateway(agents, {}, { store: gateway.store, config: { ...gateway.config, ...changes } });
};

test("a refused message is kept with a request, and goes out once when that is approved, with the right from then on", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const first = await send(gateway, "one");
  expect(first).toMatchObject({ status: "forbidden", code: "forbidden", request: { kept: true } });
  const { id } = first.request;
  expect(first.operatorHint).toBe(`cloister grants approve ${id}`);
  // A second call for the same right joins the request, by whichever door it comes.
  expect((await send(gateway, "two")).request).toEqual({ id, kept: true });
  expect(await heard(gateway)).toEqual([]);
  const [shown, ...others] = await waiting(gateway);
  expect(others).toEqual([]);
  expect(shown).toMatchObject({ id, from: "main", to: "raul", verb: "send", calls: 2 });
  expect(shown.messages.map(({ preview }: Answer) => preview)).toEqual(["one", "two"]);
  expect(shown.consequences.grant.join(" ")).toContain("From now on every session of main may write to it");

  const approved = await rpc(gateway, "grants.approve", { id, mode: "grant", revision: shown.revision });
  expect(approved).toMatchObject({ ok: true, delivered: 2, waiting: 0, grant: { from: "main", verbs: ["send"] } });
  await expect.poll(() => heard(gateway)).toEqual(["one", "two"]);
  expect(await send(gateway, "three")).toMatchObject({ status: "accepted" });
  await expect.poll(() => heard(gateway)).toEqual(["one", "two", "three"]);
  expect(await waiting(gateway)).toEqual([]);
  expect(await rpc(gateway, "grants.approve", { id, mode: "grant", revision: shown.revision })).toMatchObject({
    code: "CLOISTER_GRANT_REQUEST_UNKNOWN",
  });
  // The right to send is none to read.
  expect(await use(gateway, "sessions_history", { sessionKey: "agent:raul:main" })).toMatchObject({
    status: "forbidden",
    request: { kept: false },
  });
  const audited = (await gateway.store.audits(50)).filter(({ type }) => type.startsWith("grant"));
  // Requests and decisions are in two logs, whose rows only their times put in order, and those may be the same.
  const typesIn = (log: string) =>
    audited
      .filter((row) => row.log === log)
      .map(({ type }) => type)
      .toReversed();
  expect(typesIn("traffic")).toEqual(["grant_requested", "grant_requested"]);
  expect(typesIn("decisions")).toEqual(["grant_request_approved", "grant_added"]);
  expect(JSON.stringify(audited)).not.toContain("three");
  expect(
    gateway.events.filter(({ event }) => event === "grants.requests").map(({ payload }) => payload),
  ).toContainEqual({ total: 1 });
});

test("a right that is granted by itself names the request that waits for it, and leaves its messages to the approval", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const { request } = await send(gateway, "one");
  await use(gateway, "sessions_history", { sessionKey: "agent:raul:main" });
  expect(await rpc(gateway, "grants.add", { from: "m*", to: "raul", verbs: ["send"] })).toMatchObject({
    ok: true,
    waiting: [request.id],
  });
  expect(await heard(gateway)).toEqual([]);
  const [{ revision }] = await waiting(gateway);
  expect(await rpc(gateway, "grants.approve", { id: request.id, mode: "grant", revision })).toMatchObject({
    delivered: 1,
  });
  await expect.poll(() => heard(gateway)).toEqual(["one"]);
  expect(await rpc(gateway, "grants.add", { from: "main", to: "raul", verbs: ["send"] })).toMatchObject({
    waiting: [],
  });
});

test("ctx.request hears the refusal with the request; approved once, the message goes out and no right stays", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const refused = await use(gateway, "request", { to: "raul", text: "by slot" });
  expect(refused).toMatchObject({ code: "CLOISTER_CAPABILITY_DENIED" });
  expect(refused.message).toMatch(/request r-[0-9a-f]{8}\)\. The message is kept and goes out if that is approved/);
  const [{ id, revision, verb }] = await waiting(gateway);
  expect(verb).toBe("request");
  expect(await rpc(gateway, "grants.approve", { id, mode: "once", revision })).toMatchObject({ delivered: 1 });
  await expect.poll(() => heard(gateway)).toEqual(["by slot"]);
  expect(await rpc(gateway, "grants.list", {})).toMatchObject({ grants: [] });
  expect(await use(gateway, "request", { to: "raul", text: "again" })).toMatchObject({
    code: "CLOISTER_CAPABILITY_DENIED",
  });
  expect(await heard(gateway)).toEqual(["by slot"]);
});

test("denied: the messages are dead letters, a replay of one does not get around it, and nothing is asked again", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const { request } = await send(gateway, "one");
  expect(await rpc(gateway, "grants.deny", { id: request.id })).toMatchObject({ ok: true, buried: 1 });
  expect(await letters(gateway)).toEqual([["one", `the operator denied the request ${request.id}`]]);
  const again = await send(gateway, "two");
  expect(again).toMatchObject({ status: "forbidden" });
  expect(again.request).toBeUndefined();
  const [letter] = (await gateway.store.deadLetters({ limit: 1 })).rows;
  expect(await rpc(gateway, "deadletters.replay", { id: letter?.header.id })).toMatchObject({
    code: "CLOISTER_CAPABILITY_REVOKED",
  });
  expect(await heard(gateway)).toEqual([]);
  // Also in the next process.
  const second = await next(gateway);
  expect((await send(second, "three")).request).toBeUndefined();
});

test("a kept message that its repeated call has sent is listed no more", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const { request } = await send(gateway, "one");
  await send(gateway, "two");
  const listed = async () => (await waiting(gateway)).map(({ messages }) => messages.length);
  expect(await listed()).toEqual([2]);
  // As the transaction does that stores what a repeated call sends.
  for (const message of [1, 2]) {
    const sent = envelope(`sent-${message}`, { agentId: "raul" });
    await gateway.store.releaseKept({ requestId: request.id, message }, sent);
    expect(await listed()).toEqual(message === 1 ? [1] : []);
  }
});

test("requests and messages outlive the gateway; what nobody decides in a day is refused", async () => {
  let gateway = await openGateway(agents, { agentToAgent: asking });
  const { request } = await send(gateway, "kept over a restart");
  gateway = await next(gateway);
  const [shown] = await waiting(gateway);
  expect(shown).toMatchObject({ id: request.id, messages: [{ preview: "kept over a restart" }] });
  await rpc(gateway, "grants.approve", { id: request.id, mode: "once", revision: shown.revision });
  await expect.poll(() => heard(gateway)).toEqual(["kept over a restart"]);
  await send(gateway, "too late");
  const [kept] = await gateway.store.requests();
  if (kept === undefined) throw new Error("nothing is kept");
  await gateway.store.keepRequest({ ...kept, expiresAtMs: Date.now() - 1 });
  gateway = await next(gateway);
  await expect.poll(() => letters(gateway)).toEqual([["too late", `nobody decided the request ${kept.id} in time`]]);
  expect(await gateway.store.requests()).toEqual([]);
});

test("a decision that the process did not live to carry out is carried out by the next, each message once", async () => {
  let gateway = await openGateway(agents, { agentToAgent: asking });
  for (const text of ["one", "two"]) await send(gateway, text);
  const [request] = await gateway.store.requests();
  if (request === undefined) throw new Error("nothing is kept");
  // As a kill leaves it: decided, and one of the messages in the journal already.
  const grant = { id: "g-later", from: "main", to: "raul", verbs: ["send" as const], createdAtMs: 1, by: "cli-1" };
  await gateway.store.keepRequest({ ...request, decision: { type: "approved", by: "cli-1", atMs: 1, grant } });
  gateway = await next(gateway);
  await expect.poll(() => heard(gateway)).toEqual(["one", "two"]);
  expect(await rpc(gateway, "grants.list", {})).toMatchObject({ grants: [{ id: "g-later" }] });
  expect(await gateway.store.requests()).toEqual([]);
  gateway = await next(gateway);
  expect(await heard(gateway)).toEqual(["one", "two"]);
});

test("an approval is of what was shown, and judged by the rules of the moment", async () => {
  let gateway = await openGateway(agents, { agentToAgent: asking });
  await send(gateway, "one");
  const [shown] = await waiting(gateway);
  await send(gateway, "two");
  const approval = { id: shown.id, mode: "grant", revision: shown.revision };
  expect(await rpc(gateway, "grants.approve", approval)).toMatchObject({ code: "CLOISTER_GRANT_REQUEST_CHANGED" });
  expect(await heard(gateway)).toEqual([]);
  // Sandboxed since: nothing opens that.
  const sandboxed = gateway.config.agents.map((agent) => ({ ...agent, sandboxMode: "all" as const }));
  const before = gateway.config.agents;
  gateway = await next(gateway, { agents: sandboxed });
  const [now] = await waiting(gateway);
  expect(await rpc(gateway, "grants.approve", { ...approval, revision: now.revision })).toMatchObject({
    code: "CLOISTER_CAPABILITY_DENIED",
  });
  expect(await rpc(gateway, "grants.list", {})).toMatchObject({ grants: [] });
  // Allowed by the config since: nothing has to be granted.
  gateway = await next(gateway, {
    agents: before,
    agentToAgent: { enabled: true, allow: ["*"], requests: "operator" },
    visibility: "all",
  });
  expect(await rpc(gateway, "grants.approve", { ...approval, revision: now.revision })).toMatchObject({ delivered: 2 });
  await expect.poll(() => heard(gateway)).toEqual(["one", "two"]);
  expect(await rpc(gateway, "grants.list", {})).toMatchObject({ grants: [] });
});

test("who may not know whether a session is there is not told; what is not there is a dead letter at the approval", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const there = await send(gateway, "one");
  const nowhere = await send(gateway, "two", { sessionKey: "agent:raul:nowhere" });
  const shape = ({ status, error }: Answer) => [status, String(error).replaceAll(/r-[0-9a-f]+/g, "r")];
  expect(shape(nowhere)).toEqual(shape(there));
  const [{ id, revision }] = await waiting(gateway);
  expect(await rpc(gateway, "grants.approve", { id, mode: "once", revision })).toMatchObject({
    delivered: 1,
    buried: 1,
    why: "no session has the key agent:raul:nowhere",
  });
  await expect.poll(() => heard(gateway)).toEqual(["one"]);
});

test("bounds: messages of one request, their length, requests of one agent; and off means off", async () => {
  const many = ["a", "b", "c"].map((id) => ({ id: `t${id}`, module: "echo" }));
  const gateway = await openGateway([...agents, ...many], { agentToAgent: asking });
  const long = await send(gateway, "x".repeat(limits.keptMessageCharsMax + 1));
  expect(long.request).toMatchObject({ kept: false });
  for (let n = 0; n < limits.keptMessagesPerRequestMax; n++)
    expect((await send(gateway, `m${n}`)).request.kept).toBe(true);
  expect((await send(gateway, "one more")).request.kept).toBe(false);
  expect((await waiting(gateway))[0]).toMatchObject({ calls: limits.keptMessagesPerRequestMax + 2 });

  const off = await openGateway(agents);
  const refused = await send(off, "one");
  expect(refused).toMatchObject({ status: "forbidden" });
  expect(refused.request).toBeUndefined();
  expect(await off.store.requests()).toEqual([]);
});

const spawnOne = (gateway: TestGateway) =>
  use(gateway, "sessions_spawn", { agentId: "raul", task: "look it up", runtime: "subagent" });

test("sessions_spawn asks for the right to start sub-agents of another agent, which starts none by itself", async () => {
  const gateway = await openGateway(agents, { agentToAgent: asking });
  const refused = await spawnOne(gateway);
  expect(refused).toMatchObject({ status: "forbidden", request: { kept: false } });
  expect(refused.error).toContain("agentId is not allowed for sessions_spawn (allowed: none)");
  const [shown, ...others] = await waiting(gateway);
  expect(others).toEqual([]);
  expect(shown).toMatchObject({ id: refused.request.id, from: "main", to: "raul", verb: "spawn", messages: [] });
  const approval = { id: shown.id, mode: "grant", revision: shown.revision };
  expect(await rpc(gateway, "grants.approve", approval)).toMatchObject({ delivered: 0, grant: { verbs: ["spawn"] } });
  expect(await rpc(gateway, "subagents.list", {})).toMatchObject({ count: 0 });
  expect(await spawnOne(gateway)).toMatchObject({ status: "accepted" });
  expect(await rpc(gateway, "subagents.list", {})).toMatchObject({ tasks: [{ agentId: "raul", task: "look it up" }] });
  expect(await waiting(gateway)).toEqual([]);
});

test("sessions_spawn asks for no right that the sandbox makes useless", async () => {
  const [main, raul] = agents;
  if (main === undefined || raul === undefined) throw new Error("no agents");
  const gateway = await openGateway([{ ...main, sandboxMode: "all" }, raul], {
    agentToAgent: asking,
    sessionToolsVisibility: "all",
  });
  const refused = await spawnOne(gateway);
  expect(refused).toMatchObject({ status: "forbidden" });
  expect(refused.error).toContain("agentId is not allowed for sessions_spawn");
  expect(refused.request).toBeUndefined();
  expect(await waiting(gateway)).toEqual([]);
});
