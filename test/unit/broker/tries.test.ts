/** How often a model is asked, on a clock of the test's own. Behaviour §5.5. */
import { expect, it } from "vitest";
import { type FailureKind, ProviderFailure } from "../../../runtime/broker/provider-failure.ts";
import { tryWays, type Way } from "../../../runtime/broker/tries.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

const first: Way = { model: "a/m", profile: "a" };
const second: Way = { model: "b/m", profile: "b" };

/** Every try fails as `fail` says, by its number from 0. Gives how often each way was tried, the pauses, and with what it ended. */
async function run(fail: (at: number) => ProviderFailure | undefined, ways: readonly Way[] = [first, second]) {
  let nowMs = 0;
  const tried: string[] = [];
  const pauses: number[] = [];
  const givenUp: (readonly [string, FailureKind])[] = [];
  async function* each(): AsyncGenerator<Way, undefined, ProviderFailure | undefined> {
    yield* ways;
    return undefined;
  }
  const end = await tryWays({
    ways: each(),
    once: async ({ model }) => {
      const failure = fail(tried.push(model) - 1);
      if (failure !== undefined) throw failure;
      return "answer";
    },
    clock: {
      nowMs: () => nowMs,
      pause: async (ms) => {
        pauses.push(ms);
        nowMs += ms;
      },
      random: () => 0,
    },
    signal: new AbortController().signal,
    onGivenUp: ({ model }, { kind }) => void givenUp.push([model, kind]),
    onRetry: () => undefined,
  }).catch((error: ProviderFailure) => error.kind);
  const count = (way: Way): number => tried.filter((model) => model === way.model).length;
  return { counts: [count(first), count(second)], pauses, givenUp, end };
}

const always = (kind: FailureKind, retryAfterMs?: number) => () => new ProviderFailure(kind, "no", retryAfterMs);

it("asks ten times in all where there are too many requests, and then another model", async () => {
  const { counts, end } = await run(always("rate-limit"));
  expect([counts, end]).toEqual([[limits.modelTriesMax, limits.modelTriesMax], "rate-limit"]);
});

it("does not wait for longer than a minute because a provider wishes it", async () => {
  expect((await run(always("rate-limit", limits.modelPauseMsMax))).counts[0]).toBe(limits.modelTriesMax);
  expect((await run(always("rate-limit", limits.modelPauseMsMax + 1))).counts).toEqual([1, 1]);
});

it.each(["transient", "output"] as const)("asks again for %s until the pauses would pass the 90 s", async (kind) => {
  const { counts, pauses } = await run(always(kind, 1), [first]);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32].map((seconds) => seconds * 1_000));
  expect(counts[0]).toBe(7);
});

it("asks again within 90 s of the first failure, and not later", async () => {
  const wishes = (ms: number) => (at: number) => (at === 0 ? new ProviderFailure("transient", "no", ms) : undefined);
  expect(await run(wishes(limits.modelTransientMs))).toMatchObject({ counts: [2, 0], end: "answer" });
  expect(await run(wishes(limits.modelTransientMs + 1))).toMatchObject({ counts: [1, 1], end: "answer" });
});

it("counts all tries of a way together, whatever each failed for", async () => {
  const { counts } = await run((at) => new ProviderFailure(at < 4 ? "transient" : "rate-limit", "no"));
  expect(counts[0]).toBe(limits.modelTriesMax);
});

it.each(["credential", "billing", "absent"] as const)("goes on to the next way at once for %s", async (kind) => {
  const { counts, pauses, givenUp } = await run((at) => (at === 0 ? new ProviderFailure(kind, "no") : undefined));
  expect([counts, pauses, givenUp]).toEqual([[1, 1], [], [["a/m", kind]]]);
});

it.each(["refused", "context"] as const)("asks nobody else what is %s", async (kind) => {
  expect(await run(always(kind))).toMatchObject({ counts: [1, 0], pauses: [], end: kind });
});
