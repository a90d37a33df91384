/** `sessions_yield`: the turn ends here, and the session goes on when its sub-agents have ended. Source: behaviour §3.7. */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import type { SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, type Tool } from "./table.ts";

const params = z.object({
  /** A note of the caller to itself: the transcript keeps it with the call. */
  message: z.string().max(limits.failureCharsMax).optional(),
  acknowledgment: z.string().max(limits.failureCharsMax).optional(),
});

export function makeSessionsYield({ kernel }: Pick<SessionToolsDeps, "kernel">): Tool {
  return defineTool("reads", params, async ({ message, acknowledgment }, call) => {
    const { status, pending } = kernel().yieldTurn(call, acknowledgment);
    if (status === "over")
      return fault("invalid", "the turn that called sessions_yield is over, or is in memory alone");
    if (status === "nothing_pending")
      return fault("invalid", "sessions_yield: this session waits for no sub-agent", "sessions_spawn starts one");
    return { status, pending, ...(message === undefined ? {} : { message }) };
  });
}
