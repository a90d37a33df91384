/** `docs/CONFORMANCE.md`: one row a criterion, and the tests that it names exist. */
import { expect, test } from "vitest";
import { allFiles, readText } from "./files.ts";
import { isThere, parseNamedTests, tableRows } from "./named-tests.ts";

/** How many criteria each group has, as the specification numbers them. */
const groups: Readonly<Record<string, number>> = {
  "AC-01": 6,
  "AC-02": 2,
  "AC-03": 3,
  "AC-04": 4,
  "AC-05": 3,
  "AC-06": 4,
  "AC-07": 3,
  "AC-08": 2,
  "AC-09": 3,
  "AC-10": 2,
  "AC-11": 3,
  "AC-12": 1,
  "AC-13": 2,
  "AC-14": 1,
  "AC-15": 2,
  "AC-16": 1,
  "AC-17": 3,
  "AC-18": 1,
  "AC-19": 1,
  "AC-20": 2,
  "AC-21": 2,
  A2: 5,
  A3: 5,
  A4: 5,
  A6: 5,
  A8: 5,
  A9: 5,
  A11: 3,
  A12: 5,
  A13: 2,
  A15: 6,
};
const criteria = [
  ...Object.entries(groups).flatMap(([group, count]) => Array.from({ length: count }, (_, at) => `${group}.${at + 1}`)),
  ...Array.from({ length: 12 }, (_, at) => `W-${String(at + 1).padStart(2, "0")}`),
];

const rows = tableRows("docs/CONFORMANCE.md", /^(?:AC-|W-|A\d)/).map(
  ([id = "", , state = "", shownBy = "", missing = ""]) => ({
    id,
    state,
    tests: parseNamedTests(shownBy),
    missing,
  }),
);

test("every criterion has one row", () => {
  expect(rows.map(({ id }) => id).toSorted()).toEqual(criteria.toSorted());
});

test("a row names tests or says what is missing, as its state says", () => {
  const wrong = rows.filter(({ state, tests, missing }) => {
    if (state === "shown") return tests.length === 0 || missing !== "";
    if (state === "in part") return tests.length === 0 || missing === "";
    return state !== "not yet" || tests.length > 0 || missing === "";
  });
  expect(wrong.map(({ id }) => id)).toEqual([]);
});

test("the tests that are named exist", () => {
  const lost = rows.flatMap(({ id, tests }) =>
    tests.filter((named) => !isThere(named)).map(({ file, title }) => `${id}: ${file}: ${title}`),
  );
  expect(lost).toEqual([]);
});

test("a test that names a criterion is in a file that its row names", () => {
  const titled = allFiles
    .filter((file) => file.startsWith("test/") && file.endsWith(".test.ts"))
    .flatMap((file) =>
      [...readText(file).matchAll(/\b(?:test|it|describe)\(\s*"((?:[^"\\]|\\.)*)"/g)].flatMap(([, title = ""]) =>
        (title.match(/\b(?:AC-\d\d\.\d|W-\d\d|A(?:2|3|4|6|8|9|11|12|13|15)\.\d)\b/g) ?? []).map((id) => ({ file, id })),
      ),
    );
  expect(titled.length).toBeGreaterThan(15);
  const missing = titled.filter(
    ({ file, id }) => !rows.some((row) => row.id === id && row.tests.some((one) => one.file === file)),
  );
  expect(missing.map(({ file, id }) => `${id}: ${file}`)).toEqual([]);
});
