/** Typed calls between trusted threads: batched, coded errors, and every call settles. */
import { MessageChannel } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { connectCalls } from "../../../runtime/thread/calls.ts";

interface Remote {
  add(a: number, b: number): Promise<number>;
  fail(code: string): Promise<void>;
  never(): Promise<void>;
  note(text: string): Promise<void>;
}

const ports: { close(): void }[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

function pair() {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const frames: unknown[] = [];
  const answers: unknown[] = [];
  const notes: string[] = [];
  const failed: unknown[] = [];
  port1.on("message", (frame) => answers.push(frame));
  port2.on("message", (frame) => frames.push(frame));
  connectCalls(port2, {
    add: (a: number, b: number) => a + b,
    fail: () => {
      throw failure("CLOISTER_MAILBOX_FULL", "it is full", "wait");
    },
    never: () => new Promise(() => {}),
    note: async (text: string) => {
      if (text === "bad") throw failure("CLOISTER_MAILBOX_FULL", "it is full");
      notes.push(text);
    },
  });
  const connection = connectCalls<Remote>(port1, {}, (error) => failed.push(error));
  return { port1, port2, frames, answers, notes, failed, ...connection };
}

test("calls of one turn travel in one message and come back in their places", async () => {
  const { remote, frames } = pair();
  expect(await Promise.all(Array.from({ length: 100 }, (_, n) => remote.add(n, 1)))).toEqual(
    Array.from({ length: 100 }, (_, n) => n + 1),
  );
  expect(frames).toHaveLength(1);
});

test("what follows from a call without waiting for another thread travels in the same message", async () => {
  const { remote, frames } = pair();
  await Promise.all(
    [1, 2, 3].map(async (steps) => {
      for (let step = 0; step < steps; step++) await Promise.resolve();
      return remote.add(steps, 1);
    }),
  );
  expect(frames).toHaveLength(1);
});

test("what several events of one round of the loop call travels in one message, and is taken event by event", async () => {
  const order: string[] = [];
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const frames: unknown[] = [];
  port2.on("message", (frame) => frames.push(frame));
  connectCalls(port2, {
    async note(text: string) {
      order.push(`${text} begins`);
      for (let step = 0; step < 5; step++) await Promise.resolve();
      order.push(`${text} ends`);
    },
  });
  const { remote } = connectCalls<Remote>(port1, {});
  const called: Promise<void>[] = [];
  const call = (text: string) => () => void called.push(remote.note(text));
  // Three events between two messages of the loop.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      for (const text of ["first", "second", "third"]) setImmediate(call(text));
      setImmediate(resolve);
    });
  });
  await Promise.all(called);
  expect(frames).toHaveLength(1);
  expect(order).toEqual(["first", "second", "third"].flatMap((text) => [`${text} begins`, `${text} ends`]));
});

test("a round of very many events sends what it has in between", async () => {
  const { remote, frames } = pair();
  const called: Promise<number>[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      for (let n = 0; n < 2 * limits.callEventsMax; n++) setImmediate(() => void called.push(remote.add(n, 1)));
      setImmediate(resolve);
    });
  });
  await Promise.all(called);
  expect(frames).toHaveLength(2);
});

test("an answer is heard of before what its side calls later, when both travel in one message", async () => {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const order: string[] = [];
  const here = connectCalls<Remote>(port1, { stop: () => void order.push("stopped") });
  const there = connectCalls<{ stop(): Promise<void> }>(port2, {
    never: async () => {
      setImmediate(() => void there.remote.stop());
    },
  });
  await here.remote.never().then(async () => {
    for (let step = 0; step < 5; step++) await Promise.resolve();
    order.push("answered");
  });
  await expect.poll(() => order).toEqual(["answered", "stopped"]);
});

test("what is told arrives in its place among the calls, and is not answered", async () => {
  const { remote, tell, frames, answers, notes } = pair();
  tell.note("first");
  const called = remote.note("second");
  tell.note("third");
  await called;
  expect(frames).toHaveLength(1);
  expect(notes).toEqual(["first", "second", "third"]);
  tell.note("fourth");
  expect(await remote.add(1, 1)).toBe(2);
  expect(notes.at(-1)).toBe("fourth");
  // Those of the two calls, and no other.
  expect(answers).toEqual([[{ calls: [], answers: [[1, true, undefined]] }], [{ calls: [], answers: [[2, true, 2]] }]]);
});

test("what is told and throws there is heard of", async () => {
  const { remote, tell, failed } = pair();
  tell.note("bad");
  (tell as unknown as { nothing(): void }).nothing();
  await remote.add(1, 1);
  expect(failed).toMatchObject([{ code: "CLOISTER_INTERNAL" }, { code: "CLOISTER_MAILBOX_FULL" }]);
});

test("errors keep their code and remedy", async () => {
  const { remote } = pair();
  await expect(remote.fail("x")).rejects.toMatchObject({
    code: "CLOISTER_MAILBOX_FULL",
    message: "it is full",
    remedy: "wait",
  });
});

test("a method that is not there is an error, not silence", async () => {
  const { remote } = pair();
  await expect((remote as unknown as { nothing(): Promise<void> }).nothing()).rejects.toMatchObject({
    code: "CLOISTER_INTERNAL",
  });
});

test("pending calls settle when the other side closes, and later ones at once", async () => {
  const { remote, tell, port2 } = pair();
  const pending = remote.never();
  await remote.add(1, 1);
  port2.close();
  await expect(pending).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  await expect(remote.add(1, 1)).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  tell.note("to nobody");
});
