/**
 * Runs each scenario once at its smallest, one process after the other, and says whether each gives figures:
 *
 *   npm run bench:check -- [scenario…]
 *
 * It measures nothing: it is to know that the scenarios work. Exit code 1 when one fails, gives no rows or a figure that is no
 * number. A scenario that takes longer than its bound fails.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseArguments } from "./arguments.ts";
import type { ScenarioReport } from "./scenario.ts";
import { findFaults } from "./report-faults.ts";
import { scenarios } from "./scenarios.ts";

const timeoutMs = 300_000;
const smallest = ["--rounds", "1", "--seconds", "1"];

async function check(name: string, file: string): Promise<readonly string[]> {
  const run = fileURLToPath(new URL("./run.ts", import.meta.url));
  const args = [run, name, ...smallest, "--json", file];
  try {
    await promisify(execFile)(process.execPath, args, { timeout: timeoutMs });
  } catch (error) {
    return [`it failed: ${(error as { readonly stderr?: string }).stderr ?? String(error)}`];
  }
  const written = JSON.parse(await readFile(file, "utf8")) as { readonly scenarios: readonly ScenarioReport[] };
  return written.scenarios.flatMap(findFaults);
}

try {
  const chosen = parseArguments(process.argv.slice(2), Object.keys(scenarios));
  const dir = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  try {
    for (const name of chosen.scenarios) {
      const faults = await check(name, path.join(dir, `${name}.json`));
      console.log(`${name}: ${faults.length === 0 ? "works" : faults.join("; ")}`);
      if (faults.length > 0) process.exitCode = 1;
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
} catch (error) {
  console.error(error instanceof TypeError ? error.message : error);
  process.exitCode = 1;
}
