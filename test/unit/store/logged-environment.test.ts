import { describe, expect, test } from "vitest";
import { recoverLog } from "../../../runtime/store/log.ts";
import { type LogBounds, LoggedEnvironment } from "../../../runtime/store/logged-environment.ts";
import { copyDisk, type MemoryDisk, memoryEnvironments } from "../../../runtime/store/memory-environment.ts";
import { HeldBase, HeldFile } from "../../support/held-log.ts";
import { runLoggedWorld } from "../../support/logged-world.ts";
import { makeRandom } from "../../support/random.ts";

const random = makeRandom(1);
const range = { start: ["a"], end: ["b"] };
const fault = new Error("the disk is at fault");

/** Everything that only waits for promises has run after this. */
const rest = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function open(disk: MemoryDisk = new Map(), files = [new HeldFile(), new HeldFile()] as const) {
  const base = new HeldBase(await memoryEnvironments(disk)("/held"));
  const recovering = recoverLog(base.environment, files, "/held");
  await rest();
  if (base.held > 0) await base.release();
  const log = await recovering;
  const begin = (bounds: LogBounds = { storeLogBytes: 1, storeLogBytesMax: 1_000 }) => {
    const environment = new LoggedEnvironment(base.environment, log, bounds);
    const put = (name: string, value: unknown) => environment.write(() => environment.put(["a", name], value));
    const rows = () => [...environment.entries<unknown>(range)].map(({ key, value }) => [key[1], value]);
    return { environment, put, rows };
  };
  return { disk, base, files, begin };
}

describe("a change", () => {
  test("reads what those before it in its record have put, and nobody else does before the flush", async () => {
    const { files, begin } = await open();
    const { environment, put, rows } = begin();
    const seen: unknown[] = [];
    const first = put("x", 1);
    const second = environment.write(() =>
      seen.push(rows(), environment.get(["a", "x"]), [...environment.keys(range)]),
    );
    await rest();
    expect(seen).toEqual([[["x", 1]], 1, [["a", "x"]]]);
    expect([rows(), environment.get(["a", "x"]), environment.commits()]).toEqual([[], undefined, 0]);
    files[0].release();
    await Promise.all([first, second]);
    expect([rows(), environment.get(["a", "x"]), environment.commits()]).toEqual([[["x", 1]], 1, 1]);
  });

  test("that throws leaves nothing, and the others of its record are not hurt", async () => {
    const { files, begin } = await open();
    const { environment, put, rows } = begin();
    const first = put("x", 1);
    const thrown = environment.write(() => {
      environment.put(["a", "x"], 2);
      environment.remove(["a", "x"]);
      environment.put(["a", "y"], 2);
      throw fault;
    });
    const third = environment.write(() => [...environment.entries(range)].length);
    await expect(thrown).rejects.toBe(fault);
    files[0].release();
    await first;
    expect([await third, rows()]).toEqual([1, [["x", 1]]]);
  });

  test("that writes on its own does so in a later record", async () => {
    const { files, begin } = await open();
    const { put, environment, rows } = begin({ storeLogBytes: 1_000, storeLogBytesMax: 1_000 });
    let inner: Promise<void> | undefined;
    const outer = environment.write(() => {
      environment.put(["a", "outer"], 1);
      inner = put("inner", 2);
    });
    await rest();
    files[0].release();
    await outer;
    await rest();
    expect([rows(), files[0].held === undefined]).toEqual([[["outer", 1]], false]);
    files[0].fail(fault, "nothing", random);
    await expect(inner).rejects.toBe(fault);
    expect(rows()).toEqual([["outer", 1]]);
  });

  test("that waits for something is refused", async () => {
    const { begin } = await open();
    const { environment, rows } = begin();
    const waiting = environment.write(async () => environment.put(["a", "x"], 1));
    await expect(waiting).rejects.toMatchObject({ code: "CLOISTER_INTERNAL" });
    expect(rows()).toEqual([]);
  });
});

