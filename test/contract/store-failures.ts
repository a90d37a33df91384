/**
 * What the store does about commits that fail, as plain results: for memory in the test's process, for LMDB in one whose files the operating
 * system lets grow no further meanwhile (`store-child.ts`).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, statSync } from "node:fs";
import { join } from "node:path";
import { isCoded } from "../../runtime/kernel/errors.ts";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import { AgentStore } from "../../runtime/store/agent-store.ts";
import { EnvelopeRows } from "../../runtime/store/envelope-rows.ts";
import type { Store } from "../../runtime/store/port.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import { type SessionHead, SessionIndex } from "../../runtime/store/session-index.ts";
import { storeFull } from "../../runtime/store/store-full.ts";
import { openStore } from "../../runtime/store/store.ts";
import { beginOf, commitOf, envelope, sessionHead, placesIn } from "./store-envelopes.ts";
import { wrapLogged } from "./store-kinds.ts";

/** Calls `write` with the change at once; its transaction runs, and does not reach the disk. */
export type FailCommit = <T>(
  dir: string,
  environment: Environment,
  write: Environment["write"],
  change: () => T,
) => Promise<T>;

export const failInMemory: FailCommit = (dir, _environment, write, change) =>
  write(() => {
    change();
    throw storeFull(dir, "the test wants it so");
  });

const ballastBytes = 400_000;
const padding = "x".repeat(600_000);

/**
 * A write that finds no room at all corrupts the heap of lmdb 3.5.6 (`runtime/store/lmdb/room.ts`): there is some, and the transaction wants
 * pages in a row that no free ones can be.
 */
export const failOnDisk: FailCommit = async (dir, environment, write, change) => {
  const log = join(dir, "log-0");
  const { size } = statSync(existsSync(log) ? log : join(dir, "data.mdb"));
  limitFiles(String(size + 4_096));
  try {
    return await write(() => {
      const result = change();
      environment.put(["padding"], padding);
      return result;
    });
  } finally {
    limitFiles("unlimited");
  }
};

