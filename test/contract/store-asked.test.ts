/** What a turn asked for keeps its outcome until that turn is done, so that a repeated ask hears it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { Store } from "../../runtime/store/port.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";

const asked: Envelope = ((plain) => ({ ...plain, header: { ...plain.header, askedIn: "asker" } }))(
  envelope("asked", { agentId: "bob" }),
);

describe("an envelope that a turn asked for", () => {
  let dir: string;
  let store: Store;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    store = await openLmdbStore(placesIn(dir));
    await store.append(envelope("asker"));
    await store.append(asked);
    await store.begin(beginOf(asked));
    await store.commit(commitOf(asked, { outcomeText: "the answer" }));
    await store.settle("asked");
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await openLmdbStore(placesIn(dir));
  };

  it("keeps its outcome while the asking turn is open, over later writes and a restart, and is not pending", async () => {
    await store.append(envelope("later"));
    expect(await store.outcome("bob", "asked")).toEqual({ status: "done", outcomeText: "the answer" });
    await reopen();
    expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["asker", "later"]);
    await store.append(envelope("much later"));
    await store.release("bob");
    expect(await store.outcome("bob", "asked")).toEqual({ status: "done", outcomeText: "the answer" });
  });

  it("goes with the asking turn, whether that is done or a dead letter", async () => {
    for (const end of ["done", "dead letter"]) {
      if (end === "done") {
        await store.begin(beginOf(envelope("asker")));
        await store.commit(commitOf(envelope("asker")));
        await store.settle("asker");
      } else {
        await store.append(envelope("asker"));
        await store.append(asked);
        await store.begin(beginOf(asked));
        await store.commit(commitOf(asked));
        await store.settle("asked");
        await store.bury("asker", "poison", "test");
      }
      expect(await store.outcome("bob", "asked"), end).toEqual({ status: "unknown" });
      await reopen();
      expect((await store.pending()).envelopes, end).toEqual([]);
    }
  });

  it("that is done after the asking turn goes at once", async () => {
    await store.bury("asker", "dropped", "test");
    const late: Envelope = { ...asked, header: { ...asked.header, id: "late" } };
    await store.append(late);
    await store.begin(beginOf(late));
    await store.commit(commitOf(late));
    await store.settle("late");
    expect(await store.outcome("bob", "late")).toEqual({ status: "unknown" });
  });
});
