/** Rights that an operator grants and takes back while the gateway runs, on a gateway with real cells. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const toolUser = actor("tool-user");
const operator = { connId: "c", clientId: "cli-1", mode: "cli", scopes: ["operator.admin"] };

// oxlint-disable-next-line typescript/no-explicit-any -- answers of methods, looked into by the tests
async function rpc(gateway: TestGateway, method: string, params: object): Promise<any> {
  const result = await gateway.doors.rpc(operator, method, params);
  return result.ok ? result.payload : result.refusal;
}

/** Through `ctx.request`: by the slot that the live cell holds. */
const ask = async (gateway: TestGateway): Promise<string> => {
  const params = { to: "raul", text: "hello" };
  const answer = JSON.parse(await gateway.reply("main", JSON.stringify({ tool: "request", params })));
  return answer.code ?? answer.text;
};
const list = async (gateway: TestGateway): Promise<readonly string[]> => {
  const { sessions } = JSON.parse(await gateway.reply("looker", JSON.stringify({ tool: "sessions_list", params: {} })));
  return sessions.map(({ key }: { key: string }) => key);
};

test("a grant works in a live cell, a revocation ends it there, and nothing of the config had to change", async () => {
  const gateway = await openGateway([
    { id: "main", ...toolUser },
    { id: "raul", module: "echo" },
  ]);
  expect(await ask(gateway)).toContain("CLOISTER_CAPABILITY_DENIED");
  const before = gateway.driver.kernel.view("main")?.incarnation;
  const { grant } = await rpc(gateway, "grants.add", { from: "main", to: "raul", verbs: ["request"] });
  expect(await ask(gateway)).toBe("hello");
  expect(await rpc(gateway, "grants.list", {})).toMatchObject({ grants: [{ id: grant.id, by: "cli-1" }] });
  await rpc(gateway, "grants.revoke", { id: grant.id });
  expect(await ask(gateway)).toContain("CLOISTER_CAPABILITY_DENIED");
  expect(gateway.driver.kernel.view("main")?.incarnation).toBe(before);
  expect(await rpc(gateway, "grants.revoke", { id: grant.id })).toMatchObject({ code: "CLOISTER_GRANT_UNKNOWN" });
  expect((await gateway.store.audits(20)).filter(({ type }) => type.startsWith("grant_"))).toMatchObject([
    { type: "grant_revoked", subject: "cli-1", object: grant.id, detail: "main → raul: request" },
    { type: "grant_added", subject: "cli-1", object: grant.id, detail: "main → raul: request" },
  ]);
});

test("sessions_list, the tools and the explanation say the same as the grant", async () => {
  const gateway = await openGateway([
    { id: "looker", ...toolUser },
    { id: "raul", module: "echo" },
  ]);
  const explain = async (verb: string) =>
    (await rpc(gateway, "grants.explain", { from: "looker", to: "raul", verb })).verbs[0];
  expect(await list(gateway)).toEqual(["agent:looker:main"]);
  const refused = await explain("list");
  expect(refused).toMatchObject({ allowed: false, command: "grants add looker raul list" });
  const [, , from, to, verb] = (refused.command as string).split(" ");
  const { grant } = await rpc(gateway, "grants.add", { from, to, verbs: [verb] });
  expect(await explain("list")).toMatchObject({ allowed: true, command: `grants revoke ${grant.id}` });
  expect(await list(gateway)).toEqual(expect.arrayContaining(["agent:looker:main", "agent:raul:main"]));
  // The right to see is none to send or read.
  expect(await explain("send")).toMatchObject({ allowed: false });
  const sent = await gateway.reply(
    "looker",
    JSON.stringify({
      tool: "sessions_send",
      params: { sessionKey: "agent:raul:main", message: "x", timeoutSeconds: 0 },
    }),
  );
  expect(JSON.parse(sent)).toMatchObject({ status: "forbidden" });
});

test("the matrix follows a grant and its end, names the agents that were asked for, and is bounded", async () => {
  const gateway = await openGateway([
    { id: "main", module: "echo" },
    { id: "raul", module: "echo" },
    { id: "ana", module: "echo" },
  ]);
  const matrix = (params: object = {}) => rpc(gateway, "grants.matrix", params);
  const none = await matrix();
  expect(none).toMatchObject({ total: 3, agents: ["main", "raul", "ana"] });
  expect(none.rows).toEqual([
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  const { grant } = await rpc(gateway, "grants.add", { from: "main", to: "ana", verbs: ["send", "history"] });
  const { verbs, rows } = await matrix({ agents: ["ANA", "main", "ana"] });
  expect(verbs.filter((_: string, place: number) => (rows[1][0] & (1 << place)) !== 0)).toEqual(["send", "history"]);
  expect(rows).toHaveLength(2);
  expect(rows[0]).toEqual([0, 0]);
  await rpc(gateway, "grants.revoke", { id: grant.id });
  expect((await matrix({ agents: ["ana", "main"] })).rows).toEqual([
    [0, 0],
    [0, 0],
  ]);
  expect(await matrix({ agents: ["nobody"] })).toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
});

test("a grant outlives the gateway; one whose time is over does not come back", async () => {
  const agents = [
    { id: "main", ...toolUser },
    { id: "raul", module: "echo" },
  ];
  const first = await openGateway(agents);
  await rpc(first, "grants.add", { from: "ma*", to: "*", verbs: ["request"] });
  await first.store.keepGrant({
    id: "g-over",
    from: "raul",
    to: "main",
    verbs: ["request"],
    untilMs: 1,
    createdAtMs: 0,
    by: "test",
  });
  await first.drain(0);
  const second = await openGateway(agents, {}, { store: first.store, config: first.config });
  expect(await ask(second)).toBe("hello");
  expect((await rpc(second, "grants.list", {})).grants).toHaveLength(1);
  expect(second.driver.pairings.of("agent:raul").some(({ origin }) => origin === "operator")).toBe(false);
  // The next change clears the disk.
  await rpc(second, "grants.add", { from: "raul", to: "main", verbs: ["list"] });
  expect((await second.store.grants()).map(({ id }) => id)).not.toContain("g-over");
});

test.each([
  [{ from: "nobody", to: "raul", verbs: ["send"] }, "CLOISTER_AGENT_UNKNOWN", "agent not found: nobody"],
  [{ from: "main", to: "a b", verbs: ["send"] }, "CLOISTER_REQUEST_INVALID", 'to: found "a b"'],
  [{ from: "main", to: "raul", verbs: ["send"], untilMs: 5 }, "CLOISTER_REQUEST_INVALID", "1970-01-01T00:00:00.005Z"],
])("%j is refused and changes nothing", async (asked, code, message) => {
  const gateway = await openGateway([{ id: "main" }, { id: "raul" }]);
  expect(await rpc(gateway, "grants.add", asked)).toMatchObject({ code, message: expect.stringContaining(message) });
  expect(await gateway.store.grants()).toEqual([]);
  expect(await rpc(gateway, "grants.explain", { from: "main", to: "main" })).toMatchObject({
    code: "CLOISTER_REQUEST_INVALID",
  });
});
