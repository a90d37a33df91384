/**
 * What failed in a run of vitest, a line each, for the end of the output: `node .ci/failures.mjs <report.json> <output of the run>`.
 *
 * A test with the first line of what it says; a file that did not load; and where neither is in the report, what the output says of
 * errors that belong to no test.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";

const outsideMax = 5;
const isOutside = (line) => /Unhandled Error|Unhandled Rejection|Worker exited|^\S*Error: /.test(line);

const [reportFile = "", outputFile = ""] = process.argv.slice(2);

function readText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** None when the run ended before it reported. */
function readResults() {
  try {
    return JSON.parse(readText(reportFile)).testResults ?? [];
  } catch {
    return [];
  }
}

const firstLine = (text) => (text ?? "").split("\n", 1)[0];

const inTests = readResults()
  .filter(({ status }) => status === "failed")
  .flatMap(({ name = "", message, assertionResults = [] }) => {
    const file = path.relative(process.cwd(), name);
    const failed = assertionResults.filter(({ status }) => status === "failed");
    if (failed.length === 0) return [`${file}: ${firstLine(message)}`];
    return failed.map(
      ({ fullName, failureMessages = [] }) => `${file} > ${fullName}: ${firstLine(failureMessages[0])}`,
    );
  });
const outside = stripVTControlCharacters(readText(outputFile))
  .split("\n")
  .map((line) => line.trim())
  .filter(isOutside)
  .slice(0, outsideMax);
const lines = inTests.length > 0 ? inTests : outside;
for (const line of lines.length > 0 ? lines : ["no test of it, but the run"]) process.stdout.write(`${line}\n`);
