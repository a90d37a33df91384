/** The methods about commands that agents want to run and an operator has to allow. */
import { z } from "zod";

export const approvalMethods = {
  "exec.approval.list": { scope: "operator.approvals", params: z.object({}) },
  "exec.approval.resolve": {
    scope: "operator.approvals",
    params: z.object({
      id: z.string().trim().min(1).max(256),
      decision: z.enum(["allow-once", "deny"], {
        error: 'expected "allow-once" or "deny"; what is to be allowed always belongs into tools.exec.allow',
      }),
    }),
  },
} as const;
