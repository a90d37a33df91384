/** The methods about tasks: what sessions wait to be told the end of. What they come to is in `runtime/supervisor/tasks.ts`. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";

const id = z.string().trim().min(1).max(256);

export const taskMethods = {
  /** Those that have not ended, the next to expire first. */
  "tasks.list": {
    scope: "operator.read",
    params: z.object({
      agentId: id.exactOptional(),
      sessionKey: z.string().trim().min(1).max(1_024).exactOptional(),
      limit: z.int().min(1).exactOptional(),
      offset: z.int().min(0).exactOptional(),
    }),
  },
  "tasks.get": { scope: "operator.read", params: z.object({ id }) },
  /** Its session is told, as of every end; `reason` with it. `cancelled: false`: it has ended meanwhile, or it is `stillRunning`: who has it done was told to end it, or could not be, and `why` and `remedy` say so. */
  "tasks.cancel": {
    scope: "operator.admin",
    params: z.object({ id, reason: z.string().trim().min(1).max(limits.previewCharsMax).exactOptional() }),
  },
} as const;
