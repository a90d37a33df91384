/** What decides whether a change is good must not be fooled by a suite that did not run. */
import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { allFiles, readText, root } from "./files.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-ci-"));
const run = path.join(root, ".ci/run");

function count(report: object | undefined, exitCode: number): string {
  const file = path.join(folder, `${Math.random()}.json`);
  if (report !== undefined) writeFileSync(file, JSON.stringify(report));
  return execFileSync(process.execPath, [path.join(root, ".ci/count.mjs"), file, String(exitCode)], {
    encoding: "utf8",
  }).trim();
}

describe("tests are counted", () => {
  const file = (status: string, ...tests: string[]) => ({
    status,
    assertionResults: tests.map((one) => ({ status: one })),
  });

  test.each([
    ["all good", { numPassedTests: 3, numFailedTests: 0, testResults: [file("passed", "passed")] }, 0, "3 0"],
    ["one bad", { numPassedTests: 2, numFailedTests: 1, testResults: [file("failed", "failed", "passed")] }, 1, "2 1"],
    ["a file that does not load", { numPassedTests: 2, numFailedTests: 0, testResults: [file("failed")] }, 1, "2 1"],
    ["a fault outside of tests", { numPassedTests: 2, numFailedTests: 0, testResults: [file("passed")] }, 1, "2 1"],
    ["nothing ran", { numPassedTests: 0, numFailedTests: 0, testResults: [] }, 0, "0 1"],
    ["no report", undefined, 124, "0 1"],
  ])("%s", (_name, report, exitCode, wanted) => {
    expect(count(report, exitCode)).toBe(wanted);
  });
});

