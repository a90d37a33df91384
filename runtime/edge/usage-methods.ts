/** The methods about what models took. The peer's words; what they come to is in `runtime/supervisor/usage-methods.ts`. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";
import { id } from "./param-forms.ts";

const key = z.string().trim().min(1).max(1_024);

/** Days are of UTC, and both ends are included. Without a start: so many days up to the end, which is today. */
const days = {
  startDate: z.iso.date().exactOptional(),
  endDate: z.iso.date().exactOptional(),
  days: z.int().min(1).max(limits.usageDaysKept).exactOptional(),
};
const period = { ...days, agentId: id.exactOptional() };

export const usageMethods = {
  "usage.status": { scope: "operator.read", params: z.object({}) },
  "usage.cost": { scope: "operator.read", params: z.object(period) },
  "sessions.usage": {
    scope: "operator.read",
    params: z.object({
      ...period,
      key: key.exactOptional(),
      limit: z.int().min(1).exactOptional(),
    }),
  },
  "sessions.usage.timeseries": { scope: "operator.read", params: z.object({ ...days, key }) },
} as const;
