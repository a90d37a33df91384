/** From a door to the accept path: who, where to, and by which key a repetition is known. */
import { describe, expect, test } from "vitest";
import { compilePairings } from "../../../auth/compile-pairings.ts";
import { makePairingRegistry } from "../../../runtime/kernel/pairings.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import type { AcceptResult } from "../../../runtime/kernel/state.ts";
import { compileRoutes } from "../../../runtime/routing/index.ts";
import type { EnvelopeOutcome } from "../../../runtime/store/port.ts";
import { makeIngress } from "../../../runtime/supervisor/ingress.ts";
import { makeRuns } from "../../../runtime/supervisor/runs.ts";
import { makeWakePace } from "../../../runtime/supervisor/wake-pace.ts";
import { makeConfig } from "../../support/gateway.ts";

function open(
  changes: object = {},
  answer: AcceptResult = { status: "stored", envelopeId: "e1", runId: "e1" },
  outcome: EnvelopeOutcome = { status: "unknown" },
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
    // Only the outcome of a repeated message is asked of it here.
    store: { outcome: async () => outcome } as never,
    runs,
    pairings: () => makePairingRegistry(compilePairings(policy, () => true)),
    refused: (subject, object, { code }) => void refused.push(`${subject} ${object} ${code}`),
    accept: async (admission) => {
      admitted.push(admission);
      return answer;
    },
    senders: { isKnown: () => false, ask: async () => undefined },
    threads: { heard: () => undefined },
    commands: { fromChannel: () => undefined, fromOperator: () => undefined },
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
