/** Conversations that belong to sub-agents' sessions: who has one, and when it is let go of. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeThreadCommands } from "../../../runtime/supervisor/commands/thread-commands.ts";
import { runCommand } from "../../../runtime/supervisor/commands/table.ts";
import { makeThreadBindings, type Conversation } from "../../../runtime/supervisor/thread-bindings.ts";

const hour = 3_600_000;
const thread: Conversation = {
  channel: "webhook",
  accountId: "home",
  peerKind: "channel",
  peerId: "c1",
  threadId: "t1",
};
const route = { type: "channel", ...thread, inReplyTo: "m1" } as const;
const child = { agentId: "raul", sessionKey: "agent:raul:subagent:r-1", requesterSessionKey: "agent:main:main" };

function open(over: Partial<{ enabled: boolean; idleMs: number; maxAgeMs: number }> = {}) {
  vi.useFakeTimers({ now: 1_000 });
  const live = new Set([child.sessionKey]);
  const letGo: string[] = [];
  const logged: object[] = [];
  const threads = makeThreadBindings({
    rules: () => ({ enabled: true, idleMs: 24 * hour, maxAgeMs: 0, ...over }),
    kernel: () => ({
      runTakesMail: (sessionKey) => live.has(sessionKey),
      letRunEnd: (sessionKey) => void letGo.push(sessionKey),
    }),
    nowMs: Date.now,
    log: {
      debug: () => undefined,
      info: (fields) => void logged.push(fields),
      warn: () => undefined,
      error: () => undefined,
    },
  });
  const [session, agents] = makeThreadCommands(threads, Date.now);
  if (session === undefined || agents === undefined) throw new Error("there are two commands");
  const call = {
    agentId: "main",
    sessionKey: "agent:main:main",
    channel: "webhook",
    isGroup: true,
    isOwner: false,
    by: "ana",
  };
  return {
    threads,
    live,
    letGo,
    logged,
    say: async (rest: string) => (await runCommand(session, { ...call, conversation: thread }, rest)).reply,
    agents: async () => (await runCommand(agents, call, "")).reply,
    outside: async (rest: string) => (await runCommand(session, call, rest)).reply,
  };
}

afterEach(() => void vi.useRealTimers());

describe("a conversation can belong to a sub-agent", () => {
  test("when it is a thread, or a direct chat", () => {
    const { threads } = open();
    expect(threads.bindable(route)).toEqual(thread);
    const { threadId: _, ...chat } = route;
    expect(threads.bindable({ ...chat, peerKind: "direct" })).toEqual({
      channel: "webhook",
      accountId: "home",
      peerKind: "direct",
      peerId: "c1",
    });
    expect(threads.bindable(chat)).toMatchObject({
      message: expect.stringMatching(/stands in no thread of webhook channel c1/u),
    });
    expect(threads.bindable({ type: "none" })).toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringMatching(/^thread=true is unavailable because no channel adapter can bind a thread/u),
      remedy: expect.stringMatching(/outboundUrl/u),
    });
  });

  test("unless it is switched off, another has it, or too many have one", () => {
    expect(open({ enabled: false }).threads.bindable(route)).toMatchObject({
      remedy: "session.threadBindings.enabled: true",
    });
    const { threads } = open();
    threads.bind(thread, child);
    expect(threads.bindable(route)).toMatchObject({
      message: expect.stringMatching(/belongs to agent:raul:subagent:r-1/u),
      remedy: expect.stringMatching(/\/session unbind/u),
    });
    for (let at = 1; at < limits.threadBindingsMax; at++) threads.bind({ ...thread, threadId: `x${at}` }, child);
    expect(threads.bindable({ ...route, threadId: "one more" })).toMatchObject({ code: "CLOISTER_BUSY" });
  });

  test("and to nobody else's: what is said in another thread, chat or account is not its", () => {
    const { threads } = open();
    threads.bind(thread, child);
    expect(threads.find(thread)).toMatchObject(child);
    const { threadId: _, ...without } = thread;
    for (const other of [
      without,
      { ...thread, threadId: "t2" },
      { ...thread, peerId: "c2" },
      { ...thread, accountId: "biz" },
      { ...thread, peerKind: "group" as const },
    ])
      expect(threads.find(other), JSON.stringify(other)).toBeUndefined();
  });

  test("only while its run takes what is said", () => {
    const { threads, live } = open();
    threads.bind(thread, child);
    live.clear();
    expect(threads.heard(thread)).toBeUndefined();
    threads.ended(child.sessionKey);
    live.add(child.sessionKey);
    expect(threads.find(thread)).toBeUndefined();
    expect(threads.bindable(route)).toEqual(thread);
  });
});

describe("it is let go of", () => {
  test("when nothing was said for its idle time, and each message counts", () => {
    const { threads, letGo, logged } = open();
    threads.bind(thread, child);
    vi.advanceTimersByTime(23 * hour);
    expect(threads.heard(thread)).toBeDefined();
    vi.advanceTimersByTime(23 * hour);
    expect(letGo).toEqual([]);
    vi.advanceTimersByTime(hour);
    expect(letGo).toEqual([child.sessionKey]);
    expect(logged).toMatchObject([{ session: child.sessionKey, why: "nothing was said in it" }]);
    expect(threads.find(thread)).toBeUndefined();
  });

  test("at its age, whatever is said", () => {
    const { threads, letGo, logged } = open({ maxAgeMs: 2 * hour });
    threads.bind(thread, child);
    vi.advanceTimersByTime(2 * hour - 1);
    expect(threads.heard(thread)).toBeDefined();
    vi.advanceTimersByTime(1);
    expect(letGo).toEqual([child.sessionKey]);
    expect(logged).toMatchObject([{ why: "its age" }]);
  });

  test("never by itself with both times off", () => {
    const { threads, letGo } = open({ idleMs: 0 });
    threads.bind(thread, child);
    vi.advanceTimersByTime(10_000 * hour);
    expect(letGo).toEqual([]);
    expect(threads.find(thread)).toBeDefined();
  });
});

describe("/session and /agents", () => {
  test("tell who has the conversation, change its times and let go of it", async () => {
    const { threads, letGo, say, agents } = open();
    expect(await say("")).toMatch(/^This conversation belongs to no sub-agent/u);
    expect(await say("unbind")).toMatch(/^This conversation belongs to no sub-agent/u);
    threads.bind(thread, child);
    expect(await say("")).toBe(
      "webhook channel c1, thread t1: agent raul, session agent:raul:subagent:r-1, for 0s; idle: 1d, max-age: off",
    );
    expect(await say("idle 90m")).toMatch(/idle: 90m, max-age: off$/u);
    expect(await say("max-age 2h")).toMatch(/idle: 90m, max-age: 2h$/u);
    expect(await agents()).toBe(
      "Here answers: agent main, session agent:main:main.\nwebhook channel c1, thread t1: agent raul, session agent:raul:subagent:r-1, for 0s; idle: 90m, max-age: 2h",
    );
    expect(await say("idle off")).toMatch(/idle: off, max-age: 2h$/u);
    vi.advanceTimersByTime(2 * hour);
    expect(letGo).toEqual([child.sessionKey]);
    threads.bind(thread, child);
    expect(await say("unbind")).toMatch(/^Unbound/u);
    expect(letGo).toHaveLength(2);
    expect(threads.find(thread)).toBeUndefined();
  });

  test.each(["idle soon", "idle 0m", "idle 366d", "max-age 1s"])(
    "do nothing with %j, and say what is wanted",
    async (rest) => {
      const { threads, say } = open();
      threads.bind(thread, child);
      expect(await say(rest)).toMatch(/wanted a time of up to 365d, like 30m, 24h or 7d, or off/u);
      expect(threads.find(thread)).toMatchObject({ idleMs: 24 * hour, maxAgeMs: 0 });
    },
  );

  test.each(["bind", "unbind now", "idle", "idle 1h 2h"])(
    "do nothing with %j, and say how they are written",
    async (rest) => {
      expect(await open().say(rest)).toMatch(/^Nothing was done. Usage: \/session/u);
    },
  );

  test("are for channels", async () => {
    expect(await open().outside("unbind")).toBe("Threads are bound in channels: this is none.");
  });
});
