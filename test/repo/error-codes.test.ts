/** `docs/CONFORMANCE.md`, error codes: each code is wanted by a test that does not make the error itself. */
import { expect, test } from "vitest";
import { errorRegister } from "../../runtime/kernel/errors.ts";
import { isThere, parseNamedTests, tableRows, textOfTest } from "./named-tests.ts";

const rows = tableRows("docs/CONFORMANCE.md", /^CLOISTER_/).map(([code = "", shownBy = ""]) => {
  // Why there is none yet.
  const missing = /^not yet: \S/.test(shownBy);
  return { code, missing, tests: missing ? [] : parseNamedTests(shownBy) };
});

test("every code of the register has one row, with a test or with what it waits for", () => {
  expect(rows.map(({ code }) => code).toSorted()).toEqual(Object.keys(errorRegister).toSorted());
  expect(rows.filter(({ tests, missing }) => (tests.length === 0) !== missing).map(({ code }) => code)).toEqual([]);
});

test("the tests that are named exist, and want the code in their own text", () => {
  const wrong = rows.flatMap(({ code, tests }) =>
    tests.filter((named) => !isThere(named) || !wants(textOfTest(named), code)).map(({ title }) => `${code}: ${title}`),
  );
  expect(wrong).toEqual([]);
});

/** Of an error that the test hands in itself nothing is shown but that it comes out again. */
function wants(text: string, code: string): boolean {
  const made = new RegExp(`failure\\(\\s*"${code}"|new Error\\([^)]*\\),\\s*\\{\\s*code: "${code}"`);
  return new RegExp(`\\b${code}\\b`).test(text) && !made.test(text);
}
