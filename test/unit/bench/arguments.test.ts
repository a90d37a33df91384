import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../bench/arguments.ts";

const known = ["load", "route", "store", "wake"];
const ownLoad = { agents: undefined, rate: undefined, inFlight: undefined, payload: undefined, profile: undefined };

describe("the command line of the benchmarks", () => {
  test("without names means all scenarios, with their own lengths", () => {
    expect(parseArguments([], known)).toEqual({
      scenarios: known,
      seconds: undefined,
      rounds: undefined,
      load: ownLoad,
      json: undefined,
      html: undefined,
    });
  });

  test("names scenarios, which run in the program's order and once each", () => {
    const { scenarios } = parseArguments(["wake", "route", "wake"], known);
    expect(scenarios).toEqual(["route", "wake"]);
  });

  test("takes lengths and the file for the results", () => {
    const parsed = parseArguments(["--seconds", "0.5", "store", "--rounds", "3", "--json", "out.json"], known);
    expect(parsed).toMatchObject({ scenarios: ["store"], seconds: 0.5, rounds: 3, json: "out.json" });
  });

  test("names the unknown scenarios and the known ones", () => {
    expect(() => parseArguments(["route", "rout", "x"], known)).toThrow(
      "found rout, x; wanted some of load, route, store, wake",
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
    ["--duration", "0"],
  ])("refuses %s %j and says what it wanted", (option, value) => {
    expect(() => parseArguments([`${option}=${value}`], known)).toThrow(
      `${option}: found ${JSON.stringify(value)}, wanted a`,
    );
  });

  test("takes the load of `load`, and its length by either name", () => {
    const args = [
      "load",
      "--agents=20",
      "--rate=0.5",
      "--payload=1000",
      "--profile=out",
      "--duration=60",
      "--html=a.html",
    ];
    expect(parseArguments(args, known)).toMatchObject({
      scenarios: ["load"],
      seconds: 60,
      load: { ...ownLoad, agents: 20, rate: 0.5, payload: 1_000, profile: "out" },
      html: "a.html",
    });
    expect(parseArguments(["load", "--in-flight=64"], known).load).toEqual({ ...ownLoad, inFlight: 64 });
  });

  test.each([
    [["--rate=5"], "--rate: found it with all scenarios; it is for `load` alone"],
    [["load", "wake", "--payload=5"], "--payload: found it with load, wake; it is for `load` alone"],
    [["load", "--rate=5", "--in-flight=5"], "--rate and --in-flight: found both"],
    [["load", "--seconds=5", "--duration=5"], "--seconds and --duration: found both"],
    [["load", "--agents=2.5"], '--agents: found "2.5", wanted a whole number above 0'],
    [["load", "--in-flight=-1"], '--in-flight: found "-1", wanted a whole number above 0'],
    [["load", "--payload=none"], '--payload: found "none", wanted a whole number above 0'],
    [["load", "--rate=0"], '--rate: found "0", wanted messages a second, above 0'],
  ])("refuses %j and says why", (args, wanted) => {
    expect(() => parseArguments(args, known)).toThrow(wanted);
  });

  test("refuses an option that it does not have", () => {
    expect(() => parseArguments(["--round", "3"], known)).toThrow(TypeError);
  });
});
