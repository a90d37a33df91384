import { expect, test } from "vitest";
import { makeEnvelopeIds } from "../../../runtime/supervisor/envelope-ids.ts";

test("ids sort in the order of acceptance, also within a millisecond and when the clock is set back", () => {
  const newId = makeEnvelopeIds(() => "01234567-89ab-cdef-0123-456789abcdef");
  const times = [1_000, 1_000, 1_001, 900, 900, 1_795_202_183_058, 1_795_202_183_058];
  const ids = [...times.map(newId), ...Array.from({ length: 2_000 }, () => newId(1_795_202_183_058))];
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
});

test("two processes do not make the same id", () => {
  const [one, other] = ["11111111-0000", "22222222-0000"].map((uuid) => makeEnvelopeIds(() => uuid)(5));
  expect(one).not.toBe(other);
});
