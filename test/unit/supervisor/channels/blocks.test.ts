/** Answers that go out in pieces while they are written: what is sent when, and what of it twice, which is nothing. */
import { describe, expect, test } from "vitest";
import type { AccountSettings } from "../../../../channels/port.ts";
import type { ResolvedConfig } from "../../../../runtime/config/resolved.ts";
import type { EnvelopeHeader, Outcome } from "../../../../runtime/kernel/envelope.ts";
import { failure } from "../../../../runtime/kernel/errors.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import type { BlockRow } from "../../../../runtime/store/port.ts";
import type { ChannelRoute } from "../../../../runtime/supervisor/answers.ts";
import { findManifest } from "../../../../runtime/config/manifests.ts";
import { makeBlocks } from "../../../../runtime/supervisor/channels/blocks.ts";
import type { RunFollower } from "../../../../runtime/supervisor/runs.ts";
import { makeVirtualClock } from "../../../support/virtual-clock.ts";

const route: ChannelRoute = {
  type: "channel",
  channel: "telegram",
  accountId: "default",
  peerKind: "direct",
  peerId: "7",
  inReplyTo: "m0",
};

const rules: ResolvedConfig["blocks"] = {
  byDefault: true,
  charsMin: 10,
  charsMax: 40,
  prefers: "paragraph",
  wholeTexts: false,
  idleMs: 1_000,
};

interface World {
  readonly rows?: Map<number, BlockRow>;
  readonly rules?: Partial<ResolvedConfig["blocks"]>;
  readonly settings?: Partial<AccountSettings>;
  readonly withheld?: boolean;
  readonly pause?: { readonly minMs: number; readonly maxMs: number };
  readonly prefix?: string;
  /** Thrown at each sending in turn; then it is sent. */
  readonly faults?: Error[];
}

/** One process of a gateway; the next one has the rows of this one. */
function open({
  rows = new Map(),
  settings = {},
  withheld = false,
  pause,
  prefix = "",
  faults = [],
  ...world
}: World = {}) {
  const clock = makeVirtualClock();
  const seen: string[] = [];
  const replies: (string | undefined)[] = [];
  const firsts: boolean[] = [];
  let follower: RunFollower = {};
  const blocks = makeBlocks({
    rules: () => ({ ...rules, ...world.rules }),
    pauseOf: () => pause,
    channels: {
      manifest: (name) => findManifest({ ownChannels: {} }, name),
      settings: (_, account) => (account === "default" ? { textChunkLimit: 4_000, ...settings } : undefined),
    },
    runs: { follow: (hears) => void (follower = hears) },
    store: {
      keepBlock: async (_agent, _envelope, row) => void rows.set(row.number, row),
      blocks: async () => [...rows.values()],
    },
    whyNoSending: async () => (withheld ? { code: "CLOISTER_CAPABILITY_DENIED", message: "no" } : undefined),
    prefixOf: () => prefix,
    async send({ id }, { inReplyTo }, text, isFirst, leftAtMs) {
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
      replies.push(inReplyTo);
      firsts.push(isFirst);
      seen.push(`${id}${leftAtMs === undefined ? "" : " again"} ${text}`);
    },
    clock,
    log: { warn: () => undefined },
  });
  const header = {
    id: "e1",
    agentId: "main",
    sessionKey: "agent:main:main",
    from: { type: "channel" },
    replyRoute: route,
  } as EnvelopeHeader;
  return {
    clock,
    seen,
    replies,
    firsts,
    rows,
    begins: () => follower.began?.(header),
    writes: (text: string, given: Partial<EnvelopeHeader> = {}) => follower.streamed?.({ ...header, ...given }, text),
    calls: () => follower.called?.(header, "read"),
    ends: (outcome: Outcome, given: Partial<EnvelopeHeader> = {}) => follower.ended?.({ ...header, ...given }, outcome),
    answers: (text: string, leftAtMs?: number) =>
      blocks.answer(header, route, text, leftAtMs, async (rest, { inReplyTo }, isFirst) => {
        replies.push(inReplyTo);
        firsts.push(isFirst);
        seen.push(`answer ${rest}`);
      }),
  };
}

