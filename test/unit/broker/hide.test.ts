/** Credentials in what providers say. */
import { describe, expect, it } from "vitest";
import { hideSecrets } from "../../../runtime/broker/hide.ts";

const key = "sk-canary-0123456789";

describe("a message of a provider", () => {
  it.each([
    ["in the middle", `the key ${key} is wrong`, "the key [redacted] is wrong"],
    ["across the place where it is cut", `${"x".repeat(1_990)}${key}`, `${"x".repeat(1_990)}[redacted]`],
    ["as an address has it", `?key=${encodeURIComponent("a/b+c d")}`, "?key=[redacted]"],
  ])("with a key %s has none any more", (_where, text, clean) => {
    expect(hideSecrets(text, [key, "a/b+c d"])).toBe(clean);
  });

  it("keeps no end of a key that begins with another, and no key of a header with a word before it", () => {
    expect(hideSecrets(`${key}-long`, [key, `${key}-long`])).toBe("[redacted]");
    expect(hideSecrets(`Bearer is no secret, ${key} is`, [`Bearer ${key}`])).toBe("Bearer is no secret, [redacted] is");
  });

  it("is cut, and keeps what is too short to be a key", () => {
    expect(hideSecrets("y".repeat(5_000), ["y"])).toBe("y".repeat(2_000));
  });
});
