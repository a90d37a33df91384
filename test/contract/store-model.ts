/** A store as plain maps, and random sequences of calls that every real store must answer as it does. */
import { expect } from "vitest";
import * as fc from "fast-check";
import type { Envelope } from "../../runtime/kernel/envelope.ts";
import type { Store } from "../../runtime/store/port.ts";
import { beginOf, commitOf, envelope, webhookRoute } from "./store-envelopes.ts";
import type { StoreHarness } from "./store-suite.ts";

type Step =
  | {
      readonly type: "append";
      readonly count: number;
      readonly agent: number;
      readonly session: number;
      readonly key?: number;
    }
  | { readonly type: "begin" | "settle" | "delivered" | "bury" | "replay" | "purge"; readonly at: number }
  | { readonly type: "commit"; readonly at: number; readonly outbound: boolean; readonly state?: string }
  | { readonly type: "label"; readonly session: number; readonly label: string | null }
  | { readonly type: "reopen" }
  | { readonly type: "pending" };

const agents = ["ann", "bob"];
const sessions = ["main", "side"];
const at = fc.nat({ max: 11 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record(
      {
        type: fc.constant("append"),
        count: fc.integer({ min: 1, max: 3 }),
        agent: fc.nat({ max: 1 }),
        session: fc.nat({ max: 1 }),
        key: fc.nat({ max: 3 }),
      },
      { requiredKeys: ["type", "count", "agent", "session"] },
    ) as fc.Arbitrary<Step>,
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom("begin", "settle", "delivered", "bury", "replay", "purge"),
      at,
    }) as fc.Arbitrary<Step>,
  },
  {
    weight: 5,
    arbitrary: fc.record(
      { type: fc.constant("commit"), at, outbound: fc.boolean(), state: fc.string({ maxLength: 3 }) },
      { requiredKeys: ["type", "at", "outbound"] },
    ) as fc.Arbitrary<Step>,
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("label"),
      session: fc.nat({ max: 1 }),
      label: fc.option(fc.constantFrom("x", "y")),
    }) as fc.Arbitrary<Step>,
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("reopen", "pending") }) as fc.Arbitrary<Step> },
);

/** What the model answers with; ids and times that a store makes itself are left out of the comparison. */
class Model {
  readonly sent: Envelope[] = [];
  readonly journal = new Map<string, { mail: Envelope; attempts: number }>();
  readonly done = new Map<string, string>();
  readonly outbound = new Set<string>();
  readonly seen = new Map<number, string>();
  readonly transcripts = new Map<string, string[]>();
  readonly states = new Map<string, string>();
  readonly labels = new Map<string, string | null>();
  readonly buried: string[] = [];
  replays = 0;

  append(mail: Envelope, key: number | undefined): object {
    const first = key === undefined ? undefined : this.seen.get(key);
    if (first !== undefined) return { status: "duplicate", envelopeId: first, runId: `run-${first}` };
    if (key !== undefined) this.seen.set(key, mail.header.id);
    this.journal.set(mail.header.id, { mail, attempts: 0 });
    return { status: "stored" };
  }

  begin({ header: { id, sessionKey } }: Envelope): unknown {
    const held = this.journal.get(id);
    if (held === undefined) return "CLOISTER_ENVELOPE_UNKNOWN";
    if (this.done.has(id)) return { status: "done", outcomeText: this.done.get(id) };
    held.attempts += 1;
    return {
      status: "begun",
      attempt: held.attempts,
      body: held.mail.body,
      state: this.states.get(sessionKey) ?? null,
    };
  }

  commit({ header: { id, sessionKey } }: Envelope, outbound: boolean, state: string | undefined): unknown {
    if (!this.journal.has(id)) return "CLOISTER_ENVELOPE_UNKNOWN";
    const rows = this.transcripts.get(sessionKey) ?? [];
    if (this.done.has(id)) return { status: "already", messages: rows.length };
    rows.push(`body of ${id}`, `answer to ${id}`);
    this.transcripts.set(sessionKey, rows);
    if (state !== undefined) this.states.set(sessionKey, state);
    if (outbound) this.outbound.add(id);
    this.done.set(id, `answer to ${id}`);
    return { status: "done", messages: rows.length };
  }

  bury(id: string): void {
    if (this.journal.delete(id)) this.buried.unshift(id);
  }

  replay(id: string, again: Envelope): object {
    if (this.purge(id) === 0) return { code: "CLOISTER_DEADLETTER_UNKNOWN" };
    this.replays += 1;
    this.sent.push(again);
    this.journal.set(again.header.id, { mail: again, attempts: 0 });
    return { seq: expect.any(Number) };
  }

  purge(id: string): number {
    const place = this.buried.indexOf(id);
    if (place < 0) return 0;
    this.buried.splice(place, 1);
    return 1;
  }

  pending(): unknown {
    const envelopes: unknown[] = [];
    const outbound: string[] = [];
    for (const [id, { attempts }] of this.journal) {
      if (!this.done.has(id)) envelopes.push([id, attempts]);
      else if (this.outbound.has(id)) outbound.push(id);
      else this.journal.delete(id);
    }
    return { envelopes, outbound };
  }
}