const one = "One one one one one.";
const two = "Two two two two two.";
const three = "Three three.";

describe("an answer in pieces", () => {
  test("goes as it is written, and ends with what no piece has said; the first message alone is a reply", async () => {
    const { clock, seen, replies, rows, writes, ends, answers } = open();
    writes(`${one}\n\n`);
    await clock.advance(500);
    expect(seen).toEqual([]);
    writes(`${two}\n\nThr`);
    await clock.advance(0);
    await clock.advance(500);
    expect(seen).toEqual([`e1:piece-0 ${one}`]);
    await clock.advance(1_000);
    expect(seen).toEqual([`e1:piece-0 ${one}`, `e1:piece-1 ${two}`]);
    writes("ee three.");
    const text = [one, two, three].join("\n\n");
    ends({ status: "ok", text });
    await answers(text);
    expect(seen.slice(2)).toEqual([`answer ${three}`]);
    expect(replies).toEqual(["m0", undefined, undefined]);
    expect([...rows.values()].map(({ at, said, isSettled }) => [at, said, isSettled])).toEqual([
      [0, `${one}\n\n`, true],
      [22, `${two}\n\n`, true],
    ]);
  });

  test("begins once, and its first piece leaves room for what it begins with", async () => {
    const { clock, seen, firsts, writes, ends, answers } = open({
      rules: { charsMax: 4_000 },
      settings: { textChunkLimit: 100 },
      prefix: "[Ada]",
    });
    const text = "a".repeat(250);
    writes(text);
    await clock.advance(5_000);
    ends({ status: "ok", text });
    await answers(text);
    expect(seen.map((line) => line.split(" ")[1]?.length)).toEqual([94, 100, 56]);
    expect(firsts).toEqual([true, false, false]);
  });

  test("begins with the answer when no piece has left", async () => {
    const { firsts, writes, ends, answers } = open({ prefix: "[Ada]" });
    writes("Quick.");
    ends({ status: "ok", text: "Quick." });
    await answers("Quick.");
    expect(firsts).toEqual([true]);
  });

  test("is one message when it is there before it is quiet", async () => {
    const { seen, rows, writes, ends, answers } = open();
    writes("Quick.");
    ends({ status: "ok", text: "Quick." });
    await answers("Quick.");
    expect(seen).toEqual(["answer Quick."]);
    expect(rows.size).toBe(0);
  });

  test("has no last message when the pieces have said all of it", async () => {
    const { clock, seen, writes, calls, ends, answers } = open();
    writes("Let me look.");
    calls();
    await clock.advance(1_000);
    writes(`\n\n${one}`);
    calls();
    await clock.advance(1_000);
    ends({ status: "ok", text: one });
    await answers(one);
    expect(seen).toEqual(["e1:piece-0 Let me look.", `e1:piece-1 ${one}`]);
  });

  test("joins short texts between calls that follow quickly", async () => {
    const { clock, seen, writes, calls } = open();
    writes("First.");
    calls();
    await clock.advance(900);
    writes("\n\nSecond.");
    calls();
    await clock.advance(900);
    expect(seen).toEqual([]);
    await clock.advance(100);
    expect(seen).toEqual(["e1:piece-0 First.\n\nSecond."]);
  });

  test("waits for whole texts where that is chosen", async () => {
    const { clock, seen, writes, calls } = open({ rules: { wholeTexts: true } });
    writes(`${one}\n\n${two}`);
    await clock.advance(10_000);
    expect(seen).toEqual([]);
    calls();
    await clock.advance(1_000);
    expect(seen).toEqual([`e1:piece-0 ${one}`, `e1:piece-1 ${two}`]);
  });

  test("has pieces whose keys are those of no part of its last message, which a platform would drop", async () => {
    const { clock, seen, writes, calls } = open();
    writes(`${one}\n\n${two}`);
    calls();
    await clock.advance(1_000);
    const keys = seen.map((line) => line.slice(0, line.indexOf(" ")));
    expect(keys).toHaveLength(2);
    // As the thread of a channel makes them: the key of the text, and the number of the part.
    for (const part of [1, 2]) expect(keys).not.toContain(`e1:${part}`);
  });

  test("pauses between pieces as the agent is told to", async () => {
    const { clock, seen, writes, calls } = open({ pause: { minMs: 2_000, maxMs: 4_000 } });
    writes(`${one}\n\n${two}`);
    calls();
    await clock.advance(1_000);
    expect(seen).toHaveLength(1);
    await clock.advance(2_999);
    expect(seen).toHaveLength(1);
    await clock.advance(1);
    expect(seen).toHaveLength(2);
  });

  test("is never longer than one message of the account", async () => {
    const { seen, writes, clock } = open({ rules: { charsMax: 1_000 }, settings: { textChunkLimit: 100 } });
    writes("word ".repeat(50));
    await clock.advance(1_000);
    expect(seen.length).toBeGreaterThan(1);
    expect(Math.max(...seen.map((line) => line.length))).toBeLessThanOrEqual("e1:piece-0 ".length + 100);
  });
});

