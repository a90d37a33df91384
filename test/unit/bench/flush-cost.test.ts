import { describe, expect, test } from "vitest";
import { SlowEnvironment } from "../../../bench/flush-cost.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";

/** An environment whose flushes end when the test says so. */
async function makeSlow() {
  const flushes: { readonly count: number; readonly end: () => void }[] = [];
  const inner = await memoryEnvironments(new Map())("/memory");
  const environment = new SlowEnvironment(
    inner,
    (count) => new Promise<void>((resolve) => flushes.push({ count, end: resolve })),
  );
  const done: string[] = [];
  const write = (name: string): void => {
    void environment.write(() => environment.put([name], name)).then(() => done.push(name));
  };
  const flush = async (): Promise<number> => {
    while (flushes.length === 0) await Promise.resolve();
    const { count, end } = flushes.shift() ?? { count: 0, end: () => undefined };
    end();
    return count;
  };
  return { environment, done, write, flush };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a slower flush", () => {
  test("keeps a write from ending, and lets those that come meanwhile share the next one", async () => {
    const { environment, done, write, flush } = await makeSlow();
    write("a");
    await turn();
    write("b");
    write("c");
    await turn();
    expect([done, environment.get(["b"])]).toEqual([[], undefined]);
    expect(await flush()).toBe(1);
    await turn();
    expect([done, environment.get(["b"])]).toEqual([["a"], "b"]);
    // In memory each write is a commit of its own, and each costs a flush.
    expect(await flush()).toBe(2);
    await environment.settled();
    await turn();
    expect(done).toEqual(["a", "b", "c"]);
  });

  test("gives results and errors to whom they belong", async () => {
    const { environment, flush } = await makeSlow();
    const good = environment.write(() => "good");
    await flush();
    expect(await good).toBe("good");
    const both = Promise.allSettled([
      environment.write(() => {
        throw new Error("no space");
      }),
      environment.write(() => "other"),
    ]);
    await flush();
    await flush();
    expect(await both).toMatchObject([{ reason: { message: "no space" } }, { value: "other" }]);
  });
});
