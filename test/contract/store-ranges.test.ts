/** What every environment gives for a range, whatever keeps it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Environment, top } from "../../runtime/store/environment.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";

describe.each([
  ["LMDB", openLmdbEnvironment],
  ["memory", memoryEnvironments(new Map())],
] as const)("a range of an environment of %s", (_kind, openEnvironment) => {
  let dir: string;
  let environment: Environment;

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "cloister-ranges-"));
    environment = await openEnvironment(dir);
    await environment.write(() => {
      for (const n of [1, 2, 3, 4]) environment.put(["n", n], n);
      environment.put(["n", 3, "below"], 3.5);
    });
  });
  afterEach(async () => {
    await environment.close();
    await rm(dir, { recursive: true, force: true });
  });

  const numbers = (more: object = {}): readonly number[] =>
    Array.from(environment.entries<number>({ start: ["n", 2], end: ["n", 4], ...more }), ({ value }) => value);

  it("has its start and not its end, in both directions, with and without a limit", () => {
    expect(numbers()).toEqual([2, 3, 3.5]);
    expect(numbers({ reverse: true })).toEqual([3.5, 3, 2]);
    expect(numbers({ limit: 1 })).toEqual([2]);
    expect(numbers({ limit: 1, reverse: true })).toEqual([3.5]);
    expect([...environment.keys({ start: ["n", 3], end: ["n", 3, "below"], reverse: true })]).toEqual([["n", 3]]);
  });

  it("may begin and end between keys, and is empty where there are none", () => {
    expect(numbers({ start: ["n"], end: ["n", top], reverse: true })).toEqual([4, 3.5, 3, 2, 1]);
    expect(numbers({ start: ["n", 3, "a"], end: ["n", 3, "b"], reverse: true })).toEqual([]);
    expect(numbers({ start: ["n", 3, "below"], end: ["n", 3, "below"], reverse: true })).toEqual([]);
    expect(numbers({ start: ["n", 5], end: ["n", 9], reverse: true })).toEqual([]);
  });
});
