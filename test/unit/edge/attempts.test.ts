import { describe, expect, it } from "vitest";
import { addressKey, makeAttempts } from "../../../runtime/edge/attempts.ts";

function setup(addressesMax = 100) {
  let at = 1_000_000;
  let rule = { failuresMax: 3, windowMs: 60_000, lockoutMs: 300_000 };
  const attempts = makeAttempts({ rule: () => rule, addressesMax, now: () => at });
  return {
    attempts,
    change: (changes: Partial<typeof rule>) => (rule = { ...rule, ...changes }),
    pass: (ms: number) => (at += ms),
    fail: (key: string, times: number) => range(times).forEach(() => attempts.failed(key)),
  };
}
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe("failed attempts", () => {
  it("lock an address out at the limit, for the whole lockout, and no other address", () => {
    const { attempts, pass, fail } = setup();
    fail("a", 2);
    expect(attempts.lockedMs("a")).toBe(0);
    fail("a", 1);
    expect(attempts.lockedMs("a")).toBe(300_000);
    expect(attempts.lockedMs("b")).toBe(0);
    pass(299_999);
    expect(attempts.lockedMs("a")).toBe(1);
    pass(1);
    expect(attempts.lockedMs("a")).toBe(0);
    fail("a", 2);
    expect(attempts.lockedMs("a")).toBe(0);
    fail("a", 1);
    expect(attempts.lockedMs("a")).toBe(300_000);
  });

  it("that were under way when the lockout began do not lengthen it", () => {
    const { attempts, pass, fail } = setup();
    fail("a", 3);
    pass(1_000);
    fail("a", 3);
    expect(attempts.lockedMs("a")).toBe(299_000);
  });

  it("are forgotten after a minute", () => {
    const { attempts, pass, fail } = setup();
    fail("a", 2);
    pass(60_000);
    fail("a", 2);
    expect(attempts.lockedMs("a")).toBe(0);
  });

  it("are judged by the rule as it is when they come, and a lockout stays as it began", () => {
    const { attempts, change, pass, fail } = setup();
    fail("a", 3);
    change({ failuresMax: 2, windowMs: 1_000, lockoutMs: 5_000 });
    expect(attempts.lockedMs("a")).toBe(300_000);
    fail("b", 1);
    pass(1_000);
    fail("b", 1);
    expect(attempts.lockedMs("b")).toBe(0);
    fail("b", 1);
    expect(attempts.lockedMs("b")).toBe(5_000);
  });

  it("are kept for a bounded number of addresses, the oldest going first", () => {
    const { attempts, fail } = setup(2);
    fail("a", 3);
    fail("b", 3);
    fail("c", 3);
    expect(attempts.lockedMs("a")).toBe(0);
    expect(attempts.lockedMs("b")).toBe(300_000);
    expect(attempts.lockedMs("c")).toBe(300_000);
  });
});

describe("the addresses that are remembered", () => {
  it("keep one that fails anew for longer than one that failed before it", () => {
    const { attempts, pass, fail } = setup(2);
    fail("a", 1);
    fail("b", 1);
    pass(60_000);
    fail("a", 3);
    fail("c", 1);
    expect(attempts.lockedMs("a")).toBe(300_000);
  });
});

describe("address key", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    [undefined, "unknown"],
  ])("%s → %s", (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});
