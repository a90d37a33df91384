/** A run that repeats a failing call, on a gateway with real cells (A11.3). */
import { loopBounds } from "../support/loop-bounds.ts";
import { expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, openGateway } from "../support/gateway.ts";
import { envelope } from "./store-envelopes.ts";

const looper = actor("looper");
const agents = [
  { id: "main", ...looper },
  { id: "raul", module: "echo" },
];

test("A11.3: the same failing call again and again ends the run as failed: loop, and the owner is told", async () => {
  const gateway = await openGateway(agents);
  const ended = await gateway.say("main", "100000");
  expect(ended).toMatchObject({
    status: "error",
    refusal: {
      code: "CLOISTER_RUN_LOOP",
      message: expect.stringContaining(
        `failed: loop: the call tool sessions_history failed ${limits.sameFailuresDefault} times in the same way: forbidden`,
      ),
    },
  });
  const [audited] = (await gateway.store.audits(20)).filter(({ type }) => type === "loop");
  expect(audited).toMatchObject({ subject: "agent:main:main", code: "CLOISTER_RUN_LOOP", decision: "refused" });
  expect(
    gateway.logged.some(({ level, fields }) => level === "warn" && "event" in fields && fields.event === "loop"),
  ).toBe(true);
  // On the page the run has failed, with the reason; it was not aborted.
  expect(gateway.events.filter(({ event }) => event === "chat").map(({ payload }) => payload)).toContainEqual(
    expect.objectContaining({ state: "error", errorMessage: expect.stringContaining("failed: loop") }),
  );
  // The agent is in service, and counts anew.
  expect(await gateway.reply("main", String(limits.sameFailuresDefault - 1))).toBe(
    `called ${limits.sameFailuresDefault - 1} times`,
  );
});

test("A11.3: the bound is the config's", async () => {
  const gateway = await openGateway(agents, { loops: { ...loopBounds, sameFailuresMax: 40, sameSessionMax: 8 } });
  expect(await gateway.reply("main", "39")).toBe("called 39 times");
  expect(await gateway.say("main", "40000")).toMatchObject({ refusal: { code: "CLOISTER_RUN_LOOP" } });
});

test("A11.1: a chain of messages that has made all its tool calls makes no further one, also when a restart lies between", async () => {
  const toolUser = {
    ...actor("tool-user"),
  };
  const config = makeConfig([{ id: "main", ...toolUser }]);
  const agentDirs = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openMemoryStore({ stateDir: config.stateDir, agents: agentDirs });
  // What the last process left: two messages of one chain, which had one call left then.
  const chainStamp = { messages: 2, calls: limits.chainCallsMax - 1, untilMs: Date.now() + 60_000 };
  const use = JSON.stringify({ tool: "agents_list", params: {} });
  for (const id of ["e1", "e2"]) {
    const { header } = envelope(id, { agentId: "main", inter: true });
    await store.append({
      header: { ...header, via: "door:test", trace: "t", acceptedAtMs: Date.now(), chainStamp },
      body: use,
    });
  }
  const gateway = await openGateway([], {}, { store, config });
  expect(await gateway.ended("run-e1")).toMatchObject({
    status: "ok",
    reply: expect.stringContaining('"status":"ok"'),
  });
  expect(await gateway.ended("run-e2")).toMatchObject({
    status: "error",
    refusal: { message: expect.stringContaining(`${limits.chainCallsMax} tool calls`) },
  });
  // A chain of its own begins with what comes from outside.
  expect(JSON.parse(await gateway.reply("main", use))).toMatchObject({ status: "ok" });
});
