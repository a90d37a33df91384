/** The pool of readers with its real threads. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { formatHistory } from "../../runtime/readers/history-view.ts";
import { makeReaders, type Readers } from "../../runtime/readers/readers.ts";
import type { HistoryPage } from "../../runtime/store/port.ts";
import { actor } from "../support/actors.ts";
import { openGateway } from "../support/gateway.ts";

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

test("the gateway's own thread does no more for a hostile transcript than for a plain one", async () => {
  const gateway = await openGateway(
    [
      { id: "main", ...actor("tool-user") },
      { id: "raul", module: "echo" },
    ],
    { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" },
  );
  const chars = 480_000;
  const pieces = { plain: "words and ", hostile: "<thi<think>x</think>nk>" };
  /** Microseconds of CPU of this thread, which is the gateway's main one. */
  const spent = async (work: () => unknown): Promise<number> => {
    const before = process.threadCpuUsage();
    await work();
    const { user, system } = process.threadCpuUsage(before);
    return user + system;
  };
  const costs: Record<string, number> = {};
  for (const [name, piece] of Object.entries(pieces)) {
    const sessionKey = `agent:raul:${name}`;
    const text = piece.repeat(chars / piece.length);
    await gateway.reply("raul", text, sessionKey);
    const read = () => gateway.reply("main", JSON.stringify({ tool: "sessions_history", params: { sessionKey } }));
    expect(JSON.parse(await read())["messages"]).toHaveLength(name === "plain" ? 2 : 1);
    costs[name] = Math.min(await spent(read), await spent(read), await spent(read));
    const page = await gateway.store.history("raul", sessionKey, 2, 0);
    costs[`${name} here`] = await spent(() => formatHistory(page, options));
  }
  const more = (one: string, other: string): number => (costs[one] ?? 0) - (costs[other] ?? 0);
  // What cleaning it takes more, where it is done, and none of it there.
  expect(more("hostile", "plain"), JSON.stringify(costs)).toBeLessThan(more("hostile here", "plain here") / 2);
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
