/** The table of `docs/THREAT_MODEL.md` that says what has gone wrong elsewhere and what holds here: complete, and its tests exist. */
import { expect, test } from "vitest";
import { isFile, readText } from "./files.ts";

const rows = readText("docs/THREAT_MODEL.md")
  .split("\n")
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => {
    const [number = "", , , state = "", shownBy = "", missing = ""] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    const tests = [...shownBy.matchAll(/`([^`]+)`: ([^<]+)/g)].map(([, file = "", name = ""]) => ({
      file,
      name: name.trim(),
    }));
    return { number, state, tests, missing };
  });

test("every row of the needs' list of advisories is there once", () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, at) => String(at + 1)));
});

test("a row names tests that exist, and says what is missing when it is shown in part", () => {
  for (const { number, state, tests, missing } of rows) {
    expect(["shown", "in part"], number).toContain(state);
    expect(missing === "", number).toBe(state === "shown");
    expect(tests.length, number).toBeGreaterThan(0);
    for (const { file, name } of tests)
      expect(isFile(file) && readText(file).includes(name), `${number}: ${file}: ${name}`).toBe(true);
  }
});
