import { describe, expect, test } from "vitest";
import { appendRows, newestRows } from "../../../runtime/store/bounded-log.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";

async function makeLog(rowsMax: number) {
  const environment = await memoryEnvironments(new Map())("/memory");
  let scans = 0;
  const counted = new Proxy(environment, {
    get(target, name) {
      if (name === "entries") scans++;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return {
    append: (...rows: readonly number[]) => environment.write(() => appendRows(counted, "a", rows, rowsMax)),
    rows: () => newestRows<number>(environment, "a", 100),
    keys: () => [...environment.entries({ start: ["a", 0], end: ["a", 1_000] })].map(({ key }) => key[1]),
    takeScans: () => {
      const taken = scans;
      scans = 0;
      return taken;
    },
  };
}

describe("rows beyond the bound", () => {
  test("are dropped, oldest first, however many come at once", async () => {
    const log = await makeLog(4);
    await log.append(1);
    await log.append(2, 3, 4);
    expect([log.rows(), log.keys()]).toEqual([
      [4, 3, 2, 1],
      [1, 2, 3, 4],
    ]);
    await log.append(5, 6);
    expect([log.rows(), log.keys()]).toEqual([
      [6, 5, 4, 3],
      [3, 4, 5, 6],
    ]);
    await log.append(7, 8, 9, 10, 11, 12);
    expect([log.rows(), log.keys()]).toEqual([
      [12, 11, 10, 9],
      [7, 8, 9, 10],
    ]);
  });

  test("are looked for once for all that come together", async () => {
    const log = await makeLog(4);
    await log.append(1, 2, 3, 4);
    log.takeScans();
    await log.append(5, 6, 7);
    expect(log.takeScans()).toBe(2);
  });
});

test("no rows change nothing", async () => {
  const log = await makeLog(4);
  await log.append(1, 2);
  await log.append();
  expect(log.rows()).toEqual([2, 1]);
});