test("a flush that fails refuses all changes of its record and leaves nothing of them", async () => {
  const { files, begin } = await open();
  const { put, rows } = begin();
  const kept = put("x", 0);
  await rest();
  const refused = Promise.allSettled([put("x", 1), put("y", 1)]);
  files[0].release();
  await kept;
  await rest();
  files[1].fail(fault, "whole", random);
  const reason = { status: "rejected", reason: fault };
  expect(await refused).toEqual([reason, reason]);
  expect(rows()).toEqual([["x", 0]]);
});

test("a start finds nothing of a record that was refused, where the system has not crashed", async () => {
  const { disk, files, begin } = await open();
  const { put } = begin();
  const refused = Promise.allSettled([put("x", 1)]);
  await rest();
  files[0].fail(fault, "whole", random);
  await refused;
  const next = await open(copyDisk(disk), [new HeldFile(files[0].cached), new HeldFile(files[1].cached)]);
  expect(next.begin().rows()).toEqual([]);
});

describe("rows that cannot be moved", () => {
  test("stay in the log until it is full; then writes fail with the error of the move, and go on when it works", async () => {
    const { base, files, begin } = await open();
    const { put, rows } = begin({ storeLogBytes: 1, storeLogBytesMax: 150 });
    const answered: number[] = [];
    for (let number = 0; ; number += 1) {
      const writing = put(`${number}`, "text").then(() => answered.push(number));
      await rest();
      const file = files.find(({ held }) => held !== undefined);
      if (file === undefined) {
        const refused = expect(writing).rejects.toBe(fault);
        base.fail(fault);
        await refused;
        break;
      }
      if (base.held > 0) base.fail(fault);
      file.release();
      await writing;
    }
    // One in the generation that is not moved, and the others behind it.
    expect(answered.length).toBeGreaterThan(3);
    expect(rows().map(([name]) => Number(name))).toEqual(answered);
    const writing = put("later", 1);
    await rest();
    expect(files.some(({ held }) => held !== undefined)).toBe(false);
    await base.release();
    await rest();
    files[1].release();
    await writing;
    expect(rows()).toHaveLength(answered.length + 1);
  });

  test("are those that a start finds, whatever was flushed behind a record that was refused", async () => {
    const { disk, base, files, begin } = await open();
    const { environment, put } = begin({ storeLogBytes: 100, storeLogBytesMax: 1_000 });
    const flush = async (at: 0 | 1, writing: Promise<unknown>): Promise<void> => {
      await rest();
      files[at].release();
      await writing;
    };
    await flush(0, put("filler", "-".repeat(100)));
    const second = put("filler", "+".repeat(100));
    await rest();
    base.fail(fault);
    await flush(1, second);
    const refused = Promise.allSettled([put("x", "refused"), put("y", "refused")]);
    await rest();
    files[1].fail(fault, "whole", random);
    await base.release();
    await refused;
    await rest();
    // The generation ends here, with what was refused behind it.
    void environment.copyTo("/copy");
    await rest();
    const last = put("x", "accepted").catch(() => undefined);
    await rest();
    expect(files[0].held).toBeUndefined();
    await base.release();
    await flush(0, last);
    // The disk has forgotten that the record was made unreadable.
    const next = await open(copyDisk(disk), [files[0], files[1]]);
    expect(next.begin().rows()).toEqual([
      ["filler", "+".repeat(100)],
      ["x", "accepted"],
    ]);
  });
});

test("a copy ends while others write all the time", async () => {
  const { disk, base, files, begin } = await open();
  const { environment, put } = begin({ storeLogBytes: 1_000_000, storeLogBytesMax: 2_000_000 });
  const flush = async (): Promise<void> => {
    files.find(({ held }) => held !== undefined)?.release();
    await rest();
  };
  void put("0", 0);
  await rest();
  await flush();
  const copy = { isOver: false };
  void environment.copyTo("/copy").then(() => (copy.isOver = true));
  for (let number = 1; number < 20 && !copy.isOver; number += 1) {
    void put(`${number}`, number);
    await flush();
    if (base.held > 0) await base.release();
  }
  expect(copy.isOver).toBe(true);
  expect(disk.get("/copy")?.[0]).toEqual({ key: ["a", "0"], json: "0" });
});

