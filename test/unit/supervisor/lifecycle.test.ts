/** What an operator orders of the process, and when that is refused. */
import { expect, it } from "vitest";
import { makeLifecycle, type StopOrder } from "../../../runtime/supervisor/lifecycle.ts";

const launched = { pid: 2, restarts: 0 };

function make(changes: Partial<Parameters<typeof makeLifecycle>[0]> = {}) {
  const orders: StopOrder[] = [];
  const lifecycle = makeLifecycle({
    pid: 1,
    bootId: "b",
    startedAtMs: 0,
    launched,
    onStopOrder: (order) => orders.push(order),
    checkConfig: () => Promise.resolve(),
    turnsInFlight: () => 1,
    isReady: () => true,
    ...changes,
  });
  return { lifecycle, orders };
}

it.each([true, false])("--safe is refused while a turn runs, and ends nothing (restart: %s)", async (again) => {
  const { lifecycle, orders } = make();
  await expect(lifecycle.end({ safe: true }, again, "op")).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_BUSY" });
  await new Promise(setImmediate);
  expect(orders).toEqual([]);
  await lifecycle.end({ waitMs: 7 }, again, "op");
  await expect.poll(() => orders).toMatchObject([{ drainMs: 7, again }]);
});

it("a restart without a launcher is refused, a stop is not; nor is one into a configuration that does not hold taken", async () => {
  const alone = make({ launched: undefined });
  await expect(alone.lifecycle.end({}, true, "op")).rejects.toMatchObject({ code: "CLOISTER_GATEWAY_NO_LAUNCHER" });
  await alone.lifecycle.end({ force: true }, false, "op");
  await expect.poll(() => alone.orders).toMatchObject([{ drainMs: 0, again: false }]);
  const broken = make({ checkConfig: () => Promise.reject(new Error("line 3")) });
  await expect(broken.lifecycle.end({}, true, "op")).rejects.toThrow("line 3");
  await new Promise(setImmediate);
  expect(broken.orders).toEqual([]);
});
