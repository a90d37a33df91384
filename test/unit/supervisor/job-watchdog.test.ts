import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeJobWatchdog } from "../../../runtime/supervisor/job-watchdog.ts";

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const headerOf = (timerId: string, id = "e1"): EnvelopeHeader =>
  ({
    id,
    runId: id,
    sessionKey: "agent:main:main",
    from: { type: "timer", agentId: "main", timerId },
  }) as EnvelopeHeader;

function open(heartbeatMs?: number, agentMs?: number, active: readonly string[] = ["e1"]) {
  const stopped: unknown[] = [];
  const told: string[] = [];
  const dog = makeJobWatchdog({
    stop: async (scope) => {
      stopped.push(scope);
      return { active };
    },
    log: quiet,
    heartbeatMs: () => heartbeatMs,
    agentMs: () => agentMs,
    tell: ({ id }, spanMs) => void told.push(`${id} ${spanMs}`),
  });
  return { stopped, told, dog };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a run of a job", () => {
  test.each(["j-1", "h-main"])("of %s that takes too long is ended, and no other run of its session", (id) => {
    const { dog, stopped } = open();
    dog.began(headerOf(id));
    vi.advanceTimersByTime(limits.jobRunMsMax - 1);
    expect(stopped).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(stopped).toEqual([{ type: "session", sessionKey: "agent:main:main", runId: "e1" }]);
  });

  test("has the time that its configuration says", () => {
    const { dog, stopped } = open(1_000);
    dog.began(headerOf("h-main"));
    vi.advanceTimersByTime(999);
    expect(stopped).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(stopped).toHaveLength(1);
  });

  test("has its time from when its turn last began, and none when it has ended", () => {
    const { dog, stopped } = open();
    dog.began(headerOf("j-1"));
    dog.began(headerOf("j-2", "e2"));
    vi.advanceTimersByTime(limits.jobRunMsMax - 1);
    dog.began(headerOf("j-1"));
    dog.ended(headerOf("j-2", "e2"));
    vi.advanceTimersByTime(limits.jobRunMsMax - 1);
    expect(stopped).toEqual([]);
    dog.ended(headerOf("j-1"));
    vi.advanceTimersByTime(limits.jobRunMsMax);
    expect(stopped).toEqual([]);
  });

  test("of a hook has the time that its message says", () => {
    const { dog, stopped } = open(1_000);
    dog.began({ ...headerOf("j-1"), from: { type: "hook", name: "github" }, turnMsMax: 5_000 });
    dog.began({ ...headerOf("j-1", "e2"), from: { type: "hook", name: "github" } });
    vi.advanceTimersByTime(4_999);
    expect(stopped).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(stopped).toEqual([{ type: "session", sessionKey: "agent:main:main", runId: "e1" }]);
    vi.advanceTimersByTime(2 * limits.jobRunMsMax);
    expect(stopped).toHaveLength(1);
  });

  test("is not the turn of an agent's own timer, or of a person's message", () => {
    const { dog, stopped } = open();
    dog.began(headerOf("t-1"));
    dog.began({ ...headerOf("j-1"), from: { type: "operator", client: "o" } });
    vi.advanceTimersByTime(2 * limits.jobRunMsMax);
    expect(stopped).toEqual([]);
  });
});

describe("a turn of an agent that has a bound", () => {
  const person = (id = "e1"): EnvelopeHeader => ({ ...headerOf("t-1", id), from: { type: "operator", client: "o" } });

  test.each([
    ["of a person's message", person()],
    ["of the agent's own timer", headerOf("t-1")],
  ])("%s is ended after it, and who waits is told once", async (_, header) => {
    const { dog, stopped, told } = open(undefined, 5_000);
    dog.began(header);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(stopped).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(stopped).toEqual([{ type: "session", sessionKey: "agent:main:main", runId: "e1" }]);
    expect(told).toEqual(["e1 5000"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stopped).toHaveLength(1);
  });

  test("that ended in time, or when it was to be ended, has its answer and nothing else", async () => {
    const { dog, stopped, told } = open(undefined, 5_000, []);
    dog.began(person());
    dog.ended(person());
    dog.began(person("e2"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([stopped.length, told]).toEqual([1, []]);
  });

  test.each([
    ["a job, whose own bound is longer", 5_000, undefined, headerOf("j-1"), 5_000, ["e1 5000"]],
    ["a heartbeat, whose own bound is shorter", 5_000, 1_000, headerOf("h-main"), 1_000, []],
    ["a hook that says its own", 5_000, undefined, { ...person(), turnMsMax: 20_000 }, 20_000, []],
  ] as const)("that is %s", async (_, agentMs, heartbeatMs, header, endMs, expected) => {
    const { dog, stopped, told } = open(heartbeatMs, agentMs);
    dog.began(header);
    await vi.advanceTimersByTimeAsync(endMs - 1);
    expect(stopped).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([stopped.length, told]).toEqual([1, expected]);
  });
});