describe("a start is refused", () => {
  /** Files of two generations, none of which was moved; each has two records. */
  async function twoGenerations(): Promise<readonly [HeldFile, HeldFile]> {
    const { base, files, begin } = await open();
    const { put } = begin({ storeLogBytes: 60, storeLogBytesMax: 1_000 });
    for (let number = 0; number < 4; number += 1) {
      const writing = put(`${number}`, "12345678");
      await rest();
      if (base.held > 0) base.fail(fault);
      files.find(({ held }) => held !== undefined)?.release();
      await writing;
    }
    expect(files.map(({ bytes }) => bytes.toString("latin1").split("CLog").length)).toEqual([3, 3]);
    return files;
  }
  const start = async (files: readonly [HeldFile, HeldFile]): Promise<unknown> =>
    recoverLog(await memoryEnvironments(new Map())("/held"), files, "/held");
  const refusal = (message: string) => ({
    code: "CLOISTER_STATE_UNUSABLE",
    message: `cannot read the log of the database in /held: ${message}`,
    remedy: expect.stringContaining("move the files log-0 and log-1 of that directory away"),
  });

  test("where a generation is missing", async () => {
    const [, second] = await twoGenerations();
    await expect(start([new HeldFile(), second])).rejects.toMatchObject(refusal("generation 0 is missing before 1"));
  });

  test("where a record before others is damaged", async () => {
    const [first, second] = await twoGenerations();
    const bytes = Buffer.from(first.bytes);
    bytes.writeUInt8(bytes.readUInt8(30) ^ 1, 30);
    const later = bytes.indexOf("CLog", 1);
    await expect(start([new HeldFile(bytes), second])).rejects.toMatchObject(
      refusal(`at byte 0 is not the next record, and at byte ${later} stands a later one`),
    );
  });

  test("where the last record of a generation is damaged, behind which another one was begun", async () => {
    const [first, second] = await twoGenerations();
    const bytes = Buffer.from(first.bytes);
    const last = bytes.lastIndexOf("CLog");
    bytes.writeUInt8(bytes.readUInt8(last + 30) ^ 1, last + 30);
    await expect(start([new HeldFile(bytes), second])).rejects.toMatchObject(
      refusal("generation 0 had 2 records, of which 1 can be read"),
    );
    // The same is the end of a log behind which there is nothing.
    const alone = await open(new Map(), [new HeldFile(bytes), new HeldFile()]);
    expect(alone.begin().rows()).toHaveLength(1);
  });

  test("and not where all is whole", async () => {
    const next = await open(new Map(), await twoGenerations());
    expect(next.begin().rows()).toHaveLength(4);
  });
});

describe("a random world", () => {
  const seeds = 1_200;
  const size = seeds / 4;
  for (let begin = 0; begin < seeds; begin += size) {
    test(`has what was answered, after every flush and every crash: ${begin} to ${begin + size - 1}`, async () => {
      const sum = { flushes: 0, moves: 0, crashes: 0, ghosts: 0, copies: 0, refusals: 0 };
      for (let seed = begin; seed < begin + size; seed += 1) {
        const { problems, counts } = await runLoggedWorld(seed);
        expect(problems, `seed ${seed}`).toEqual([]);
        for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name];
      }
      // A world in which nothing happens proves nothing.
      expect(sum.flushes).toBeGreaterThan(size * 5);
      expect(sum.moves).toBeGreaterThan(size);
      expect(sum.crashes).toBeGreaterThan(size / 2);
      expect(sum.copies).toBeGreaterThan(size / 2);
      expect(sum.refusals).toBeGreaterThan(size / 4);
      expect(sum.ghosts).toBeGreaterThan(0);
    });
  }
});
