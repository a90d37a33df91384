/** Against a `Map`: what is added and removed by numbers that only grow, also where two want one place. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Numbered } from "../../../runtime/thread/cell/numbered.ts";

it("holds what a map holds, whatever stays for longer than the others", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(20)), { maxLength: 200 }), (steps) => {
      const numbered = new Numbered<{ readonly number: number }>(4);
      const wanted = new Map<number, { readonly number: number }>();
      let next = 0;
      for (const [what, back] of steps) {
        if (what > 0) {
          next += what;
          const value = { number: next };
          numbered.add(next, value);
          wanted.set(next, value);
        } else {
          numbered.delete(next - back);
          wanted.delete(next - back);
        }
        expect(numbered.size).toBe(wanted.size);
        for (let number = 0; number <= next; number++) expect(numbered.get(number)).toBe(wanted.get(number));
      }
    }),
  );
});
