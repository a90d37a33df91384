/** Queue modes with real cells: what people say while a turn of their session runs. The rules are in `test/unit/kernel/queue-modes.test.ts`. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { QueuePolicy } from "../../runtime/kernel/queues.ts";
import { actorPath } from "../support/actors.ts";
import { openGatewayAt, type TestGateway } from "../support/gateway.ts";
import { levels } from "../support/levels.ts";

const module = actorPath("holder");
const main = "agent:main:main";

const queue = (policy: Partial<QueuePolicy>): NonNullable<ResolvedConfig["queue"]> => ({
  policy: { mode: "followup", debounceMs: 50, cap: 20, drop: "summarize", ...policy },
  byChannel: {},
});

const letGo = (gateway: TestGateway): void =>
  writeFileSync(path.join(gateway.config.agents[0]?.workspace ?? "", "go-on"), "");

const isRunning = (gateway: TestGateway) => expect.poll(() => gateway.agents()[0]?.activeRuns).toBe(1);

const isWaiting = (gateway: TestGateway, count: number) =>
  expect.poll(() => gateway.agents()[0]?.queueDepth).toBe(count);

/** Roles and texts, oldest first. */
async function transcript(gateway: TestGateway): Promise<readonly string[]> {
  const { rows } = await gateway.store.history("main", main, 100, 0);
  return rows.map(({ role, text }) => `${role}: ${text}`);
}

for (const level of levels) {
  describe(`in a ${level}`, () => {
    const open = (changes: Partial<ResolvedConfig> = {}) =>
      openGatewayAt(level)([{ id: "main", module, moduleKind: "file" }], changes);

    it("steer: the running turn takes what is said, and its answer is the answer to all of it", async () => {
      const gateway = await open();
      const first = gateway.say("main", "steer left");
      await isRunning(gateway);
      const second = gateway.say("main", "no, right");
      const third = gateway.say("main", "enough");
      expect(await first).toMatchObject({ status: "ok", reply: "steer left, no, right, enough" });
      expect(await second).toMatchObject({ status: "ok", reply: null });
      expect(await third).toMatchObject({ status: "ok", reply: null });
      expect(await transcript(gateway)).toEqual([
        "user: steer left",
        "user: no, right",
        "user: enough",
        "assistant: steer left, no, right, enough",
      ]);
      await expect.poll(async () => (await gateway.store.pending()).envelopes).toEqual([]);
    });

    it("collect: one turn for all that came", async () => {
      const gateway = await open({ queue: queue({ mode: "collect" }) });
      const first = gateway.say("main", "hold");
      await isRunning(gateway);
      const others = ["one", "two"].map((text) => gateway.say("main", text));
      await isWaiting(gateway, 2);
      letGo(gateway);
      await first;
      const text = "[1 of 2, test]\none\n\n[2 of 2, test]\ntwo";
      expect(await Promise.all(others)).toMatchObject([{ reply: text }, { reply: null }]);
      expect(await transcript(gateway)).toEqual([
        "user: hold",
        "assistant: hold",
        "user: one",
        "user: two",
        `assistant: ${text}`,
      ]);
    });

    it("interrupt: the running turn ends, and the newest is handled", async () => {
      const gateway = await open({ queue: queue({ mode: "interrupt" }) });
      const first = gateway.say("main", "hold");
      await isRunning(gateway);
      expect(await gateway.reply("main", "instead")).toBe("instead");
      expect(await first).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
    });
  });
}

describe("a queue", () => {
  const open = (changes: Partial<ResolvedConfig> = {}) =>
    openGatewayAt("thread")([{ id: "main", module, moduleKind: "file" }], changes);

  it("summarize: what is beyond the cap goes shortened with the next turn, and is whole in the transcript", async () => {
    const gateway = await open({ queue: queue({ cap: 1 }) });
    const first = gateway.say("main", "hold");
    await isRunning(gateway);
    const long = "x".repeat(500);
    const others = [long, "two"].map((text) => gateway.say("main", text));
    await isWaiting(gateway, 2);
    letGo(gateway);
    await first;
    const text = `[1 of 2, test, shortened]\n${"x".repeat(160)}…\n\n[2 of 2, test]\ntwo`;
    expect(await Promise.all(others)).toMatchObject([{ reply: text }, { reply: null }]);
    expect(await transcript(gateway)).toContain(`user: ${long}`);
  });

  it("drop new: the sender hears it, and the message is a dead letter that can be replayed", async () => {
    const gateway = await open({ queue: queue({ cap: 1, drop: "new" }) });
    const first = gateway.say("main", "hold");
    await isRunning(gateway);
    const second = gateway.say("main", "two");
    await isWaiting(gateway, 1);
    expect(await gateway.say("main", "three")).toMatchObject({
      status: "error",
      refusal: { code: "CLOISTER_MAILBOX_FULL", message: expect.stringContaining("its cap is 1 (drop new)") },
    });
    letGo(gateway);
    expect(await second).toMatchObject({ reply: "two" });
    await first;
    const { rows } = await gateway.store.deadLetters({ limit: 10, offset: 0 });
    expect(rows).toMatchObject([{ fate: "dropped", preview: "three" }]);
  });

  it("follows /queue at once, for the messages that come from then on", async () => {
    const gateway = await open({ queue: queue({ mode: "interrupt" }) });
    await gateway.reply("main", "/queue followup");
    const first = gateway.say("main", "hold");
    await isRunning(gateway);
    const second = gateway.say("main", "two");
    await isWaiting(gateway, 1);
    letGo(gateway);
    expect(await Promise.all([first, second])).toMatchObject([{ reply: "hold" }, { reply: "two" }]);
  });

  it("of a channel has its own mode, and what is accepted in any outlives the process", async () => {
    const gateway = await open({
      queue: { ...queue({ mode: "interrupt" }), byChannel: { webhook: queue({ mode: "collect" }).policy } },
    });
    // Its end is not waited for: the process ends before.
    void gateway.say("main", "hold");
    await isRunning(gateway);
    const said = await Promise.all(
      ["one", "two"].map((text, index) =>
        gateway.doors.inbound(
          {
            channel: "webhook",
            accountId: "default",
            peer: { kind: "direct", id: "u1" },
            sender: { id: "u1" },
            messageId: `m${index}`,
            text,
            tsMs: 0,
          },
          undefined,
        ),
      ),
    );
    expect(said).toMatchObject([{ status: "accepted" }, { status: "accepted" }]);
    await isWaiting(gateway, 2);
    await gateway.drain(0);
    letGo(gateway);
    const again = await openGatewayAt("thread")([], {}, { store: gateway.store, config: gateway.config });
    await expect.poll(() => transcript(again)).toHaveLength(5);
    expect(await transcript(again)).toEqual([
      "user: hold",
      "assistant: hold",
      "user: one",
      "user: two",
      "assistant: [1 of 2]\none\n\n[2 of 2]\ntwo",
    ]);
  });
});
