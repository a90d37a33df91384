/**
 * Options of V8 that a process has to start with; the launcher gives them to the gateway, and the test set-up to its processes.
 *
 * Before Node 26, V8 shares the code that calls from WebAssembly into JavaScript between all threads of a process, compiles it after a
 * number of calls, and can free the earlier code twice when threads do so at the same time. It then aborts the process
 * (`Check failed: jit_page_->allocations_.erase(addr) == 1`, from `Runtime_TierUpWasmToJSWrapper`): with cells that come and go, that is
 * everybody. Node's own modules are WebAssembly in part, so that each thread has some. Code that is never compiled is never freed.
 */
export function engineFlags(nodeVersion: string): readonly string[] {
  return Number.parseInt(nodeVersion, 10) < 26 ? ["--wasm-wrapper-tiering-budget=2147483647"] : [];
}