function limitFiles(bytes: string): void {
  execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`]);
}

export interface Place {
  readonly dir: string;
  readonly open: OpenEnvironment;
  /** The next commits of the environment in a folder of this name. */
  readonly failNext: (folder: string, times: number) => void;
}

export function makePlace(dir: string, openEnvironment: OpenEnvironment, failCommit: FailCommit): Place {
  const failing = new Map<string, number>();
  const open = async (folder: string): Promise<Environment> => {
    const environment = await openEnvironment(folder);
    // So that its file is the largest, and what is written meanwhile to the others has room.
    await environment.write(() => environment.put(["ballast"], "x".repeat(ballastBytes)));
    return watch(environment, folder);
  };
  const watch = (environment: Environment, folder: string): Environment => {
    const write = environment.write.bind(environment);
    environment.write = (change) => {
      const left = failing.get(nameOf(folder)) ?? 0;
      failing.set(nameOf(folder), Math.max(0, left - 1));
      return left > 0 ? failCommit(folder, environment, write, change) : write(change);
    };
    return environment;
  };
  return {
    dir,
    open: Object.assign(open, openEnvironment, wrapLogged(openEnvironment, watch)),
    failNext: (folder, times) => void failing.set(folder, times),
  };
}

const nameOf = (folder: string): string => folder.split("/").at(-1) ?? "";

/** What a call came to: its status, or the code of its error. */
const tell = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (result) => (result as { readonly status?: string } | undefined)?.status ?? "done",
    (error: unknown) => (isCoded(error) ? error.code : String(error)),
  );

async function inStore<T>(place: Place, work: (store: Store) => Promise<T>, options?: StoreOptions): Promise<T> {
  const store = await openStore(placesIn(place.dir), place.open, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

const waiting = async (store: Store) =>
  (await store.pending()).envelopes.map(({ header, attempts }) => [header.id, attempts]);

const head = (messages: number, input: number): SessionHead =>
  sessionHead(messages, { spent: { day: messages, tokens: { input, output: 0 } } });

async function inIndex<T>(
  place: Place,
  work: (index: SessionIndex, environment: Environment) => Promise<T>,
): Promise<T> {
  const environment = await place.open(join(place.dir, "registry"));
  try {
    const options = { scanRowsMax: 100, lateMs: 600_000, onWritten: () => undefined };
    return await work(new SessionIndex(environment, options), environment);
  } finally {
    await environment.close();
  }
}

const longBody = (text: string): string => text.repeat(2_000);
const shortFiles = { bounds: { blobCharsMin: 1_000 } };
const filesOf = async ({ dir, open }: Place): Promise<number> =>
  (await open.blobs?.(`${dir}/agents/ann/sessions`).list())?.length ?? 0;

const scenarios = {
  "a message is refused, leaves nothing, is stored when it comes again, and is known from then on": (place) =>
    inStore(place, async (store) => {
      const offer = () => tell(store.append(envelope("a"), { scope: "s", key: "k" }));
      const before = await tell(store.append(envelope("0"), { scope: "s", key: "0" }));
      place.failNext("journal", 1);
      const told = [await offer(), await waiting(store), await offer(), await offer(), await waiting(store)];
      return [before, ...told, (await store.auditCheck("traffic")).faultCount];
    }),

  "messages whose group fails are tried alone, in their order": (place) =>
    inStore(place, async (store) => {
      place.failNext("journal", 1);
      const told = await Promise.all(["a", "b", "c"].map((id) => tell(store.append(envelope(id)))));
      return [told, await waiting(store)];
    }),

  "a delivery that could not be counted counts no more, and its turn is done later": (place) =>
    inStore(place, async (store) => {
      const mail = envelope("a");
      await store.append(mail);
      place.failNext("journal", 1);
      const told = [await tell(store.begin(beginOf(mail))), await waiting(store)];
      const { attempt } = (await store.begin(beginOf(mail))) as { readonly attempt?: number };
      return [...told, attempt];
    }),

  "a turn leaves nothing of itself, and is done when it is handled again": (place) =>
    inStore(place, async (store) => {
      const mail = envelope("a");
      await store.append(mail);
      await store.begin(beginOf(mail));
      place.failNext("sessions", 1);
      const told = [await tell(store.commit(commitOf(mail, { state: "half" })))];
      const total = async () => (await store.history("ann", mail.header.sessionKey, 9, 0)).total;
      const begun = await store.begin(beginOf(mail));
      const { attempt, state } = begun as { readonly attempt?: number; readonly state?: string | null };
      return [...told, await total(), attempt, state, await tell(store.commit(commitOf(mail))), await total()];
    }),

  "what was forgotten goes with the next commit when it could not go with this one": async (place) => {
    const environment = await place.open(join(place.dir, "sessions"));
    const store = new AgentStore(environment);
    const commit = (id: string) => {
      const mail = envelope(id);
      return tell(store.commit(commitOf(mail), [mail], sessionHead(0)));
    };
    const marked = () => ["a", "b", "c"].filter((id) => store.done(id) !== undefined);
    const told = [await commit("a")];
    store.forget("a");
    place.failNext("sessions", 1);
    told.push(await commit("b"), marked(), await commit("b"), marked());
    store.forget("b");
    place.failNext("sessions", 1);
    told.push(await tell(store.prune()), marked(), await tell(store.prune()), marked());
    await environment.close();
    return told;
  },

  "an envelope that is settled is gone for every call, and from the disk when that can be written": (place) =>
    inStore(
      place,
      async (store) => {
        const mail = envelope("a");
        await store.append(mail);
        await store.begin(beginOf(mail));
        await store.commit(commitOf(mail));
        await store.settle("a");
        // Its row may go when what its turn changed in the index is on the disk.
        await store.sessions({ limit: 9, offset: 0 });
        place.failNext("journal", 2);
        const told = [
          await tell(store.append(envelope("b"))),
          await tell(store.pending()),
          await tell(store.begin(beginOf(mail))),
        ];
        return [...told, await waiting(store), await tell(store.append(envelope("b"))), await waiting(store)];
      },
      { bounds: { indexLateMs: 600_000 } },
    ),

  "the file of a long message that is refused goes with the next commit": (place) =>
    inStore(
      place,
      async (store) => {
        await store.history("ann", "agent:ann:main", 1, 0);
        const long = (id: string) => tell(store.append(envelope(id, { body: longBody(id) })));
        place.failNext("journal", 1);
        const told = [await long("a"), await filesOf(place)];
        place.failNext("journal", 2);
        return [...told, await long("b"), await filesOf(place), await long("c"), await filesOf(place)];
      },
      shortFiles,
    ),

  "what waits for the index is read, and written with the next write": (place) =>
    inIndex(place, async (index, environment) => {
      const key = head(0, 0).key;
      index.updateLater(head(2, 5));
      place.failNext("registry", 2);
      const told = [await tell(index.flush()), await tell(index.pin(key, true))];
      index.updateLater(head(4, 6));
      const read = [index.get(key)?.messages, index.get(key)?.pinned, index.changes.written()];
      const row = await index.pin(key, true);
      const days = (await index.usage({ fromDay: 0, toDay: 9, limit: 9 })).map(({ day, tokens }) => [
        day,
        tokens.input,
      ]);
      const stored = environment.get<SessionHead>(["s", key])?.messages;
      return [...told, ...read, row?.messages, row?.pinned, stored, days, index.changes.written()];
    }),

  "changes of the index that share the write are refused together, and leave nothing": (place) =>
    inIndex(place, async (index) => {
      const headOf = (name: string) => ({ ...head(0, 1), key: `agent:ann:${name}`, sessionId: name });
      const label = (name: string, makeHead = () => headOf(name)) => index.label(`agent:ann:${name}`, "mine", makeHead);
      const calls = [
        label("first", () => {
          place.failNext("registry", 1);
          return headOf("first");
        }),
      ];
      // Behind the one that is on its way.
      await Promise.resolve();
      calls.push(label("a"), label("b"));
      const told = await Promise.all(calls.map(tell));
      const total = async () => (await index.query({ limit: 9, offset: 0 })).total;
      return [told, await total(), await tell(label("a")), await total()];
    }),

  "an envelope of which more rows were to be written has no more than are there": async (place) => {
    const environment = await place.open(join(place.dir, "journal"));
    const rows = new EnvelopeRows(environment, 1);
    place.failNext("journal", 1);
    const put = (seq: number, body: string) => tell(rows.write(() => rows.put(seq, envelope("a", { body }))));
    const told = [await put(1, longBody("long")), await put(2, "short")];
    let looks = 0;
    const entries = environment.entries.bind(environment);
    environment.entries = (range) => {
      looks += 1;
      return entries(range);
    };
    await rows.write(() => rows.remove("a", "ann", 2));
    const left = [...environment.keys({ start: ["c"], end: ["z"] })];
    await environment.close();
    return [...told, looks, left];
  },
} as const satisfies Record<string, (place: Place) => Promise<readonly unknown[]>>;

export type Scenario = keyof typeof scenarios;
export type Outcome = { readonly name: string; readonly result: readonly unknown[] };

/** All of them one after the other, each in a folder of its own below this one. */
export async function* playFailures(
  dir: string,
  openEnvironment: OpenEnvironment,
  failCommit: FailCommit,
): AsyncIterable<Outcome> {
  for (const [name, play] of Object.entries(scenarios)) {
    const place = makePlace(mkdtempSync(join(dir, "failures-")), openEnvironment, failCommit);
    yield { name, result: JSON.parse(JSON.stringify(await play(place))) as readonly unknown[] };
  }
}
