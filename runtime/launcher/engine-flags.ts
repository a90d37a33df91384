/**
 * Options of V8 that a process has to start with: those of every process with cells, which the test set-up gives to its processes too, and
 * with them those of the gateway, from the launcher.
 *
 * **Every thread collects its own garbage.** By default V8 keeps a few helper threads for a whole process, with the priority of the gateway
 * itself: they collect for every cell, so that an agent that makes garbage takes time from all others however low its own thread stands, and
 * their queue has a lock that a thread of low priority holds when what it woke takes its core. With the work in the thread that made the
 * garbage, it is paid for by whoever makes it (ADR 0041).
 *
 * **Nothing is allocated in the old heap because others from the same place have survived.** What a turn is made of lives for a moment together with that of
 * other turns; when V8 takes such objects for lasting ones it fills the old heap with what is dead at once, and keeps alive what they point to
 * (ADR 0084).
 *
 * Before Node 26, V8 shares the code that calls from WebAssembly into JavaScript between all threads of a process, compiles it after a
 * number of calls, and can free the earlier code twice when threads do so at the same time. It then aborts the process
 * (`Check failed: jit_page_->allocations_.erase(addr) == 1`, from `Runtime_TierUpWasmToJSWrapper`): with cells that come and go, that is
 * everybody. Node's own modules are WebAssembly in part, so that each thread has some. Code that is never compiled is never freed.
 */
import { limits } from "../kernel/limits.ts";

export function engineFlags(nodeVersion: string): readonly string[] {
  const flags = ["--single-threaded-gc", "--no-allocation-site-pretenuring"];
  return Number.parseInt(nodeVersion, 10) < 26 ? [...flags, "--wasm-wrapper-tiering-budget=2147483647"] : flags;
}

/** Young generation in semi-spaces, as V8 counts them. */
const semiSpaces = 3;

/**
 * The heap of the main thread is made before any of our code runs, so that its young generation is bounded here. V8 has one value for all heaps
 * that are made later, which would count more than those of the trusted threads: `runtime/thread/trusted-thread.ts` takes it back.
 */
export function gatewayFlags(nodeVersion: string): readonly string[] {
  return [...engineFlags(nodeVersion), `--max-semi-space-size=${limits.mainYoungGenerationMb / semiSpaces}`];
}
