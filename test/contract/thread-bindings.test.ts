/** Sub-agents that have a thread of a channel to themselves, with a real kernel and real cells (behaviour §3.6). */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { InboundEvent } from "../../channels/port.ts";
import { actor } from "../support/actors.ts";
import { groupsOf, makeConfig, openGateway, subagentPolicy, type TestGateway } from "../support/gateway.ts";

const policy = subagentPolicy();

/** In a group that wants mentions, in the thread `t1`. */
const said = (text: string, parts: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "webhook",
  accountId: "home",
  peer: { kind: "group", id: "room" },
  threadId: "t1",
  sender: { id: "ana", name: "Ana" },
  text,
  tsMs: 1,
  ...parts,
});

const ofMain = "agent:main:webhook:group:room:thread:t1";
const spawns = (params: object): string =>
  JSON.stringify({ do: "tool", tool: "sessions_spawn", params: { agentId: "raul", task: "begin", ...params } });

function makeWorld() {
  const { stateDir } = makeConfig([]);
  const child = path.join(stateDir, "child.ts");
  writeFileSync(
    child,
    `import { defineActor } from "cloister";
     export default defineActor({
       state: () => ({ said: [] }),
       message(ctx, { text, signal }) {
         const words = signal?.type === "spawned" ? signal.task : text;
         if (words === "throw") throw new Error("as told");
         ctx.state.said.push(words);
         ctx.reply("child: " + ctx.state.said.join(", "));
       },
     });`,
  );
  return makeConfig(
    [
      { id: "main", ...actor("spawner"), subagents: policy },
      { id: "raul", module: child, moduleKind: "file", subagents: policy },
    ],
    {
      commands: { text: true, native: true, owners: ["webhook:ana"], allowFrom: undefined, resetTriggers: [] },
      groups: groupsOf({ channels: { webhook: { groups: { "*": {} } } } }),
      webhook: { accounts: { home: { token: "t", outboundUrl: "http://receiver" } }, defaultAccount: "home" },
    },
    stateDir,
  );
}

/** What the webhook's receiver got, in order. */
const texts = (gateway: TestGateway): readonly string[] => gateway.sent.map(({ text }) => text);

async function bind(
  gateway: TestGateway,
  params: object = {},
): Promise<{ readonly runId: string; readonly childSessionKey: string }> {
  const asked = await gateway.doors.inbound(said(spawns({ thread: true, ...params }), { wasMentioned: true }));
  expect(asked).toMatchObject({ status: "accepted", sessionKey: ofMain });
  await gateway.until(() => texts(gateway).includes("child: begin"));
  const answer = gateway.sent.find(({ agentId }) => agentId === "main");
  return JSON.parse(answer?.text ?? "{}") as { runId: string; childSessionKey: string };
}

async function told(gateway: TestGateway, event: InboundEvent): Promise<string | null | undefined> {
  const result = await gateway.doors.inbound(event);
  if (!("runId" in result)) throw new Error(`it was not accepted: ${JSON.stringify(result)}`);
  const end = await gateway.ended(result.runId);
  return end.status === "ok" ? end.reply : end.status;
}

test("what is said in its thread goes to the sub-agent and its answers come there, until it is unbound", async () => {
  const gateway = await openGateway([], {}, { config: makeWorld() });
  const { runId, childSessionKey } = await bind(gateway);
  expect(gateway.sent.find(({ text }) => text === "child: begin")).toMatchObject({
    agentId: "raul",
    sessionKey: childSessionKey,
    threadId: "t1",
    peer: { kind: "group", id: "room" },
  });
  // Without a mention, by its own rights, in its own session, which keeps its state.
  expect(await gateway.doors.inbound(said("go on", { messageId: "m2" }))).toMatchObject({
    status: "accepted",
    agentId: "raul",
    sessionKey: childSessionKey,
    matchedBy: "thread",
  });
  await gateway.until(() => texts(gateway).includes("child: begin, go on"));
  expect(gateway.sent.at(-1)).toMatchObject({ agentId: "raul", threadId: "t1", inReplyTo: "m2" });
  // A turn that fails does not end the conversation.
  expect(await told(gateway, said("throw"))).toBe("error");
  expect(await told(gateway, said("and on"))).toBe("child: begin, go on, and on");
  // Another thread is the agent's that the configuration names.
  const other = said(JSON.stringify({ do: "say", text: "main here" }), { threadId: "t2", wasMentioned: true });
  expect(await told(gateway, other)).toBe("main here");
  expect((await gateway.store.run(runId))?.end).toBeUndefined();

  await gateway.doors.inbound(said("/session unbind"));
  await expect
    .poll(async () => (await gateway.store.run(runId))?.end)
    .toMatchObject({
      outcome: "succeeded",
      result: "child: begin, go on, and on",
      delivery: "delivered",
    });
  await gateway.until(() => texts(gateway).includes(`heard succeeded of ${runId}`));
  const after = said(JSON.stringify({ do: "say", text: "main again" }), { wasMentioned: true });
  expect(await gateway.doors.inbound(after)).toMatchObject({ sessionKey: ofMain, matchedBy: "default" });
});

test("a restart ends the sub-agent as interrupted, its requester hears of it, and the thread is the configuration's again", async () => {
  const config = makeWorld();
  const first = await openGateway([], {}, { config });
  const { runId } = await bind(first);
  await first.drain(5_000);
  const next = await openGateway([], {}, { config, store: first.store });
  await next.until(() => texts(next).includes(`heard failed of ${runId}`));
  expect((await next.store.run(runId))?.end).toMatchObject({ outcome: "failed", code: "interrupted" });
  const after = said(JSON.stringify({ do: "say", text: "main again" }), { wasMentioned: true });
  expect(await told(next, after)).toBe("main again");
});

test("with mode run it has the thread only until it has answered, and a stop of its requester ends one that stays", async () => {
  const gateway = await openGateway([], {}, { config: makeWorld() });
  const once = await bind(gateway, { mode: "run" });
  await expect.poll(async () => (await gateway.store.run(once.runId))?.end).toMatchObject({ outcome: "succeeded" });
  await gateway.until(() => texts(gateway).includes(`heard succeeded of ${once.runId}`));
  gateway.sent.length = 0;
  const { runId } = await bind(gateway);
  gateway.driver.kernel.stop({ type: "session", sessionKey: ofMain }, "test", Date.now());
  await expect.poll(async () => (await gateway.store.run(runId))?.end).toMatchObject({ outcome: "cancelled" });
  const after = said(JSON.stringify({ do: "say", text: "main again" }), { wasMentioned: true });
  expect(await told(gateway, after)).toBe("main again");
});

test.each([
  ["in a group without a thread", { threadId: undefined }, "stands in no thread of webhook group room"],
  ["by an account that carries no answers", { accountId: "mute" }, "no channel adapter can bind a thread"],
])("is refused %s", async (_where, parts, text) => {
  const config = makeWorld();
  const webhook = { accounts: { ...config.webhook?.accounts, mute: { token: "t" } }, defaultAccount: "home" };
  const gateway = await openGateway([], {}, { config: { ...config, webhook } });
  const { threadId: _, ...plain } = said(spawns({ thread: true }), { wasMentioned: true });
  const event = "threadId" in parts ? plain : { ...said(spawns({ thread: true }), { wasMentioned: true }), ...parts };
  expect(await told(gateway, event)).toContain(text);
});
