/** When a cell that stands still is taken for stuck, on a clock of the test's own, and in which frames its mail leaves; with cells that only look like ones. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { down, type DownRecord, downStride } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { CellAssets } from "../../../runtime/thread/cell-assets.ts";
import type { BodyEvents, CellBody } from "../../../runtime/thread/cell-backend.ts";
import { type CellHost, makeCellHost } from "../../../runtime/thread/cell-host.ts";
import { makeCellSpec } from "../../support/cell-spec.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
afterEach(() => void vi.useRealTimers());

interface Watched {
  readonly host: CellHost;
  readonly ends: readonly string[];
  /** Times at which it was lowered, since the watch began. */
  readonly lowered: readonly number[];
  /** Frames, and orders to stop a turn. */
  readonly told: readonly unknown[];
  /** Of which the loop's spinning was told. */
  readonly spins: readonly string[];
  beats: boolean;
  /** Its cell has sent a frame; what is told of it is up to `onFrame`. */
  readonly frame: () => void;
  onFrame: () => void;
}

const spec = makeCellSpec({ workspace: "/", module: { kind: "file", url: "file:///actor.ts" } });

/** One cell with work. `waitedMs`: how long it waited for a CPU until then, by milliseconds since the watch began. */
async function watch(waitedMs: (atMs: number) => number, stuckMs = 0): Promise<Watched> {
  const ends: string[] = [];
  const lowered: number[] = [];
  const told: unknown[] = [];
  const spins: string[] = [];
  const startMs = performance.now();
  const atMs = (): number => performance.now() - startMs;
  let beat = 1;
  let hear = (): void => undefined;
  const watched = {
    ends,
    lowered,
    told,
    spins,
    beats: false,
    frame: (): void => hear(),
    onFrame: (): void => undefined,
  };
  const launch = (_spec: unknown, _assets: unknown, events: BodyEvents): CellBody => {
    hear = () => events.frame([]);
    return {
      start: () => Promise.resolve({ status: "ready", takesPart: false }),
      post: (frame) => told.push(frame),
      cancel: (turn) => told.push(`stop ${turn}`),
      inspect: () => Promise.reject(new Error("not asked here")),
      beat: () => (watched.beats ? ++beat : beat),
      stuckMs: () => stuckMs,
      profile: () => () => Promise.resolve({ type: "missing", why: "nothing to see" }),
      waitedMs: () => Promise.resolve(waitedMs(atMs())),
      lower: () => lowered.push(atMs()),
      measure: () => Promise.resolve({ heapUsed: 0, external: 0 }),
      pid: () => undefined,
      end: () => events.ended({ reason: "crash", detail: "ended" }),
    };
  };
  const host = makeCellHost(
    {} as CellAssets,
    {
      ready: () => undefined,
      invalid: () => undefined,
      frame: () => watched.onFrame(),
      ending: (_agent, _incarnation, reason) => ends.push(`${reason} at ${atMs()}`),
      exited: () => undefined,
      hasWork: () => true,
    },
    { thread: launch, process: launch },
    { asked: () => void spins.push("asked"), heard: () => void spins.push("heard") },
  );
  host.start(spec);
  // The first look finds a beat that it has not seen before.
  await vi.advanceTimersByTimeAsync(limits.heartbeatCheckMs);
  return Object.assign(watched, { host });
}

const beginMs = limits.heartbeatCheckMs;
const endMs = beginMs + limits.stuckMs;

test.each<readonly [string, (atMs: number) => number, number, number]>([
  ["had a CPU all the time", () => 700, 0, endMs],
  ["had asked for longer", () => 0, 3_000, beginMs + 3_000],
  ["had asked for more than anybody gets", () => 0, 2 * limits.stuckMsMax, beginMs + limits.stuckMsMax],
  ["waited for a CPU half of the time", (atMs) => atMs / 2, 0, endMs + limits.stuckMs - beginMs],
  ["waited for one nearly all of the time", (atMs) => atMs * 0.99, 0, endMs + limits.stuckWaitMsMax],
])(
  "a cell that stands still and %s is ended when what it had is its budget",
  async (_what, waitedMs, stuckMs, wanted) => {
    const cell = await watch(waitedMs, stuckMs);
    await vi.advanceTimersByTimeAsync(2 * Math.max(limits.stuckWaitMsMax, stuckMs));
    const [end = ""] = cell.ends;
    const foundMs = Number(/^hung at (\d+)$/.exec(end)?.[1]);
    expect(Math.abs(foundMs - wanted)).toBeLessThanOrEqual(2 * limits.heartbeatCheckMs);
    expect(cell.ends).toHaveLength(1);
  },
);

test("a cell that waits for a CPU is not lowered for it", async () => {
  const cell = await watch((atMs) => atMs * 0.9);
  await vi.advanceTimersByTimeAsync(limits.stuckMs);
  expect(cell.lowered).toEqual([]);
  const spinning = await watch(() => 0);
  await vi.advanceTimersByTimeAsync(limits.stuckMs);
  expect(spinning.lowered).toHaveLength(1);
});

