/** Waiting beside a signal that lives longer than what is waited for. */
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { unlessAborted } from "../../../channels/aborted.ts";

test("work that ends, or fails, leaves nothing at the signal", async () => {
  const { signal } = new AbortController();
  for (let n = 0; n < 20; n++) expect(await unlessAborted(Promise.resolve(n), signal)).toBe(n);
  await expect(unlessAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("work that is not over is not waited for when the signal aborts, also when it has", async () => {
  const never = new Promise<number>(() => undefined);
  const ending = new AbortController();
  const waited = unlessAborted(never, ending.signal);
  ending.abort();
  expect(await waited).toBeUndefined();
  expect(await unlessAborted(never, ending.signal)).toBeUndefined();
});
