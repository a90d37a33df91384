import { describe, expect, it } from "vitest";
import { Groups } from "../../../runtime/store/groups.ts";

/** Handles a group when the test says so, and keeps what it was given. */
function makeGroups(sizeMax = 10) {
  const handled: string[][] = [];
  const release: (() => void)[] = [];
  const groups = new Groups<string, string>(sizeMax, async (items) => {
    handled.push([...items]);
    await new Promise<void>((resolve) => release.push(resolve));
    if (items.includes("bad")) throw new Error(`refused: ${items.join(" ")}`);
    return items.map((item) => item.toUpperCase());
  });
  /** Lets the oldest running group end, once it has begun. */
  const next = async (): Promise<void> => {
    while (release.length === 0) await Promise.resolve();
    release.shift()?.();
  };
  return { groups, handled, next };
}

describe("groups", () => {
  it("handles together what is added in one turn, and the rest when that has ended", async () => {
    const { groups, handled, next } = makeGroups();
    const first = Promise.all(["a", "b"].map((item) => groups.add(item)));
    await Promise.resolve();
    const second = Promise.all(["c", "d"].map((item) => groups.add(item)));
    await Promise.resolve();
    expect(handled).toEqual([["a", "b"]]);
    await next();
    expect(await first).toEqual(["A", "B"]);
    await next();
    expect(await second).toEqual(["C", "D"]);
    expect(handled).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
  });

  it("makes no group larger than its bound, and keeps the order", async () => {
    const { groups, handled, next } = makeGroups(2);
    const all = Promise.all(["a", "b", "c", "d", "e"].map((item) => groups.add(item)));
    for (let group = 0; group < 3; group += 1) await next();
    expect(await all).toEqual(["A", "B", "C", "D", "E"]);
    expect(handled).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  });

  it("hands on what waits when it is told to, also beside a group that runs", async () => {
    const { groups, handled, next } = makeGroups();
    const first = groups.add("a");
    groups.start();
    const second = groups.add("b");
    expect(handled).toEqual([["a"]]);
    groups.start();
    expect(handled).toEqual([["a"], ["b"]]);
    await next();
    await next();
    expect(await Promise.all([first, second])).toEqual(["A", "B"]);
  });

  it("tries the items of a failed group alone, so that one does not refuse the others", async () => {
    const { groups, handled, next } = makeGroups();
    const all = Promise.allSettled(["a", "bad", "b"].map((item) => groups.add(item)));
    for (let run = 0; run < 4; run += 1) await next();
    expect(await all).toMatchObject([
      { value: "A" },
      { status: "rejected", reason: { message: "refused: bad" } },
      { value: "B" },
    ]);
    expect(handled).toEqual([["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
    const later = groups.add("c");
    await next();
    expect(await later).toBe("C");
  });

  it("refuses a failed group as a whole when another one was handed on behind it, and keeps the order so", async () => {
    const { groups, handled, next } = makeGroups();
    const first = Promise.allSettled(["a", "bad"].map((item) => groups.add(item)));
    groups.start();
    const second = groups.add("b");
    groups.start();
    for (let run = 0; run < 2; run += 1) await next();
    expect(await first).toMatchObject([{ status: "rejected" }, { status: "rejected" }]);
    expect(await second).toBe("B");
    expect(handled).toEqual([["a", "bad"], ["b"]]);
  });

  it("lets nothing come between the items of a failed group", async () => {
    const { groups, handled, next } = makeGroups();
    const first = Promise.allSettled(["a", "bad", "b"].map((item) => groups.add(item)));
    await next();
    while (handled.length < 2) await Promise.resolve();
    const second = groups.add("c");
    groups.start();
    for (let run = 0; run < 4; run += 1) await next();
    expect(await first).toMatchObject([{ value: "A" }, { status: "rejected" }, { value: "B" }]);
    expect(await second).toBe("C");
    expect(handled).toEqual([["a", "bad", "b"], ["a"], ["bad"], ["b"], ["c"]]);
  });
});
