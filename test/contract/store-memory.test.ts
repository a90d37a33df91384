import { expect, it, onTestFinished, vi } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { MemoryDisk } from "../../runtime/store/memory-environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { ownerSeenEveryMs } from "../../runtime/store/owner.ts";
import type { Store } from "../../runtime/store/port.ts";
import { envelope, placesIn } from "./store-envelopes.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite({ name: "memory", clock: true, modelRuns: 300 }, async () => {
  const disk: MemoryDisk = new Map();
  return {
    dir: "/memory",
    open: (options) => openMemoryStore(placesIn("/memory"), { ...options, disk }),
    openEnvironment: memoryEnvironments(disk),
    dispose: async () => disk.clear(),
  };
});

it("knows after a kill for how long the gateway ran, to a mark or to the newest message, and writes no mark when nothing is young", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const disk: MemoryDisk = new Map();
  let elapsedMs = 0;
  /** The one before is left as a kill leaves it. */
  const open = (bootId: string): Promise<Store> => {
    const owner = { pid: process.pid, startTicks: "", bootId, host: "here" };
    return openMemoryStore(placesIn("/memory"), { disk, owner, elapsedMs: () => elapsedMs });
  };
  const offer = async (store: Store, id: string) =>
    (await store.append(envelope(id), { scope: "slack", key: "7" })).status;
  const first = await open("1");
  expect(await offer(first, "a")).toBe("stored");
  elapsedMs = limits.dedupeWindowMs - 1;
  const second = await open("2");
  // Nothing was marked: the newest message is the last sign of life.
  elapsedMs += limits.dedupeWindowMs - 1;
  expect(await offer(second, "b")).toBe("duplicate");
  vi.advanceTimersByTime(ownerSeenEveryMs);
  const third = await open("3");
  expect(await offer(third, "c")).toBe("duplicate");
  elapsedMs += 1;
  expect(await offer(third, "d")).toBe("stored");
  elapsedMs += limits.dedupeWindowMs;
  for (const marks of [1, 0, 0]) {
    const { journalCommits } = await third.counters();
    vi.advanceTimersByTime(ownerSeenEveryMs);
    await third.pending();
    expect((await third.counters()).journalCommits - journalCommits).toBe(marks);
  }
});
