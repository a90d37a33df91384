/** The log before the journal's database in its real files: what a crash leaves there, and what is said of damage. */
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formats } from "../../runtime/store/format.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openAudit } from "../../runtime/store/lmdb/read-audit.ts";
import { reportEnvironment } from "../../runtime/store/lmdb/report.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { Store } from "../../runtime/store/port.ts";
import { envelope, placesIn } from "./store-envelopes.ts";

const auditKey = "c".repeat(64);
const ids = ["a", "b", "c"];
let dir: string;
let store: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "cloister-log-"));
  store = await openLmdbStore(placesIn(join(dir, "live")), { auditKey });
  for (const id of ids) await store.append(envelope(id, { body: `text of ${id} — ü` }), { scope: "s", key: id });
});
afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

const journalOf = (state: string): string => join(state, "store", "journal");
const logOf = (state: string): string => join(journalOf(state), "log-0");

/** The files as a kill at this moment leaves them. */
async function crash(): Promise<string> {
  const copy = join(dir, "crashed");
  await cp(join(dir, "live"), copy, { recursive: true });
  return copy;
}

async function readJournal<T>(
  state: string,
  read: (get: (key: readonly (string | number)[]) => unknown) => T,
): Promise<T> {
  const environment = await openLmdbEnvironment(journalOf(state));
  try {
    return read((key) => environment.get(key));
  } finally {
    await environment.close();
  }
}

async function waitingIn(state: string): Promise<readonly (readonly [string, string])[]> {
  const again = await openLmdbStore(placesIn(state), { auditKey });
  const { envelopes } = await again.pending();
  const found = await Promise.all(
    envelopes.map(async ({ header }) => [header.id, (await again.append(envelope(header.id))).status] as const),
  );
  await again.close();
  return found;
}

async function damage(file: string, text: string): Promise<void> {
  const bytes = await readFile(file);
  const at = bytes.indexOf(text);
  expect(at).toBeGreaterThan(0);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(file, bytes);
}

describe("the log of the journal", () => {
  it("has what was accepted before the database has it, and a start finds it there", async () => {
    const crashed = await crash();
    // A program of before would read the database alone: that is of a format which it refuses.
    expect(await readJournal(crashed, (get) => [get(["format"]), ...ids.map((id) => get(["i", id]))])).toEqual([
      { name: "journal", format: formats.journal },
      undefined,
      undefined,
      undefined,
    ]);
    expect(await waitingIn(crashed)).toEqual(ids.map((id) => [id, "duplicate"]));
  });

  it("is in the database once the store is closed", async () => {
    await store.close();
    const found = await readJournal(join(dir, "live"), (get) => ids.map((id) => get(["i", id]) !== undefined));
    expect(found).toEqual([true, true, true]);
    store = await openLmdbStore(placesIn(join(dir, "live")), { auditKey });
    expect((await store.pending()).envelopes.map(({ header }) => header.id)).toEqual(ids);
  });

  it("is read as a part of the audit trail where nobody has written it to the database", async () => {
    const audit = await openAudit(await crash(), auditKey);
    expect(await audit.reads.auditCheck("traffic")).toMatchObject({ rows: 3, faultCount: 0 });
    await audit.close();
  });

  it("begins anew when it is long, and never grows beyond its bound", async () => {
    await store.close();
    const storeLogBytes = 4_096;
    const state = join(dir, "live");
    store = await openLmdbStore(placesIn(state), { auditKey, bounds: { storeLogBytes } });
    const files = ["log-0", "log-1"].map((name) => join(journalOf(state), name));
    const generationIn = async (file: string): Promise<number> => {
      const bytes = await readFile(file);
      return bytes.length === 0 ? 0 : bytes.readUInt32LE(4);
    };
    const generation = async (): Promise<number> => Math.max(...(await Promise.all(files.map(generationIn))));
    let appended = 0;
    // How often depends on how soon the database has the rows of the one before.
    for (; (await generation()) <= 5; appended += 1) await store.append(envelope(`n${appended}`));
    await store.close();
    // What a file is given at a time, which is more than the records of a generation take here.
    for (const file of files) expect((await stat(file)).size).toBe(262_144);
    store = await openLmdbStore(placesIn(state), { auditKey });
    expect((await store.pending()).envelopes).toHaveLength(ids.length + appended);
  });

  it("that ends in the middle of a record has the records before it", async () => {
    const crashed = await crash();
    await damage(logOf(crashed), "text of c");
    expect(await waitingIn(crashed)).toEqual([
      ["a", "duplicate"],
      ["b", "duplicate"],
    ]);
  });

  it("that is damaged before its end is not read as if it ended there: a start, the doctor and the audit say so", async () => {
    const crashed = await crash();
    await damage(logOf(crashed), "text of a");
    const refused = {
      code: "CLOISTER_STATE_UNUSABLE",
      message: expect.stringMatching(/at byte \d+ is not the next record, and at byte \d+ stands a later one/),
      remedy: expect.stringContaining("log-0"),
    };
    await expect(openLmdbStore(placesIn(crashed), { auditKey })).rejects.toMatchObject(refused);
    await expect(openAudit(crashed, auditKey)).rejects.toMatchObject(refused);
    const place = { kind: "journal", dir: journalOf(crashed) } as const;
    expect(await reportEnvironment(place, 0, false)).toMatchObject({
      state: "damaged",
      reason: expect.stringContaining("is not the next record"),
    });
    // A gateway that writes to it may be in the middle of a record.
    expect(await reportEnvironment(place, 0, true)).toMatchObject({ state: "whole" });
    for (const name of ["log-0", "log-1"]) await rm(join(journalOf(crashed), name));
    expect(await waitingIn(crashed)).toEqual([]);
  });
});
