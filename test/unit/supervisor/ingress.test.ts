/** From a door to the accept path: who, where to, and by which key a repetition is known. */
import { describe, expect, test } from "vitest";
import { compilePairings } from "../../../auth/compile-pairings.ts";
import { makePairingRegistry } from "../../../runtime/kernel/pairings.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import type { AcceptResult } from "../../../runtime/kernel/state.ts";
import { compileRoutes } from "../../../runtime/routing/index.ts";
import type { EnvelopeOutcome } from "../../../runtime/store/port.ts";
import { type IngressDeps, makeIngress } from "../../../runtime/supervisor/ingress.ts";
import { makeRuns } from "../../../runtime/supervisor/runs.ts";
import { makeWakePace } from "../../../runtime/supervisor/wake-pace.ts";
import { makeConfig } from "../../support/gateway.ts";

function open(
  changes: object = {},
  answer: AcceptResult = { status: "stored", envelopeId: "e1", runId: "e1" },
  outcome: EnvelopeOutcome = { status: "unknown" },
  {
    fromOperator = () => undefined,
    sending,
  }: { readonly fromOperator?: IngressDeps["commands"]["fromOperator"]; readonly sending?: "deny" } = {},
) {
  const config = makeConfig(
    [{ id: "main" }, { id: "raul" }],
    { bindings: [{ index: 0, agentId: "raul", match: { channel: "webhook", accountId: "biz" } }], ...changes },
    "/state",
  );
  const policy = { ...config, hooks: config.hooks.allowedAgentIds ?? ["*"] };
  const admitted: Admission[] = [];
  const refused: string[] = [];
  const runs = makeRuns(
    () => undefined,
    (key) => key,
    () => 1,
  );
  const ingress = makeIngress({
    config,
    isAgent: (agentId) => config.agents.some(({ id }) => id === agentId),
    routes: compileRoutes(config),
    // Only the outcome of a repeated message, and what was chosen for sending, are asked of it here.
    store: { outcome: async () => outcome, chosenSending: async () => sending } as never,
    runs,
    pairings: () => makePairingRegistry(compilePairings(policy, () => true)),
    refused: (subject, object, { code }) => void refused.push(`${subject} ${object} ${code}`),
    accept: async (admission) => {
      admitted.push(admission);
      // A run keeps the name that it is given.
      return answer.status === "stored" && admission.runId !== undefined
        ? { ...answer, runId: admission.runId }
        : answer;
    },
    senders: { isKnown: () => false, ask: async () => undefined },
    threads: { heard: () => undefined },
    commands: { fromChannel: () => undefined, fromOperator },
    answer: () => undefined,
    nowMs: () => 1,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    newUuid: () => "00000000-0000-4000-8000-000000000000",
    bring: async () => "",
    models: () => ({ agents: {}, catalogue: [] }),
    wakePace: makeWakePace(),
    holdHook: async () => ({ status: "accepted", runId: "w1", atMs: 9 }),
    carriesAnswers: (channel, accountId) => channel === "webhook" && accountId === "biz",
  });
  return { ingress, admitted, runs, refused };
}

const event = {
  channel: "webhook",
  accountId: "biz",
  peer: { kind: "direct" as const, id: "ana" },
  sender: { id: "ana", name: "Ana" },
  text: "hi",
  tsMs: 1,
};

