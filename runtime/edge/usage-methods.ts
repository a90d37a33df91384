/** The methods about what models took. The peer's words; what they come to is in `runtime/supervisor/usage-methods.ts`. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";
import { id } from "./param-forms.ts";

/** Days are of UTC, and both ends are included. Without a start: so many days up to the end, which is today. */
const period = {
  startDate: z.iso.date().exactOptional(),
  endDate: z.iso.date().exactOptional(),
  days: z.int().min(1).max(limits.usageDaysKept).exactOptional(),
  agentId: id.exactOptional(),
};

export const usageMethods = {
  "usage.cost": { scope: "operator.read", params: z.object(period) },
  "sessions.usage": {
    scope: "operator.read",
    params: z.object({
      ...period,
      key: z.string().trim().min(1).max(1_024).exactOptional(),
      limit: z.int().min(1).exactOptional(),
    }),
  },
} as const;
