/**
 * Brings the targets of `docs/PERFORMANCE.md` up to date from the JSON of runs:
 *
 *   npm run bench -- wake memory --json wake.json
 *   npm run bench:targets -- wake.json [more.json…]
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { packageRoot } from "./program.ts";
import { scenarios } from "./scenarios.ts";
import { type MeasuredRun, updateTargets } from "./targets.ts";

const page = path.join(packageRoot, "docs", "PERFORMANCE.md");

try {
  const files = process.argv.slice(2);
  if (files.length === 0)
    throw new TypeError("Runs: found none, wanted files that `npm run bench -- --json file` wrote.");
  const runs = await Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as MeasuredRun));
  await writeFile(page, updateTargets(await readFile(page, "utf8"), runs, Object.keys(scenarios)));
  console.error(`bench: ${page} has the targets of ${files.join(", ")}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
