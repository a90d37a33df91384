/** Texts on their way to a platform: order, attempts, pauses, and what becomes of those that cannot be sent. */
import { expect, test } from "vitest";
import type { AttemptResult } from "../../../../runtime/channels/port.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { makeOutbox } from "../../../../runtime/supervisor/channels/outbox.ts";
import { makeKeptLog, outbound } from "../../../support/channels.ts";
import { makeVirtualClock, settle } from "../../../support/virtual-clock.ts";

const failed = (changes: Partial<Extract<AttemptResult, { status: "failed" }>> = {}): AttemptResult => ({
  status: "failed",
  reason: "no luck",
  retry: true,
  partsSent: 0,
  ...changes,
});
const offline = failed({ offline: true });

function openOutbox(answers: readonly AttemptResult[], dedupesSendsMs = 0) {
  const clock = makeVirtualClock();
  const { log, lines } = makeKeptLog();
  const attempts: { readonly text: string; readonly fromPart: number; readonly atMs: number }[] = [];
  const startedAtMs = clock.nowMs();
  const left = [...answers];
  const repeated: string[] = [];
  const outbox = makeOutbox({
    onRepeat: ({ idempotencyKey }) => void repeated.push(idempotencyKey),
    attempt: async ({ text }, fromPart) => {
      attempts.push({ text, fromPart, atMs: clock.nowMs() - startedAtMs });
      return left.shift() ?? { status: "sent", platformMessageId: text };
    },
    dedupesSendsMs,
    clock,
    log,
  });
  return { outbox, clock, lines, attempts, repeated };
}

test("texts of one peer are sent one after the other, and those of others do not wait", async () => {
  const { outbox, clock, attempts } = openOutbox([failed()]);
  const other = { kind: "direct", id: "8" } as const;
  const sent = ["a", "b"].map((text) => outbox.send(outbound({ text })));
  sent.push(outbox.send(outbound({ text: "x", peer: other })));
  await settle();
  expect(attempts.map(({ text }) => text)).toEqual(["a", "x"]);
  await clock.advance(1_000);
  expect(await Promise.all(sent)).toMatchObject([{ status: "sent" }, { status: "sent" }, { status: "sent" }]);
  expect(attempts.map(({ text }) => text)).toEqual(["a", "x", "a", "b"]);
  expect(outbox.size).toBe(0);
});

test("a text is tried three times with growing pauses, then it has failed with the platform's reason", async () => {
  const { outbox, clock, attempts } = openOutbox([
    failed(),
    failed(),
    failed({ reason: "still no luck", partsSent: 2 }),
  ]);
  const sent = outbox.send(outbound());
  await clock.advance(60_000);
  expect(await sent).toEqual({
    status: "failed",
    reason: "still no luck (2 parts of it have arrived)",
    retry: true,
  });
  expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 400, 1_200]);
});

test("what the platform refuses for good is not tried again", async () => {
  const { outbox, attempts } = openOutbox([failed({ retry: false })]);
  expect(await outbox.send(outbound())).toMatchObject({ status: "failed", retry: false });
  expect(attempts).toHaveLength(1);
});

test("the pause that the platform asks for is kept, however often it asks", async () => {
  const wait = failed({ retryAfterMs: 30_000 });
  const { outbox, clock, attempts } = openOutbox([wait, wait, wait, wait]);
  const sent = outbox.send(outbound());
  await clock.advance(120_000);
  expect(await sent).toMatchObject({ status: "sent" });
  expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 30_000, 60_000, 90_000, 120_000]);
});

test("a pause beyond the time that an answer may grow old holds up nobody for longer than that", async () => {
  const day = failed({ retryAfterMs: 86_400_000 });
  const { outbox, clock, attempts } = openOutbox([day]);
  const sent = ["a", "b"].map((text) => outbox.send(outbound({ text })));
  await clock.advance(limits.channelAnswerAgeMs + 1);
  expect(await Promise.all(sent)).toMatchObject([
    { status: "failed", reason: expect.stringMatching(/^it is stale/) },
    { status: "failed", reason: expect.stringMatching(/^it is stale/) },
  ]);
  expect(attempts.map(({ text }) => text)).toEqual(["a"]);
});

test("parts that have arrived are not sent again", async () => {
  const { outbox, clock, attempts } = openOutbox([failed({ partsSent: 3 })]);
  const sent = outbox.send(outbound());
  await clock.advance(400);
  await sent;
  expect(attempts.map(({ fromPart }) => fromPart)).toEqual([0, 3]);
});

