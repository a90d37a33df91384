/** What a caller is told whose right an operator was asked for; of `ctx.send` and `ctx.request`, and of the tools. */
import { type Refusal } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Effect } from "../kernel/state.ts";
import type { GrantRequests, Raised } from "./grant-requests.ts";

/** Refuses the call of an `ask-right` effect, once the operator is asked or cannot be. */
export async function answerAsked(
  effect: Extract<Effect, { type: "ask-right" }>,
  requests: Pick<GrantRequests, "raise">,
  kernel: Pick<Kernel, "rightAsked">,
): Promise<void> {
  const { header, verb, sessionKey, call, body, refusal } = effect;
  const raised = await requests.raise({
    header,
    verb,
    toSession: sessionKey,
    message: { call, body, sourceTool: "request" },
  });
  kernel.rightAsked(effect, raised === undefined ? refusal : tellRaised(refusal, raised));
}

export function tellRaised<R extends Pick<Refusal, "message" | "remedy">>(refusal: R, raised: Raised): R {
  return {
    ...refusal,
    message: `${refusal.message} ${describe(raised)}`,
    remedy: `cloister grants approve ${raised.requestId}`,
  };
}

function describe({ requestId, kept }: Raised): string {
  const asked = `The operator was asked for the right (request ${requestId})`;
  return kept
    ? `${asked}. The message is kept and goes out if that is approved: do not send it again.`
    : `${asked}. Nothing is kept of this call: make it again when that is approved.`;
}
