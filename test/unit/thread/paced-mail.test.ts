/** Mail to a cell that is a process: no faster than it reads, in order, and not without end. */
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makePacedMail } from "../../../runtime/thread/paced-mail.ts";

/** Takes one piece after the other, each when the test says so. */
function socketOf() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const socket = new Writable({
    highWaterMark: 16,
    write(piece: Buffer, _encoding, done) {
      taken.push(/[abc]/.exec(piece.toString("latin1"))?.[0] ?? "");
      waiting.push(done);
    },
  });
  return { socket, taken, take: () => waiting.shift()?.() };
}

function open() {
  const told: number[] = [];
  const mail = makePacedMail((chars) => void told.push(chars));
  return { mail, told };
}

test("what the socket does not take yet waits, and comes in order when it is read", async () => {
  const { mail, told } = open();
  const { socket, taken, take } = socketOf();
  const text = "x".repeat(limits.cellSocketAheadBytes);
  for (const name of ["a", "b", "c"]) mail.send(1, [1, `${name}${text}`]);
  expect(socket.writableLength).toBe(0);
  mail.attach(socket);
  for (const seen of ["a", "ab", "abc"]) {
    await expect.poll(() => taken.join("")).toBe(seen);
    // One alone is more than is given ahead: the others are not turned into bytes before it is read.
    expect(socket.writableLength).toBeLessThan(2 * limits.cellSocketAheadBytes);
    take();
  }
  expect(told).toEqual([]);
});

test("more than the bound is told of, once it waits", () => {
  const { mail, told } = open();
  const half = "x".repeat(limits.cellMailWaitingCharsMax / 2);
  for (const text of [half, half]) mail.send(1, [1, text]);
  expect(told).toEqual([]);
  mail.send(1, [1, "x"]);
  expect(told).toEqual([limits.cellMailWaitingCharsMax + 1]);
});
