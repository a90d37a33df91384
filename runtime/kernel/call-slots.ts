/** What a record of a cell names by a number: which call of its turn it is, and the right that it makes it by. */
import type { Refusal } from "./errors.ts";
import type { Pairing } from "./pairings.ts";
import type { AgentEntry, KernelState } from "./state.ts";

export function isCallNumber(k: KernelState, key: number): boolean {
  return Number.isInteger(key) && key >= 0 && key < k.settings.limits.callsPerTurnMax;
}

export function noCallNumber(k: KernelState, found: string): Refusal {
  return {
    code: /^\d+$/.test(found) ? "CLOISTER_TURN_FULL" : "CLOISTER_REQUEST_INVALID",
    message: `the calls of a turn are numbered from 0 to ${k.settings.limits.callsPerTurnMax - 1}, found ${JSON.stringify(found.slice(0, 40))}`,
    remedy: "send the rest to this session as a further message",
  };
}

export function slotPairing(k: KernelState, agent: AgentEntry, slot: number): Pairing | undefined {
  const id = agent.slots.get(slot);
  return id === undefined ? undefined : k.pairings.get(id);
}
