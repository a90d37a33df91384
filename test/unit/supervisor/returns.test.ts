import { expect, test } from "vitest";
import { makeReturns, type ReturnsDeps } from "../../../runtime/supervisor/returns.ts";

type View = ReturnType<ReturnsDeps["kernel"]["view"]>;

/** A kernel that says what the test says, and a journal with three messages. */
function open(read: () => Promise<void> = async () => undefined) {
  const state = { phase: "disabled", isEnding: true, returned: new Array<number>(), errors: 0 };
  const returns = makeReturns({
    kernel: {
      view: () => (state.phase === "gone" ? undefined : ({ phase: state.phase } as View)),
      mayReturn: () => state.phase === "disabled" && !state.isEnding,
      returnToService(_, { count }) {
        state.returned.push(count);
        state.phase = "dormant";
        return true;
      },
    },
    store: {
      queued: async () => {
        await read();
        return [{ seq: 1 }, { seq: 2 }, { seq: 3 }] as never;
      },
      stops: async () => [],
    },
    runs: { shelvedBefore: () => undefined },
    log: { error: () => void state.errors++ },
    nowMs: () => 0,
  });
  return { state, returns, settled: () => new Promise<void>((resolve) => setImmediate(resolve)) };
}

test("what is asked for while its cell is ending is done when that has ended, once", async () => {
  const { state, returns, settled } = open();
  expect(await returns.bringBack("ann")).toBe(true);
  returns.goOn();
  await settled();
  expect(state.returned).toEqual([]);
  state.isEnding = false;
  returns.goOn();
  await settled();
  expect(state.returned).toEqual([3]);
  state.phase = "disabled";
  returns.goOn();
  await settled();
  expect(state.returned).toEqual([3]);
});

test.each(["dormant", "gone"])("an agent that is %s meanwhile is not brought back later", async (phase) => {
  const { state, returns, settled } = open();
  await returns.bringBack("ann");
  state.phase = phase;
  returns.goOn();
  Object.assign(state, { phase: "disabled", isEnding: false });
  returns.goOn();
  await settled();
  expect(state.returned).toEqual([]);
});

test("an agent that works is not brought back; a journal that cannot be read is told", async () => {
  const working = open();
  working.state.phase = "running";
  expect(await working.returns.bringBack("ann")).toBe(false);
  const { state, returns, settled } = open(() => Promise.reject(new Error("no disk")));
  await returns.bringBack("ann");
  state.isEnding = false;
  returns.goOn();
  await settled();
  expect(state).toMatchObject({ returned: [], errors: 1, phase: "disabled" });
  await expect(returns.bringBack("ann")).rejects.toThrow("no disk");
});
