/**
 * Which files of a vitest run may run once more: `node .ci/again.mjs <report.json>` prints their paths, one a line, and the failed tests
 * to standard error; it prints nothing when the run stands as it is.
 *
 * Only tests that start real threads and processes (contract, e2e, chaos) may, when few failed: this machine is shared, and one of
 * them in ten thousand can be late. A test of anything else is the same every time; failures in many files are no accident either.
 */
import { readFileSync } from "node:fs";
import path from "node:path";

/** Not of tests: where one of a file is late, others that stand on it fail as well. */
const filesMax = 4;
const isReal = (file) => /\/test\/(contract|e2e|chaos)\//.test(file);

const [reportFile = ""] = process.argv.slice(2);
const report = JSON.parse(readFileSync(reportFile, "utf8"));
const failed = (report.testResults ?? []).filter(({ status }) => status === "failed");
const tests = failed.flatMap(({ name, assertionResults = [] }) =>
  assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => ({ name, fullName })),
);
// A file that failed without a failed test did not load.
const isEveryFileKnown = failed.every(({ name }) => isReal(name) && tests.some((test) => test.name === name));

if (failed.length > 0 && failed.length <= filesMax && isEveryFileKnown) {
  for (const { name } of failed) process.stdout.write(`${path.relative(process.cwd(), name)}\n`);
  for (const { name, fullName } of tests) process.stderr.write(`${path.relative(process.cwd(), name)} > ${fullName}\n`);
}
