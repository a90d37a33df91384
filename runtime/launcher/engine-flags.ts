/**
 * Options of V8 that a process has to start with; the launcher gives them to the gateway, and the test set-up to its processes.
 *
 * **Every thread collects its own garbage.** By default V8 keeps a few helper threads for a whole process, with the priority of the gateway
 * itself: they collect for every cell, so that an agent that makes garbage takes time from all others however low its own thread stands, and
 * their queue has a lock that a thread of low priority holds when what it woke takes its core. With the work in the thread that made the
 * garbage, it is paid for by whoever makes it (ADR 0041).
 *
 * Before Node 26, V8 shares the code that calls from WebAssembly into JavaScript between all threads of a process, compiles it after a
 * number of calls, and can free the earlier code twice when threads do so at the same time. It then aborts the process
 * (`Check failed: jit_page_->allocations_.erase(addr) == 1`, from `Runtime_TierUpWasmToJSWrapper`): with cells that come and go, that is
 * everybody. Node's own modules are WebAssembly in part, so that each thread has some. Code that is never compiled is never freed.
 */
export function engineFlags(nodeVersion: string): readonly string[] {
  const flags = ["--single-threaded-gc"];
  return Number.parseInt(nodeVersion, 10) < 26 ? [...flags, "--wasm-wrapper-tiering-budget=2147483647"] : flags;
}
