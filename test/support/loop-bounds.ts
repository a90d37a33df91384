/** Bounds on circles and on what a chain takes of models, as a configuration that says nothing about them has them. */
import { limits } from "../../runtime/kernel/limits.ts";
import type { LoopBounds } from "../../runtime/kernel/settings.ts";

export const loopBounds: LoopBounds = {
  sameFailuresMax: limits.sameFailuresDefault,
  sameSessionMax: limits.sameSessionDefault,
  chainTokensMax: limits.chainTokensDefault,
  chainCostNanosMax: Number.MAX_SAFE_INTEGER,
};
