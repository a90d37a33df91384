import { expect, test } from "vitest";
import type { SessionRow } from "../../../runtime/store/port.ts";
import { makeCensus } from "../../../runtime/supervisor/session-census.ts";

function open() {
  const asked = { counts: 0, rows: 0 };
  let fails = false;
  const parts = [{ counts: { main: 2, raul: 1 }, next: "k" }, { counts: { raul: 3 } }];
  const row = { key: "agent:raul:main", agentId: "raul" } as SessionRow;
  const census = makeCensus({
    countSessions: async (after) => {
      asked.counts += 1;
      if (fails) throw new Error("no disk");
      return parts[after === undefined ? 0 : 1] ?? { counts: {} };
    },
    sessions: async () => {
      asked.rows += 1;
      return { rows: [row], total: 6 };
    },
  });
  return { census, asked, row, fail: (now: boolean) => void (fails = now) };
}

test("counts in pieces, once for all who ask before the next change", async () => {
  const { census, asked, row } = open();
  const all = await Promise.all([census.take(), census.take()]);
  for (const found of all) expect(found).toEqual({ counts: { main: 2, raul: 4 }, total: 6, newest: [row] });
  await census.take();
  expect(asked).toEqual({ counts: 2, rows: 1 });
  census.changed();
  await census.take();
  expect(asked).toEqual({ counts: 4, rows: 2 });
});

test("a change while it counts is counted by the next", async () => {
  const { census, asked } = open();
  const first = census.take();
  census.changed();
  await first;
  await census.take();
  expect(asked.rows).toBe(2);
});

test("the last one is told at once, and a newer one is then on its way", async () => {
  const { census, asked } = open();
  expect(census.last()).toEqual({ counts: {}, total: 0, newest: [] });
  await expect.poll(() => census.last().total).toBe(6);
  expect(asked.rows).toBe(1);
});

test("a store that fails is told to who asked, and asked again by the next", async () => {
  const { census, fail } = open();
  fail(true);
  await expect(census.take()).rejects.toThrow("no disk");
  expect(census.last().total).toBe(0);
  fail(false);
  await expect.poll(async () => (await census.take().catch(() => ({ total: 0 }))).total).toBe(6);
});
