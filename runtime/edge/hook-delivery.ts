/** `deliver`, `channel` and `to` of a hook, as requests and mappings of the config have them. Source: behaviour §5.9. */
import type { HookDelivery } from "./port.ts";

export interface AskedDelivery {
  readonly deliver?: boolean | undefined;
  readonly channel?: string | undefined;
  readonly to?: string | undefined;
}

/** Undefined: the answer stays in its session. A channel that is named is meant unless `deliver` says otherwise. */
export function hookDelivery({ deliver, channel, to }: AskedDelivery): HookDelivery | undefined {
  if (deliver === false || (deliver === undefined && channel === undefined && to === undefined)) return undefined;
  return { channel: channel ?? "last", ...(to === undefined ? {} : { to }) };
}
