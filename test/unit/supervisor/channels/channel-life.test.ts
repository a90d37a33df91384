/** The thread of a channel as the main thread sees it: lost, started again, ended. */
import { expect, test } from "vitest";
import type { AccountState, ChannelForKernel, KernelForChannel } from "../../../../runtime/channels/port.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { runChannel } from "../../../../runtime/supervisor/channels/channel-life.ts";
import { makeKeptLog } from "../../../support/channels.ts";
import { makeVirtualClock, settle } from "../../../support/virtual-clock.ts";

interface Started {
  readonly handlers: KernelForChannel;
  readonly lose: (reason: string) => void;
  isClosed: boolean;
  isStopped: boolean;
}

const online: AccountState = { type: "online", identity: { id: "1", name: "@bot" } };

function openLife(startFails = (_count: number) => false) {
  const clock = makeVirtualClock();
  const { log, lines } = makeKeptLog();
  const started: Started[] = [];
  const awake: string[] = [];
  const settings = { botToken: "t", apiRoot: "http://localhost", textChunkLimit: 4_000 };
  const life = runChannel({
    init: { channel: "telegram", accounts: { default: settings }, stateDir: "/nowhere", menu: [] },
    start: async (_init, handlers, onLost) => {
      if (startFails(started.length)) {
        started.push({ handlers, lose: onLost, isClosed: false, isStopped: false });
        throw Object.assign(new Error("it does not start"), { code: "CLOISTER_THREAD_LOST" });
      }
      const thread: Started = { handlers, lose: onLost, isClosed: false, isStopped: false };
      started.push(thread);
      return {
        remote: { close: async () => void (thread.isClosed = true) } as ChannelForKernel,
        stop: async () => void (thread.isStopped = true),
      };
    },
    handlers: {
      receive: async () => "taken",
      refused: async () => undefined,
      partSent: async () => undefined,
      log: async () => undefined,
    },
    onOnline: (accountId) => awake.push(accountId),
    clock,
    log,
  });
  return { life, clock, lines, started, awake };
}

test("an account that comes online is told on, and its state is kept", async () => {
  const { life, started, awake } = openLife();
  await settle();
  expect(life.state("default")).toEqual({ type: "connecting" });
  await started[0]?.handlers.state("default", online);
  expect(life.state("default")).toEqual(online);
  expect(awake).toEqual(["default"]);
  await life.close();
  expect(started[0]).toMatchObject({ isClosed: true, isStopped: true });
});

test("a thread that is lost starts again after a pause, and its accounts say that it was", async () => {
  const { life, clock, lines, started } = openLife();
  await settle();
  await started[0]?.handlers.state("default", online);
  started[0]?.lose("it threw\n    at a file");
  await settle();
  expect(life.remote()).toBeUndefined();
  // The stack is for the log alone.
  expect(life.state("default")).toEqual({
    type: "waiting",
    refusal: { code: "CLOISTER_THREAD_LOST", message: "the thread of the channel was lost; the log has the reason" },
  });
  expect(lines.find(({ level }) => level === "error")).toMatchObject({
    message: expect.stringContaining("starts again"),
    fields: { error: { message: "it threw\n    at a file" } },
  });
  await clock.advance(limits.channelBackoffMs);
  expect(started).toHaveLength(2);
  expect(life.remote()).toBeDefined();
  expect(life.restarts).toBe(1);
  await life.close();
});

test("the pause grows while it does not start, up to a minute, and is short again after a while that held", async () => {
  const { life, clock, started } = openLife((count) => count < 10);
  await clock.advance(10 * limits.channelBackoffMsMax);
  expect(started).toHaveLength(11);
  expect(clock.pauses.slice(0, 8)).toEqual([750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000]);
  started.at(-1)?.lose("later");
  await settle();
  expect(clock.pauses.at(-1)).toBe(750);
  await life.close();
});

test("closing ends a pause, and nothing starts after it", async () => {
  const { life, clock, started } = openLife(() => true);
  await settle();
  await life.close();
  await clock.advance(600_000);
  expect(started).toHaveLength(1);
});