describe(".ci/run", () => {
  /** Runs a few of its steps, with the end that it has. Not under its own name: then it would run all of itself. */
  const outputOf = (script: string): { readonly output: string; readonly failed: boolean } => {
    try {
      const output = execFileSync("bash", ["-c", `source "$1"; ${script}; finish`, "sourced", run], {
        encoding: "utf8",
        cwd: root,
      });
      return { output, failed: false };
    } catch (error) {
      return { output: (error as { readonly stdout: string }).stdout, failed: true };
    }
  };
  const last = (script: string): { readonly line: string | undefined; readonly failed: boolean } => {
    const { output, failed } = outputOf(script);
    return { line: output.trimEnd().split("\n").at(-1), failed };
  };

  test("is a program", () => {
    accessSync(run, constants.X_OK);
    expect(readText(".ci/run")).toMatch(/^#!/);
  });

  test("ends with one line that counts its steps, and fails when one failed", () => {
    expect(last("step one 5 true; step two 5 true")).toEqual({ line: "2 passed, 0 failed", failed: false });
    expect(last("step one 5 true; step two 5 false")).toEqual({ line: "1 passed, 1 failed", failed: true });
  });

  test.each([
    ["a step", "step one 5 true; step two 5 false", "two"],
    ["a run that ends before it reports", "tests broken 5 false", "broken: no test of it, but the run"],
    [
      "errors that belong to no test",
      `tests odd 5 bash -c 'echo "  Error: Worker exited unexpectedly"; false'`,
      "odd: Error: Worker exited unexpectedly",
    ],
  ])("names %s that failed before its last line", (_what, script, named) => {
    expect(outputOf(script).output).toMatch(new RegExp(`\nFailed:\n${named}\n\\d passed, 1 failed\n$`));
  });

  test("counts the tests of a run, and a run that ends before it reports", () => {
    const writes = `bash -c 'for last; do :; done; echo "{\\"numPassedTests\\":7,\\"numFailedTests\\":0}" > "\${last#*=}"' x`;
    expect(last(`tests fine 5 ${writes}`)).toEqual({ line: "7 passed, 0 failed", failed: false });
    expect(last("tests broken 5 false; step one 5 true")).toEqual({ line: "1 passed, 1 failed", failed: true });
  });

  test("runs the tests of Node 24 again when Node ended a process, once, and not when a test failed", () => {
    const folderOf = mkdtempSync(path.join(folder, "runs-"));
    /** A run of tests: `outcomes` of the first, second… as failed tests and what it printed. */
    const suite = (...outcomes: readonly (readonly [number, string])[]): string => {
      const file = path.join(folderOf, `${Math.random()}`);
      const cases = outcomes.map(([failedTests, said], at) => {
        const report = JSON.stringify({ numPassedTests: 5 + at, numFailedTests: failedTests, testResults: [] });
        return `${at}) echo '${said}'; echo '${report}' > "\${last#*=}"; exit ${said === "" && failedTests === 0 ? 0 : 1};;`;
      });
      writeFileSync(
        file,
        `for last; do :; done; n=$(cat "$0.n" || echo 0); echo $((n + 1)) > "$0.n"; case $n in ${cases.join(" ")} esac`,
      );
      return `tests_despite_aborts old 5 bash ${file} 2>/dev/null`;
    };
    const aborted = "Caused by: Error: Worker exited unexpectedly";
    expect(last(suite([0, ""]))).toEqual({ line: "5 passed, 0 failed", failed: false });
    expect(last(suite([0, aborted], [0, ""]))).toEqual({ line: "6 passed, 0 failed", failed: false });
    expect(last(suite([0, aborted], [0, aborted], [0, ""]))).toEqual({ line: "6 passed, 1 failed", failed: true });
    expect(last(suite([1, aborted], [0, ""]))).toEqual({ line: "5 passed, 1 failed", failed: true });
    expect(last(suite([0, "another fault"], [0, ""]))).toEqual({ line: "5 passed, 1 failed", failed: true });
  });

  describe("runs the files of a few late tests again, alone", () => {
    type Run = {
      readonly passed: number;
      readonly failing: Readonly<Record<string, readonly string[]>>;
      readonly said?: string;
    };
    /** A run of tests that writes what the first, second… run found, and the arguments that each was given. */
    const runs = (...found: readonly Run[]): { readonly script: string; readonly asked: () => readonly string[] } => {
      const folderOf = mkdtempSync(path.join(folder, "again-"));
      found.forEach(({ passed, failing, said = "" }, at) => {
        const testResults = Object.entries(failing).map(([name, names]) => ({
          name: path.join(root, name),
          status: "failed",
          assertionResults: names.map((fullName) => ({
            fullName,
            status: "failed",
            failureMessages: ["expected 1 to be 2\n    at a line"],
          })),
        }));
        const numFailedTests = Object.values(failing).flat().length;
        writeFileSync(
          path.join(folderOf, `${at}.json`),
          JSON.stringify({ numPassedTests: passed, numFailedTests, testResults }),
        );
        writeFileSync(path.join(folderOf, `${at}.said`), said);
      });
      writeFileSync(
        path.join(folderOf, "suite"),
        `for last; do :; done; n=$(ls ${folderOf}/asked.* 2>/dev/null | wc -l); echo "$*" > ${folderOf}/asked.$n
         cat ${folderOf}/$n.said; cp ${folderOf}/$n.json "\${last#*=}"; grep -q '"numFailedTests":0' ${folderOf}/$n.json`,
      );
      return {
        script: `tests suite 5 bash ${folderOf}/suite`,
        asked: () =>
          readdirSync(folderOf)
            .filter((name) => name.startsWith("asked."))
            .map((name) => readFileSync(path.join(folderOf, name), "utf8").split(/ ?--reporter/)[0] ?? ""),
      };
    };
    const late = { "test/contract/a.test.ts": ["one late test"] };

    test("what passes then counts, and is named", () => {
      const { script, asked } = runs({ passed: 9, failing: late }, { passed: 4, failing: {} });
      expect(outputOf(script).output).toMatch(
        /Passed only when their file ran again, alone:\nsuite: test\/contract\/a\.test\.ts > one late test\n10 passed, 0 failed\n$/,
      );
      expect(asked()).toEqual(["", "test/contract/a.test.ts"]);
    });

    test("of a run of some files, those alone", () => {
      const { script, asked } = runs({ passed: 9, failing: late }, { passed: 4, failing: {} });
      const files = "test/contract/a.test.ts test/contract/b.test.ts";
      expect(last(`only="${files}" ${script}`)).toEqual({ line: "10 passed, 0 failed", failed: false });
      expect(asked()).toEqual([files, "test/contract/a.test.ts"]);
    });

    test("what fails then has failed, and is named", () => {
      const { script } = runs({ passed: 9, failing: late }, { passed: 3, failing: late });
      expect(outputOf(script)).toEqual({
        failed: true,
        output: expect.stringMatching(
          /\nFailed:\nsuite: test\/contract\/a\.test\.ts > one late test: expected 1 to be 2\n9 passed, 1 failed\n$/,
        ),
      });
    });

    test.each<readonly [string, Run]>([
      ["a test without threads", { passed: 9, failing: { "test/unit/a.test.ts": ["one"] } }],
      ["one such beside a late one", { passed: 9, failing: { ...late, "test/simulation/a.test.ts": ["one"] } }],
      [
        "many files",
        {
          passed: 9,
          failing: { ...late, ...Object.fromEntries([2, 3, 4, 5].map((n) => [`test/e2e/${n}.test.ts`, [`${n}`]])) },
        },
      ],
      ["a file that does not load", { passed: 9, failing: { "test/contract/a.test.ts": [] } }],
      ["a fault outside of tests", { passed: 9, failing: late, said: "Unhandled Errors" }],
    ])("but not for %s", (_what, found) => {
      const { script, asked } = runs(found, { passed: 99, failing: {} });
      expect(last(script)).toMatchObject({ failed: true, line: expect.stringMatching(/^9 passed, [1-9]/) });
      expect(asked()).toHaveLength(1);
    });
  });

  test("runs tests on Node 24 that exist: cells at both levels, stores, doors, and the real program", () => {
    const listed = execFileSync("bash", ["-c", `source "$1"; printf '%s\\n' "\${node24_tests[@]}"`, "sourced", run], {
      encoding: "utf8",
    });
    const files = listed.trimEnd().split("\n");
    expect(files.filter((file) => !allFiles.includes(file))).toEqual([]);
    for (const part of ["cell", "process-cell", "confinement", "out-of-memory", "store-lmdb", "edge-socket"])
      expect(files).toContain(`test/contract/${part}.test.ts`);
    expect(files.some((file) => file.startsWith("test/e2e/"))).toBe(true);
  });

  test("runs every part of `npm run check`", () => {
    const scripts: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(readText("package.json"));
    const parts = [...(scripts.scripts["check"] ?? "").matchAll(/npm run -s ([\w:]+)/g)].map((match) => match[1]);
    expect(parts.length).toBeGreaterThan(3);
    expect(readText(".ci/run")).toContain(`for check in ${parts.join(" ")};`);
  });
});
