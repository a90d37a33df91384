/** A6.5: whoever reads does not keep the space of what was removed, however long. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Environment, top } from "../../runtime/store/environment.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { dataFile } from "../../runtime/store/lmdb/files.ts";

const rows = 200;
const rowsPerCommit = 10;
/** Each row about a page. */
const text = "x".repeat(3_000);
const everyRow = { start: ["n"], end: ["n", top] } as const;

describe("A6.5: a range of the store that somebody holds open", () => {
  let dir: string;
  let environment: Environment;

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "cloister-readers-"));
    environment = await openLmdbEnvironment(dir);
    await environment.write(() => {
      for (let row = 0; row < rows; row++) environment.put(["n", row], { round: 0, text });
    });
  });
  afterEach(async () => {
    await environment.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** Writes every row anew, this often. */
  async function writeAll(rounds: number): Promise<void> {
    for (let round = 1; round <= rounds; round++)
      for (let from = 0; from < rows; from += rowsPerCommit)
        await environment.write(() => {
          for (let row = from; row < from + rowsPerCommit; row++) environment.put(["n", row], { round, text });
        });
  }

  it.each([
    ["forwards", false],
    ["backwards", true],
  ])("%s, keeps the file below twice what is in it, and goes on with what is there now", async (_name, reverse) => {
    const open = environment.entries<{ readonly round: number }>({ ...everyRow, reverse })[Symbol.iterator]();
    expect(open.next().value).toMatchObject({ value: { round: 0 } });
    await writeAll(8);
    const { size } = await stat(path.join(dir, dataFile));
    expect(size).toBeLessThan(2 * environment.usedBytes());

    const rest = Array.from({ [Symbol.iterator]: () => open }, ({ key, value }) => [key[1], value.round]);
    const others = Array.from({ length: rows - 1 }, (_, at) => [reverse ? rows - 2 - at : at + 1, 8]);
    expect(rest).toEqual(others);
  });

  it("reads one state as long as nothing is waited for", async () => {
    const writing = writeAll(1);
    const rounds = new Set<number>();
    for (const { value } of environment.entries<{ readonly round: number }>(everyRow)) rounds.add(value.round);
    expect([...rounds]).toEqual([0]);
    await writing;
  });
});