describe("a turn that is handled again", () => {
  const text = [one, two, three].join("\n\n");

  test("in the same process says what it said no more, and goes on behind it", async () => {
    const { clock, seen, begins, writes, ends, answers } = open();
    writes(`${one}\n\n${two}\n\n`);
    await clock.advance(1_000);
    expect(seen).toEqual([`e1:piece-0 ${one}`, `e1:piece-1 ${two}`]);
    begins();
    writes(one.slice(0, 12));
    await clock.advance(5_000);
    writes(text.slice(12));
    await clock.advance(5_000);
    ends({ status: "ok", text });
    await answers(text);
    expect(seen.slice(2)).toEqual([`answer ${three}`]);
  });

  test("in the next process likewise", async () => {
    const first = open();
    first.writes(`${one}\n\n${two}\n\n`);
    await first.clock.advance(1_000);
    const { clock, seen, writes, ends, answers } = open({ rows: first.rows });
    writes(text);
    await clock.advance(5_000);
    ends({ status: "ok", text });
    await answers(text);
    expect(seen).toEqual([`answer ${three}`]);
  });

  test("and writes something else says that from where it differs", async () => {
    const first = open();
    first.writes(`${one}\n\n${two}\n\n`);
    await first.clock.advance(1_000);
    const other = `${one}\n\nAnother two, another two.\n\n`;
    const second = open({ rows: first.rows });
    second.writes(other);
    await second.clock.advance(1_000);
    expect(second.seen).toEqual(["e1:piece-2 Another two, another two."]);
    // What is said now is what counts from here on.
    const third = open({ rows: first.rows });
    third.writes(`${other}${three}`);
    await third.clock.advance(1_000);
    third.ends({ status: "ok", text: `${other}${three}` });
    await third.answers(`${other}${three}`);
    expect(third.seen).toEqual([`answer ${three}`]);
  });

  test("sends again what may not have left, under its key, and first", async () => {
    const row = { number: 0, at: 0, said: `${one}\n\n`, text: one, atMs: 5, isSettled: false };
    const rows = new Map([[0, row]]);
    const { clock, seen, writes } = open({ rows });
    writes(`${one}\n\n${two}\n\n`);
    await clock.advance(1_000);
    expect(seen).toEqual([`e1:piece-0 again ${one}`, `e1:piece-1 ${two}`]);
    expect(rows.get(0)?.isSettled).toBe(true);
  });

  test("and has its answer already says what is left of that", async () => {
    const first = open();
    first.writes(`${one}\n\n${two}\n\n`);
    await first.clock.advance(1_000);
    const { seen, answers } = open({ rows: first.rows, rules: { byDefault: false } });
    await answers(text, 7);
    expect(seen).toEqual([`answer ${three}`]);
  });

  test("and has made room for another one says what is left of its answer", async () => {
    const { clock, seen, writes, ends, answers } = open();
    writes(`${one}\n\n${two}`);
    await clock.advance(1_000);
    ends({ status: "ok", text: `${one}\n\n${two}` });
    await clock.advance(0);
    for (let number = 0; number < limits.blockAnswersMax; number++) writes("x", { id: `other${number}` });
    await answers(`${one}\n\n${two}`);
    expect(seen).toEqual([`e1:piece-0 ${one}`, `answer ${two}`]);
  });
});

