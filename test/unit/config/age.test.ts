/** Ages in the configuration, and what `session.maintenance` becomes. */
import { expect, test } from "vitest";
import { parseAge } from "../../../runtime/config/age.ts";
import { configSchema } from "../../../runtime/config/schema.ts";

const hour = 3_600_000;

test.each([
  ["30d", 720 * hour],
  [" 12 H ", 12 * hour],
  ["4w", 672 * hour],
  [7, 168 * hour],
  ["36500d", 876_000 * hour],
])("%j is an age", (value, ms) => {
  expect(parseAge(value)).toBe(ms);
});

test.each(["", "30", "0d", "1.5d", "30m", "-1d", "36501d", "d", 0, -3, 1.5, 1e21])("%j is none", (value) => {
  expect(parseAge(value)).toBeUndefined();
});

test("sessions are bounded by default, and a bad age is refused with what it may be", () => {
  expect(configSchema.parse({}).session.maintenance).toEqual({
    mode: "enforce",
    pruneAfter: 720 * hour,
    maxEntries: 5_000,
    maxDiskBytes: 10 * 2 ** 30,
    highWaterBytes: "80%",
  });
  const { error } = configSchema.safeParse({ session: { maintenance: { pruneAfter: "soon" } } });
  expect(error?.issues).toMatchObject([
    { path: ["session", "maintenance", "pruneAfter"], message: expect.stringContaining('such as "30d"') },
  ]);
  const sizes = { maxDiskBytes: "1gb", highWaterBytes: "2gb" };
  expect(configSchema.safeParse({ session: { maintenance: sizes } }).error?.issues).toMatchObject([
    { path: ["session", "maintenance", "highWaterBytes"], message: expect.stringContaining("not above maxDiskBytes") },
  ]);
  expect(configSchema.safeParse({ session: { maintenance: { maxDiskBytes: "much" } } }).error?.issues).toMatchObject([
    { path: ["session", "maintenance", "maxDiskBytes"] },
  ]);
});
