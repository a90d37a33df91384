/** A trusted thread that is looked at: one whose loop stands still is ended, and every call that waits for it settles. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { expect, onTestFinished, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { startTrustedThread } from "../../runtime/thread/trusted-thread.ts";

interface Stuck {
  ping(): Promise<string>;
  stick(): Promise<never>;
  leave(): Promise<void>;
  heapLimit(): Promise<number>;
  read(file: string): Promise<never>;
}

const stuck = {
  entry: new URL("../fixtures/programs/stuck-thread.ts", import.meta.url),
  name: "stuck",
  init: {},
  handlers: {},
};

test("a loop that stands still ends the thread: calls that wait are refused with the reason, and so are later ones", async () => {
  const lost = Promise.withResolvers<string>();
  const { remote } = await startTrustedThread<Stuck>({
    ...stuck,
    stuckMs: 2_000,
    onLost: lost.resolve,
  });
  expect(await remote.ping()).toBe("pong");
  const calls = [remote.stick(), remote.ping()].map((call) => call.catch((error: unknown) => error));
  const why = "the stuck thread is ended: its loop did not turn for 2000 ms";
  for (const error of await Promise.all(calls))
    expect(error).toMatchObject({ code: "CLOISTER_THREAD_LOST", message: expect.stringContaining(why) });
  expect(await lost.promise).toBe(why);
  await expect(remote.ping()).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
});

test("a stop does not wait for a thread that native code holds", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cloister-thread-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const fifo = path.join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  const onLost = (): void => expect.unreachable();
  const { remote, stop } = await startTrustedThread<Stuck>({ ...stuck, onLost, stopMs: 20 });
  const reading = remote.read(fifo).catch((error: unknown) => error);
  // Opened by both sides: the thread reads, and nobody writes before the stop is over.
  const writer = await open(fifo, "w");
  await stop();
  expect(await reading).toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  await writer.close();
});

test("a stop gives a thread that something keeps no longer than its grace, and waits for its end", async () => {
  const onLost = (): void => expect.unreachable();
  const { remote, stop } = await startTrustedThread<Stuck>({ ...stuck, onLost, graceMs: 20, stopMs: 600_000 });
  await remote.leave();
  await stop();
  await expect(remote.ping()).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
});

test("the bound of the main thread's young generation is not that of a trusted thread, which has its own", async () => {
  // What the process of a gateway is started with.
  setFlagsFromString(`--max-semi-space-size=${limits.mainYoungGenerationMb / 3}`);
  onTestFinished(() => setFlagsFromString("--max-semi-space-size=0"));
  const heapMb = 100;
  const { remote, stop } = await startTrustedThread<Stuck>({ ...stuck, heapMb, onLost: () => expect.unreachable() });
  expect((await remote.heapLimit()) / 1_048_576).toBe(heapMb + limits.trustedYoungGenerationMb);
  await stop();
});
