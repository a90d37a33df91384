/** The pieces of an answer as they are told to a client of the Agent2Agent protocol, and the order of what one stream tells. */
import { describe, expect, test } from "vitest";
import { makeAnswerChunks } from "../../../../runtime/edge/programs/a2a/answer-chunks.ts";
import { makeEventQueue } from "../../../../runtime/thread/event-queue.ts";

function chunks() {
  const told: string[] = [];
  /** The artifact as a client has it. */
  let artifact = "";
  const answer = makeAnswerChunks(({ text, append, isLast }) => {
    artifact = append ? artifact + text : text;
    told.push(`${append ? "+" : "="}${text}${isLast ? "." : ""}`);
  });
  const say = (seq: number, deltaText: string) => answer.take({ state: "delta", seq, deltaText });
  return { told, answer, say, artifact: () => artifact };
}

describe("the answer of a task", () => {
  test("is told as it comes, and not again at the end", () => {
    const { told, answer, say } = chunks();
    say(1, "one ");
    answer.take({ state: "delta", seq: 2 });
    say(3, "two");
    answer.take({ state: "final", seq: 4 });
    answer.finish("one two");
    expect(told).toEqual(["=one ", "+two"]);
  });

  test("has what was not streamed at the end", () => {
    const { told, answer, say } = chunks();
    say(1, "one ");
    answer.finish("one two");
    expect(told).toEqual(["=one ", "+two."]);
    const all = chunks();
    all.answer.finish("all");
    all.answer.finish("");
    expect(all.told).toEqual(["=all."]);
  });

  test("begins anew with a turn that does, and where it is another one than was streamed", () => {
    const { told, answer, say, artifact } = chunks();
    say(1, "one ");
    say(1, "uno ");
    say(2, "dos");
    answer.finish("three");
    expect(told).toEqual(["=one ", "=uno ", "+dos", "=three."]);
    expect(artifact()).toBe("three");
  });

  test("is told whole at the end to who came in the middle", () => {
    const { told, answer, say } = chunks();
    say(5, "two");
    answer.finish("one two");
    expect(told).toEqual(["=one two."]);
  });
});

describe("the order of a stream", () => {
  const read = async (outbox: AsyncIterable<number>): Promise<readonly unknown[]> => {
    const found: unknown[] = [];
    try {
      for await (const item of outbox) found.push(item);
    } catch (error) {
      found.push(error);
    }
    return found;
  };

  test("gives what is pushed before and while it is read, in order, to its end", async () => {
    const outbox = makeEventQueue<number>();
    outbox.push(1);
    const found = read(outbox);
    await Promise.resolve();
    outbox.push(2);
    await Promise.resolve();
    outbox.push(3);
    outbox.end();
    outbox.push(4);
    expect(await found).toEqual([1, 2, 3]);
  });

  test("gives an error behind what came before it, and only the first", async () => {
    const outbox = makeEventQueue<number>();
    outbox.push(1);
    outbox.end("first");
    outbox.end("second");
    expect(await read(outbox)).toEqual([1, "first"]);
  });
});
