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

function open(spanMs?: number) {
  const stopped: unknown[] = [];
  const stop = async (scope: object): Promise<void> => void stopped.push(scope);
  return { stopped, dog: makeJobWatchdog(stop, quiet, () => spanMs) };
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
