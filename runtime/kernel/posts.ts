/** The one answer of a call, posted to the cell that made it. */
import type { Refusal } from "./errors.ts";
import { down } from "./frames.ts";
import type { KernelState } from "./state.ts";
import type { StepResult } from "./steps.ts";

export function postResult(
  k: KernelState,
  agentId: string,
  incarnation: number,
  ref: number,
  result: StepResult,
): void {
  k.emit({ type: "post", agentId, incarnation, record: [down.result, ref, 0, ...result, ""] });
}

export function postRefusal(k: KernelState, agentId: string, incarnation: number, ref: number, refusal: Refusal): void {
  postResult(k, agentId, incarnation, ref, [0, JSON.stringify(refusal), ""]);
}

/** What every call of a stopped turn hears. */
export const stoppedRefusal: Refusal = { code: "CLOISTER_ASK_ABORTED", message: "the run was stopped" };
