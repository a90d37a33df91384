import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeOnceIdle } from "../../../runtime/thread/once-idle.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("a task is done once, when no work has run for a while, also when work fails", async () => {
  let done = 0;
  const once = makeOnceIdle(async () => void done++, 1_000);
  const long = Promise.withResolvers<string>();
  const answer = once(() => long.promise);
  await expect(once(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(done).toBe(0);
  long.resolve("yes");
  expect(await answer).toBe("yes");
  await vi.advanceTimersByTimeAsync(999);
  // Work that begins in between has it wait again.
  await once(async () => undefined);
  await vi.advanceTimersByTimeAsync(999);
  expect(done).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(done).toBe(1);
  expect(await once(async () => "later")).toBe("later");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(done).toBe(1);
});
