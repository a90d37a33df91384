import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import {
  findChildren,
  findDescendants,
  parseField,
  parseSchedstatMs,
  parseStatCpuMs,
} from "../../../bench/process-figures.ts";

/** A line of `/proc/<pid>/stat` with the given name, and 31 and 12 ticks of user and system time. */
const stat = (name: string): string =>
  `5299 (${name}) R 5297 5297 27435 0 -1 4194560 3568 0 0 0 31 12 0 0 20 0 7 0 422875`;

describe("what Linux tells of a process", () => {
  test.each(["node", "node-MainThread", "a) R 1 (b", "two words"])("CPU is read behind the name %j", (name) => {
    expect(parseStatCpuMs(stat(name))).toBe(430);
  });

  test("a line without the times is refused with what it was", () => {
    expect(() => parseStatCpuMs("5299 (node) R 5297")).toThrow('found "5299 (node) R 5297", wanted utime and stime');
  });

  test("a thread's CPU is the first field, in nanoseconds", () => {
    expect(parseSchedstatMs("320070912 35402 6\n")).toBeCloseTo(320.070_912);
    expect(() => parseSchedstatMs("")).toThrow("nanoseconds on the CPU");
  });

  test("a field is found by its whole name", () => {
    const rollup =
      "55eae7114000 ---p [rollup]\nPss_Dirty:   116 kB\nRss:                1844 kB\nPss:                 373 kB\n";
    expect([parseField(rollup, "Rss"), parseField(rollup, "Pss")]).toEqual([1_844, 373]);
    expect(() => parseField(rollup, "Swap")).toThrow('a line "Swap: <number>"');
  });
});

test("the processes below one are found however deep they are", async () => {
  const shell = spawn("sh", ["-c", "sh -c 'sleep 60; true' & wait"], { detached: true });
  const { pid = 0 } = shell;
  try {
    await eventually(async () => expect(await findDescendants(pid)).toHaveLength(2));
    expect(await findChildren(pid)).toHaveLength(1);
  } finally {
    process.kill(-pid, "SIGKILL");
  }
});
