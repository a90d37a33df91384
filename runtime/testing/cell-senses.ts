/**
 * What a cell of the kit has in place of time and chance, and what is seen of what it is told. A few lines run in the cell before its bootstrap, which is the
 * one that a gateway uses:
 *
 * - `Date` is the kit's clock. `Math.random` gives the same numbers in each turn.
 * - A turn that is handled again finds it a little later (`driftMs`) and the other side of each chance, so that what depends on them is found the first time
 *   and not one time in two. A step's function finds both as it did before: what it gives may depend on them.
 * - Refusals that say that a repeated turn is another one, or that nobody knows how a step ended, are counted, whatever the actor makes of them.
 */
import type { ErrorCode } from "../kernel/errors.ts";
import { down, downStride, up, upStride } from "../kernel/frames.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import { giveCells } from "../thread/cell-block.ts";

/** How much later a repeated turn is. */
export const driftMs = 1_001;

export interface CellSenses extends Disposable {
  nowMs: number;
  /** Since the last call of `forget`. */
  readonly diverged: number;
  readonly unknown: number;
  forget(): void;
  /** The assets with these lines, for cells of the agent whose workspace this is; other agents' cells have the clock alone. */
  wrap(assets: CellAssets, workspace: string): CellAssets;
}

const bytes = { clock: 8, counts: 8 } as const;
const count = { diverged: 0, unknown: 1 } as const;
let made = 0;

export function makeCellSenses(startMs: number): CellSenses {
  const block = new SharedArrayBuffer(bytes.clock + bytes.counts);
  const clock = new BigInt64Array(block, 0, 1);
  const counts = new Int32Array(block, bytes.clock);
  const name = `cloister-testing-${++made}`;
  const shared = giveCells(name, block);
  Atomics.store(clock, 0, BigInt(startMs));
  return {
    get nowMs() {
      return Number(Atomics.load(clock, 0));
    },
    set nowMs(atMs: number) {
      Atomics.store(clock, 0, BigInt(atMs));
    },
    get diverged() {
      return Atomics.load(counts, count.diverged);
    },
    get unknown() {
      return Atomics.load(counts, count.unknown);
    },
    forget() {
      counts.fill(0);
    },
    wrap(assets, workspace) {
      const source = assets.bootstrap.source.replace("{", () => `{${prelude(name, workspace)}`);
      return { ...assets, bootstrap: { source, cachedData: undefined } };
    },
    [Symbol.dispose]: () => shared[Symbol.dispose](),
  };
}

const diverged = "CLOISTER_TURN_DIVERGED" satisfies ErrorCode;
const unknown = "CLOISTER_OUTCOME_UNKNOWN" satisfies ErrorCode;

/** Without a line break before the bootstrap's own code: places in its errors stay. */
function prelude(name: string, workspace: string): string {
  return `
;{
  const { getEnvironmentData, workerData, MessagePort } = require("node:worker_threads");
  const block = getEnvironmentData(${JSON.stringify(name)});
  const clock = new BigInt64Array(block, 0, 1);
  const counts = new Int32Array(block, ${bytes.clock});
  const isWatched = workerData.workspace === ${JSON.stringify(workspace)};
  let isAgain = false, stepsRunning = 0, drawn = 0, drawnInStep = 0;
  const RealDate = Date;
  const now = () => Number(Atomics.load(clock, 0)) + (isAgain && stepsRunning === 0 ? ${driftMs} : 0);
  const VirtualDate = new Proxy(RealDate, {
    apply: () => new RealDate(now()).toString(),
    construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made),
    get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
  });
  RealDate.prototype.constructor = VirtualDate;
  globalThis.Date = VirtualDate;
  if (isWatched) {
    Math.random = () => {
      const isInStep = stepsRunning > 0;
      const n = isInStep ? drawnInStep++ : drawn++;
      const near = 0.02 + ((n * 0.618034) % 1) * 0.06;
      const value = n % 2 === 0 ? near : 1 - near;
      return isAgain && !isInStep ? 1 - value : value;
    };
    workerData.mailbox.on("message", (frame) => {
      for (let at = 1; at + ${downStride} <= frame.length; at += ${downStride}) {
        const op = frame[at], num = frame[at + 3], a = frame[at + 4];
        if (op === ${down.deliver}) {
          isAgain = num > 1;
          stepsRunning = drawn = drawnInStep = 0;
        } else if (op === ${down.result} && num === 1 && a === "run") {
          stepsRunning++;
          drawnInStep = 0;
        } else if (op === ${down.result} && num === 0) {
          const code = JSON.parse(a).code;
          if (code === "${diverged}") Atomics.add(counts, ${count.diverged}, 1);
          if (code === "${unknown}") Atomics.add(counts, ${count.unknown}, 1);
        }
      }
    });
    const { postMessage } = MessagePort.prototype;
    MessagePort.prototype.postMessage = function (frame, ...rest) {
      if (this === mailbox) {
        for (let at = 2; at + ${upStride} <= frame.length; at += ${upStride})
          if (frame[at] === ${up.stepEnd}) stepsRunning = Math.max(0, stepsRunning - 1);
      }
      return Reflect.apply(postMessage, this, [frame, ...rest]);
    };
    const mailbox = workerData.mailbox;
  }
}`.replaceAll("\n", " ");
}
