/**
 * Measures every shape of `test/fixtures/actors/flooder.ts` in the built program, at both levels of isolation, and writes the table of
 * `docs/THREAT_MODEL.md`: `npm run crash-matrix -- [rounds]`. What ends the process is written down as that.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Level } from "../support/levels.ts";
import { repoRoot } from "../support/program.ts";
import { setup } from "../support/temporary-folder.ts";
import { runShape, type ShapeResult, shapes } from "./crash-shapes.ts";

const rounds = Number(process.argv[2] ?? 1);
const page = path.join(repoRoot, "docs", "THREAT_MODEL.md");
const [begin, end] = ["<!-- crash matrix: begin -->", "<!-- crash matrix: end -->"];

const contained = { thread: 0, process: 0 };

async function measure(shape: string, level: Level): Promise<string> {
  const results: ShapeResult[] = [];
  for (let round = 0; round < rounds; round++) results.push(await runShape(shape, level));
  const bad = results.filter((result) => result.end !== "contained");
  const worst = bad[0] ?? results[0];
  if (worst === undefined) throw new RangeError(`crash-matrix wanted one round or more, found ${process.argv[2]}`);
  if (bad.length === 0) contained[level]++;
  const count = rounds > 1 ? ` (${bad.length} of ${rounds})` : "";
  const verdict = bad.length === 0 ? "contained" : `**${worst.end}**${count}`;
  return `${verdict} | ${worst.how} | ${Math.max(...results.map((result) => result.slowestMs))}`;
}

const removeFolder = await setup();
const lines: string[] = [];
for (const shape of shapes) {
  lines.push(`| ${shape} | ${await measure(shape, "thread")} | ${await measure(shape, "process")} |`);
  process.stdout.write(`${lines.at(-1)}\n`);
}
await removeFolder();
const table = [
  begin,
  "",
  `Contained: ${contained.thread} of ${shapes.length} at level thread, ${contained.process} of ${shapes.length} at level process; rounds: ${rounds}, Node ${process.version}, ${process.platform} ${process.arch}; written by \`npm run crash-matrix\`.`,
  "",
  "| shape | thread | how it ended | ms | process | how it ended | ms |",
  "| --- | --- | --- | --- | --- | --- | --- |",
  ...lines,
  "",
  end,
].join("\n");
const text = readFileSync(page, "utf8");
const [from, to] = [text.indexOf(begin), text.indexOf(end)];
if (from === -1 || to === -1)
  throw new Error(`found no place for the table in ${page}; wanted the lines ${begin} and ${end}`);
writeFileSync(page, text.slice(0, from) + table + text.slice(to + end.length));
if (contained.process < shapes.length) {
  process.stderr.write("a shape was not contained at level process, where all have to be\n");
  process.exitCode = 1;
}
