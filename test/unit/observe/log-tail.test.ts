import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { readLogTail } from "../../../runtime/observe/log-tail.ts";

let file: string;

beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), "log-tail-")), "cloister.log");
});

const record = (text: string): string =>
  `${JSON.stringify({ level: 30, time: "2026-11-21T10:00:00.000Z", subsystem: "edge", msg: text })}\n`;
const messages = (lines: readonly string[]): unknown[] =>
  lines.map((line) => (JSON.parse(line) as { message: unknown }).message);
const all = { linesMax: 100, bytesMax: 100_000 };

/** As the log does at its size: the part is renamed, and a new one begins. */
async function rotate(): Promise<void> {
  await rm(`${file}.2`, { force: true });
  await rename(`${file}.1`, `${file}.2`).catch(() => undefined);
  await rename(file, `${file}.1`);
}

describe("the end of the log", () => {
  test("is empty without a file, and the first record comes later", async () => {
    const before = await readLogTail(file, all);
    expect(before).toEqual({ file, cursor: 0, size: 0, lines: [], truncated: false, reset: false });
    await writeFile(file, record("first"));
    expect(messages((await readLogTail(file, { ...all, cursor: before.cursor })).lines)).toEqual(["first"]);
  });

  test("is told as records with words, whatever the text holds", async () => {
    const odd = 'a "msg":"x" and ,"msg":" and \\ and {"level":10,';
    await writeFile(file, record(odd));
    const { lines } = await readLogTail(file, all);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: "info", time: "2026-11-21T10:00:00.000Z", subsystem: "edge", message: odd },
    ]);
  });

  test("gives the newest lines that fit, whole", async () => {
    await writeFile(file, Array.from({ length: 50 }, (_, n) => record(`line ${n}`)).join(""));
    const few = await readLogTail(file, { linesMax: 3, bytesMax: 100_000 });
    expect([messages(few.lines), few.truncated]).toEqual([["line 47", "line 48", "line 49"], true]);
    const bytes = await readLogTail(file, { linesMax: 100, bytesMax: 230 });
    expect([messages(bytes.lines), bytes.truncated]).toEqual([["line 48", "line 49"], true]);
    expect((await readLogTail(file, { ...all, cursor: bytes.cursor })).lines).toEqual([]);
  });

  test("a line that is being written comes when it is whole", async () => {
    const whole = record("second");
    await writeFile(file, record("first") + whole.slice(0, 20));
    const first = await readLogTail(file, all);
    expect(messages(first.lines)).toEqual(["first"]);
    await appendFile(file, whole.slice(20));
    expect(messages((await readLogTail(file, { ...all, cursor: first.cursor })).lines)).toEqual(["second"]);
  });

  test("a line that is longer than a reading does not hold up what follows", async () => {
    await writeFile(file, record("first"));
    const { cursor } = await readLogTail(file, all);
    await appendFile(file, record("x".repeat(5_000)) + record("last"));
    let next = await readLogTail(file, { linesMax: 100, bytesMax: 1_000, cursor });
    const seen = [...next.lines];
    while (next.truncated) {
      next = await readLogTail(file, { linesMax: 100, bytesMax: 1_000, cursor: next.cursor });
      seen.push(...next.lines);
    }
    expect(messages(seen.slice(-1))).toEqual(["last"]);
  });

  test("what was rotated away between two readings is read to its end first", async () => {
    await writeFile(file, record("first"));
    const { cursor } = await readLogTail(file, all);
    await appendFile(file, record("second"));
    await rotate();
    await writeFile(file, record("third"));
    const older = await readLogTail(file, { ...all, cursor });
    expect([messages(older.lines), older.truncated, older.reset]).toEqual([["second"], true, false]);
    expect(messages((await readLogTail(file, { ...all, cursor: older.cursor })).lines)).toEqual(["third"]);
  });

  test("who stayed away for two parts is told, and gets the newest", async () => {
    await writeFile(file, record("first"));
    const { cursor } = await readLogTail(file, all);
    await rotate();
    await writeFile(file, record("second"));
    await rotate();
    await writeFile(file, record("third"));
    expect(await readLogTail(file, { ...all, cursor })).toMatchObject({ reset: true, truncated: false });
  });

  test("following loses and repeats nothing, however writing, reading and rotation fall (property)", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("write" as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ do: fc.constant("read" as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant("rotate" as const), count: fc.constant(1) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        for (const part of [file, `${file}.1`, `${file}.2`]) await rm(part, { force: true });
        await writeFile(file, "");
        let written = 0;
        let { cursor } = await readLogTail(file, all);
        const seen: unknown[] = [];
        const readOn = async (linesMax: number): Promise<boolean> => {
          const tail = await readLogTail(file, { cursor, linesMax, bytesMax: 400 });
          expect(tail.reset).toBe(false);
          ({ cursor } = tail);
          seen.push(...messages(tail.lines));
          return tail.truncated;
        };
        let mayBeBehind = false;
        for (const { do: act, count } of steps) {
          if (act === "write") for (let n = 0; n < count; n++) await appendFile(file, record(`line ${written++}`));
          else if (act === "read") await readOn(count);
          else {
            // Whoever may still be in the part before reads it to its end.
            if (mayBeBehind) while (await readOn(100));
            mayBeBehind = true;
            await rotate();
            await writeFile(file, "");
          }
        }
        while (await readOn(100));
        expect(seen).toEqual(Array.from({ length: written }, (_, n) => `line ${n}`));
      }),
      { numRuns: 60 },
    );
  });
});
