/**
 * Counts the tests of one vitest run: `node .ci/count.mjs <report.json> <exit code>` prints "<passed> <failed>".
 *
 * A run that wrote no report, that failed in a file before any of its tests ran, or that ended with an error that belongs to no
 * test, has failed at least once: a suite that does not run must not look like one without faults.
 */
import { readFileSync } from "node:fs";

const [reportFile = "", exitCode = "1"] = process.argv.slice(2);

function readReport() {
  try {
    return JSON.parse(readFileSync(reportFile, "utf8"));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

const report = readReport();
const passed = report.numPassedTests ?? 0;
const brokenFiles = (report.testResults ?? []).filter(
  ({ status, assertionResults = [] }) =>
    status === "failed" && !assertionResults.some((one) => one.status === "failed"),
).length;
const counted = (report.numFailedTests ?? 0) + brokenFiles;
const failed = counted === 0 && (exitCode !== "0" || passed === 0) ? 1 : counted;
process.stdout.write(`${passed} ${failed}\n`);