/** Each sequence on a disk of its own. */
export async function checkAgainstModel(runs: number, makeHarness: () => Promise<StoreHarness>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const harness = await makeHarness();
      let store = await harness.open();
      try {
        const model = new Model();
        for (const one of steps) {
          if (one.type === "reopen") {
            await store.close();
            store = await harness.open();
          } else {
            await apply(one, model, store);
          }
        }
        await compare(model, store);
        await store.close();
        store = await harness.open();
        await compare(model, store);
      } finally {
        await store.close();
        await harness.dispose();
      }
    }),
    { numRuns: runs, seed: 20_260_901 },
  );
}

async function apply(one: Exclude<Step, { readonly type: "reopen" }>, model: Model, store: Store): Promise<void> {
  switch (one.type) {
    case "append": {
      const from = model.sent.length;
      const mails = Array.from({ length: one.count }, (_, n) =>
        envelope(`e${String(from + n).padStart(3, "0")}`, {
          agentId: agents[one.agent] ?? "",
          session: sessions[one.session] ?? "",
        }),
      );
      model.sent.push(...mails);
      const dedupe = one.key === undefined ? undefined : { scope: "scope", key: `k${one.key}` };
      const wanted = mails.map((mail) => model.append(mail, one.key));
      expect(await Promise.all(mails.map((mail) => store.append(mail, dedupe)))).toMatchObject(wanted);
      return;
    }
    case "label": {
      const key = `agent:ann:${sessions[one.session]}`;
      model.labels.set(key, one.label);
      expect((await store.labelSession(key, "ann", one.label, 700)).label ?? null).toBe(one.label);
      return;
    }
    case "pending":
      expect(await pendingOf(store)).toEqual(model.pending());
      return;
    case "begin":
    case "commit":
    case "settle":
    case "delivered":
    case "bury":
    case "replay":
    case "purge": {
      const mail = model.sent[one.at];
      if (mail !== undefined) await applyTo(mail, one, model, store);
    }
  }
}

async function applyTo(
  mail: Envelope,
  one: Extract<Step, { readonly at: number }>,
  model: Model,
  store: Store,
): Promise<void> {
  const { id, agentId } = mail.header;
  switch (one.type) {
    case "begin": {
      const { sessionId: _, ...answer } = (await orCode(store.begin(beginOf(mail)))) as { sessionId?: string };
      expect(answer).toEqual(asObject(model.begin(mail)));
      return;
    }
    case "commit": {
      const parts = {
        ...(one.outbound ? { outbound: webhookRoute } : {}),
        ...(one.state === undefined ? {} : { state: one.state }),
      };
      const answer = (await orCode(store.commit(commitOf(mail, parts)))) as {
        status: string;
        row?: { messages: number };
      };
      const seen = answer.row === undefined ? answer : { status: answer.status, messages: answer.row.messages };
      expect(seen).toEqual(asObject(model.commit(mail, one.outbound, one.state)));
      return;
    }
    case "settle":
      model.journal.delete(id);
      await store.settle(id);
      return;
    case "delivered":
      model.journal.delete(id);
      model.outbound.delete(id);
      await store.delivered(agentId, id);
      return;
    case "bury":
      model.bury(id);
      await store.bury(id, "expired", "test", model.done.get(id));
      return;
    case "replay": {
      const again = { ...mail, header: { ...mail.header, id: `${id}-${model.replays}` } };
      const answer = await orCode(store.replay(id, again));
      expect(answer).toMatchObject(model.replay(id, again));
      return;
    }
    case "purge":
      expect(await store.purge({ id })).toBe(model.purge(id));
  }
}

async function compare(model: Model, store: Store): Promise<void> {
  expect(await pendingOf(store)).toEqual(model.pending());
  const letters = await store.deadLetters({ limit: 1_000 });
  expect([letters.rows.map(({ header }) => header.id), letters.total]).toEqual([model.buried, model.buried.length]);
  for (const id of model.buried) {
    const { body, answer } = (await store.deadLetter(id)) ?? {};
    expect([body, answer]).toEqual([`body of ${id.slice(0, 4)}`, model.done.get(id)]);
  }
  const keys = new Set([...model.transcripts.keys(), ...model.labels.keys()]);
  const { rows, total } = await store.sessions({ limit: 100, offset: 0 });
  expect(total).toBe(keys.size);
  expect(new Map(rows.map((row) => [row.key, [row.messages, row.label ?? null]]))).toEqual(
    new Map([...keys].map((key) => [key, [model.transcripts.get(key)?.length ?? 0, model.labels.get(key) ?? null]])),
  );
  for (const agentId of agents) {
    for (const session of sessions) {
      const key = `agent:${agentId}:${session}`;
      const page = await store.history(agentId, key, 1_000, 0);
      expect(page.rows.map((row) => row.text)).toEqual(model.transcripts.get(key) ?? []);
    }
  }
}

async function pendingOf(store: Store): Promise<unknown> {
  const { envelopes, outbound } = await store.pending();
  return {
    envelopes: envelopes.map((row) => [row.header.id, row.attempts]),
    outbound: outbound.map((row) => row.envelopeId),
  };
}

/** A refusal as its code, so that both sides compare as values. */
async function orCode(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => ({ code: (error as { code: string }).code }));
}

function asObject(answer: unknown): unknown {
  return typeof answer === "string" ? { code: answer } : answer;
}
