/**
 * A CPU profile of a cell whose loop stands still, taken from outside before the cell is ended, so that the report says what it
 * computed. Node 24.8 and newer can (`worker.startCpuProfile`); it interrupts running JavaScript, and gets no answer in time from a cell
 * that waits in native code or that the machine gives no CPU.
 *
 * V8 names no frame whose loop it compiled while it ran, before the profile began (on-stack replacement): such a function, with what was
 * compiled into it, counts as its caller, which may be the cell's own code. Functions that it calls otherwise are named.
 */
import type { Worker } from "node:worker_threads";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

/** `profile`: the text of a `.cpuprofile` file, at most `limits.profileBytesMax` long. */
export type StuckProfile =
  | { readonly type: "taken"; readonly profile: string }
  | { readonly type: "missing"; readonly why: string };

/**
 * Begins to sample. What it returns ends that and gives the profile, at the latest after `limits.profileMs`; it never rejects.
 */
export function startStuckProfile(worker: Worker): () => Promise<StuckProfile> {
  // Where Node is too old the function is not there, which is a reason like any other.
  const start = async (): ReturnType<Worker["startCpuProfile"]> =>
    worker.startCpuProfile({ sampleInterval: limits.profileSampleMs });
  const started = start().then(
    (handle) => ({ handle }),
    (error: unknown) => ({ why: `the profile could not be started: ${toRefusal(error).message}` }),
  );
  const take = async (): Promise<StuckProfile> => {
    const found = await started;
    if ("why" in found) return missing(found.why);
    const profile = await found.handle.stop();
    return profile.length <= limits.profileBytesMax
      ? { type: "taken", profile }
      : missing(`the profile has ${profile.length} characters; at most ${limits.profileBytesMax} are kept`);
  };
  return async () => {
    const late = Promise.withResolvers<StuckProfile>();
    const timer = setTimeout(
      () =>
        late.resolve(
          missing(`the cell did not answer the profiler within ${limits.profileMs} ms: in native code, or without CPU`),
        ),
      limits.profileMs,
    );
    const taken = take().catch((error: unknown) =>
      missing(`the profile could not be read: ${toRefusal(error).message}`),
    );
    const first = await Promise.race([taken, late.promise]);
    clearTimeout(timer);
    return first;
  };
}

function missing(why: string): StuckProfile {
  return { type: "missing", why };
}
