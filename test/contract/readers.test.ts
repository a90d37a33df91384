/** The pool of readers with its real threads. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { makeReaders, type Readers } from "../../runtime/readers/readers.ts";
import type { HistoryPage } from "../../runtime/store/port.ts";

const pageOf = (text: string): HistoryPage => ({
  sessionId: "s",
  rows: [{ seq: 0, envelopeId: "e0", role: "assistant", text, atMs: 1, isUser: false }],
  total: 1,
});
const options = { offset: 0, includeTools: false, framed: false };

let readers: Readers;
beforeEach(() => {
  readers = makeReaders();
});
afterEach(() => readers.close());

test("cleans in threads of its own: the caller's loop goes on meanwhile", async () => {
  const pages = Array.from({ length: 4 }, () => pageOf(`Done${"<thi<think>x</think>nk>".repeat(100_000)}`));
  let turns = 0;
  let isDone = false;
  const loop = (): void => {
    turns++;
    if (!isDone) setImmediate(loop);
  };
  setImmediate(loop);
  const shown = await Promise.all(pages.map((page) => readers.history(page, options)));
  isDone = true;
  expect(shown.map((view) => view.messages.map(({ content }) => content[0].text))).toEqual(pages.map(() => ["Done"]));
  expect(turns).toBeGreaterThan(100);
});

test("beyond the bound of waiting requests it is busy, and goes on", async () => {
  const waiting = Array.from({ length: limits.readerQueueMax }, () => readers.history(pageOf("hi"), options));
  await expect(readers.history(pageOf("hi"), options)).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
  await Promise.all(waiting);
  expect(readers.pending).toBe(0);
  expect((await readers.history(pageOf("again"), options)).messages).toHaveLength(1);
});

test("closed, it refuses; what is under way settles", async () => {
  const under = readers.history(pageOf("hi"), options).then(
    () => "settled",
    (error: unknown) => (error as { code: string }).code,
  );
  await readers.close();
  expect(["settled", "CLOISTER_THREAD_LOST"]).toContain(await under);
  await expect(readers.history(pageOf("hi"), options)).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
});