test("what it waited before it stood still counts for nothing, nor what it waited the last time", async () => {
  let waitedMs = 60_000;
  const cell = await watch(() => waitedMs);
  await vi.advanceTimersByTimeAsync(limits.stuckMs / 2);
  waitedMs += 5_000;
  await vi.advanceTimersByTimeAsync(limits.stuckMs / 2);
  expect(cell.ends).toEqual([]);
  cell.beats = true;
  await vi.advanceTimersByTimeAsync(limits.heartbeatCheckMs);
  cell.beats = false;
  await vi.advanceTimersByTimeAsync(limits.stuckMs + limits.heartbeatCheckMs);
  expect(cell.ends).toHaveLength(1);
});

const textOf = (ref: number): DownRecord => [down.text, ref, 0, 0, "piece", "", ""];
/** The loop has turned. */
const round = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("what several events of one round of the loop have for a cell leaves in one frame, and of very many in several", async () => {
  const { host, told } = await watch(() => 0);
  const { incarnation } = spec.init;
  const post = (ref: number): void => host.post(spec.id, incarnation, textOf(ref));
  for (const ref of [1, 2]) setImmediate(() => setImmediate(() => post(ref)));
  await round();
  await round();
  expect(told).toEqual([[incarnation, ...textOf(1), ...textOf(2)]]);
  for (let ref = 0; ref < limits.frameRecordsMax + 1; ref++) post(ref);
  expect(told).toHaveLength(2);
  await round();
  expect(told.map(countRecords)).toEqual([2, limits.frameRecordsMax, 1]);
});

test("what comes of the first frame of a round leaves at once, what comes after it with the round's end", async () => {
  const watched = await watch(() => 0);
  const { host, told } = watched;
  const { incarnation } = spec.init;
  let ref = 0;
  watched.onFrame = () => {
    for (let record = 0; record < 2; record++) host.post(spec.id, incarnation, textOf(++ref));
  };
  watched.frame();
  expect(told).toEqual([[incarnation, ...textOf(1), ...textOf(2)]]);
  watched.frame();
  watched.frame();
  expect(told).toHaveLength(1);
  await round();
  expect(told.slice(1)).toEqual([[incarnation, ...[3, 4, 5, 6].flatMap(textOf)]]);
  watched.frame();
  expect(told).toHaveLength(3);
});

const question = (turn: number): DownRecord => [down.question, 1, turn, 5, `q${turn}`, "body", ""];
const countRecords = (frame: unknown): number => ((frame as unknown[]).length - 1) / downStride;

test("many questions in memory leave in smaller frames, so that the cell answers the first meanwhile", async () => {
  const { host, told } = await watch(() => 0);
  const count = limits.frameQuestionsFlush + 1;
  for (let turn = 1; turn <= count; turn++) host.post(spec.id, spec.init.incarnation, question(turn));
  expect(told.map(countRecords)).toEqual([limits.frameQuestionsFlush]);
  await round();
  expect(told.map(countRecords)).toEqual([limits.frameQuestionsFlush, 1]);
});

test("the loop spins for the answer to few questions, and not for that to many, or to other records", async () => {
  const watched = await watch(() => 0);
  const { host, spins } = watched;
  const askIn = (records: readonly DownRecord[]): void => {
    watched.onFrame = () => {
      for (const record of records) host.post(spec.id, spec.init.incarnation, record);
    };
    watched.frame();
  };
  const several = Array.from({ length: limits.answerSpinRecordsMax + 1 }, (_, turn) => question(turn));
  askIn([textOf(1)]);
  await round();
  askIn(several);
  await round();
  // That it was asked many before is forgotten.
  askIn([textOf(2)]);
  await round();
  expect(spins).toEqual(["heard", "heard", "heard"]);
  askIn(several.slice(1));
  expect(spins.slice(3)).toEqual(["heard", "asked"]);
});

test("the delivery of a turn leaves before the order to stop it", async () => {
  const { host, told } = await watch(() => 0);
  const { incarnation } = spec.init;
  const delivery: DownRecord = [down.deliver, 0, 7, 1, "{}", "body", ""];
  host.post(spec.id, incarnation, delivery);
  host.cancel(spec.id, incarnation, 7);
  await round();
  expect(told).toEqual([[incarnation, ...delivery], "stop 7"]);
});

test("a cell that is wanted while the host closes, or after, is not started: nobody would end it", async () => {
  const { host } = await watch(() => 0);
  const closing = host.close();
  host.start(makeCellSpec({ agentId: "late", workspace: "/", module: { kind: "file", url: "file:///actor.ts" } }));
  await closing;
  host.start(spec);
  expect(host.size).toBe(0);
});
