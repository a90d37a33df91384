/** The shapes that end a cell and never the process, each in the real program; and the watch over the main thread. */
import { spawn } from "node:child_process";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Level } from "../support/levels.ts";
import { endPrograms, repoRoot } from "../support/program.ts";
import { openShapes, type ShapeAt, type ShapeResult, type ShapeRoom, shapes } from "./crash-shapes.ts";

afterAll(endPrograms);

/** Contained in every round that was measured, and the reason that the operator reads. All others are in the table alone. */
const contained: readonly (readonly [shape: string, how: RegExp])[] = [
  ["heap flood: objects", /^`(out_of_memory|hung)`/],
  ["heap flood: strings", /^`(out_of_memory|hung)`/],
  ["heap flood: arrays of numbers", /^`(out_of_memory|hung)`/],
  ["many promises", /^`(out_of_memory|hung)`/],
  ["Buffer flood, 1 MB each", /^`(out_of_memory`: its (buffers hold|memory could not be read)|hung`)/],
  ["Buffer flood from a timer, the loop turning", /^`out_of_memory`: its buffers hold/],
  ["process.exit", /^`crash`: it called process\.exit\(3\)/],
  ["process.abort", /^the turn fails: process\.abort is not available/],
  ["infinite loop", /^`hung`/],
  ["stack overflow", /^the turn fails: Maximum call stack size exceeded/],
  ["unhandled rejection", /^`crash`: rejected on purpose/],
  ["uncaught exception", /^`crash`: thrown on purpose/],
  ["descriptors, until there are no more", /^the turn fails: EMFILE: a cell may hold 256 open descriptors/],
];

/** What a thread does not contain, or not in time, and some of what it does; `npm run crash-matrix` measures all. */
const containedByProcess: readonly (readonly [shape: string, how: RegExp])[] = [
  ["heap flood: objects", /^`(out_of_memory|hung)`/],
  ["Array.fill of 134 million at once", /^`(out_of_memory|hung)`/],
  ["split of 500 MB at once", /^`(out_of_memory|hung)`/],
  ["many small arrays, each filled", /^`(out_of_memory|hung)`/],
  ["Buffer flood, 200 MB each", /^`(out_of_memory|hung)`/],
  ["native segfault", /^`crash`: its process ended by SIGSEGV/],
  ["a native call that does not return", /^`hung`/],
  ["process.exit", /^`crash`: it called process\.exit\(3\)/],
];

const all = [
  ...contained.map(([shape]): ShapeAt => [shape, "thread"]),
  ...containedByProcess.map(([shape]): ShapeAt => [shape, "process"]),
];
let room: ShapeRoom | undefined;

/** In the program that has lived through those before, or in the next one after a shape that ended it. */
async function runShape(shape: string, level: Level): Promise<ShapeResult> {
  if (room?.isOpen() !== true) room = await openShapes(all);
  return room.run(shape, level);
}

test("the shapes are those of the table", () => {
  expect(shapes.length).toBeGreaterThanOrEqual(30);
  for (const [shape] of [...contained, ...containedByProcess]) expect(shapes).toContain(shape);
});

test.each(contained)("%s: the cell is replaced, and the other agent answers", async (shape, how) => {
  expect(await runShape(shape, "thread")).toMatchObject({ shape, end: "contained", how: expect.stringMatching(how) });
});

test.each(containedByProcess)("%s, at level process: likewise", async (shape, how) => {
  expect(await runShape(shape, "process")).toMatchObject({ shape, end: "contained", how: expect.stringMatching(how) });
});

test("a main thread that never turns again ends the process, and says why", async () => {
  const child = spawn(process.execPath, [path.join(repoRoot, "test/fixtures/programs/stuck-main.ts")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += String(chunk)));
  const signal = await new Promise((resolve) => child.on("close", (_code, name) => resolve(name)));
  expect(signal).toBe("SIGABRT");
  expect(said).toMatch(/the main thread's loop did not turn for 500 ms; the process ends itself/);
});
