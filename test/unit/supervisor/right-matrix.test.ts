import * as fc from "fast-check";
import { expect, it } from "vitest";
import { type Grant, judgePair, type Policy } from "../../../auth/policy.ts";
import { grantVerbs } from "../../../runtime/kernel/envelope.ts";
import { makeRightMatrix } from "../../../runtime/supervisor/right-matrix.ts";

const agents = ["ana", "bob", "main", "raul"];
const pattern = fc.constantFrom(...agents, "*", "r*");
const grants: fc.Arbitrary<Grant[]> = fc.array(
  fc.record({ from: pattern, to: pattern, verbs: fc.uniqueArray(fc.constantFrom(...grantVerbs), { minLength: 1 }) }),
  { maxLength: 4 },
);
const policies: fc.Arbitrary<Policy> = fc.record({
  visibility: fc.constantFrom("self", "tree", "agent", "all"),
  agentToAgent: fc.record({ enabled: fc.boolean(), allow: fc.uniqueArray(pattern), grants }),
  operator: grants.map((rows) => rows.map((row, index) => ({ ...row, id: `g-${index}` }))),
  sessionToolsVisibility: fc.constant("all"),
});

it("each bit of the matrix is what the function that enforces says of that pair and verb", async () => {
  await fc.assert(
    fc.asyncProperty(policies, async (policy) => {
      const { rows, verbs } = await makeRightMatrix(policy, agents);
      expect(rows).toHaveLength(agents.length);
      for (const [row, from] of agents.entries())
        for (const [column, to] of agents.entries())
          for (const [place, verb] of verbs.entries()) {
            const bit = ((rows[row]?.[column] ?? 0) & (1 << place)) !== 0;
            expect(bit, `${from} ${verb} ${to}`).toBe(from !== to && judgePair(policy, from, to, verb).allowed);
          }
    }),
    { numRuns: 50 },
  );
});
