/**
 * A cell as a process (`cell-parent.ts` starts it): its own heap limit, working directory, process group and, when wanted, user. Inside it runs the same
 * confined worker as at level `thread` (`process-main.ts`); between the two is one socket of a pair (`cell-socket.ts`).
 *
 * Nothing that comes from the child is trusted. A frame that breaks the form of the socket ends the child; one of the right form
 * is judged by the kernel like every other.
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { serialize } from "node:v8";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { ExitReason } from "../kernel/state.ts";
import type { CellAssets } from "./cell-assets.ts";
import type { BodyEvents, CellBody, CellEnd, CellSpec } from "./cell-backend.ts";
import type { CellParent } from "./cell-parent.ts";
import type { CellControl, StartResult } from "./cell-port.ts";
import {
  ask,
  type Fields,
  formatFields,
  formatFrame,
  kind,
  type Launch,
  makeFrameReader,
  parseFields,
  tell,
} from "./cell-socket.ts";
import type { CellMemory } from "./heap-watch.ts";
import { childThreads, cpuWaitMs, lowerCpuShare } from "./cpu-share.ts";
import { makePacedMail, splitMail } from "./paced-mail.ts";
import { residentIn } from "./process-memory.ts";
import type { StuckProfile } from "./stuck-profile.ts";
import { isWithin } from "./within.ts";

type Inspected = ReturnType<CellControl["inspect"]>;

export function launchProcess(parent: CellParent, spec: CellSpec, assets: CellAssets, events: BodyEvents): CellBody {
  const started = Promise.withResolvers<StartResult>();
  const inspections = new Map<number, PromiseWithResolvers<Inspected>>();
  let nextId = 1;
  let beat = 0;
  let stuckMs = 0;
  /** Of its actor's thread, as it says. */
  let claimedThread = 0;
  /** As it says; and when it was last asked. */
  let claimed: Pick<CellMemory, "heapUsed" | "external"> = { heapUsed: undefined, external: undefined };
  let memoryAskedAtMs = Number.NEGATIVE_INFINITY;
  let isAsked = false;
  let profiled: ((found: StuckProfile) => void) | undefined;
  let end: CellEnd | undefined;
  let isGone = false;
  /** Undefined until the process is there. */
  let pid: number | undefined;
  let socket: Socket | undefined;

  const finish = (byItself: CellEnd): void => {
    if (isGone) return;
    isGone = true;
    for (const { reject } of inspections.values())
      reject(failure("CLOISTER_THREAD_LOST", "the call was pending when the cell's process ended"));
    inspections.clear();
    events.ended(end ?? byItself);
  };

  /** The first reason stands. What the actor started in the group of its process ends with it. */
  const kill = (why?: CellEnd): void => {
    if (isGone) return;
    if (end === undefined && why !== undefined) {
      end = why;
      events.ending(why.reason);
    }
    endGroup();
  };

  const findThreads = async (): Promise<readonly number[]> =>
    pid === undefined ? [] : childThreads(pid, claimedThread);

  const mail = makePacedMail((chars) =>
    kill({ reason: "hung", detail: `it left ${chars} characters of its mail unread` }),
  );
  /** Short, and at most one of each kind in flight: it does not wait behind mail. */
  const say = (...fields: Fields): void => {
    if (!isGone && socket?.writable === true) socket.write(formatFields(kind.control, fields));
  };

  /**
   * Its loop has turned: it said so, or said anything else. Never counted back: a process that is stopped before it was first looked at,
   * or that says it never turned, is watched like every other.
   */
  const turned = (atLeast: number): void => {
    beat = Math.max(beat, atLeast);
  };

  const hear = (fields: Fields): void => {
    const [op, a, b, c] = fields;
    if (op === tell.started) {
      turned(1);
      started.resolve(
        a === 1 ? { status: "ready", takesPart: b === "exchange" } : { status: "invalid", reason: textOf(b) },
      );
    } else if (op === tell.looked) {
      isAsked = false;
      stuckMs = numberOf(b);
      claimedThread = numberOf(c);
      turned(numberOf(a));
    } else if (op === tell.inspected) {
      const [turns, sessions, heapUsedBytes, uptimeMs] = fields.slice(2).map(numberOf);
      inspections.get(numberOf(a))?.resolve({
        turns: turns ?? 0,
        sessions: sessions ?? 0,
        heapUsedBytes: heapUsedBytes ?? 0,
        uptimeMs: uptimeMs ?? 0,
      });
      inspections.delete(numberOf(a));
    } else if (op === tell.profiled)
      profiled?.(
        a === 1 && typeof b === "string" && b.length <= limits.profileBytesMax
          ? { type: "taken", profile: b }
          : { type: "missing", why: textOf(b) },
      );
    else if (op === tell.memory) claimed = { heapUsed: bytesOf(a), external: bytesOf(b) };
    else if (op === tell.ended) kill({ reason: reasonOf(a), detail: textOf(b) });
    else throw new RangeError(`it said ${String(op)}, which means nothing`);
  };

  const read = makeFrameReader(limits.cellFrameBytesMax, (frameKind, payload) => {
    if (end !== undefined) return;
    const fields = parseFields(payload, limits.cellFrameFieldsMax);
    if (fields === undefined) throw new RangeError("it sent what are no fields");
    if (frameKind === kind.mail) {
      turned(1);
      events.frame(fields);
    } else if (frameKind === kind.control) hear(fields);
    else throw new RangeError(`it sent a frame of kind ${frameKind}`);
  });

  const endGroup = parent.start(spec, {
    started(itsPid, itsSocket) {
      pid = itsPid;
      socket = itsSocket;
      socket.on("data", (chunk: Buffer) => {
        if (end !== undefined) return;
        try {
          read(chunk);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          kill({ reason: "crash", detail: `its process broke the protocol of its socket: ${error.message}` });
        }
      });
      // Its end is told by the process's own.
      socket.on("error", () => undefined);
      const launch: Launch = {
        spec,
        assets: { bootstrap: assets.bootstrap, sdk: assets.sdk, zodUrl: assets.zodUrl },
      };
      socket.write(formatFrame(kind.launch, serialize(launch)));
      mail.attach(socket);
    },
    exited(code, signal, lastWords) {
      const done = (): void => finish(describeExit(code, signal, lastWords));
      if (socket === undefined || socket.closed) {
        done();
        return;
      }
      // What it said last is still to be read. Something that the actor started and that left the group may hold the socket open.
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      socket.once("close", resolve);
      void isWithin(closed, limits.cellStreamsMs).then(done);
    },
    failed: (why) =>
      finish({
        reason: "crash",
        detail: pid === undefined ? `its process could not be started: ${why}` : `its process was ended: ${why}`,
      }),
  });

  return {
    start: () => started.promise,
    post(frame) {
      if (end === undefined && !isGone) for (const part of splitMail(frame as Fields)) mail.send(kind.mail, part);
    },
    // After the delivery of the turn that it means.
    cancel: (turn) => mail.send(kind.control, [ask.cancel, turn]),
    inspect: () => {
      if (isGone) return Promise.reject(failure("CLOISTER_THREAD_LOST", "the cell's process has ended"));
      const answer = Promise.withResolvers<Inspected>();
      const id = nextId++;
      inspections.set(id, answer);
      say(ask.inspect, id);
      return answer.promise;
    },
    beat: () => {
      // One question at a time: a child that does not read is not sent more.
      if (!isAsked) say(ask.look);
      isAsked = socket !== undefined;
      return beat;
    },
    stuckMs: () => stuckMs,
    profile: () => {
      say(ask.profile);
      return () => {
        const found = Promise.withResolvers<StuckProfile>();
        // The process bounds the profile itself; this is for one that does not answer at all.
        const timer = setTimeout(
          () => found.resolve({ type: "missing", why: "its process does not answer" }),
          2 * limits.profileMs,
        );
        profiled = (profile) => {
          clearTimeout(timer);
          found.resolve(profile);
        };
        say(ask.profileEnd);
        return found.promise;
      };
    },
    waitedMs: async () => cpuWaitMs(await findThreads()),
    // Its first thread is ours, and has to answer for heartbeat and profile.
    lower: () => void findThreads().then(([, ...others]) => isGone || lowerCpuShare(others)),
    async measure() {
      if (performance.now() - memoryAskedAtMs >= limits.idleHeapCheckMs) {
        memoryAskedAtMs = performance.now();
        say(ask.memory);
      }
      return { ...claimed, resident: await measure(pid) };
    },
    pid: () => (isGone ? undefined : pid),
    end: () => kill(),
  };
}

