/** Keys that are remembered are judged as if they were parsed each time, however many there are. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeIsCanonicalKey, parseSessionKey } from "../../../runtime/routing/index.ts";

const parsedAnew = (key: string): boolean => {
  const parsed = parseSessionKey(key);
  return parsed.shape === "agent" && parsed.key === key;
};

test("a key that is remembered, forgotten or wrong is judged as by parsing it", () => {
  const part = fc.constantFrom("main", "Main", "raul", "s1", "s2", "", " ", "slack", "group", "a b", "ä");
  const key = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => ["agent", ...parts].join(":"));
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (keys, keptMax) => {
      const isCanonical = makeIsCanonicalKey(keptMax);
      for (const one of [...keys, ...keys]) expect([one, isCanonical(one)]).toEqual([one, parsedAnew(one)]);
    }),
  );
  expect(parsedAnew("agent:main:s1")).toBe(true);
  expect(makeIsCanonicalKey(1)("agent:Main:s1")).toBe(false);
});
