/** What models took by day and session, in both kinds of store: each turn counted once, whatever becomes of its session. */
import { describe, expect, it } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { TurnCommit } from "../../runtime/store/port.ts";
import { beginOf, commitOf, envelope } from "./store-envelopes.ts";
import { eachStore, storeKinds } from "./store-kinds.ts";

const dayMs = 86_400_000;

describe.each(storeKinds)("usage in the store: %s", (kind) => {
  const kept = eachStore(kind, {});

  let count = 0;
  const turn = async (session: string, atMs: number, tokens?: TurnCommit["tokens"]): Promise<void> => {
    const mail = envelope(`e${count++}`, { session });
    await kept.store.append(mail);
    await kept.store.begin(beginOf(mail));
    const commit = commitOf(mail, { kind: "hook", atMs, ...(tokens === undefined ? {} : { tokens }) });
    await kept.store.commit(commit);
    // The same commit again, as after a crash, is the same turn.
    await kept.store.commit(commit);
    await kept.store.settle(mail.header.id);
  };
  const all = { fromDay: 0, toDay: 100_000, limit: 100 };
  const rows = async () =>
    (await kept.store.usage(all)).map(({ day, key, tokens }) => [day, key.replace("agent:ann:", ""), tokens]);

  it("sums the turns of a session by day, and begins each day anew", async () => {
    await turn("a", 10 * dayMs, { input: 5, output: 1, costNanos: 7 });
    await turn("a", 11 * dayMs - 1, { input: 1, output: 1, costNanos: 3 });
    await turn("a", 11 * dayMs - 1);
    await turn("b", 10 * dayMs, { input: 2, output: 2 });
    await turn("a", 11 * dayMs, { input: 1, output: 0 });
    await kept.reopen();
    const [newest, ...others] = await rows();
    expect(newest).toEqual([11, "a", { input: 1, output: 0 }]);
    expect(others).toHaveLength(2);
    expect(others).toEqual(
      expect.arrayContaining([
        [10, "a", { input: 6, output: 2, costNanos: 10 }],
        [10, "b", { input: 2, output: 2 }],
      ]),
    );
  });

  it("keeps what was taken when the session begins anew or is deleted, and counts on beside it", async () => {
    await turn("a", 5 * dayMs, { input: 5, output: 0 });
    await kept.store.resetSession("agent:ann:a", "ann", 5 * dayMs + 1);
    await turn("a", 5 * dayMs + 2, { input: 6, output: 0 });
    await kept.store.deleteSession("agent:ann:a", "ann", 5 * dayMs + 3);
    await turn("a", 5 * dayMs + 4, { input: 7, output: 0 });
    expect((await kept.store.usage(all)).map(({ tokens }) => tokens.input).toSorted((a, b) => a - b)).toEqual([
      5, 6, 7,
    ]);
  });

  it("gives pages that together have each row of the period once, the newest day first", async () => {
    for (const day of [1, 2, 2, 3, 4]) await turn(`s${count}`, day * dayMs, { input: day, output: 0 });
    const days: number[] = [];
    let page = await kept.store.usage({ fromDay: 1, toDay: 3, limit: 2 });
    for (let read = 0; read < 3; read++) {
      days.push(...page.map(({ day }) => day));
      const before = page.at(-1);
      if (before === undefined) break;
      page = await kept.store.usage({ fromDay: 1, toDay: 3, limit: 2, before });
    }
    expect(days).toEqual([3, 2, 2, 1]);
  });

  it("removes what is older than is kept, and nothing younger", async () => {
    for (const day of [1, 1, 2]) await turn(`s${count}`, day * dayMs, { input: 1, output: 0 });
    await turn("new", limits.usageDaysKept * dayMs, { input: 1, output: 0 });
    expect((await rows()).map(([day]) => day)).toEqual([limits.usageDaysKept, 2, 1, 1]);
    await turn("new", (limits.usageDaysKept + 1) * dayMs, { input: 1, output: 0 });
    expect((await rows()).map(([day]) => day)).toEqual([limits.usageDaysKept + 1, limits.usageDaysKept, 2]);
  });

  it("a clock that is set back adds to the day that it was", async () => {
    await turn("a", 9 * dayMs, { input: 1, output: 0 });
    await turn("a", 8 * dayMs, { input: 2, output: 0 });
    await turn("a", 9 * dayMs, { input: 4, output: 0 });
    expect(await rows()).toEqual([[9, "a", { input: 7, output: 0 }]]);
  });
});
