/**
 * Runs scenarios, prints a table for each and writes everything as JSON:
 *
 *   npm run bench -- [scenario…] [--seconds S] [--rounds N] [--json file] [--html file]
 *   npm run bench -- load [--agents N] [--rate R | --in-flight N] [--duration S] [--payload B] [--profile folder] [--html file]
 *
 * Progress goes to stderr and tables to stdout. A missed target is reported and is no failure: on a shared machine absolute
 * figures come and go, so a person reads them beside the noise of the run.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { inspect } from "node:util";
import { parseArguments } from "./arguments.ts";
import { formatHtml } from "./html.ts";
import { describeMachine } from "./machine.ts";
import { type Around, measureNoise, measureWakes, watchStolen } from "./noise.ts";
import { buildProgram, packageRoot } from "./program.ts";
import type { ScenarioReport } from "./scenario.ts";
import { type ScenarioName, scenarios } from "./scenarios.ts";
import type { Spread } from "./spread.ts";
import { formatNumber, formatSpread, formatTable, formatTargets } from "./table.ts";

interface Finished extends ScenarioReport {
  readonly question: string;
  readonly seconds: number;
  /** Milliseconds of the same fixed loop, before and after. */
  readonly noise: Around;
  /** Milliseconds of a call from one sleeping thread to another over a bare port, before and after. */
  readonly wakes: Around;
  /** Percentage of the machine's CPU time that its host gave to others meanwhile. */
  readonly stolen: number;
}

async function runAll(args: readonly string[]): Promise<void> {
  const chosen = parseArguments(args, Object.keys(scenarios));
  say("building the program if its sources changed");
  await buildProgram();
  const machine = await describeMachine();
  print(formatTable(Object.entries(machine).map(([fact, value]) => ({ machine: fact, value: String(value) }))));
  const finished: Finished[] = [];
  for (const name of chosen.scenarios) {
    const { question, load } = scenarios[name as ScenarioName];
    const before = { noise: await measureNoise(), wakes: await measureWakes() };
    const startedMs = performance.now();
    const findStolen = await watchStolen();
    const { run } = await load();
    const report = await run({
      seconds: chosen.seconds,
      rounds: chosen.rounds,
      load: chosen.load,
      progress: (text) => say(`${name}: ${text}`),
    });
    const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
    const stolen = await findStolen();
    const noise = { before: before.noise, after: await measureNoise() };
    const wakes = { before: before.wakes, after: await measureWakes() };
    finished.push({ ...report, question, seconds, noise, wakes, stolen });
    print(
      `\n${report.name}: ${question}\n(${formatNumber(seconds)} s; noise ${formatNoise(noise)}; two wakes ${formatSpread(wakes.before)} → ${formatSpread(wakes.after)} ms; ${formatNumber(stolen)} % of the CPUs' time went to others of the host)\n`,
    );
    print(formatTable(report.rows));
  }
  const targets = finished.flatMap((report) => report.targets ?? []);
  if (targets.length > 0) print(`\ntargets\n\n${formatTargets(targets)}`);

  const date = new Date().toISOString();
  const file = path.resolve(
    chosen.json ?? path.join(packageRoot, "bench", "results", `${date.replaceAll(/[:.]/g, "-")}.json`),
  );
  await mkdir(path.dirname(file), { recursive: true });
  const found = { date, machine: { ...machine }, scenarios: finished };
  await writeFile(file, `${JSON.stringify(found, undefined, 2)}\n`);
  say(`written to ${file}`);
  if (chosen.html === undefined) return;
  await writeFile(chosen.html, formatHtml(found));
  say(`written to ${path.resolve(chosen.html)}`);
}

/** p10–p90 of the fixed loop around its median, before and after. */
function formatNoise({ before, after }: Around): string {
  return `${formatWidth(before)} before, ${formatWidth(after)} after; loop ${formatSpread(before)} → ${formatSpread(after)} ms`;
}

const formatWidth = ({ median, p10, p90 }: Spread): string => `${formatNumber((100 * (p90 - p10)) / median)} %`;

/** Not by the console, which WhatsApp's channel silences where its library is loaded. */
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);

try {
  await runAll(process.argv.slice(2));
} catch (error) {
  say(error instanceof TypeError ? error.message : inspect(error));
  process.exitCode = 1;
}