/** V8 says on standard error why it aborts; the signal alone would not tell memory from another fault. */
function describeExit(code: number | null, signal: string | null, lastWords: string): CellEnd {
  const fatal = lastWords
    .split("\n")
    .find((line) => /fatal|out of memory|invalid (array|table|string) (length|size)/i.test(line));
  if (signal !== null && fatal !== undefined && /memory|size|length/i.test(fatal))
    return { reason: "out_of_memory", detail: `V8 ended its process: ${fatal.trim()}` };
  const told = fatal === undefined ? "" : `: ${fatal.trim()}`;
  if (signal === null) return { reason: "crash", detail: `its process ended with code ${code}${told}` };
  const isAsked = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"].includes(signal);
  return isAsked
    ? { reason: "killed", detail: `its process was ended by ${signal}, which the gateway did not send` }
    : { reason: "crash", detail: `its process ended by ${signal}${told}` };
}

/** From `/proc`, which costs the child nothing. Rejects where there is none: then V8's own limit is the only one. */
async function measure(pid: number | undefined): Promise<number> {
  const resident = residentIn(await readFile(`/proc/${pid}/status`, "latin1"));
  if (resident === undefined) throw new Error("the process has no memory any more");
  return resident;
}

function reasonOf(value: unknown): ExitReason {
  return value === "out_of_memory" ? "out_of_memory" : "crash";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, limits.failureCharsMax) : "";
}

/** A figure, whatever was said: sums of it stay numbers. */
const bytesOf = (value: unknown): number => Math.min(numberOf(value), Number.MAX_SAFE_INTEGER);

function numberOf(value: unknown): number {
  return typeof value === "number" && value >= 0 ? value : 0;
}
