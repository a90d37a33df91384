/**
 * What cleaning a transcript costs as it grows, and by what it is made of: one megabyte and ten of each shape, in turn inside each round.
 * Linear is the ratio of their sizes. The shapes after the first are made to be slow: deep nesting, tags that never close, halves of tags
 * that become whole when what is between them goes, runs of openers, and backticks that look for their other half.
 * Target: ten times the length takes at most twenty times as long, whatever the shape: what is not linear takes a hundred times.
 */
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { scrub } from "../../runtime/readers/scrub.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 5;
const warmUpRounds = 1;
const sizes = [1_000_000, 10_000_000] as const;
const ratioMax = 20;

const repeated = (piece: string) => (chars: number) => piece.repeat(Math.ceil(chars / piece.length)).slice(0, chars);

const shapes: Readonly<Record<string, (chars: number) => string>> = {
  "prose with some tags": repeated(
    `${"The quick brown fox jumps over the lazy dog. ".repeat(20)}<think>a plan</think> Done. `,
  ),
  "nested blocks": (chars) => {
    const depth = Math.floor(chars / "<think></think>".length);
    return `${"<think>".repeat(depth)}${"</think>".repeat(depth)}`;
  },
  "blocks that never close": repeated("<tool_call>{"),
  "tags inside tags": repeated("<thi<think>x</think>nk>y"),
  "half openers": repeated("<invoke <|"),
  "control tokens that never end": repeated("<|im"),
  "backticks and blocks": repeated("``` ` <think>x</think> `` "),
};

export async function run({ rounds = roundsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const rows = [];
  let worst = 0;
  for (const [shape, make] of Object.entries(shapes)) {
    progress(shape);
    const texts = sizes.map((chars) => make(chars));
    const ms = sizes.map(() => new Array<number>());
    for (let round = 0; round < warmUpRounds + rounds; round++)
      for (const [index, text] of texts.entries()) {
        const startedMs = performance.now();
        scrub(text);
        if (round >= warmUpRounds) ms[index]?.push(performance.now() - startedMs);
      }
    const [small = [], large = []] = ms;
    const ratio = makeRatios(large, small);
    worst = Math.max(worst, ratio.median);
    rows.push({
      shape,
      "ms, 1 MB": makeSpread(small),
      "ms, 10 MB": makeSpread(large),
      "ratio (linear: 10)": ratio,
    });
  }
  return {
    name: "scrub",
    rows,
    targets: [atMost("ten times the text, the slowest shape", Math.round(worst * 10) / 10, ratioMax, "×")],
  };
}
