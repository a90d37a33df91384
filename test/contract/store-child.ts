/**
 * A process of its own for the tests of the store on disk. `node store-child.ts <mode> <stateDir>`; one word or JSON row a line
 * on stdout.
 *   accept: appends and commits turns until it is killed; prints `stored <id>` and `done <id>` after each answer.
 *   own: opens the store as its owner; prints `open` or the error, and closes when stdin ends.
 *   full: meets a file size limit, then space again; prints what each append came to.
 *   fails: commits fail for want of room, some at a time; prints what the store does about each.
 *   small: `<stateDir>` is a small disk, which others fill; prints what each call came to.
 */
import { execFileSync } from "node:child_process";
import { rm, stat, statfs, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../runtime/kernel/limits.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";
import { failOnDisk, playFailures } from "./store-failures.ts";

const [mode, dir] = process.argv.slice(2) as [string, string];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function accept(): Promise<void> {
  const store = await openLmdbStore(placesIn(dir), { owner: { pid: process.pid } });
  let next = 0;
  const client = async (): Promise<never> => {
    for (;;) {
      const mail = envelope(`${process.pid}-${next++}`, { session: `s${next % 3}` });
      await store.append(mail, { scope: "kill", key: mail.header.id });
      say(`stored ${mail.header.id}`);
      await store.begin(beginOf(mail));
      await store.commit(commitOf(mail));
      say(`done ${mail.header.id}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
}

async function own(): Promise<void> {
  try {
    const store = await openLmdbStore(placesIn(dir), { owner: { pid: process.pid } });
    say("open");
    process.stdin.on("end", () => void store.close().then(() => say("closed")));
    process.stdin.resume();
  } catch (error) {
    const { code, message, remedy } = error as { code: string; message: string; remedy: string };
    say(JSON.stringify({ code, message, remedy }));
    process.stdin.destroy();
  }
}

async function full(): Promise<void> {
  // Long texts are no files of their own: it is the log that has no room.
  const store = await openLmdbStore(placesIn(dir), { bounds: { blobCharsMin: Number.MAX_SAFE_INTEGER } });
  const limit = (bytes: string): void =>
    void execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`]);
  // Writes of lmdb 3.5.6 that find no room at all corrupt its heap (`runtime/store/lmdb/room.ts`): its files are smaller than the log's.
  const limitToAPage = async (): Promise<void> =>
    limit(String((await stat(join(dir, "store", "journal", "log-0"))).size + 4_096));
  const append = async (id: string, chars = 300_000): Promise<void> => {
    const mail = envelope(id, { body: "x".repeat(chars) });
    const result = await store.append(mail, { scope: "full", key: id }).then(
      ({ status }) => ({ id, status }),
      ({ code, message, remedy }: { code: string; message: string; remedy: string }) => ({ id, code, message, remedy }),
    );
    say(JSON.stringify(result));
  };
  await append("before", 30_000);
  await limitToAPage();
  await append("alone");
  await Promise.all([append("together1"), append("together2")]);
  say(JSON.stringify({ id: "read", held: (await store.pending()).envelopes.map((row) => row.header.id) }));
  limit("unlimited");
  await append("after", 30_000);
  await limitToAPage();
  await append("last");
  await store.close();
  say("closed");
}

async function small(): Promise<void> {
  const store = await openLmdbStore(placesIn(dir));
  const others = join(dir, "others");
  const tell = (id: string, call: Promise<unknown>): Promise<void> =>
    call.then(
      (result) => say(JSON.stringify({ id, result })),
      ({ code, message }: { code: string; message: string }) => say(JSON.stringify({ id, code, message })),
    );
  const append = (id: string, agentId: string, changes: { readonly body?: string } = {}): Promise<void> => {
    const mail = envelope(id, { agentId, ...changes });
    return tell(
      id,
      store.append(mail, { scope: "small", key: id }).then(({ status }) => status),
    );
  };
  /** A text of its own, which is a file. */
  const long = (id: string): Promise<void> => append(id, "ann", { body: id.padEnd(limits.blobCharsMin, "x") });
  const handle = async (id: string, agentId: string): Promise<void> => {
    const mail = envelope(id, { agentId });
    await tell(
      `begin ${id}`,
      store.begin(beginOf(mail)).then(({ status }) => status),
    );
    await tell(`commit ${id}`, store.commit(commitOf(mail)));
  };
  await append("a", "ann");
  await append("b", "bob");
  await long("long");
  const { bavail, bsize } = await statfs(dir);
  const left = (bytes: number): Promise<void> =>
    truncate(others, 0).then(() => writeFile(others, Buffer.alloc(bavail * bsize - bytes)));
  await writeFile(others, "");
  await left(4_194_304);
  // Another process took the room: what was looked at a moment ago counts for as long as `freshMs` says.
  await sleep(150);
  await append("c", "ann");
  await append("a", "ann");
  const before = await statfs(dir);
  for (const id of ["long2", "long"]) await long(id);
  say(JSON.stringify({ id: "taken", result: before.bavail - (await statfs(dir)).bavail }));
  await handle("a", "ann");
  await left(65_536);
  await handle("b", "bob");
  await rm(others);
  await handle("b", "bob");
  await append("d", "ann");
  await store.close();
  say("closed");
}

async function fails(): Promise<void> {
  for await (const outcome of playFailures(dir, openLmdbEnvironment, failOnDisk)) say(JSON.stringify(outcome));
}

const modes: Readonly<Record<string, () => Promise<void>>> = { accept, own, full, fails, small };
await modes[mode]?.();
