import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isValidAgentId, normalizeAccountId, normalizeAgentId } from "../../../runtime/routing/ids.ts";

describe("agent and account ids", () => {
  it.each([
    ["main", "main"],
    ["  Work ", "work"],
    ["raul_2-x", "raul_2-x"],
    ["Jürgen's bot!!", "j-rgen-s-bot"],
    ["--a--", "a"],
    ["__a", "a"],
    ["", "main"],
    ["???", "main"],
    [undefined, "main"],
    ["x".repeat(70), "x".repeat(64)],
  ])("agent id %j becomes %j", (text, id) => {
    expect(normalizeAgentId(text)).toBe(id);
  });

  it("an empty account id is the default account", () => {
    expect([
      normalizeAccountId(undefined),
      normalizeAccountId(" "),
      normalizeAccountId("*"),
      normalizeAccountId("Biz"),
    ]).toEqual(["default", "default", "default", "biz"]);
  });

  it.each(["main", "Main", " main ", "0", "a".repeat(64)])("%j is a valid id", (text) => {
    expect(isValidAgentId(text)).toBe(true);
  });

  it.each(["", "-a", "_a", "a b", "agent not found: x", "a:b", "ä", "a".repeat(65)])(
    "%j is refused and not repaired",
    (text) => {
      expect(isValidAgentId(text)).toBe(false);
    },
  );

  it("repairing any text gives a valid id, and repairing that changes nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
        const id = normalizeAgentId(text);
        return isValidAgentId(id) && normalizeAgentId(id) === id && id === id.toLowerCase();
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });
});
