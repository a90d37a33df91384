/** What waits for all slow readers together stays below its bound, and those that hold the most are cut off first. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeSendBudget } from "../../../runtime/edge/send-budget.ts";

function open(bytesMax: number, count: number) {
  const cut: number[] = [];
  let asked = 0;
  const readers = Array.from({ length: count }, (_, at) => ({
    at,
    buffered: 0,
    cutOff: () => void (cut.push(at), connected.delete(at)),
  }));
  const connected = new Map(readers.map((reader) => [reader.at, reader]));
  const budget = makeSendBudget(bytesMax, () => {
    asked += 1;
    return connected.values();
  });
  return {
    cut,
    asked: () => asked,
    held: () => [...connected.values()].reduce((sum, { buffered }) => sum + buffered, 0),
    send: (at: number, bytes: number) => {
      const reader = connected.get(at);
      if (reader === undefined) return;
      reader.buffered += bytes;
      budget.grew(bytes);
    },
    reads: (at: number) => {
      const reader = connected.get(at);
      if (reader !== undefined) reader.buffered = 0;
    },
  };
}

test("thousands that do not read stay below the bound, and all of them are seldom asked", () => {
  const bytesMax = 64_000_000;
  const { send, held, asked, cut } = open(bytesMax, 12_000);
  let most = 0;
  for (let round = 0; round < 20; round += 1)
    for (let at = 0; at < 12_000; at += 1) {
      send(at, 1_000);
      if (at % 500 === 0) most = Math.max(most, held());
    }
  expect(most).toBeGreaterThan(bytesMax / 2);
  expect(most).toBeLessThanOrEqual(bytesMax * (1 + 1 / 64));
  expect(cut.length).toBeGreaterThan(0);
  expect(asked()).toBeLessThan(100);
});

test("the worst are cut off first, down to three quarters; who reads in time never is", () => {
  const { send, reads, held, cut } = open(1_000, 6);
  send(0, 100);
  send(1, 400);
  send(2, 300);
  for (let round = 0; round < 1_000; round += 1) {
    send(3, 100);
    reads(3);
  }
  expect(cut).toEqual([]);
  send(4, 250);
  expect(cut).toEqual([1]);
  expect(held()).toBe(650);
});

test("whoever sends and reads whatever, what is held is never more than a 64th and one frame above the bound", () => {
  const step = fc.record({ at: fc.nat(7), bytes: fc.nat(300), isRead: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const { send, reads, held } = open(1_000, 8);
      for (const { at, bytes, isRead } of steps) {
        if (isRead) reads(at);
        else send(at, bytes);
        expect(held()).toBeLessThanOrEqual(1_000 * (1 + 1 / 64));
      }
    }),
  );
});