test("a text waits for its account, and is sent as soon as that is online", async () => {
  const { outbox, clock, attempts } = openOutbox([offline, offline]);
  const sent = outbox.send(outbound());
  await clock.advance(10_000);
  outbox.online("another");
  await settle();
  expect(attempts).toHaveLength(1);
  outbox.online("default");
  await settle();
  expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 10_000]);
  outbox.online("default");
  expect(await sent).toMatchObject({ status: "sent" });
});

test("an answer that could not be sent for an hour is stale, and fails with its age", async () => {
  const { outbox, clock } = openOutbox(Array.from({ length: 500 }, () => offline));
  const sent = outbox.send(outbound());
  await clock.advance(limits.channelAnswerAgeMs + limits.channelAttemptBackoffMsMax);
  expect(await sent).toEqual({
    status: "failed",
    reason: expect.stringMatching(/^it is stale: .* 36\d\d s ago$/),
    retry: false,
  });
});

test("an answer of an earlier process counts from when it was written", async () => {
  const { outbox, clock, attempts } = openOutbox([]);
  const old = clock.nowMs() - limits.channelAnswerAgeMs - 1;
  expect(await outbox.send(outbound(), old)).toMatchObject({ status: "failed", retry: false });
  expect(attempts).toEqual([]);
});

test("what may have arrived already is told as a possible duplicate, unless the platform still knows its key", async () => {
  for (const dedupesMs of [0, 60_000]) {
    const repeated = openOutbox([failed({ mayHaveArrived: true })], dedupesMs);
    const sent = repeated.outbox.send(outbound());
    await repeated.clock.advance(400);
    await sent;
    const left = openOutbox([], dedupesMs);
    await left.outbox.send(outbound(), left.clock.nowMs());
    for (const { lines, outbox, repeated: keys } of [repeated, left]) {
      expect([outbox.repeats, keys.length]).toEqual(dedupesMs === 0 ? [1, 1] : [0, 0]);
      expect(lines.filter(({ message }) => message.startsWith("possible duplicate"))).toHaveLength(
        dedupesMs === 0 ? 1 : 0,
      );
    }
    const late = openOutbox([], dedupesMs);
    await late.outbox.send(outbound(), late.clock.nowMs() - 60_000);
    expect(late.lines).toMatchObject([{ message: expect.stringMatching(/^possible duplicate/) }]);
  }
  const once = openOutbox([failed()]);
  const sent = once.outbox.send(outbound());
  await once.clock.advance(400);
  await sent;
  expect(once.lines).toEqual([]);
});

test("the end of the gateway leaves what waits to the next process", async () => {
  const { outbox, attempts } = openOutbox([offline]);
  const waits = outbox.send(outbound({ text: "a" }));
  const behind = outbox.send(outbound({ text: "b" }));
  await settle();
  outbox.close();
  await expect(waits).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  await expect(behind).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  expect(attempts).toHaveLength(1);
});

test("beyond its bound a text is refused at once", async () => {
  const { outbox } = openOutbox(Array.from({ length: limits.channelOutboxMax + 1 }, () => offline));
  const waiting = Array.from({ length: limits.channelOutboxMax }, (_, n) =>
    outbox.send(outbound({ peer: { kind: "direct", id: String(n) } })),
  );
  expect(await outbox.send(outbound())).toEqual({
    status: "failed",
    reason: "10000 texts wait in this channel; the bound is reached",
    retry: true,
  });
  outbox.close();
  await Promise.allSettled(waiting);
});

test("what is worth nothing later is tried once, and not at all while other texts wait for its peer", async () => {
  const { outbox, clock, attempts } = openOutbox([failed({ retryAfterMs: 900 }), failed()]);
  expect(await outbox.sendOnce(outbound({ text: "a" }))).toMatchObject({ status: "failed", retryAfterMs: 900 });
  const sent = outbox.send(outbound({ text: "b" }));
  expect(await outbox.sendOnce(outbound({ text: "c" }))).toMatchObject({ status: "failed" });
  await clock.advance(1_000);
  expect(await sent).toMatchObject({ status: "sent" });
  expect(await outbox.sendOnce(outbound({ text: "d" }))).toMatchObject({ status: "sent", platformMessageId: "d" });
  expect(attempts.map(({ text }) => text)).toEqual(["a", "b", "b", "d"]);
  expect(outbox.size).toBe(0);
});
