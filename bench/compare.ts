/**
 * Measures two commits side by side in one run, in turn in each round, and prints each figure of both with its ratio:
 *
 *   npm run bench:compare -- --base <commit> [--head <commit>] [scenario…] [--rounds N] [--seconds S] [--json file]
 *
 * Without `--head` the folder as it is, with what is not committed. A commit is checked out in a folder of its own, built there, and
 * removed when all is measured; where its packages are others than those here, they are installed there. A difference smaller than the
 * noise that `npm run bench` tells is none.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import { parseArguments } from "./arguments.ts";
import { packageRoot } from "./program.ts";
import type { ScenarioReport } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { compareRounds, type Pair } from "./side-by-side.ts";
import { formatTable } from "./table.ts";

const roundsDefault = 5;
const outputBytesMax = 64 * 2 ** 20;

const run = (file: string, args: readonly string[], cwd: string): Promise<{ readonly stdout: string }> =>
  promisify(execFile)(file, [...args], { cwd, maxBuffer: outputBytesMax });
const say = (text: string): void => console.error(`bench: ${text}`);

async function compare(args: readonly string[]): Promise<void> {
  const { values, tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: { base: { type: "string" }, head: { type: "string" } },
  });
  const { base, head } = values;
  if (typeof base !== "string" || base === "")
    throw new TypeError("--base: found none, wanted the commit to compare with, such as HEAD~1 or main.");
  const own = new Set(
    tokens.flatMap((token) =>
      token.kind === "option" && (token.name === "base" || token.name === "head")
        ? [token.index, ...(token.inlineValue === false ? [token.index + 1] : [])]
        : [],
    ),
  );
  const chosen = parseArguments(
    args.filter((_, at) => !own.has(at)),
    Object.keys(scenarios),
  );
  const folder = await mkdtemp(path.join(tmpdir(), "cloister-compare-"));
  const checkedOut: string[] = [];
  const checkOut = async (commit: string, name: string): Promise<string> => {
    const place = path.join(folder, name);
    say(`${name}: checking out ${commit}`);
    await run("git", ["worktree", "add", "--detach", place, commit], packageRoot).catch((error: unknown) => {
      throw new TypeError(`--${name}: found ${JSON.stringify(commit)}, which git cannot check out: ${reasonOf(error)}`);
    });
    checkedOut.push(place);
    await providePackages(place, name);
    return place;
  };
  try {
    const places = {
      base: await checkOut(base, "base"),
      head: typeof head === "string" ? await checkOut(head, "head") : packageRoot,
    };
    const rounds: Pair[] = [];
    const wanted = chosen.rounds ?? roundsDefault;
    const measure = async (place: string, name: string, round: number): Promise<readonly ScenarioReport[]> => {
      say(`round ${round + 1} of ${wanted}: ${name}`);
      const file = path.join(folder, `${name}-${round}.json`);
      const seconds = chosen.seconds === undefined ? [] : ["--seconds", String(chosen.seconds)];
      await run(
        process.execPath,
        [path.join("bench", "run.ts"), ...chosen.scenarios, "--rounds", "1", ...seconds, "--json", file],
        place,
      ).catch((error: unknown) => {
        throw new Error(`Measuring ${name} (${chosen.scenarios.join(", ")}): ${reasonOf(error)}`, { cause: error });
      });
      return (JSON.parse(await readFile(file, "utf8")) as { readonly scenarios: readonly ScenarioReport[] }).scenarios;
    };
    for (let round = 0; round < wanted; round++) {
      // Neither always has the machine that the other left.
      if (round % 2 === 0) {
        const found = await measure(places.base, "base", round);
        rounds.push({ base: found, head: await measure(places.head, "head", round) });
      } else {
        const found = await measure(places.head, "head", round);
        rounds.push({ base: await measure(places.base, "base", round), head: found });
      }
    }
    const rows = compareRounds(rounds);
    console.log(formatTable(rows));
    if (chosen.json !== undefined)
      await writeFile(chosen.json, `${JSON.stringify({ base, head, rows }, undefined, 2)}\n`);
  } finally {
    for (const place of checkedOut) await run("git", ["worktree", "remove", "--force", place], packageRoot);
    await rm(folder, { recursive: true, force: true });
  }
}

const lockOf = (root: string): Promise<string> => readFile(path.join(root, "package-lock.json"), "utf8");

/** Those of this folder where the commit wants the same. */
async function providePackages(place: string, name: string): Promise<void> {
  if ((await lockOf(place)) === (await lockOf(packageRoot))) {
    await symlink(path.join(packageRoot, "node_modules"), path.join(place, "node_modules"), "dir");
    return;
  }
  say(`${name}: installing its packages`);
  await run("npm", ["ci", "--no-audit", "--no-fund"], place);
}

const reasonOf = (error: unknown): string =>
  ((error as { readonly stderr?: string }).stderr ?? String(error)).trim().slice(-2_000);

try {
  await compare(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof TypeError ? error.message : error);
  process.exitCode = 1;
}
