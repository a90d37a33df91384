import { expect, it, vi } from "vitest";
import type { Worker } from "node:worker_threads";
import { limits } from "../../../runtime/kernel/limits.ts";
import { startStuckProfile } from "../../../runtime/thread/stuck-profile.ts";

const workerWith = (startCpuProfile: () => Promise<unknown>): Worker => ({ startCpuProfile }) as unknown as Worker;

it("says of a thread that does not answer what may hold it, when the time for a profile is over", async () => {
  vi.useFakeTimers();
  try {
    const taken = startStuckProfile(workerWith(() => new Promise(() => undefined)))();
    await vi.advanceTimersByTimeAsync(limits.profileMs);
    expect(await taken).toEqual({
      type: "missing",
      why: `the cell did not answer the profiler within ${limits.profileMs} ms: in native code, or without CPU`,
    });
  } finally {
    vi.useRealTimers();
  }
});

it("gives the profile of one that answers, and the reason where it could not be started or is too long", async () => {
  const profileOf = (profile: string) => startStuckProfile(workerWith(async () => ({ stop: async () => profile })))();
  expect(await profileOf("{}")).toEqual({ type: "taken", profile: "{}" });
  expect(await profileOf("x".repeat(limits.profileBytesMax + 1))).toMatchObject({
    type: "missing",
    why: expect.stringContaining(`at most ${limits.profileBytesMax} are kept`),
  });
  const refused = startStuckProfile(workerWith(() => Promise.reject(new Error("not now"))))();
  expect(await refused).toMatchObject({
    type: "missing",
    why: expect.stringContaining("could not be started: not now"),
  });
});
