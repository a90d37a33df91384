/** What somebody is told of parameters that are not valid. */
import { expect, it } from "vitest";
import { z } from "zod";
import { formatIssues } from "../../../runtime/edge/issues.ts";

const params = z.object({ everyMs: z.int().min(60_000), limit: z.int().max(500), kind: z.enum(["at", "every"]) });

it("each field is named with what was found and what was wanted", () => {
  const { error } = params.safeParse({ everyMs: 1_000, limit: 501, kind: "never" }, { reportInput: true });
  expect(error && formatIssues(error)).toBe(
    'everyMs: found 1000, wanted 60000 or more; limit: found 501, wanted 500 or less; kind: found "never", expected one of "at"|"every"',
  );
});
