/**
 * A process of its own for the tests of the store on disk. `node store-child.ts <mode> <stateDir>`; one word or JSON row a line
 * on stdout.
 *   accept: appends and commits turns until it is killed; prints `stored <id>` and `done <id>` after each answer.
 *   own: opens the store as its owner; prints `open` or the error, and closes when stdin ends.
 *   full: meets a full disk (a file size limit), then space again; prints what each append came to.
 */
import { execFileSync } from "node:child_process";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";

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
  const store = await openLmdbStore(placesIn(dir));
  const limit = (bytes: string): void =>
    void execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`]);
  const append = async (id: string): Promise<void> => {
    const mail = envelope(id, { body: "x".repeat(30_000) });
    const result = await store.append(mail, { scope: "full", key: id }).then(
      ({ status }) => ({ id, status }),
      ({ code, message, remedy }: { code: string; message: string; remedy: string }) => ({ id, code, message, remedy }),
    );
    say(JSON.stringify(result));
  };
  await append("before");
  limit("65536");
  await append("alone");
  await Promise.all([append("together1"), append("together2")]);
  say(JSON.stringify({ id: "read", held: (await store.pending()).envelopes.map((row) => row.header.id) }));
  limit("unlimited");
  await append("after");
  limit("65536");
  await append("last");
  await store.close();
  say("closed");
}

const modes: Readonly<Record<string, () => Promise<void>>> = { accept, own, full };
await modes[mode]?.();
