/** Trying again to reach a gateway that went: how often, how long between two tries, and what counts as gone. */
import { setTimeout as sleep } from "node:timers/promises";
import { isCoded } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

/** It stopped, starts, or is busy with either. */
export const isGone = (error: unknown): boolean =>
  isCoded(error) && ["CLOISTER_GATEWAY_UNREACHABLE", "CLOISTER_ASK_TIMEOUT"].includes(error.code);

/** Says which try it is, and waits longer each time. Throws `error` after the last one. */
export async function pauseBeforeTry(
  failed: number,
  firstMs: number,
  error: unknown,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (failed > limits.clientReconnectsMax) throw error;
  say(`the gateway does not answer; trying again (${failed} of ${limits.clientReconnectsMax})`);
  const ms = Math.min(firstMs * 2 ** (failed - 1), limits.clientReconnectMsMax);
  await sleep(ms, undefined, signal === undefined ? {} : { signal });
}