describe("what a channel does not take", () => {
  test("comes with the answer, and nothing else goes before that", async () => {
    const { clock, seen, rows, writes, ends, answers } = open({
      faults: [failure("CLOISTER_GATEWAY_UNREACHABLE", "no")],
    });
    const text = `${one}\n\n${two}\n\n`;
    writes(text);
    await clock.advance(5_000);
    ends({ status: "ok", text });
    await answers(text.trim());
    expect(seen).toEqual([`answer ${text.trim()}`]);
    expect(rows.get(0)).toMatchObject({ said: "", isSettled: true });
  });

  test("because the gateway ends is kept for the next process", async () => {
    const first = open({ faults: [failure("CLOISTER_THREAD_LOST", "the gateway ended")] });
    first.writes(`${one}\n\n${two}`);
    await first.clock.advance(1_000);
    expect(first.rows.get(0)?.isSettled).toBe(false);
    const { seen, answers } = open({ rows: first.rows });
    await answers(`${one}\n\n${two}`, 7);
    expect(seen).toEqual([`e1:piece-0 again ${one}`, `answer ${two}`]);
  });

  test("because the gateway ends keeps its answer too, also one that has nothing more to say", async () => {
    const lost = () => failure("CLOISTER_THREAD_LOST", "the gateway ended");
    const first = open({ faults: [lost(), lost()] });
    first.writes(one);
    first.calls();
    await first.clock.advance(1_000);
    first.ends({ status: "ok", text: one });
    await expect(first.answers(one)).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
    expect(first.seen).toEqual([]);
    expect(first.rows.get(0)?.isSettled).toBe(false);
    const { seen, answers } = open({ rows: first.rows });
    await answers(one, 7);
    expect(seen).toEqual([`e1:piece-0 again ${one}`]);
  });
});

describe("nothing goes in pieces", () => {
  test.each<[string, World, Partial<EnvelopeHeader>]>([
    ["where it is off", { rules: { byDefault: false } }, {}],
    ["on an account that says so", { settings: { inBlocks: false } }, {}],
    ["of what no person wrote for", {}, { from: { type: "operator", client: "cli" } }],
    ["of what leaves by no channel", {}, { replyRoute: { type: "none" } }],
    ["to an account that is not there", {}, { replyRoute: { ...route, accountId: "other" } }],
    ["of a session whose answers stay where they are", { withheld: true }, {}],
  ])("%s", async (_where, world, given) => {
    const { clock, seen, rows, writes } = open(world);
    writes(`${one}\n\n${two}\n\n${three}`, given);
    await clock.advance(10_000);
    expect(seen).toEqual([]);
    expect(rows.size).toBe(0);
  });

  test("beyond the bound on answers; one that has ended makes room", async () => {
    const { clock, seen, writes, ends } = open();
    for (let number = 0; number < limits.blockAnswersMax; number++) writes("x", { id: `other${number}` });
    writes(`${one}\n\n${two}`);
    await clock.advance(5_000);
    expect(seen).toEqual([]);
    ends({ status: "ok", text: "x" }, { id: "other7" });
    writes(`${one}\n\n${two}`);
    await clock.advance(5_000);
    expect(seen).toEqual([`e1:piece-0 ${one}`]);
  });

  test("on an account that says yes where it is off for the others", async () => {
    const { clock, seen, writes } = open({ rules: { byDefault: false }, settings: { inBlocks: true } });
    writes(`${one}\n\n${two}`);
    await clock.advance(1_000);
    expect(seen).toEqual([`e1:piece-0 ${one}`]);
  });
});
