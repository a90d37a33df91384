/**
 * Options of V8 that a process has to start with; the launcher gives them to the gateway, and the test set-up to its processes.
 *
 * Before Node 26, V8 keeps one list of its code pages for all threads, protected by memory keys where the processor has them
 * (`pku` in /proc/cpuinfo). The list can lose a page while threads compile and end at the same time, and V8 then aborts
 * the process (`Check failed: jit_page.has_value()`): with cells that come and go, that is everybody. No release of those
 * lines mends it. Without the keys the pages stay what they are on a processor that has none.
 */
export function engineFlags(nodeVersion: string): readonly string[] {
  return Number.parseInt(nodeVersion, 10) < 26 ? ["--no-memory-protection-keys"] : [];
}
