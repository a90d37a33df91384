/** A trusted thread that is looked at: one whose loop stands still is ended, and every call that waits for it settles. */
import { expect, test } from "vitest";
import { startTrustedThread } from "../../runtime/thread/trusted-thread.ts";

interface Stuck {
  ping(): Promise<string>;
  stick(): Promise<never>;
}

test("a loop that stands still ends the thread: calls that wait are refused with the reason, and so are later ones", async () => {
  const lost = Promise.withResolvers<string>();
  const { remote } = await startTrustedThread<Stuck>({
    entry: new URL("../fixtures/programs/stuck-thread.ts", import.meta.url),
    name: "stuck",
    init: {},
    handlers: {},
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