describe("a message from a channel", () => {
  test("goes where the bindings say, stamped with account, peer and sender", async () => {
    const { ingress, admitted } = open();
    expect(await ingress.inbound(event, undefined)).toEqual({
      status: "accepted",
      runId: "e1",
      agentId: "raul",
      sessionKey: "agent:raul:main",
      matchedBy: "binding.account",
      turn: { isMentioned: false },
    });
    expect(admitted[0]).toMatchObject({
      from: {
        type: "channel",
        channel: "webhook",
        accountId: "biz",
        peer: "direct:ana",
        senderId: "ana",
        senderName: "Ana",
      },
      via: "door:webhook:biz",
      provenance: { kind: "external_user", sourceChannel: "webhook", accountId: "biz", senderId: "ana" },
      replyRoute: { type: "channel", channel: "webhook", accountId: "biz", peerKind: "direct", peerId: "ana" },
      body: "hi",
    });
    expect(admitted[0]?.dedupe).toBeUndefined();
  });

  test("is known again by its idempotency key, else by its message id, within account and peer", async () => {
    const { ingress, admitted } = open();
    await ingress.inbound({ ...event, messageId: "m1" }, undefined);
    await ingress.inbound({ ...event, messageId: "m1" }, "k1");
    await ingress.inbound({ ...event, accountId: "home", messageId: "m1" }, undefined);
    expect(admitted.map(({ dedupe }) => dedupe)).toEqual([
      { scope: "webhook:biz:direct:ana", key: "m1" },
      { scope: "webhook:biz:direct:ana", key: "k1" },
      { scope: "webhook:home:direct:ana", key: "m1" },
    ]);
  });

  test("of an account that carries no answers leaves them in the session", async () => {
    const { ingress, admitted } = open();
    await ingress.inbound({ ...event, accountId: "home" }, undefined);
    expect(admitted[0]?.replyRoute).toEqual({ type: "none" });
  });

  test("repeated after a restart has the recorded outcome", async () => {
    const { ingress, runs } = open(
      {},
      { status: "duplicate", envelopeId: "e0", runId: "e0" },
      { status: "done", outcomeText: "said before" },
    );
    expect(await ingress.inbound(event, "k")).toMatchObject({ status: "duplicate", runId: "e0" });
    expect(await runs.wait("e0", 1)).toEqual({ status: "ok", runId: "e0", reply: "said before" });
  });

  test.each([
    ["that was answered with nothing", { status: "done", outcomeText: null }, { status: "ok", reply: null }],
    [
      "whose end nobody knows",
      { status: "unknown" },
      { status: "error", refusal: { code: "CLOISTER_REQUEST_INVALID" } },
    ],
  ] as const)("repeated after a restart %s is told as that", async (_what, outcome, told) => {
    const { ingress, runs } = open({}, { status: "duplicate", envelopeId: "e0", runId: "e0" }, outcome);
    const result = await ingress.inbound(event, "k");
    expect(result).toMatchObject({ status: "duplicate", runId: "e0" });
    expect(result).not.toHaveProperty("isOver");
    expect(await runs.wait("e0", 1)).toMatchObject(told);
  });
});

describe("a hook", () => {
  const hooks = { enabled: true, path: "/hooks", token: "t", allowRequestSessionKey: true };

  test("gets a session of its own unless it may choose one", async () => {
    const { ingress, admitted } = open({ hooks: { ...hooks, allowedAgentIds: ["main", "raul"] } });
    expect(await ingress.hook({ name: "ci", message: "x" })).toMatchObject({
      agentId: "main",
      sessionKey: "agent:main:hook:00000000-0000-4000-8000-000000000000",
    });
    expect(await ingress.hook({ name: "ci", message: "x", sessionKey: "agent:raul:main" })).toMatchObject({
      agentId: "raul",
      sessionKey: "agent:raul:main",
    });
    // The name of the run is that of its session, by which a repetition finds it.
    expect(admitted[0]?.runId).toBe("00000000-0000-4000-8000-000000000000");
    const again = open({ hooks }, { status: "duplicate", envelopeId: "e0", runId: "first" });
    expect(await again.ingress.hook({ name: "ci", message: "x", idempotencyKey: "k" })).toMatchObject({
      status: "duplicate",
      sessionKey: "agent:main:hook:first",
    });
    // By pairings, so that a right that is taken back counts at delivery as well.
    expect(admitted.map(({ via }) => via)).toEqual(["config:hook:main", "config:hook:raul"]);
  });

  test.each([
    ["an unknown agent", hooks, { agentId: "nobody" }, "CLOISTER_AGENT_UNKNOWN"],
    ["an agent that hooks may not reach", { ...hooks, allowedAgentIds: ["raul"] }, {}, "CLOISTER_EDGE_FORBIDDEN"],
    [
      "a session where it may not choose",
      { ...hooks, allowRequestSessionKey: false },
      { sessionKey: "agent:main:main" },
      "CLOISTER_EDGE_FORBIDDEN",
    ],
    [
      "a session of another agent than it names",
      hooks,
      { agentId: "main", sessionKey: "agent:raul:main" },
      "CLOISTER_REQUEST_INVALID",
    ],
    ["a malformed session", hooks, { agentId: "main", sessionKey: "agent::x" }, "CLOISTER_REQUEST_INVALID"],
  ])("is refused for %s", async (_name, rules, request, code) => {
    const { ingress, admitted, refused } = open({ hooks: rules });
    expect(await ingress.hook({ name: "ci", message: "x", ...request })).toMatchObject({
      status: "refused",
      refusal: { code },
    });
    expect(admitted).toEqual([]);
    // A missing right is noted; what is merely wrong is not.
    expect(refused).toEqual("allowedAgentIds" in rules ? [`hook agent:main ${code}`] : []);
  });
});

