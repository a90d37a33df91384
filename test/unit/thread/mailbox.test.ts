/** The cell's end of the mailbox protocol: what travels together, in which order, and what a stop does to what has arrived. */
import { describe, expect, it } from "vitest";
import { down, up, upStride } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { controlBlock } from "../../../runtime/thread/cell-port.ts";
import { type AskRecord, type Delivery, makeMailbox } from "../../../runtime/thread/cell/mailbox.ts";

const incarnation = 3;
const asks = (b: string, credit = false): AskRecord => ({
  op: up.send,
  turn: 1,
  slot: 1,
  num: 0,
  a: "agent:raul:main",
  b,
  c: "text",
  credit,
});

function open() {
  const block = new Int32Array(new SharedArrayBuffer(controlBlock.words * Int32Array.BYTES_PER_ELEMENT));
  const frames: (readonly unknown[])[] = [];
  const delivered: Delivery[] = [];
  const mailbox = makeMailbox(
    incarnation,
    block,
    (frame) => void frames.push(frame),
    (delivery) => void delivered.push(delivery),
    () => undefined,
    () => undefined,
  );
  return { mailbox, frames, delivered, stop: () => Atomics.store(block, controlBlock.stop, 1) };
}

const deliver = (turn: number) => [
  down.deliver,
  1,
  turn,
  1,
  JSON.stringify({ id: `e${turn}` }),
  `body ${turn}`,
  `state ${turn}`,
];

describe("the mailbox of a cell", () => {
  it("sends what one event asks for as one frame, in order, and counts its frames", async () => {
    const { mailbox, frames } = open();
    mailbox.tell(up.log, 0, 30, "first");
    void mailbox.ask(asks("0"), "result");
    mailbox.tell(up.stream, 1, 0, "second");
    expect(frames).toEqual([]);
    await Promise.resolve();
    mailbox.tell(up.log, 0, 30, "third");
    await Promise.resolve();
    expect(frames).toEqual([
      [
        [incarnation, 1],
        [up.log, 0, 0, 0, 30, "first", "", ""],
        [up.send, 1, 1, 1, 0, "agent:raul:main", "0", "text"],
        [up.stream, 0, 1, 0, 0, "second", "", ""],
      ].flat(),
      [incarnation, 2, up.log, 0, 0, 0, 30, "third", "", ""],
    ]);
  });

  it("sends many questions in memory in smaller frames than other records", async () => {
    const { mailbox, frames } = open();
    const question: AskRecord = { ...asks("0"), op: up.sendVolatile };
    for (let sent = 0; sent < limits.frameQuestionsFlush + 1; sent++) void mailbox.ask(question, "result");
    expect(frames).toHaveLength(1);
    await Promise.resolve();
    expect(frames.map((frame) => (frame.length - 2) / upStride)).toEqual([limits.frameQuestionsFlush, 1]);
    for (let sent = 0; sent < limits.frameRecordsMax + 1; sent++) void mailbox.ask(asks("0"), "result");
    await Promise.resolve();
    expect(frames.slice(2).map((frame) => (frame.length - 2) / upStride)).toEqual([limits.frameRecordsMax, 1]);
  });

  it("lets what need not leave at once go before the next record", async () => {
    const { mailbox, frames } = open();
    mailbox.tellLater(up.tools, 1, 0);
    await Promise.resolve();
    expect(frames).toEqual([]);
    mailbox.tell(up.stream, 2, 0, "text");
    await Promise.resolve();
    expect(frames).toEqual([[incarnation, 1, up.tools, 0, 1, 0, 0, "", "", "", up.stream, 0, 2, 0, 0, "text", "", ""]]);
  });

  it("gives a turn the list of tools that came before its delivery, which may be that of before", () => {
    const { mailbox, delivered } = open();
    const tools = (turn: number, isKnown: 0 | 1, text: string) => [down.tools, 0, turn, isKnown, text, "", ""];
    mailbox.receive([
      incarnation,
      ...tools(1, 0, "[1]"),
      ...deliver(1),
      ...deliver(2),
      ...tools(3, 1, ""),
      ...deliver(3),
    ]);
    expect(delivered.map((each) => each.tools)).toEqual(["[1]", undefined, "[1]"]);
  });

  it("lets sends beyond its credits wait, first come first served", async () => {
    const { mailbox, frames } = open();
    const sent = (): readonly unknown[] =>
      frames
        .flatMap((frame) => frame.filter((_, at) => at >= 2 && (at - 2) % 8 === 6))
        .slice(limits.sendCreditsPerCell);
    for (let at = 0; at < limits.sendCreditsPerCell; at++) void mailbox.ask(asks(String(at), true), "stored");
    for (const b of ["one", "two", "three"]) void mailbox.ask(asks(b, true), "stored");
    await Promise.resolve();
    expect(sent()).toEqual([]);
    mailbox.receive([incarnation, down.stored, 1, 1, 0, "e1", "", "", down.stored, 2, 1, 0, "e2", "", ""]);
    await Promise.resolve();
    expect(sent()).toEqual(["one", "two"]);
    mailbox.receive([incarnation, down.result, 3, 1, 1, "ok", "", ""]);
    await Promise.resolve();
    expect(sent()).toEqual(["one", "two", "three"]);
  });

  it("delivers each record with its own fields, and nothing more once its cell is to stop", () => {
    const { mailbox, delivered, stop } = open();
    mailbox.receive([incarnation, ...deliver(1), down.deliver, 0, 2, 2, `{"id":"e2"}`, "body 2", ""]);
    stop();
    mailbox.receive([incarnation, ...deliver(3)]);
    expect(delivered).toEqual([
      { turn: 1, attempt: 1, header: { id: "e1" }, body: "body 1", state: "state 1", parts: [] },
      { turn: 2, attempt: 2, header: { id: "e2" }, body: "body 2", state: undefined, parts: [] },
    ]);
  });

  it("refuses a frame of another incarnation", () => {
    const { mailbox } = open();
    expect(() => mailbox.receive([incarnation + 1, ...deliver(1)])).toThrow("another incarnation");
  });
});
