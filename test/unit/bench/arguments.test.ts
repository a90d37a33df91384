import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../bench/arguments.ts";

const known = ["route", "store", "wake"];

describe("the command line of the benchmarks", () => {
  test("without names means all scenarios, with their own lengths", () => {
    expect(parseArguments([], known)).toEqual({
      scenarios: known,
      seconds: undefined,
      rounds: undefined,
      json: undefined,
    });
  });

  test("names scenarios, which run in the program's order and once each", () => {
    const { scenarios } = parseArguments(["wake", "route", "wake"], known);
    expect(scenarios).toEqual(["route", "wake"]);
  });

  test("takes lengths and the file for the results", () => {
    const parsed = parseArguments(["--seconds", "0.5", "store", "--rounds", "3", "--json", "out.json"], known);
    expect(parsed).toEqual({ scenarios: ["store"], seconds: 0.5, rounds: 3, json: "out.json" });
  });

  test("names the unknown scenarios and the known ones", () => {
    expect(() => parseArguments(["route", "rout", "x"], known)).toThrow(
      "found rout, x; wanted some of route, store, wake",
    );
  });

  test.each([
    ["--seconds", "0"],
    ["--seconds", "-1"],
    ["--seconds", "soon"],
    ["--seconds", ""],
    ["--seconds", "Infinity"],
    ["--rounds", "2.5"],
    ["--rounds", "0"],
  ])("refuses %s %j and says what it wanted", (option, value) => {
    expect(() => parseArguments([`${option}=${value}`], known)).toThrow(
      `${option}: found ${JSON.stringify(value)}, wanted a`,
    );
  });

  test("refuses an option that it does not have", () => {
    expect(() => parseArguments(["--round", "3"], known)).toThrow(TypeError);
  });
});