describe("what a hook says", () => {
  const hooks = { enabled: true, path: "/hooks", token: "t", allowRequestSessionKey: true };
  const ask = { name: "ci", message: "x" };

  test("goes to the agent that it names, however that is written, and is known again for that agent", async () => {
    const { ingress, admitted } = open({ hooks });
    await ingress.hook({ ...ask, agentId: " Raul ", idempotencyKey: "k", ttlMs: 5 });
    expect(admitted).toMatchObject([{ agentId: "raul", dedupe: { scope: "hook:raul", key: "k" }, ttlMs: 5 }]);
  });

  test.each([
    ["none", {}, "agent:main:ci"],
    ["another agent", { agentId: "raul" }, "agent:raul:ci"],
    ["a session of its own", { sessionKey: "agent:raul:mine" }, "agent:raul:mine"],
    ["that of the configuration", { configuredSession: "agent:main:theirs" }, "agent:main:theirs"],
  ])(
    "to a request that names %s, the session for all is that of its agent: %j → %s",
    async (_what, named, sessionKey) => {
      const { ingress, admitted } = open({ hooks: { ...hooks, defaultSessionKey: "agent:main:ci" } });
      expect(await ingress.hook({ ...ask, ...named })).toMatchObject({ status: "accepted", sessionKey });
      expect(admitted.map((one) => one.sessionKey)).toEqual([sessionKey]);
    },
  );

  test("chooses a session only as the configuration allows, by how that begins", async () => {
    const { ingress, admitted } = open({ hooks: { ...hooks, sessionKeyPrefixes: ["ci:"] } });
    expect(await ingress.hook({ ...ask, sessionKey: "agent:main:other" })).toMatchObject({
      status: "refused",
      refusal: { code: "CLOISTER_EDGE_FORBIDDEN", remedy: expect.stringContaining("ci:") },
    });
    expect(await ingress.hook({ ...ask, sessionKey: "agent:main:ci:1" })).toMatchObject({ status: "accepted" });
    // What the operator chose needs no leave.
    expect(await ingress.hook({ ...ask, configuredSession: "agent:main:other" })).toMatchObject({ status: "accepted" });
    expect(admitted).toHaveLength(2);
  });

  test("wakes an agent so often and no more; what was not taken, and what wakes nobody, counts for nothing", async () => {
    const full: AcceptResult = { status: "refused", refusal: { code: "CLOISTER_MAILBOX_FULL", message: "full" } };
    const refusing = open({ hooks }, full);
    for (let at = 0; at < 20; at++)
      expect(await refusing.ingress.hook({ ...ask, isWake: true })).toMatchObject({ refusal: full.refusal });
    const { ingress } = open({ hooks });
    for (let at = 0; at < 20; at++) expect(await ingress.hook(ask)).toMatchObject({ status: "accepted" });
    let taken = 0;
    for (let at = 0; at < 20; at++) if ((await ingress.hook({ ...ask, isWake: true })).status === "accepted") taken++;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(20);
    expect(await ingress.hook({ ...ask, isWake: true, agentId: "raul" })).toMatchObject({ status: "accepted" });
  });
});

describe("what an operator's client says", () => {
  const said = {
    client: { clientId: "cli", scopes: ["operator.write"] },
    agentId: "main",
    sessionKey: "agent:main:main",
    message: "hi",
  };

  test("is a message with what it asks for", async () => {
    const { ingress, admitted } = open();
    expect(await ingress.said({ ...said, ttlMs: 5, steers: true, idempotencyKey: "k" })).toEqual({
      status: "accepted",
      runId: "k",
    });
    await ingress.said(said);
    expect(admitted).toMatchObject([
      { body: "hi", ttlMs: 5, steers: true, runId: "k", dedupe: { key: "k" } },
      { body: "hi" },
    ]);
    for (const name of ["ttlMs", "steers", "runId", "dedupe"]) expect(admitted[1]).not.toHaveProperty(name);
  });

  test("is refused where sending is denied, but for what a module is told", async () => {
    const denied = open({}, undefined, undefined, { sending: "deny" });
    expect(await denied.ingress.said(said)).toMatchObject({
      status: "refused",
      refusal: { code: "CLOISTER_CAPABILITY_DENIED" },
    });
    expect(denied.admitted).toEqual([]);
    const compacting = open({}, undefined, undefined, {
      sending: "deny",
      fromOperator: async () => ({ status: "goes-on", message: "", signal: { type: "compact" } as never }),
    });
    expect(await compacting.ingress.said(said)).toMatchObject({ status: "accepted" });
    expect(compacting.admitted).toMatchObject([{ body: "", signal: { type: "compact" } }]);
  });

  test("is no message when it is a command, done or refused", async () => {
    const refusal = { code: "CLOISTER_EDGE_FORBIDDEN", message: "no" } as const;
    const refused = open({}, undefined, undefined, { fromOperator: async () => ({ status: "refused", refusal }) });
    expect(await refused.ingress.said(said)).toEqual({ status: "refused", refusal });
    const done = open({}, undefined, undefined, {
      fromOperator: async () => ({ status: "accepted", runId: "c", reply: "done" }),
    });
    expect(await done.ingress.said(said)).toEqual({ status: "accepted", runId: "c" });
    expect([...refused.admitted, ...done.admitted]).toEqual([]);
  });
});
