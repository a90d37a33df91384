/** What a turn asked for keeps its outcome until that turn is done, so that a repeated ask hears it. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import { beginOf, commitOf, envelope } from "./store-envelopes.ts";
import { eachStore } from "./store-kinds.ts";

const asked: Envelope = ((plain) => ({ ...plain, header: { ...plain.header, askedIn: "asker" } }))(
  envelope("asked", { agentId: "bob" }),
);

describe("an envelope that a turn asked for", () => {
  const kept = eachStore("lmdb");
  beforeEach(async () => {
    await kept.store.append(envelope("asker"));
    await kept.store.append(asked);
    await kept.store.begin(beginOf(asked));
    await kept.store.commit(commitOf(asked, { outcomeText: "the answer" }));
    await kept.store.settle("asked");
  });

  it("keeps its outcome while the asking turn is open, over later writes and a restart, and is not pending", async () => {
    await kept.store.append(envelope("later"));
    expect(await kept.store.outcome("bob", "asked")).toEqual({ status: "done", outcomeText: "the answer" });
    await kept.reopen();
    expect((await kept.store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["asker", "later"]);
    await kept.store.append(envelope("much later"));
    await kept.store.release("bob");
    expect(await kept.store.outcome("bob", "asked")).toEqual({ status: "done", outcomeText: "the answer" });
  });

  it("goes with the asking turn, whether that is done or a dead letter", async () => {
    for (const end of ["done", "dead letter"]) {
      if (end === "done") {
        await kept.store.begin(beginOf(envelope("asker")));
        await kept.store.commit(commitOf(envelope("asker")));
        await kept.store.settle("asker");
      } else {
        await kept.store.append(envelope("asker"));
        await kept.store.append(asked);
        await kept.store.begin(beginOf(asked));
        await kept.store.commit(commitOf(asked));
        await kept.store.settle("asked");
        await kept.store.bury("asker", "poison", "test");
      }
      expect(await kept.store.outcome("bob", "asked"), end).toEqual({ status: "unknown" });
      await kept.reopen();
      expect((await kept.store.pending()).envelopes, end).toEqual([]);
    }
  });

  it("that is done after the asking turn goes at once", async () => {
    await kept.store.bury("asker", "dropped", "test");
    const late: Envelope = { ...asked, header: { ...asked.header, id: "late" } };
    await kept.store.append(late);
    await kept.store.begin(beginOf(late));
    await kept.store.commit(commitOf(late));
    await kept.store.settle("late");
    expect(await kept.store.outcome("bob", "late")).toEqual({ status: "unknown" });
  });
});
