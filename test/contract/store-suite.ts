/** What every store must do. Run by one file for each kind of store; `harness` says how to open it again on the same disk. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import type { Envelope, Fate } from "../../runtime/kernel/envelope.ts";
import type { StepRow } from "../../runtime/kernel/steps.ts";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import { openStore } from "../../runtime/store/store.ts";
import { operatorScope } from "../../runtime/store/rows.ts";
import { agentIds, beginOf, commitOf, envelope, placesIn, webhookRoute } from "./store-envelopes.ts";
import { checkAgainstModel } from "./store-model.ts";

export interface StoreHarness {
  /** Opens the store on the same disk each time. */
  open(options?: StoreOptions): Promise<Store>;
  readonly dir: string;
  dispose(): Promise<void>;
  /** Present when the store runs in this thread: environments on the same disk, so that a test can break one. */
  readonly openEnvironment?: OpenEnvironment;
}

export interface StoreSupports {
  readonly name: string;
  /** Takes a clock and an id generator (a store in another thread has its own). */
  readonly clock: boolean;
  /** Random sequences that the model checks. */
  readonly modelRuns: number;
}

const everything = { limit: 100, offset: 0 };

export function storeSuite(supports: StoreSupports, makeHarness: () => Promise<StoreHarness>): void {
  describe(`store contract: ${supports.name}`, () => {
    let harness: StoreHarness;
    let store: Store;
    const reopen = async (options?: StoreOptions): Promise<void> => {
      await store.close();
      store = await harness.open(options);
    };
    /** One whole turn. */
    const turn = async (
      id: string,
      parts: Parameters<typeof envelope>[1] = {},
      commit: Parameters<typeof commitOf>[1] = {},
    ) => {
      const mail = envelope(id, parts);
      await store.append(mail);
      await store.begin(beginOf(mail));
      return await store.commit(commitOf(mail, commit));
    };

    const noLetters = { refused: 0, dropped: 0, expired: 0, unhandled: 0, undeliverable: 0, poison: 0 };
    /** One envelope that becomes a dead letter. */
    const lose = async (id: string, fate: Fate, parts: Parameters<typeof envelope>[1] = {}): Promise<void> => {
      await store.append(envelope(id, parts));
      await store.bury(id, fate, `reason ${id}`);
    };

    beforeEach(async () => {
      harness = await makeHarness();
      store = await harness.open();
    });
    afterEach(async () => {
      await store.close();
      await harness.dispose();
    });

    describe("accepting", () => {
      it("finds appended envelopes again after reopening, in the order of the calls", async () => {
        const mails = Array.from({ length: 40 }, (_, at) => envelope(`e${at}`, { agentId: agentIds[at % 3] ?? "ann" }));
        await Promise.all(mails.map((mail) => store.append(mail)));
        await reopen();
        const { envelopes, outbound } = await store.pending();
        expect(envelopes).toEqual(mails.map(({ header }, at) => ({ seq: at + 1, header, attempts: 0 })));
        expect(outbound).toEqual([]);
      });

      it("keeps a body exactly, broken surrogates and zero bytes included", async () => {
        const body = "a\0b \ud800 \u{1f600} “é”";
        await store.append(envelope("odd", { body }));
        await reopen();
        expect(await store.begin(beginOf(envelope("odd")))).toMatchObject({ status: "begun", body });
      });

      it("answers a repeated key with the first envelope, also when both are in flight, also after a restart", async () => {
        const dedupe = { scope: "webhook:biz:+1555", key: "m1" };
        const [first, second] = await Promise.all([
          store.append(envelope("a"), dedupe),
          store.append(envelope("b"), dedupe),
        ]);
        expect(first).toMatchObject({ status: "stored" });
        expect(second).toEqual({ status: "duplicate", envelopeId: "a", runId: "run-a" });
        await store.settle("a");
        await reopen();
        expect(await store.append(envelope("c"), dedupe)).toEqual({
          status: "duplicate",
          envelopeId: "a",
          runId: "run-a",
        });
        expect(await store.append(envelope("d"), { ...dedupe, scope: "other" })).toMatchObject({ status: "stored" });
        expect((await store.counters()).appends).toBe(1);
      });

      it("begins the turn of an envelope whose append waits behind another one", async () => {
        await store.append(envelope("open"));
        await store.begin(beginOf(envelope("open")));
        const first = store.append(envelope("a"));
        // Now the write of the first is on its way.
        await Promise.resolve();
        await Promise.resolve();
        const second = store.append(envelope("b", { session: "other" }));
        const begun = store.begin(beginOf(envelope("b", { session: "other" })));
        expect(await begun).toMatchObject({ status: "begun", attempt: 1 });
        expect(await Promise.all([first, second])).toMatchObject([{ status: "stored" }, { status: "stored" }]);
      });

      it("keeps a letter under a key once, and accepts nothing under that key afterwards, also after a restart", async () => {
        const key = { scope: "slack:a:c:ann", key: "m1" };
        for (const id of ["first", "again"]) await store.keepLetter(envelope(id), "refused", "no room", key);
        await store.append(envelope("taken"), { ...key, key: "m2" });
        await store.keepLetter(envelope("late"), "refused", "no room", { ...key, key: "m2" });
        const letters = async () => (await store.deadLetters({ limit: 10 })).rows.map(({ header }) => header.id);
        expect(await letters()).toEqual(["first"]);
        await reopen();
        expect(await store.append(envelope("taken again"), key)).toMatchObject({ envelopeId: "first" });
        await store.replay("first", envelope("replayed"));
        expect(await store.append(envelope("taken again"), key)).toMatchObject({ status: "duplicate" });
        await store.keepLetter(envelope("after"), "refused", "no room", key);
        expect(await letters()).toEqual([]);
        expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["taken", "replayed"]);
      });

      it("takes an envelope id once", async () => {
        await store.append(envelope("a"));
        expect(await store.append(envelope("a"))).toEqual({ status: "duplicate", envelopeId: "a", runId: "run-a" });
        expect((await store.pending()).envelopes).toHaveLength(1);
      });

      it("tells keys apart that are long or hold characters that a database key cannot", async () => {
        const long = "x".repeat(5_000);
        const keys = ["a\0b", "a", "#a", "\ud800", "\ud801", long, `${long}y`, "a b", ""];
        const results = [];
        for (const [at, key] of keys.entries())
          results.push(await store.append(envelope(`e${at}`), { scope: long, key }));
        expect(results.map((result) => result.status)).toEqual(keys.map(() => "stored"));
        for (const key of keys)
          expect((await store.append(envelope("again"), { scope: long, key })).status).toBe("duplicate");
      });

      it("remembers at most the bound of keys in a scope and forgets the oldest", async () => {
        await reopen({ bounds: { dedupeKeysPerScopeMax: 3 } });
        for (const key of ["1", "2", "3", "4"]) await store.append(envelope(`e${key}`), { scope: "s", key });
        await store.append(envelope("other"), { scope: "t", key: "1" });
        const again = async (key: string) => (await store.append(envelope(`again${key}`), { scope: "s", key })).status;
        expect([await again("2"), await again("4"), await again("1"), await again("2")]).toEqual([
          "duplicate",
          "duplicate",
          "stored",
          "stored",
        ]);
      });
    });

    describe("a long body", () => {
      const bounds = { bounds: { blobCharsMin: 1_000 } };
      const long = "é\ud83d\ude00 ".repeat(1_000);
      const odd = `\ud800${"x".repeat(2_000)}\0`;
      const folderOf = (at: number) =>
        harness.openEnvironment?.blobs?.(placesIn(harness.dir).agents[at]?.sessionsDir ?? "");
      const files = async (at = 0): Promise<number> => (await folderOf(at)?.list())?.length ?? 0;

      it("comes back exactly at the turn, in the history, from a dead letter and from its replay, also after restarts", async () => {
        await reopen(bounds);
        for (const [at, body] of [long, odd].entries()) await turn(`a${at}`, { body });
        await lose("dead", "poison", { body: long });
        await reopen(bounds);
        await store.append(envelope("open", { body: odd }));
        expect(await store.begin(beginOf(envelope("open")))).toMatchObject({ body: odd });
        const { rows } = await store.history("ann", "agent:ann:main", 10, 0);
        expect(rows.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual([long, odd]);
        expect((await store.session("agent:ann:main"))?.lastPreview).toBe("answer to a1");
        expect((await store.deadLetters({ limit: 1 })).rows[0]).toMatchObject({
          bodyChars: long.length,
          preview: long.slice(0, 200),
        });
        expect((await store.deadLetter("dead"))?.body).toBe(long);
        await store.replay("dead", envelope("again", { body: long }));
        expect(await store.begin(beginOf(envelope("again")))).toMatchObject({ body: long });
      });

      it("keeps the order of the calls of its agent, whichever bodies are long, and the answer to a repeated key", async () => {
        await reopen(bounds);
        const mails = Array.from({ length: 12 }, (_, at) =>
          envelope(`e${at}`, { body: at % 3 === 0 ? `${long}${at}` : "short" }),
        );
        await Promise.all(mails.map((mail) => store.append(mail, { scope: "s", key: mail.header.id })));
        expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(
          mails.map(({ header }) => header.id),
        );
        expect(await store.append(envelope("other", { body: long }), { scope: "s", key: "e3" })).toMatchObject({
          status: "duplicate",
          envelopeId: "e3",
        });
      });

      it.runIf(supports.clock)("is one file for the same text, which goes when nothing names it any more", async () => {
        await reopen(bounds);
        await store.append(envelope("a", { body: long }));
        await store.append(envelope("b", { body: long }));
        await store.append(envelope("c", { body: odd }));
        expect(await files()).toBe(2);
        await store.bury("a", "dropped", "stopped");
        await store.bury("b", "dropped", "stopped");
        await store.bury("c", "dropped", "stopped");
        await store.purge({ id: "a" });
        await store.purge({ id: "c" });
        await reopen(bounds);
        await store.history("ann", "agent:ann:main", 1, 0);
        expect(await files(), "the letter b names it still").toBe(1);
        expect((await store.deadLetter("b"))?.body).toBe(long);
        await store.purge({});
        await reopen(bounds);
        await store.history("ann", "agent:ann:main", 1, 0);
        expect(await files()).toBe(0);
      });

      it.runIf(supports.clock)(
        "that a transcript names stays when its envelope is gone, and one that a crash left goes",
        async () => {
          await reopen(bounds);
          await turn("a", { body: long });
          await store.settle("a");
          await folderOf(0)?.write("ab00", Buffer.from("nobody names it"));
          await reopen(bounds);
          expect((await store.history("ann", "agent:ann:main", 9, 0)).rows[0]?.text).toBe(long);
          expect(await files()).toBe(1);
          expect((await store.pending()).envelopes).toEqual([]);
        },
      );

      it.runIf(supports.clock)("whose file is damaged is told as such, and its message is not lost", async () => {
        await reopen(bounds);
        await store.append(envelope("a", { body: long }));
        const folder = folderOf(0);
        const [name = ""] = (await folder?.list()) ?? [];
        const bytes = (await folder?.read(name)) ?? new Uint8Array();
        await folder?.write(name, bytes.subarray(1));
        await expect(store.begin(beginOf(envelope("a")))).rejects.toMatchObject({
          code: "CLOISTER_STORE_FAILED",
          message: expect.stringContaining(name),
        });
        await folder?.write(name, bytes);
        expect(await store.begin(beginOf(envelope("a")))).toMatchObject({ body: long });
      });

      it("is in a copy of the store, also of an agent that had no turn yet", async () => {
        await reopen(bounds);
        await turn("a", { body: long });
        await store.append(envelope("b", { agentId: "bob", body: odd }));
        const copy = `${harness.dir}/copy-of-bodies`;
        await store.snapshot(copy);
        const { openEnvironment } = harness;
        if (openEnvironment === undefined) return;
        const copied = await openStore(placesIn(copy), openEnvironment, bounds);
        expect((await copied.history("ann", "agent:ann:main", 9, 0)).rows[0]?.text).toBe(long);
        expect(await copied.begin(beginOf(envelope("b", { agentId: "bob" })))).toMatchObject({ body: odd });
        await copied.close();
      });
    });

    describe("a backlog", () => {
      const idsOf = (rows: readonly { readonly header: { readonly id: string } }[]) =>
        rows.map(({ header }) => header.id);

      it("is given up to each agent's window, and the rest by its bounds; reading on gives it in order", async () => {
        for (let at = 0; at < 8; at++) {
          await store.append(envelope(`a${at}`));
          await store.append(envelope(`b${at}`, { agentId: "bob" }));
        }
        await turn("done");
        await reopen();
        const { envelopes, backlogs } = await store.pending({ ann: 3, bob: 7 });
        expect(idsOf(envelopes).filter((id) => id.startsWith("a"))).toEqual(["a0", "a1", "a2"]);
        expect(idsOf(envelopes).filter((id) => id.startsWith("b"))).toHaveLength(7);
        expect(backlogs).toMatchObject([
          { agentId: "ann", count: 5 },
          { agentId: "bob", count: 1 },
        ]);
        const [ann] = backlogs;
        if (ann === undefined) throw new Error("no backlog");
        const first = await store.queued(ann, 2);
        expect(idsOf(first)).toEqual(["a3", "a4"]);
        const rest = await store.queued({ ...ann, after: first.at(-1)?.seq ?? 0 }, 100);
        expect(idsOf(rest)).toEqual(["a5", "a6", "a7"]);
        expect(await store.queued({ ...ann, after: ann.until }, 100)).toEqual([]);
      });

      it("is read without what came after its end, what is done and what was buried", async () => {
        const stored = [];
        for (const id of ["a", "b", "c", "d"]) stored.push(await store.append(envelope(id)));
        const [, , last] = stored;
        const until = last?.status === "stored" ? last.seq : 0;
        await store.begin(beginOf(envelope("a")));
        await store.commit(commitOf(envelope("a")));
        await store.settle("a");
        await store.bury("b", "dropped", "stopped");
        expect(await store.queued({ agentId: "ann", after: 0, until }, 10)).toMatchObject([
          { seq: until, header: { id: "c" }, attempts: 0 },
        ]);
      });

      it("keeps a message that was never in the journal as a dead letter, also a long one", async () => {
        const long = { ...envelope("refused"), body: "x".repeat(2_000_000) };
        await store.keepLetter(long, "refused", "no room");
        await reopen();
        expect(await store.deadLetter("refused")).toMatchObject({ fate: "refused", reason: "no room", attempts: 0 });
        expect((await store.deadLetter("refused"))?.body).toBe(long.body);
        expect((await store.pending()).envelopes).toEqual([]);
      });

      it("loses what was stopped, in portions, and keeps it as dead letters, after a restart as well", async () => {
        for (let at = 0; at < 6; at++) {
          await store.append(envelope(`x${at}`, { session: "x" }));
          await store.append(envelope(`y${at}`, { session: "y" }));
        }
        const last = (await store.queued({ agentId: "ann", after: 0, until: 100 }, 100)).at(-1)?.seq ?? 0;
        await store.append(envelope("late", { session: "x" }));
        const stopped = { agentId: "ann", sessionKey: "agent:ann:x", runId: undefined, after: 2, until: last };
        const first = await store.dropQueued(stopped, 4, "stopped");
        expect(idsOf(first.headers.map((header) => ({ header })))).toEqual(["x1", "x2"]);
        const rest = await store.dropQueued({ ...stopped, after: first.next ?? 0 }, 100, "stopped");
        expect(rest).toMatchObject({ next: undefined, headers: [{ id: "x3" }, { id: "x4" }, { id: "x5" }] });
        expect((await store.dropQueued(stopped, 100, "stopped")).headers).toEqual([]);
        await reopen();
        const left = (await store.pending()).envelopes;
        expect(idsOf(left)).toEqual(["x0", "y0", "y1", "y2", "y3", "y4", "y5", "late"]);
        const { rows, total } = await store.deadLetters({ fate: "dropped", limit: 10, offset: 0 });
        expect([total, rows[0]?.reason]).toEqual([5, "stopped"]);
      });

      it("finds a run that was stopped by its id, or by the key of an operator's message, without looking at others", async () => {
        const sessionKey = "agent:ann:x";
        for (let at = 0; at < 5; at++) await store.append(envelope(`before${at}`, { session: "x" }));
        await store.append(envelope("plain", { session: "x", runId: "plain" }));
        const key = { scope: operatorScope(sessionKey), key: "my-run" };
        await store.append(envelope("keyed", { session: "x", runId: "my-run" }), key);
        const of = (runId: string, over = {}) => ({ agentId: "ann", sessionKey, runId, after: 0, until: 100, ...over });
        expect(await store.dropQueued(of("plain", { until: 5 }), 1, "stopped")).toEqual({
          headers: [],
          next: undefined,
        });
        expect(await store.dropQueued(of("nobody"), 1, "stopped")).toEqual({ headers: [], next: 1 });
        expect(await store.dropQueued(of("plain", { sessionKey: "agent:ann:y" }), 1, "stopped")).toEqual({
          headers: [],
          next: undefined,
        });
        for (const [runId, id] of [["plain", "plain"] as const, ["my-run", "keyed"] as const])
          expect(await store.dropQueued(of(runId), 1, "stopped")).toMatchObject({ headers: [{ id }], next: undefined });
        expect(idsOf((await store.pending()).envelopes)).toHaveLength(5);
      });

      it("keeps the deliveries that were counted", async () => {
        await store.append(envelope("a"));
        await store.begin(beginOf(envelope("a")));
        expect(await store.queued({ agentId: "ann", after: 0, until: 10 }, 10)).toMatchObject([{ attempts: 1 }]);
      });

      it("counts the first delivery with the append, for a turn that begins with it", async () => {
        const mail = envelope("a");
        const early = { ...beginOf(mail), isCounted: true };
        const appended = store.append(mail, { scope: "s", key: "k" }, undefined, true);
        expect(await store.begin(early)).toMatchObject({ status: "begun", attempt: 1, body: mail.body });
        expect(await appended).toMatchObject({ status: "stored" });
        expect(await store.queued({ agentId: "ann", after: 0, until: 10 }, 10)).toMatchObject([{ attempts: 1 }]);
        expect(await store.begin(beginOf(mail))).toMatchObject({ attempt: 2, steps: [] });
        const again = envelope("b");
        const repeated = store.append(again, { scope: "s", key: "k" }, undefined, true);
        await expect(store.begin({ ...beginOf(again), isCounted: true })).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        expect(await repeated).toMatchObject({ status: "duplicate", envelopeId: "a" });
      });
    });

    describe("steps of a turn", () => {
      const row = (key: number, parts: Partial<StepRow> = {}): StepRow => ({
        key,
        op: "step",
        name: `s${key}`,
        ...parts,
      });
      const stepOf = (mail: Envelope, ...steps: StepRow[]) => ({ ...beginOf(mail), rows: steps });
      const steps = async (mail: Envelope) => {
        const begun = await store.begin(beginOf(mail));
        return begun.status === "begun" ? begun.steps : begun.status;
      };

      it("come with the next delivery, in the order of the calls, also after a restart; the first has none", async () => {
        const mail = envelope("a");
        await store.append(mail);
        expect(await steps(mail)).toBeUndefined();
        await store.recordSteps(stepOf(mail, row(10)));
        await store.recordSteps(stepOf(mail, row(2, { op: "tool", name: "sessions_list", result: [1, "ok", "[]"] })));
        await store.recordSteps(stepOf(mail, row(10, { result: [0, '{"code":"X"}', ""] })));
        const found = [
          row(2, { op: "tool", name: "sessions_list", result: [1, "ok", "[]"] }),
          row(10, { result: [0, '{"code":"X"}', ""] }),
        ];
        expect(await steps(mail)).toEqual(found);
        await reopen();
        expect(await steps(mail)).toEqual(found);
        const other = envelope("b", { session: "other" });
        await store.append(other);
        await store.begin(beginOf(other));
        expect(await steps(other)).toEqual([]);
      });

      it("are there for a delivery that begins while they are written", async () => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        const [, begun] = await Promise.all([store.recordSteps(stepOf(mail, row(0))), store.begin(beginOf(mail))]);
        expect(begun).toMatchObject({ steps: [row(0)] });
      });

      it("go with the commit, and no more are taken then", async () => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        await store.recordSteps(stepOf(mail, row(0)));
        await store.commit(commitOf(mail));
        await expect(store.recordSteps(stepOf(mail, row(1)))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        await store.settle("a");
        await reopen();
        await store.append(mail);
        await store.begin(beginOf(mail));
        expect(await steps(mail)).toEqual([]);
      });

      it("go with a dead letter", async () => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        await store.recordSteps(stepOf(mail, row(0)));
        await store.bury("a", "poison", "test");
        await expect(store.recordSteps(stepOf(mail, row(1)))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        await reopen();
        // The next turn of the agent takes what is left with it.
        await turn("b");
        await store.append(mail);
        await store.begin(beginOf(mail));
        expect(await steps(mail)).toEqual([]);
      });

      it("say which other envelopes the turn takes: each is counted, read, and in the transcript and done with the turn", async () => {
        await reopen({ bounds: { takenCharsMax: 20 } });
        const mails = ["a", "b", "c", "d", "e"].map((id) => envelope(id, { body: id === "c" ? "x".repeat(30) : id }));
        const [mail] = mails;
        if (mail === undefined) throw new Error("no mail");
        for (const each of mails) await store.append(each);
        await store.begin(beginOf(mail));
        await store.bury("b", "dropped", "test");
        const { wantState: _, ...of } = beginOf(mail);
        const take = (ids: readonly string[]) =>
          store.take({ ...of, key: 7, name: "steer", items: ids.map((id) => [id, 0] as const) });
        // The first may be as long as it is; nothing goes past one that is too much.
        expect(await take(["c", "d"])).toEqual([{ id: "c", body: "x".repeat(30) }]);
        expect(await take(["b", "unknown", "d", "e"])).toEqual([
          { id: "d", body: "d" },
          { id: "e", body: "e" },
        ]);
        const result = [1, "ok", '[["d",0],["e",0]]'];
        expect(await steps(mail)).toEqual([{ key: 7, op: "take", name: "steer", result }]);
        await store.commit(commitOf(mail, { taken: ["d", "e"] }));
        await reopen();
        const { rows } = await store.history("ann", mail.header.sessionKey, 10, 0);
        expect(rows.map(({ seq, role, text, envelopeId }) => [seq, role, text, envelopeId])).toEqual([
          [0, "user", "a", "a"],
          [1, "user", "d", "d"],
          [2, "user", "e", "e"],
          [3, "assistant", "answer to a", "a"],
        ]);
        expect(await store.outcome("ann", "d")).toEqual({ status: "done", outcomeText: null });
        await expect(take(["c"])).rejects.toMatchObject({ code: "CLOISTER_ENVELOPE_UNKNOWN" });
        const { envelopes } = await store.pending();
        expect(envelopes).toMatchObject([{ header: { id: "c" }, attempts: 1 }]);
      });

      it("A4.1: an open turn holds nothing: other turns of its agent and of others are committed meanwhile", async () => {
        const mail = envelope("open");
        await store.append(mail);
        await store.begin(beginOf(mail));
        await turn("beside", { session: "other" });
        await turn("elsewhere", { agentId: "bob" });
        expect(await store.outcome("ann", "beside")).toMatchObject({ status: "done" });
        expect(await store.outcome("bob", "elsewhere")).toMatchObject({ status: "done" });
        expect(await store.outcome("ann", "open")).toEqual({ status: "open" });
        await store.commit(commitOf(mail));
      });

      it("hold what the turn sent for as long as it is open, however old and however many", async () => {
        await reopen({ bounds: { dedupeWindowMs: 1, dedupeKeysPerScopeMax: 2 } });
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        const call = (key: number) => ({ key, op: "send" as const, name: "agent:bob:main" });
        for (const key of [0, 1, 2, 3]) {
          await store.append(envelope(`sent-${key}`, { agentId: "bob" }), { turn: "a", call: call(key) });
          await store.settle(`sent-${key}`);
        }
        await reopen({ bounds: { dedupeWindowMs: 1, dedupeKeysPerScopeMax: 2 } });
        const again = (key: number) =>
          store.append(envelope(`again-${key}`, { agentId: "bob" }), { turn: "a", call: call(key) });
        expect(await again(0)).toEqual({ status: "duplicate", envelopeId: "sent-0", runId: "run-sent-0" });
        expect(await steps(mail)).toEqual([0, 1, 2, 3].map((key) => ({ ...call(key), envelopeId: `sent-${key}` })));
        await store.recordSteps(stepOf(mail, { ...call(1), result: [0, "{}", ""] }));
        expect(await steps(mail)).toMatchObject([
          { key: 0 },
          { key: 1, result: [0, "{}", ""] },
          { key: 2 },
          { key: 3 },
        ]);
        await store.commit(commitOf(mail));
        await store.settle("a");
        // With the turn's row its calls are gone; nothing is remembered for a turn that is over.
        await store.append(envelope("b"));
        expect((await again(0)).status).toBe("stored");
        expect((await again(0)).status).toBe("duplicate");
      });

      it("a turn that failed gives its error again, and no text", async () => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        const failure = { code: "CLOISTER_AGENT_FAILED", message: "no such account" };
        await store.commit(commitOf(mail, { outcomeText: null, failure, rows: [] }));
        const done = { status: "done", outcomeText: null, failure };
        expect(await store.outcome("ann", "a")).toEqual(done);
        await reopen();
        expect(await store.outcome("ann", "a")).toEqual(done);
        expect(await store.begin(beginOf(mail))).toEqual(done);
      });

      it("a message whose turn failed says so in the transcript, also when nothing else knows the turn any more", async () => {
        for (const [id, failure] of Object.entries({
          a: { code: "CLOISTER_AGENT_FAILED", message: "no" },
          b: undefined,
        })) {
          const mail = envelope(id);
          await store.append(mail);
          await store.begin(beginOf(mail));
          const failed = failure === undefined ? {} : { outcomeText: null, failure, rows: [] };
          await store.commit(commitOf(mail, failed));
          await store.settle(id);
        }
        await reopen();
        const { rows } = await store.history("ann", "agent:ann:main", 10, 0);
        expect(rows.map(({ envelopeId, role, failure }) => [envelopeId, role, failure?.code])).toEqual([
          ["a", "user", "CLOISTER_AGENT_FAILED"],
          ["b", "user", undefined],
          ["b", "assistant", undefined],
        ]);
      });

      it("the header of an accepted message is found until its turn is settled, and that of no other", async () => {
        const mail = envelope("a");
        await store.append(mail);
        expect(await store.accepted("a")).toEqual(mail.header);
        await reopen();
        await store.begin(beginOf(mail));
        await store.commit(commitOf(mail));
        expect(await store.accepted("a")).toEqual(mail.header);
        await store.settle("a");
        expect(await store.accepted("a")).toBeUndefined();
        await store.append(envelope("b"));
        await store.bury("b", "dropped", "somebody stopped it");
        expect([await store.accepted("b"), await store.accepted("nothing")]).toEqual([undefined, undefined]);
      });
    });

    describe("turns", () => {
      it("counts every delivery before it answers, also over restarts", async () => {
        const mail = envelope("a");
        await store.append(mail);
        expect(await store.begin(beginOf(mail))).toMatchObject({ status: "begun", attempt: 1, state: null });
        await reopen();
        expect((await store.pending()).envelopes[0]?.attempts).toBe(1);
        expect(await store.begin(beginOf(mail))).toMatchObject({ status: "begun", attempt: 2 });
      });

      it("counts how often the conversation was summed up, until the session begins anew", async () => {
        const rows = [
          { role: "compaction", text: "before" },
          { role: "assistant", text: "ok" },
        ] as const;
        expect((await turn("a", {}, {})).row).not.toHaveProperty("compactions");
        expect((await turn("b", {}, { rows })).row).toMatchObject({ compactions: 1, messages: 5 });
        expect((await turn("c", {}, { rows: [rows[0], ...rows] })).row).toMatchObject({ compactions: 3 });
        await reopen();
        expect(await store.session("agent:ann:main")).toMatchObject({ compactions: 3 });
        const page = await store.history("ann", "agent:ann:main", 2, 0);
        expect(page.rows).toMatchObject([{ role: "compaction", text: "before", isUser: false }, { role: "assistant" }]);
        expect(await store.resetSession("agent:ann:main", "ann", 3_000)).not.toHaveProperty("compactions");
      });

      it("commits the inbound message, the answers, the state and the index row", async () => {
        const rows = [
          { role: "toolResult", text: "42", toolName: "calc" },
          { role: "assistant", text: "it is 42" },
        ] as const;
        const { status, row } = await turn(
          "a",
          { body: "hello", replyRoute: webhookRoute },
          { rows, state: '{"n":1}', outcomeText: "it is 42" },
        );
        expect(status).toBe("done");
        expect(row).toMatchObject({
          key: "agent:ann:main",
          agentId: "ann",
          kind: "main",
          channel: "webhook",
          messages: 3,
          updatedAtMs: 2_000,
          lastPreview: "it is 42",
          lastRoute: webhookRoute,
        });
        await reopen();
        expect(await store.session("agent:ann:main")).toEqual(row);
        const page = await store.history("ann", "agent:ann:main", 10, 0);
        expect(page).toEqual({
          sessionId: row.sessionId,
          total: 3,
          rows: [
            {
              seq: 0,
              envelopeId: "a",
              role: "user",
              text: "hello",
              atMs: 1_000,
              isUser: true,
              provenance: envelope("a").header.provenance,
            },
            { seq: 1, envelopeId: "a", role: "toolResult", toolName: "calc", text: "42", atMs: 2_000, isUser: false },
            { seq: 2, envelopeId: "a", role: "assistant", text: "it is 42", atMs: 2_000, isUser: false },
          ],
        });
        const next = envelope("b");
        await store.append(next);
        expect(await store.begin(beginOf(next))).toMatchObject({ state: '{"n":1}', sessionId: row.sessionId });
        expect(await store.begin(beginOf(next, false))).toMatchObject({ state: null, attempt: 2 });
      });

      it("does not mark a message from another agent as the user's", async () => {
        await turn("a", { inter: true });
        const [row] = (await store.history("ann", "agent:ann:main", 1, 1)).rows;
        expect(row).toMatchObject({ role: "user", isUser: false, provenance: { kind: "inter_session" } });
      });

      it("leaves the state alone when a turn gives none", async () => {
        await turn("a", {}, { state: "one" });
        await turn("b");
        const mail = envelope("c");
        await store.append(mail);
        expect(await store.begin(beginOf(mail))).toMatchObject({ state: "one" });
      });

      it("commits an envelope once, whoever asks again and whenever", async () => {
        const { row } = await turn("a");
        const again = await Promise.all([store.commit(commitOf(envelope("a"))), store.commit(commitOf(envelope("a")))]);
        expect(again).toEqual([
          { status: "already", row },
          { status: "already", row },
        ]);
        await reopen();
        expect(await store.begin(beginOf(envelope("a")))).toEqual({ status: "done", outcomeText: "answer to a" });
        expect(await store.commit(commitOf(envelope("a")))).toEqual({ status: "already", row });
        expect((await store.history("ann", "agent:ann:main", 10, 0)).total).toBe(2);
      });

      it("gives a session one id from its first delivery on, even if that turn never commits", async () => {
        const mail = envelope("a");
        await store.append(mail);
        const begun = await store.begin(beginOf(mail));
        await reopen();
        expect(await store.begin(beginOf(mail))).toMatchObject({
          sessionId: (begun as { sessionId: string }).sessionId,
        });
        expect((await store.commit(commitOf(mail))).row.sessionId).toBe((begun as { sessionId: string }).sessionId);
        const other = await turn("b", { session: "other" });
        expect(other.row.sessionId).not.toBe((begun as { sessionId: string }).sessionId);
      });

      it("handles the calls for a session in the order in which they are made, without waiting between them", async () => {
        const mails = ["a", "b", "c"].map((id) => envelope(id));
        const calls = mails.flatMap((mail) => [
          store.append(mail),
          store.begin(beginOf(mail)),
          store.commit(commitOf(mail, { state: mail.header.id })),
        ]);
        const [history] = await Promise.all([store.history("ann", "agent:ann:main", 10, 0), ...calls]);
        expect(history.rows.map((row) => row.envelopeId)).toEqual(["a", "a", "b", "b", "c", "c"]);
      });

      it("refuses a turn of an envelope that it does not hold, and of an agent that it does not know", async () => {
        await expect(store.begin(beginOf(envelope("ghost")))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        await expect(store.commit(commitOf(envelope("ghost")))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        const lost = envelope("lost", { agentId: "zoe" });
        await store.append(lost);
        await expect(store.begin(beginOf(lost))).rejects.toMatchObject({ code: "CLOISTER_AGENT_UNKNOWN" });
        expect((await store.pending()).envelopes.map((row) => row.header.id)).toEqual(["lost"]);
        await turn("fine");
      });
    });

    describe("after a turn", () => {
      it("no longer holds a settled envelope, at once and after a restart", async () => {
        await turn("a");
        await store.settle("a");
        await expect(store.begin(beginOf(envelope("a")))).rejects.toMatchObject({ code: "CLOISTER_ENVELOPE_UNKNOWN" });
        await reopen();
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
        await expect(store.begin(beginOf(envelope("a")))).rejects.toMatchObject({ code: "CLOISTER_ENVELOPE_UNKNOWN" });
      });

      it("keeps an answer that leaves through a channel until it is delivered", async () => {
        await turn("a", {}, { outbound: webhookRoute });
        await reopen();
        const row = {
          envelopeId: "a",
          agentId: "ann",
          sessionKey: "agent:ann:main",
          route: webhookRoute,
          text: "answer to a",
          atMs: 2_000,
        };
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [row] });
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [row] });
        await store.delivered("ann", "a");
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
        await reopen();
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
      });

      it("keeps pieces of an answer until it is delivered, or there is none, and none for a turn that is over", async () => {
        const piece = (number: number, at: number) => ({
          number,
          at,
          said: "x",
          text: "x",
          atMs: 1,
          isSettled: false,
        });
        await store.append(envelope("a"));
        await store.keepBlock("ann", "a", piece(1, 1));
        await store.keepBlock("ann", "a", piece(0, 0));
        await store.keepBlock("ann", "a", { ...piece(1, 1), isSettled: true });
        await reopen();
        const kept = [piece(0, 0), { ...piece(1, 1), isSettled: true }];
        expect(await store.blocks("ann", "a")).toEqual(kept);
        await store.begin(beginOf(envelope("a")));
        await store.commit(commitOf(envelope("a"), { outbound: webhookRoute }));
        await reopen();
        expect(await store.blocks("ann", "a")).toEqual(kept);
        await store.keepBlock("ann", "a", piece(2, 2));
        await store.delivered("ann", "a");
        expect(await store.blocks("ann", "a")).toEqual([]);
        await expect(store.keepBlock("ann", "a", piece(3, 3))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        await store.append(envelope("b"));
        await store.keepBlock("ann", "b", piece(0, 0));
        await store.begin(beginOf(envelope("b")));
        await store.commit(commitOf(envelope("b"), {}));
        expect(await store.blocks("ann", "b")).toEqual([]);
        await expect(store.keepBlock("ann", "b", piece(1, 1))).rejects.toMatchObject({
          code: "CLOISTER_ENVELOPE_UNKNOWN",
        });
        await store.append(envelope("c"));
        await store.keepBlock("ann", "c", piece(0, 0));
        await store.bury("c", "dropped", "an operator");
        await reopen();
        expect(await store.blocks("ann", "c")).toEqual([]);
      });

      it("sends nothing for a turn without an answer", async () => {
        await turn("a", {}, { outbound: webhookRoute, outcomeText: null });
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
      });

      it("settles at the boot scan what is done and has nothing to deliver", async () => {
        await turn("a");
        await reopen();
        expect(await store.pending()).toMatchObject({ envelopes: [], outbound: [] });
        await expect(store.begin(beginOf(envelope("a")))).rejects.toMatchObject({ code: "CLOISTER_ENVELOPE_UNKNOWN" });
      });

      it("gives a done turn of an exchange at the boot scan until it is settled, so that the next one is appended", async () => {
        const exchange = {
          id: "a",
          requester: "agent:bob:main",
          target: "agent:ann:main",
          step: "request" as const,
          turn: 0,
          turnsMax: 5,
        };
        const mail = envelope("a");
        const asked = { ...mail, header: { ...mail.header, exchange } };
        await store.append(asked);
        await store.begin(beginOf(asked));
        await store.commit(commitOf(asked, { outcomeText: "fine" }));
        await reopen();
        expect((await store.pending()).exchanges).toEqual([{ header: asked.header, outcomeText: "fine" }]);
        const call = { key: 100_000, op: "send" as const, name: "follow-up" };
        const next = { turn: "a", call };
        expect(await store.append(envelope("b"), next)).toMatchObject({ status: "stored" });
        await reopen();
        expect((await store.pending()).exchanges).toHaveLength(1);
        expect(await store.append(envelope("c"), next)).toMatchObject({ status: "duplicate", envelopeId: "b" });
        await store.settle("a");
        await reopen();
        const { exchanges, envelopes } = await store.pending();
        expect([exchanges, envelopes.map(({ header }) => header.id)]).toEqual([[], ["b"]]);
        // Nothing follows on an announce: one without an outgoing answer has said it before, or has nothing to say.
        const last = envelope("z", { replyRoute: webhookRoute });
        const announce = { ...last, header: { ...last.header, exchange: { ...exchange, step: "announce" as const } } };
        await store.append(announce);
        await store.begin(beginOf(announce));
        await store.commit(commitOf(announce));
        await reopen();
        const after = await store.pending();
        expect([after.exchanges, after.outbound]).toEqual([[], []]);
      });

      it("buries an envelope with fate, reason and attempts, once, and keeps a bounded number, newest first", async () => {
        await reopen({ bounds: { deadLettersMax: 3 } });
        for (const id of ["a", "b", "c", "d", "e"]) {
          await store.append(envelope(id));
          await store.begin(beginOf(envelope(id)));
          await store.bury(id, "poison", `reason ${id}`);
          await store.bury(id, "dropped", "again");
        }
        await reopen();
        const { rows, total } = await store.deadLetters({ limit: 10 });
        expect([rows.map((letter) => letter.reason), total]).toEqual([["reason e", "reason d", "reason c"], 3]);
        expect(rows[0]).toMatchObject({ header: envelope("e").header, fate: "poison", attempts: 1 });
        expect(await store.deadLetters({ limit: 1 })).toMatchObject({ rows: [{ reason: "reason e" }], total: 3 });
        expect(await store.deadLetter("b"), "it made room").toBeUndefined();
        expect(await store.deadLetterCounts()).toEqual({ ...noLetters, poison: 3 });
        expect((await store.pending()).envelopes).toEqual([]);
      });

      it("shows a letter with its body, lists it without, and pages newest first, by agent and by fate", async () => {
        const body = "long ".repeat(100);
        await lose("a", "poison", { body });
        await lose("b", "expired", { agentId: "bob" });
        await lose("c", "poison", { agentId: "bob" });
        await lose("d", "dropped");
        const listed = async (query: object): Promise<unknown> => {
          const { rows, total } = await store.deadLetters({ limit: 10, ...query });
          return [rows.map(({ header }) => header.id).join(""), total];
        };
        for (const round of ["at once", "after a restart"]) {
          if (round !== "at once") await reopen();
          expect(await listed({}), round).toEqual(["dcba", 4]);
          expect(await listed({ limit: 2, offset: 1 }), round).toEqual(["cb", 4]);
          expect(await listed({ limit: 0 }), round).toEqual(["", 4]);
          expect(await listed({ agentId: "bob" }), round).toEqual(["cb", 2]);
          expect(await listed({ fate: "poison" }), round).toEqual(["ca", 2]);
          expect(await listed({ fate: "poison", limit: 1, offset: 1 }), round).toEqual(["a", 2]);
          expect(await listed({ agentId: "bob", fate: "expired" }), round).toEqual(["b", 1]);
          expect(await listed({ beforeMs: 0 }), round).toEqual(["", 0]);
          expect(await store.deadLetterCounts(), round).toEqual({ ...noLetters, poison: 2, expired: 1, dropped: 1 });
        }
        expect(await store.deadLetter("a")).toMatchObject({ body, bodyChars: 500, preview: body.slice(0, 200) });
        expect((await store.deadLetters({ limit: 10, fate: "poison", agentId: "ann" })).rows[0]).not.toHaveProperty(
          "body",
        );
        expect(await store.deadLetter("nobody")).toBeUndefined();
      });

      it("keeps the answer of a letter beside the message, and removes it with the letter", async () => {
        const answer = "the answer \ud800 ".repeat(20);
        await turn("a", {}, { outbound: webhookRoute });
        await store.bury("a", "undeliverable", "its channel is away", answer);
        await reopen();
        expect(await store.deadLetter("a")).toMatchObject({ body: "body of a", answer, answerChars: answer.length });
        const { rows } = await store.deadLetters({ limit: 1 });
        expect(rows[0]).toMatchObject({ answerChars: answer.length });
        expect(rows[0], "a listing reads no texts").not.toHaveProperty("answer");
        expect(await store.purge({ id: "a" })).toBe(1);
        // It takes the place of the first one.
        await lose("b", "undeliverable");
        expect(await store.deadLetter("b")).not.toHaveProperty("answer");
        expect(await store.deadLetter("b")).not.toHaveProperty("answerChars");
      });

      it("replays a letter as a new envelope that was never delivered, and only once", async () => {
        await lose("a", "poison", { body: "\ud800 kept as it is" });
        await lose("b", "poison");
        const { body } = (await store.deadLetter("a")) ?? {};
        const again = (id: string) => envelope(id, { body: body ?? "" });
        const both = await Promise.allSettled([store.replay("a", again("a2")), store.replay("a", again("a3"))]);
        expect(both).toMatchObject([
          { status: "fulfilled" },
          { status: "rejected", reason: { code: "CLOISTER_DEADLETTER_UNKNOWN" } },
        ]);
        await reopen();
        expect((await store.pending()).envelopes).toMatchObject([{ header: again("a2").header, attempts: 0 }]);
        expect(await store.deadLetter("a")).toBeUndefined();
        expect(await store.deadLetterCounts()).toEqual({ ...noLetters, poison: 1 });
        expect(await store.begin(beginOf(again("a2")))).toMatchObject({ status: "begun", attempt: 1 });
        expect((await store.commit(commitOf(again("a2")))).status).toBe("done");
        expect((await store.history("ann", "agent:ann:main", 10, 0)).rows[0]).toMatchObject({
          envelopeId: "a2",
          text: "\ud800 kept as it is",
        });
        // It can become a letter again, and what was lost before it stays.
        await lose("b2", "dropped");
        expect((await store.deadLetters({ limit: 10 })).rows.map(({ header }) => header.id)).toEqual(["b2", "b"]);
      });

      it("purges one letter, those of a fate or agent, those from before a time, and all; and tells how many", async () => {
        await lose("a", "poison");
        await lose("b", "expired", { agentId: "bob" });
        await lose("c", "poison", { agentId: "bob" });
        await lose("d", "dropped");
        await lose("e", "dropped", { agentId: "bob" });
        const left = async (): Promise<string> =>
          (await store.deadLetters({ limit: 10 })).rows.map(({ header }) => header.id).join("");
        expect([await store.purge({ id: "nobody" }), await left()]).toEqual([0, "edcba"]);
        expect([await store.purge({ id: "c", fate: "dropped" }), await left()], "the id decides").toEqual([1, "edba"]);
        expect([await store.purge({ fate: "dropped", agentId: "bob" }), await left()]).toEqual([1, "dba"]);
        expect([await store.purge({ fate: "expired" }), await left()]).toEqual([1, "da"]);
        expect([await store.purge({ beforeMs: 1 }), await left()]).toEqual([0, "da"]);
        await reopen();
        expect(await store.deadLetterCounts()).toEqual({ ...noLetters, poison: 1, dropped: 1 });
        expect([await store.purge({ beforeMs: Number.MAX_SAFE_INTEGER }), await left()]).toEqual([2, ""]);
        await lose("f", "undeliverable");
        await reopen();
        expect([await store.purge({}), await left()]).toEqual([1, ""]);
        expect(await store.deadLetterCounts()).toEqual(noLetters);
        expect(await store.purge({})).toBe(0);
      });

      it("keeps how a session's messages wait until that is dropped, the last word of each session", async () => {
        expect(await store.queues()).toEqual([]);
        await store.keepQueue({ sessionKey: "agent:main:main", mode: "collect", cap: 3 });
        await store.keepQueue({ sessionKey: "agent:main:x", drop: "new" });
        await store.keepQueue({ sessionKey: "agent:main:main", mode: "interrupt" });
        await reopen();
        const rows = [
          { sessionKey: "agent:main:main", mode: "interrupt" },
          { sessionKey: "agent:main:x", drop: "new" },
        ];
        expect(await store.queues()).toEqual(rows);
        await store.dropQueue("agent:main:x");
        await store.dropQueue("agent:main:unknown");
        expect(await store.queues()).toEqual(rows.slice(0, 1));
      });

      it("keeps devices and what they ask for, each change whole", async () => {
        const row = (id: string, n: number) => ({ id, n });
        const put = (type: "paired" | "pending", id: string, n: number) => ({ type, id, row: row(id, n) });
        expect(await store.devices()).toEqual({ paired: [], pending: [] });
        await store.keepDevices({ put: [put("paired", "a", 1), put("pending", "a", 2)], remove: [] });
        await store.keepDevices({
          put: [put("paired", "b", 3), put("paired", "a", 4)],
          remove: [
            { type: "pending", id: "a" },
            { type: "paired", id: "nobody" },
          ],
        });
        await reopen();
        expect(await store.devices()).toEqual({ paired: [row("a", 4), row("b", 3)], pending: [] });
      });

      it("keeps senders and what they ask for, each change whole and apart from devices", async () => {
        const put = (type: "known" | "pending", id: string, n: number) => ({ type, id, row: { id, n } });
        expect(await store.senders()).toEqual({ known: [], pending: [] });
        await store.keepSenders({ put: [put("known", "a", 1), put("pending", "a", 2)], remove: [] });
        await store.keepDevices({ put: [{ type: "pending", id: "a", row: { id: "device" } }], remove: [] });
        await store.keepSenders({ put: [put("known", "b\n\u0000", 3)], remove: [{ type: "pending", id: "a" }] });
        await reopen();
        expect(await store.senders()).toEqual({
          // A key that does not fit is kept by its hash, which sorts before letters.
          known: [
            { id: "b\n\u0000", n: 3 },
            { id: "a", n: 1 },
          ],
          pending: [],
        });
        expect(await store.devices()).toEqual({ paired: [], pending: [{ id: "device" }] });
      });

      it("keeps commands that wait for an operator apart from all others, until they are removed", async () => {
        const put = (id: string, n: number) => ({ type: "request" as const, id, row: { id, n } });
        expect(await store.commandRequests()).toEqual([]);
        await store.keepCommandRequests({ put: [put("x-1", 1), put("x-2", 2)], remove: [] });
        await store.keepCommandRequests({ put: [put("x-1", 3)], remove: [{ type: "request", id: "x-2" }] });
        await reopen();
        expect(await store.commandRequests()).toEqual([{ id: "x-1", n: 3 }]);
        expect(await store.senders()).toEqual({ known: [], pending: [] });
      });

      it("keeps what operators granted until it is dropped, oldest first", async () => {
        const grant = (id: string, createdAtMs: number) =>
          ({ id, from: "ann", to: "b*", verbs: ["send"], createdAtMs, by: "cli", untilMs: createdAtMs }) as const;
        expect(await store.grants()).toEqual([]);
        await Promise.all([store.keepGrant(grant("g-b", 2)), store.keepGrant(grant("g-c", 1))]);
        await store.keepGrant(grant("g-a", 2));
        await reopen();
        expect(await store.grants()).toEqual([grant("g-c", 1), grant("g-a", 2), grant("g-b", 2)]);
        await Promise.all([store.dropGrant("g-a"), store.dropGrant("g-a"), store.dropGrant("nobody")]);
        await reopen();
        expect((await store.grants()).map(({ id }) => id)).toEqual(["g-c", "g-b"]);
      });

      it("keeps callers until they are dropped, the later form in the place of the earlier, oldest first", async () => {
        const caller = (id: string, createdAtMs: number, tokenHash = "aa") =>
          ({ id, name: `bot-${id}`, tokenHash, agents: ["ann", "b*"], createdAtMs, by: "cli" }) as const;
        expect(await store.callers()).toEqual([]);
        await Promise.all([store.keepCaller(caller("c-b", 2)), store.keepCaller(caller("c-c", 1))]);
        await store.keepCaller(caller("c-b", 2, "bb"));
        await reopen();
        expect(await store.callers()).toEqual([caller("c-c", 1), caller("c-b", 2, "bb")]);
        await Promise.all([store.dropCaller("c-c"), store.dropCaller("nobody")]);
        await reopen();
        expect((await store.callers()).map(({ id }) => id)).toEqual(["c-b"]);
      });

      it("keeps a bounded number of stops, oldest first, until all are dropped", async () => {
        await reopen({ bounds: { spillStopsMax: 3 } });
        const stop = (until: number) => ({ agentId: "main", sessionKey: "agent:main:main", until, atMs: 1 });
        expect(await store.stops()).toEqual([]);
        await store.keepStops([stop(1), stop(2)]);
        await Promise.all([store.keepStops([stop(3)]), store.keepStops([stop(4)])]);
        await reopen({ bounds: { spillStopsMax: 3 } });
        expect(await store.stops()).toEqual([stop(2), stop(3), stop(4)]);
        await store.dropStops();
        await reopen();
        expect(await store.stops()).toEqual([]);
      });

      describe("requests for rights", () => {
        const heads = (count: number) =>
          Array.from({ length: count }, (_, index) => ({
            n: index + 1,
            fromSession: "agent:ann:main",
            toSession: "agent:bob:main",
            bodyChars: 1,
            preview: "x",
            atMs: 1,
            by: { turn: "turn", call: { key: index, op: "send" as const, name: "agent:bob:main" } },
          }));
        const request = (id: string, count: number, createdAtMs = 1) => ({
          id,
          from: "ann",
          to: "bob",
          verb: "send" as const,
          createdAtMs,
          expiresAtMs: 100,
          calls: count,
          messages: heads(count),
          next: count + 1,
        });
        const kept = (id: string, key: number) => ({
          ...envelope(id, { agentId: "bob", body: `body of ${id}` }),
          by: { turn: "turn", call: { key, op: "send" as const, name: "agent:bob:main" } },
        });
        const keep = async (count: number): Promise<void> => {
          for (let n = 1; n <= count; n++)
            expect(await store.keepRequest(request("r", n), kept(`k${n}`, n - 1))).toBe("kept");
        };

        it("are kept with their messages; each message is released once, and the request goes with the last", async () => {
          await keep(2);
          await store.keepRequest(request("first", 0, 0));
          await reopen();
          expect((await store.requests()).map(({ id, messages }) => [id, messages.length])).toEqual([
            ["first", 0],
            ["r", 2],
          ]);
          expect(await store.keptMessage({ requestId: "r", message: 2 })).toEqual(kept("k2", 1));
          const one = { requestId: "r", message: 1 };
          const both = await Promise.allSettled([
            store.releaseKept(one, envelope("e1", { agentId: "bob" })),
            store.releaseKept(one, envelope("e2", { agentId: "bob" })),
          ]);
          expect(both).toMatchObject([
            { status: "fulfilled" },
            { status: "rejected", reason: { code: "CLOISTER_GRANT_REQUEST_UNKNOWN" } },
          ]);
          await store.dropRequest("r");
          await reopen();
          expect((await store.requests()).find(({ id }) => id === "r")?.messages.map(({ n }) => n)).toEqual([2]);
          await store.releaseKept({ requestId: "r", message: 2 }, envelope("e3", { agentId: "bob" }));
          await store.dropRequest("first");
          await reopen();
          expect(await store.requests()).toEqual([]);
          expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["e1", "e3"]);
        });

        it("are what a repeated call of an open turn finds as sent, and is not kept again", async () => {
          await store.append(envelope("turn"));
          await keep(1);
          await store.releaseKept({ requestId: "r", message: 1 }, envelope("e1", { agentId: "bob" }));
          expect(await store.keepRequest(request("r", 1), kept("k1", 0))).toBe("sent");
          expect(await store.requests()).toEqual([]);
          const again = await store.append(envelope("e2", { agentId: "bob" }), kept("k1", 0).by);
          expect(again).toMatchObject({ status: "duplicate", envelopeId: "e1" });
        });

        it("go with what a repeated call of an open turn sends, which has the right by then, and so do their dead letters", async () => {
          await store.append(envelope("turn"));
          await keep(2);
          await reopen();
          expect(await store.append(envelope("e1", { agentId: "bob" }), kept("k1", 0).by)).toMatchObject({
            status: "stored",
          });
          expect(await store.keptMessage({ requestId: "r", message: 1 })).toBeUndefined();
          expect((await store.requests()).map(({ messages }) => messages.map(({ n }) => n))).toEqual([[2]]);
          expect(await store.refuseRequest("r", "denied")).toBe(1);
          expect(await store.append(envelope("e2", { agentId: "bob" }), kept("k2", 1).by)).toMatchObject({
            status: "stored",
          });
          await reopen();
          expect((await store.deadLetters({ limit: 10 })).rows).toEqual([]);
          expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(["turn", "e1", "e2"]);
        });

        it("that are refused leave dead letters, and the request as it is to be kept", async () => {
          await keep(2);
          const after = { ...request("r", 0), decision: { type: "denied" as const, by: "cli", atMs: 2 } };
          expect(await store.refuseRequest("r", "denied", after)).toBe(2);
          await reopen();
          expect(await store.requests()).toEqual([after]);
          expect((await store.deadLetters({ limit: 10 })).rows).toMatchObject([
            { fate: "refused", reason: "denied", preview: "body of k2", attempts: 0 },
            { fate: "refused", reason: "denied", preview: "body of k1" },
          ]);
          expect(await store.refuseRequest("r", "again")).toBe(0);
          expect(await store.requests()).toEqual([]);
        });
      });

      it("keeps orders to agents until they are dropped, the last one of each agent", async () => {
        const order = (agentId: string, reason: string, atMs: number) => ({ agentId, reason, atMs });
        expect(await store.orders()).toEqual([]);
        await store.keepOrder(order("raul", "stopped", 1));
        await Promise.all([store.keepOrder(order("main", "parked", 2)), store.keepOrder(order("raul", "parked", 3))]);
        await store.keepOrder(order("gone", "of an agent that is not configured", 4));
        await reopen();
        expect(await store.orders()).toEqual([
          order("gone", "of an agent that is not configured", 4),
          order("main", "parked", 2),
          order("raul", "parked", 3),
        ]);
        await Promise.all([store.dropOrder("main"), store.dropOrder("main"), store.dropOrder("nobody")]);
        await reopen();
        expect((await store.orders()).map(({ agentId }) => agentId)).toEqual(["gone", "raul"]);
      });

      it("keeps a bounded number of audit rows, newest first", async () => {
        await reopen({ bounds: { auditRowsMax: 4 } });
        const row = (n: number) => ({
          atMs: n,
          type: "refused" as const,
          subject: "s",
          object: "o",
          decision: "noted" as const,
        });
        await store.audit([1, 2, 3].map(row));
        await Promise.all([store.audit([row(4)]), store.audit([row(5), row(6)])]);
        await reopen();
        expect(await store.audits(10)).toMatchObject([6, 5, 4, 3].map(row));
        expect((await store.audits(2)).map(({ n }) => n)).toEqual([6, 5]);
      });

      it("keeps decisions apart from traffic, so that no traffic drops them, and lists both by time", async () => {
        await reopen({ bounds: { auditRowsMax: 2 } });
        const row = (n: number, type: "refused" | "grant_added") =>
          ({ atMs: n, type, subject: "s", object: "o", decision: "noted" }) as const;
        await store.audit([row(1, "grant_added"), row(2, "refused"), row(3, "refused"), row(4, "refused")]);
        expect((await store.audits(9)).map(({ log, atMs }) => [log, atMs])).toEqual([
          ["traffic", 4],
          ["traffic", 3],
          ["decisions", 1],
        ]);
        for (const log of ["decisions", "traffic"] as const)
          expect(await store.auditCheck(log)).toMatchObject({ done: true, faultCount: 0 });
        expect(await store.auditReach("traffic")).toMatchObject({ n: 3, first: 2 });
        const [newest] = (await store.auditPage("traffic", { limit: 1 })).rows;
        expect(newest).toMatchObject({ log: "traffic", n: 3, atMs: 4 });
        const { hash } = await store.auditReach("traffic");
        expect([await store.auditHolds("traffic", 3), await store.auditHolds("traffic", 1)]).toEqual([hash, undefined]);
      });

      it("W-12: every accepted message is in the audit trail once, with ids only, and one that is not accepted is not", async () => {
        const peer = envelope("peer", { agentId: "bob", body: "my secret ü" });
        const from = { type: "agent", agentId: "ann", sessionKey: "agent:ann:main" } as const;
        const sent = { ...peer, header: { ...peer.header, from, verb: "request" as const, via: "p-7" } };
        await store.append(sent);
        expect((await store.append(sent)).status).toBe("duplicate");
        await store.append({ ...envelope("long"), body: "ü".repeat(300_000) });
        const { rows } = await store.auditPage("traffic", { limit: 9, kind: "message" });
        expect(rows.slice(0, 2)).toMatchObject([
          { subject: "operator:test", envelopeId: "long", bytes: 600_000 },
          {
            subject: "agent:ann:main",
            object: "agent:bob:main",
            verb: "request",
            decision: "allowed",
            via: "p-7",
            envelopeId: "peer",
            trace: "trace-peer",
            bytes: 12,
          },
        ]);
        expect(rows.filter(({ envelopeId }) => envelopeId === "peer")).toHaveLength(1);
        expect(JSON.stringify(rows)).not.toContain("secret");
        expect(
          (await store.auditPage("traffic", { limit: 9, agentId: "ann", kind: "message" })).rows.map(
            ({ envelopeId }) => envelopeId,
          ),
        ).toContain("peer");
      });
    });

    describe("sessions", () => {
      it("lists newest first, pages, and counts all", async () => {
        for (const [at, session] of ["one", "two", "three", "four"].entries()) {
          await turn(session, { session, agentId: agentIds[at % 2] ?? "ann" }, { atMs: 5_000 + at });
        }
        await turn("again", { session: "one" }, { atMs: 9_000 });
        const keysOf = async (query: object) => {
          const { rows, total } = await store.sessions({ ...everything, ...query });
          return [rows.map((row) => row.key), total];
        };
        const [one, two, three, four] = ["agent:ann:one", "agent:bob:two", "agent:ann:three", "agent:bob:four"];
        expect(await keysOf({})).toEqual([[one, four, three, two], 4]);
        expect(await keysOf({ limit: 2, offset: 1 })).toEqual([[four, three], 4]);
        expect(await keysOf({ limit: 2, offset: 9 })).toEqual([[], 4]);
        expect(await keysOf({ limit: 0 })).toEqual([[], 4]);
        expect(await keysOf({ agentIds: ["ann"] })).toEqual([[one, three], 2]);
        expect(await keysOf({ agentIds: ["ann"], offset: 1 })).toEqual([[three], 2]);
        expect(await keysOf({ activeSinceMs: 5_002 })).toEqual([[one, four, three], 3]);
        expect(await keysOf({ search: "ANSWER TO T" })).toEqual([[three, two], 2]);
        expect(await keysOf({ search: "bob:" })).toEqual([[four, two], 2]);
        await reopen();
        expect(await keysOf({})).toEqual([[one, four, three, two], 4]);
      });

      it("reads a bounded number of rows for a filter", async () => {
        await reopen({ bounds: { sessionsScanRowsMax: 2 } });
        for (const session of ["one", "two", "three"])
          await turn(session, { session }, { atMs: 1_000 + session.length });
        expect((await store.sessions({ ...everything, agentIds: ["ann"] })).total).toBe(2);
        expect((await store.sessions(everything)).total).toBe(3);
      });

      it("finds sessions by key, by id and by label", async () => {
        const { row } = await turn("a");
        await turn("b", { session: "other" });
        const labelled = await store.labelSession("agent:ann:main", "ann", "front desk", 3_000);
        expect(labelled).toEqual({ ...row, label: "front desk" });
        expect(await store.findSession("agent:ann:main")).toEqual(labelled);
        expect(await store.findSession(row.sessionId)).toEqual(labelled);
        expect(await store.findSession("nobody")).toBeUndefined();
        expect(await store.session("agent:ann:none")).toBeUndefined();
        expect(await store.sessionsWithLabel("front desk")).toEqual([labelled]);
        expect((await store.sessions({ ...everything, label: "front desk" })).rows).toEqual([labelled]);
        await store.labelSession("agent:ann:other", "ann", "front desk", 3_000);
        expect(await store.sessionsWithLabel("front desk")).toHaveLength(2);
        await store.labelSession("agent:ann:other", "ann", "back office", 3_000);
        await store.labelSession("agent:ann:main", "ann", null, 3_000);
        expect(await store.sessionsWithLabel("front desk")).toEqual([]);
        expect(await store.session("agent:ann:main")).toEqual(row);
        expect((await store.sessionsWithLabel("back office")).map((found) => found.key)).toEqual(["agent:ann:other"]);
      });

      it("keeps label and id over later turns, and of a session that was labelled before its first message", async () => {
        const labelled = await store.labelSession("agent:ann:main", "ann", "early", 500);
        expect(labelled).toMatchObject({ messages: 0, createdAtMs: 500, label: "early" });
        await reopen();
        const { row } = await turn("a");
        expect(row).toMatchObject({ sessionId: labelled.sessionId, createdAtMs: 500, label: "early", messages: 2 });
        expect((await turn("b")).row.label).toBe("early");
        expect(await store.findSession(labelled.sessionId)).toMatchObject({ messages: 4 });
        const mail = envelope("c", { session: "running" });
        await store.append(mail);
        const begun = await store.begin(beginOf(mail));
        const during = await store.labelSession("agent:ann:running", "ann", "late", 600);
        expect(during.sessionId).toBe((begun as { sessionId: string }).sessionId);
      });

      it("archives a session until its next turn, and lists by that", async () => {
        const { row } = await turn("a");
        await turn("b", { session: "other" });
        expect(await store.archiveSession("agent:ann:none", true, 9_000)).toBeUndefined();
        expect(await store.archiveSession(row.key, true, 9_000)).toEqual({ ...row, archivedAtMs: 9_000 });
        // The first time counts.
        expect(await store.archiveSession(row.key, true, 9_500)).toMatchObject({ archivedAtMs: 9_000 });
        const keys = async (archived: boolean) =>
          (await store.sessions({ ...everything, archived })).rows.map((found) => found.key);
        expect(await keys(true)).toEqual([row.key]);
        expect(await keys(false)).toEqual(["agent:ann:other"]);
        expect(await store.labelSession(row.key, "ann", "desk", 9_600)).toMatchObject({ archivedAtMs: 9_000 });
        expect(await store.archiveSession(row.key, false, 9_700)).toEqual({ ...row, label: "desk" });
        await store.archiveSession(row.key, true, 9_800);
        expect((await turn("c")).row).not.toHaveProperty("archivedAtMs");
        expect(await keys(true)).toEqual([]);
      });

      it("begins a session anew under its key, and keeps the transcripts so far", async () => {
        const { row } = await turn("a");
        await turn("b");
        await store.labelSession(row.key, "ann", "desk", 1);
        const fresh = await store.resetSession(row.key, "ann", 9_000);
        expect(fresh).toMatchObject({ key: row.key, messages: 0, lastPreview: "", label: "desk", updatedAtMs: 9_000 });
        expect(fresh?.sessionId).not.toBe(row.sessionId);
        expect(await store.findSession(row.sessionId)).toBeUndefined();
        expect(await store.history("ann", row.key, 10, 0)).toEqual({ sessionId: fresh?.sessionId, rows: [], total: 0 });
        // Again, without a message between: as it is.
        expect(await store.resetSession(row.key, "ann", 9_100)).toEqual(fresh);
        await reopen();
        const mail = envelope("c");
        await store.append(mail);
        expect(await store.begin(beginOf(mail))).toMatchObject({ sessionId: fresh?.sessionId, state: null });
        await store.commit(commitOf(mail));
        await store.resetSession(row.key, "ann", 9_200);
        const past = await store.pastTranscripts("ann", row.key, 10);
        expect(past).toEqual([
          { sessionId: fresh?.sessionId, messages: 2, endedAtMs: 9_200 },
          { sessionId: row.sessionId, messages: 4, endedAtMs: 9_000 },
        ]);
        expect(await store.pastTranscripts("ann", row.key, 1)).toEqual(past.slice(0, 1));
        const old = await store.history("ann", row.key, 10, 0, undefined, row.sessionId);
        expect(old.rows.map(({ envelopeId }) => envelopeId)).toEqual(["a", "a", "b", "b"]);
        expect((await store.history("ann", "agent:ann:other", 10, 0, undefined, row.sessionId)).total).toBe(0);
        expect(await store.resetSession("agent:ann:none", "ann", 1)).toBeUndefined();
      });

      it("tells a session of those that were made, until a turn that had it is committed, and not after a reset", async () => {
        const main = envelope("main", { session: "main" });
        const notify = { to: main.header.sessionKey, channel: "irc" };
        const make = async (id: string) => {
          const mail = envelope(id, { session: id });
          await store.append(mail);
          // A turn that is handled again makes no second session.
          for (const _ of [1, 2]) await store.begin({ ...beginOf(mail), notify });
          await store.commit(commitOf(mail));
        };
        const numbersOf = (from: number, to: number) =>
          Array.from({ length: to - from + 1 }, (_, at) => expect.objectContaining({ number: from + at }));
        await store.append(main);
        await store.labelSession("agent:ann:one", "ann", "desk", 5);
        await make("one");
        await make("two");
        const one = { number: 1, sessionKey: "agent:ann:one", channel: "irc", label: "desk", atMs: expect.any(Number) };
        const notices = [one, { number: 2, sessionKey: "agent:ann:two", channel: "irc", atMs: expect.any(Number) }];
        expect(await store.begin(beginOf(main))).not.toHaveProperty("notices");
        await reopen();
        expect(await store.begin({ ...beginOf(main), wantNotices: true })).toMatchObject({ notices });
        await make("three");
        await store.commit(commitOf(main, { noticed: 2 }));
        const next = envelope("next", { session: "main" });
        await store.append(next);
        expect(await store.begin({ ...beginOf(next), wantNotices: true })).toMatchObject({ notices: numbersOf(3, 3) });
        for (let at = 4; at <= limits.sessionNoticesMax + 5; at++) await make(`s${at}`);
        const begun = await store.begin({ ...beginOf(next), wantNotices: true });
        const found = begun.status === "begun" ? begun.notices : undefined;
        expect(found).toEqual(numbersOf(6, limits.sessionNoticesMax + 5));
        expect(found?.map(({ earlier }) => earlier)).toEqual([3, ...(found ?? []).slice(1).map(() => undefined)]);
        // Committed without having had them.
        await store.commit(commitOf(next));
        await store.resetSession(main.header.sessionKey, "ann", 9_000);
        const anew = envelope("anew", { session: "main" });
        await store.append(anew);
        expect(await store.begin({ ...beginOf(anew), wantNotices: true })).not.toHaveProperty("notices");
      });

      it("tells a session of none twice under one number, so that a turn which was told of some takes no later one", async () => {
        const main = envelope("main", { session: "main" });
        const notify = { to: main.header.sessionKey, channel: "irc" };
        const make = async (id: string) => {
          await store.append(envelope(id, { session: id }));
          await store.begin({ ...beginOf(envelope(id, { session: id })), notify });
        };
        const told = async (id: string) => {
          const mail = envelope(id, { session: "main" });
          await store.append(mail);
          const begun = await store.begin({ ...beginOf(mail), wantNotices: true });
          return begun.status === "begun"
            ? begun.notices?.map(({ number, sessionKey }) => [number, sessionKey])
            : begun;
        };
        await turn("first", { session: "main" });
        await make("one");
        expect(await told("a")).toEqual([[1, "agent:ann:one"]]);
        // The session begins anew while a turn of it is under way, and so does the gateway.
        await store.resetSession(main.header.sessionKey, "ann", 9_000);
        await reopen();
        await make("two");
        await store.commit(commitOf(envelope("a", { session: "main" }), { noticed: 1 }));
        expect(await told("b")).toEqual([[2, "agent:ann:two"]]);
        await store.commit(commitOf(envelope("b", { session: "main" }), { noticed: 2 }));
        await reopen();
        expect(await told("c")).toBeUndefined();
        await make("three");
        expect(await told("d")).toEqual([[3, "agent:ann:three"]]);
      });

      it("keeps how full the conversation was, until it is shortened or begins anew", async () => {
        const used = async (id: string, parts: Parameters<typeof commitOf>[1] = {}) =>
          (await turn(id, {}, parts)).row.contextUsed;
        expect(await used("a")).toBeUndefined();
        expect(await used("b", { contextUsed: 900 })).toBe(900);
        // A turn that asked no model has added little.
        expect(await used("c")).toBe(900);
        expect(await used("d", { rows: [{ role: "compaction", text: "short" }] })).toBeUndefined();
        expect(await used("e", { rows: [{ role: "compaction", text: "short" }], contextUsed: 70 })).toBe(70);
        await store.resetSession("agent:ann:main", "ann", 9_000);
        expect(await store.session("agent:ann:main")).not.toHaveProperty("contextUsed");
      });

      it("deletes a session, keeps its transcript so far, and begins another with the next turn", async () => {
        const { row } = await turn("a", {}, { state: "1" });
        await store.labelSession(row.key, "ann", "L", 5);
        expect(await store.deleteSession(row.key, "ann", 9_000)).toMatchObject({
          sessionId: row.sessionId,
          messages: 2,
        });
        expect(await store.deleteSession(row.key, "ann", 9_001)).toBeUndefined();
        await reopen();
        expect(await store.session(row.key)).toBeUndefined();
        expect(await store.findSession(row.sessionId)).toBeUndefined();
        expect(await store.sessionsWithLabel("L")).toEqual([]);
        expect(await store.sessions(everything)).toEqual({ rows: [], total: 0 });
        expect(await store.pastTranscripts("ann", row.key, 5)).toEqual([
          { sessionId: row.sessionId, messages: 2, endedAtMs: 9_000 },
        ]);
        await store.append(envelope("b"));
        expect(await store.begin(beginOf(envelope("b")))).toMatchObject({ status: "begun", state: null });
        const next = await store.commit(commitOf(envelope("b")));
        expect(next.row.sessionId).not.toBe(row.sessionId);
        expect(next.row).toMatchObject({ messages: 2 });
        expect(next.row).not.toHaveProperty("label");
        expect((await store.sessions(everything)).total).toBe(1);
      });

      it("pages through a transcript from its end, oldest first within the page", async () => {
        for (const id of ["a", "b", "c"]) await turn(id);
        const page = async (limit: number, offset: number) =>
          (await store.history("ann", "agent:ann:main", limit, offset)).rows.map((row) => row.seq);
        expect(await page(2, 0)).toEqual([4, 5]);
        expect(await page(3, 2)).toEqual([1, 2, 3]);
        expect(await page(3, 5)).toEqual([0]);
        expect(await page(3, 6)).toEqual([]);
        expect(await page(100, 0)).toEqual([0, 1, 2, 3, 4, 5]);
        expect(await page(0, 0)).toEqual([]);
        const bounded = async (charsMax: number) =>
          (await store.history("ann", "agent:ann:main", 10, 0, charsMax)).rows.map((row) => row.seq);
        const { rows } = await store.history("ann", "agent:ann:main", 10, 0);
        const newest = rows.slice(-3).reduce((chars, row) => chars + row.text.length, 0);
        expect(await bounded(newest)).toEqual(rows.slice(-3).map((row) => row.seq));
        expect(await bounded(newest - 1)).toEqual(rows.slice(-2).map((row) => row.seq));
        expect(await bounded(0)).toEqual(rows.slice(-1).map((row) => row.seq));
        expect(await store.history("ann", "agent:ann:none", 5, 0)).toEqual({ sessionId: "", rows: [], total: 0 });
      });

      it("finds the rows of one turn, also of a transcript that a reset ended, and looks at a bounded number", async () => {
        for (const id of ["a", "b", "c"])
          await turn(
            id,
            { body: `body ${id}` },
            {
              rows: [
                { role: "toolResult", toolName: "t", text: "r" },
                { role: "assistant", text: `re ${id}` },
              ],
            },
          );
        const key = envelope("a").header.sessionKey;
        const textsOf = async (id: string) => (await store.turnRows("ann", key, id)).map(({ text }) => text);
        expect(await textsOf("a")).toEqual(["body a", "r", "re a"]);
        await store.resetSession(key, "ann", 9_000);
        await turn("d");
        expect(await textsOf("b")).toEqual(["body b", "r", "re b"]);
        expect(await textsOf("nothing")).toEqual([]);
        expect(await store.turnRows("ann", "agent:ann:none", "a")).toEqual([]);
        await reopen({ bounds: { turnRowsScanMax: 8 } });
        expect(await textsOf("b")).toEqual(["body b", "r", "re b"]);
        expect(await textsOf("a")).toEqual([]);
      });

      it("does not mix sessions or agents", async () => {
        await turn("a", { agentId: "ann" });
        await turn("b", { agentId: "bob" });
        await turn("c", { agentId: "ann", session: "main2" });
        const ids = async (agentId: string, session: string) =>
          (await store.history(agentId, `agent:${agentId}:${session}`, 10, 0)).rows.map((row) => row.envelopeId);
        expect(await ids("ann", "main")).toEqual(["a", "a"]);
        expect(await ids("bob", "main")).toEqual(["b", "b"]);
        expect(await ids("ann", "main2")).toEqual(["c", "c"]);
      });
    });

    describe("environments", () => {
      it("opens an agent's environment only for its own work", async () => {
        await turn("a", { agentId: "ann" });
        await store.append(envelope("b", { agentId: "bob" }));
        await store.settle("a");
        await reopen();
        await store.sessions(everything);
        await store.findSession("agent:ann:main");
        expect((await store.counters()).agentOpens).toEqual({});
        await store.pending();
        expect((await store.counters()).agentOpens).toEqual({ bob: 1 });
        await store.begin(beginOf(envelope("b", { agentId: "bob" })));
        expect((await store.counters()).agentOpens).toEqual({ bob: 1 });
      });

      it("closes a released environment after its work and opens it again", async () => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        const committing = store.commit(commitOf(mail));
        await Promise.all([committing, store.release("ann")]);
        expect((await store.history("ann", "agent:ann:main", 10, 0)).total).toBe(2);
        await store.release("ann");
        await store.release("eve");
        await turn("b");
        expect((await store.counters()).agentOpens).toEqual({ ann: 3 });
      });

      it("keeps a bounded number open and works with more agents than that", async () => {
        await reopen({ bounds: { openAgentStoresMax: 2 } });
        for (const id of ["1", "2"]) {
          await Promise.all(agentIds.map((agentId) => turn(agentId + id, { agentId })));
        }
        for (const agentId of agentIds)
          expect((await store.history(agentId, `agent:${agentId}:main`, 9, 0)).total).toBe(4);
        expect(Object.values((await store.counters()).agentOpens).every((opens) => opens >= 2)).toBe(true);
      });

      it("refuses calls once it is closed, after it has finished those in flight", async () => {
        const mail = envelope("a");
        const appended = store.append(mail);
        const closed = store.close();
        expect(await appended).toMatchObject({ status: "stored" });
        await closed;
        await expect(store.append(envelope("b"))).rejects.toMatchObject({
          code: expect.stringMatching(/^CLOISTER_(STORE_FAILED|THREAD_LOST)$/),
        });
        store = await harness.open();
        expect((await store.pending()).envelopes).toHaveLength(1);
      });
    });

    it("shows the same as a plain model after any sequence of calls and restarts", async () => {
      await store.close();
      await checkAgainstModel(supports.modelRuns, makeHarness);
      store = await harness.open();
    });

    if (supports.clock)
      timedTests(
        () => harness,
        (next) => (store = next),
        () => store,
      );
  });
}

