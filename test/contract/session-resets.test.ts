/** Sessions that begin anew by themselves, on a gateway with real cells and a clock of the test's (behaviour §1.5, §5.6). */
import { expect, test } from "vitest";
import { sessionSettings } from "../support/session-settings.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const minute = 60_000;
const session = (reset: TestGateway["config"]["session"]["reset"]) => ({
  session: { ...sessionSettings, maxPingPongTurns: 0, reset },
});

async function open(reset: TestGateway["config"]["session"]["reset"]) {
  const clock = { nowMs: new Date(2026, 2, 3, 12).getTime() };
  const gateway = await openGateway([{ id: "main" }], session(reset), { nowMs: () => clock.nowMs });
  const pass = (ms: number): void => void (clock.nowMs += ms);
  const remembered = (key?: string) => gateway.reply("main", "what do you remember", key);
  return { gateway, pass, remembered };
}

test("an idle session begins anew with the next message, also in the cell that still has its state, and its transcript is kept", async () => {
  const { gateway, pass, remembered } = await open({ all: { idleMs: 10 * minute }, byType: {}, byChannel: {} });
  await gateway.reply("main", "remember that the key is under the mat");
  pass(9 * minute);
  expect(await remembered()).toContain("the key is under the mat");
  const before = await gateway.store.session("agent:main:main");
  pass(10 * minute);
  expect(await remembered()).toContain("I remember nothing yet");
  const row = await gateway.store.session("agent:main:main");
  expect(row?.sessionId).not.toBe(before?.sessionId);
  expect(row?.messages).toBe(2);
  const past = await gateway.store.pastTranscripts("main", "agent:main:main", 5);
  expect(past).toMatchObject([{ sessionId: before?.sessionId, messages: 4 }]);
  expect(gateway.events).toContainEqual(
    expect.objectContaining({
      event: "sessions.changed",
      payload: expect.objectContaining({ sessionKey: "agent:main:main", reason: "reset" }),
    }),
  );
});

test("a daily reset is due at its hour, once", async () => {
  const { gateway, pass, remembered } = await open({ all: { dailyAtHour: 4 }, byType: {}, byChannel: {} });
  await gateway.reply("main", "remember that the key is under the mat");
  pass(15 * 60 * minute + 59 * minute);
  expect(await remembered()).toContain("the key is under the mat");
  pass(minute);
  await gateway.reply("main", "remember that it rains");
  pass(60 * minute);
  expect(await remembered()).toBe("I remember:\n- it rains");
});

test("the rule of the channel wins over that of the kind, and that over the one for all; an empty rule is never", async () => {
  const { gateway, pass, remembered } = await open({
    all: { idleMs: minute },
    byType: { group: {} },
    byChannel: { slack: { idleMs: 5 * minute } },
  });
  const keys = ["agent:main:main", "agent:main:webhook:group:g", "agent:main:slack:group:g"];
  for (const key of keys) await gateway.reply("main", "remember that it rains", key);
  const know = async (): Promise<boolean[]> => {
    const answers = await Promise.all(keys.map((key) => remembered(key)));
    return answers.map((answer) => answer.includes("it rains"));
  };
  pass(2 * minute);
  expect(await know()).toEqual([false, true, true]);
  pass(5 * minute);
  expect(await know()).toEqual([false, true, false]);
});