/** For stores that run in the test's own thread: a clock that the test sets, and environments that fail when told. */
function timedTests(harness: () => StoreHarness, set: (store: Store) => void, get: () => Store): void {
  it("forgets a key after the window and what is too old of other scopes, also over a restart", async () => {
    let elapsedMs = 1_000_000;
    const options: StoreOptions = { elapsedMs: () => elapsedMs, bounds: { dedupeWindowMs: 1_000 } };
    const reopen = async (): Promise<void> => {
      await get().close();
      set(await harness().open(options));
    };
    await reopen();
    await get().append(envelope("old"), { scope: "quiet", key: "k" });
    elapsedMs += 999;
    expect((await get().append(envelope("x1"), { scope: "quiet", key: "k" })).status).toBe("duplicate");
    elapsedMs += 1;
    await reopen();
    expect((await get().append(envelope("x2"), { scope: "busy", key: "k" })).status).toBe("stored");
    // Going back in time shows that the old row is gone and not only disregarded.
    elapsedMs -= 500;
    expect((await get().append(envelope("x3"), { scope: "quiet", key: "k" })).status).toBe("stored");
    expect((await get().append(envelope("x4"), { scope: "busy", key: "k" })).status).toBe("duplicate");
  });

  it("knows a key as long as the gateway ran for less than the window, however long it stood and whatever clock was set", async () => {
    const day = 86_400_000;
    let nowMs = 20_000 * day;
    let elapsedMs = 0;
    const options: StoreOptions = { now: () => nowMs, elapsedMs: () => elapsedMs };
    const offer = async (id: string) => (await get().append(envelope(id), { scope: "telegram", key: "7" })).status;
    await get().close();
    set(await harness().open(options));
    expect(await offer("first")).toBe("stored");
    for (const [at, jumpMs] of [day, -400 * day, 5_000 * day, 0].entries()) {
      // The clock is set under a running gateway, and the gateway stands for an hour and counts anew.
      nowMs += jumpMs;
      expect(await offer(`set-${at}`)).toBe("duplicate");
      elapsedMs += limits.dedupeWindowMs / 5;
      await get().close();
      nowMs += day / 24;
      elapsedMs = at * day;
      set(await harness().open(options));
      expect(await offer(`again-${at}`)).toBe("duplicate");
    }
    elapsedMs += limits.dedupeWindowMs / 5;
    expect(await offer("too late")).toBe("stored");
  });

  it("mends the index after a failure between a turn's commit and the index row: begin, commit again, pending", async () => {
    const openEnvironment = harness().openEnvironment;
    if (openEnvironment === undefined) throw new Error("a harness with a clock must give its environments");
    for (const mend of ["begin", "commit", "pending"] as const) {
      const mail = envelope(`broken-${mend}`, { session: mend });
      await get().append(mail);
      await get().begin(beginOf(mail));
      await get().labelSession(mail.header.sessionKey, "ann", "kept", 100);
      await get().close();
      const registry = breakRegistry(openEnvironment);
      set(await openStore(placesIn(harness().dir), registry.open));
      // The turn is on disk with its agent, and its envelope stays until the index is.
      expect(await get().commit(commitOf(mail))).toMatchObject({ status: "done", row: { messages: 2, label: "kept" } });
      expect(await get().session(mail.header.sessionKey)).toMatchObject({ messages: 2, label: "kept" });
      if (mend === "pending") await get().settle(mail.header.id);
      if (mend !== "commit") {
        await get().close();
        set(await harness().open());
        expect((await get().session(mail.header.sessionKey))?.messages).toBe(0);
      }
      registry.mend();
      if (mend === "begin") expect(await get().begin(beginOf(mail))).toMatchObject({ status: "done" });
      else if (mend === "commit")
        expect(await get().commit(commitOf(mail))).toMatchObject({ status: "already", row: { messages: 2 } });
      else expect((await get().pending()).envelopes).toEqual([]);
      expect(await get().session(mail.header.sessionKey)).toMatchObject({
        messages: 2,
        label: "kept",
        updatedAtMs: 2_000,
      });
      await get().settle(mail.header.id);
    }
  });

  it("finds what a crash leaves of a deletion: it is deleted again, or the next message begins another session", async () => {
    const openEnvironment = harness().openEnvironment;
    if (openEnvironment === undefined) throw new Error("a harness with a clock must give its environments");
    for (const next of ["delete", "message"] as const) {
      const mail = envelope(`gone-${next}`, { session: next });
      await get().append(mail);
      await get().begin(beginOf(mail));
      const { row } = await get().commit(commitOf(mail));
      await get().close();
      const registry = breakRegistry(openEnvironment);
      set(await openStore(placesIn(harness().dir), registry.open));
      await expect(get().deleteSession(row.key, "ann", 9_000)).rejects.toThrow("power cut");
      registry.mend();
      expect(await get().session(row.key)).toMatchObject({ messages: 2 });
      if (next === "delete") {
        expect(await get().deleteSession(row.key, "ann", 9_001)).toMatchObject({ sessionId: row.sessionId });
        expect(await get().session(row.key)).toBeUndefined();
      } else {
        const later = envelope("later", { session: next });
        await get().append(later);
        await get().begin(beginOf(later));
        const begun = await get().commit(commitOf(later));
        expect(begun.row).toMatchObject({ messages: 2 });
        expect(begun.row.sessionId).not.toBe(row.sessionId);
      }
      expect(await get().pastTranscripts("ann", row.key, 5)).toHaveLength(1);
    }
  });

  it("leaves nothing of a turn whose commit fails, and goes on", async () => {
    const openEnvironment = harness().openEnvironment;
    if (openEnvironment === undefined) throw new Error("a harness with a clock must give its environments");
    let broken = false;
    const open = async (dir: string) => {
      const environment = await openEnvironment(dir);
      const put = environment.put.bind(environment);
      return Object.assign(environment, {
        put: (key: readonly (string | number)[], value: unknown) => {
          if (broken && key[0] === "d") throw new Error("disk error");
          put(key, value);
        },
      });
    };
    await get().close();
    set(await openStore(placesIn(harness().dir), Object.assign(open, { exists: openEnvironment.exists })));
    const mail = envelope("a");
    await get().append(mail);
    await get().begin(beginOf(mail));
    broken = true;
    await expect(get().commit(commitOf(mail, { state: "half" }))).rejects.toThrow("disk error");
    await expect(get().append(envelope("b"), { scope: "s", key: "k" })).rejects.toThrow("disk error");
    broken = false;
    expect((await get().history("ann", "agent:ann:main", 10, 0)).total).toBe(0);
    expect(await get().begin(beginOf(mail))).toMatchObject({ status: "begun", attempt: 2, state: null });
    expect((await get().pending()).envelopes.map((row) => row.header.id)).toEqual(["a"]);
    expect(await get().append(envelope("b"), { scope: "s", key: "k" })).toMatchObject({ status: "stored" });
    expect((await get().commit(commitOf(mail))).status).toBe("done");
  });
}

/** Environments of which the registry commits nothing until it is mended. */
function breakRegistry(openEnvironment: OpenEnvironment): {
  readonly open: OpenEnvironment;
  readonly mend: () => void;
} {
  let isBroken = true;
  const open = async (dir: string): Promise<Environment> => {
    const environment = await openEnvironment(dir);
    if (!dir.endsWith("registry")) return environment;
    const write = environment.write.bind(environment);
    return Object.assign(environment, {
      write: <T>(change: () => T) => (isBroken ? Promise.reject(new Error("power cut")) : write(change)),
    });
  };
  return { open: Object.assign(open, { exists: openEnvironment.exists }), mend: () => void (isBroken = false) };
}
