/**
 * Failed attempts to authenticate, per address: after `failuresMax` within `windowMs` the address is locked out for
 * `lockoutMs`. In memory and bounded. It stands before the credential is looked at and knows nothing of credentials, so no
 * input of a client can switch it off. Source: behaviour §4.10.
 */
import { isIPv6 } from "node:net";
import type { AttemptsRule } from "./settings.ts";

interface AddressRecord {
  failures: number;
  sinceMs: number;
  lockedUntilMs: number;
}

export interface Attempts {
  /** Milliseconds until this address may try again; 0 when it may now. */
  lockedMs(key: string): number;
  failed(key: string): void;
}

export interface AttemptsOptions {
  /** As it is now; a lockout that has begun stays as it began. */
  readonly rule: () => AttemptsRule;
  readonly addressesMax: number;
  readonly now: () => number;
}

export function makeAttempts({ rule, addressesMax, now }: AttemptsOptions): Attempts {
  const records = new Map<string, AddressRecord>();
  return {
    lockedMs: (key) => Math.max(0, (records.get(key)?.lockedUntilMs ?? 0) - now()),
    failed: (key) => {
      const at = now();
      const { failuresMax, windowMs, lockoutMs } = rule();
      let record = records.get(key);
      // A window begins behind the lockout before it.
      if (record === undefined || at - record.sinceMs >= windowMs) {
        record = { failures: 0, sinceMs: at, lockedUntilMs: 0 };
        records.delete(key);
        records.set(key, record);
        const oldest = records.keys().next().value;
        if (records.size > addressesMax && oldest !== undefined) records.delete(oldest);
      }
      record.failures += 1;
      if (record.failures >= failuresMax && record.lockedUntilMs <= at) {
        record.lockedUntilMs = at + lockoutMs;
        record.failures = 0;
        record.sinceMs = record.lockedUntilMs;
      }
    },
  };
}

/** Key of an address. One customer of a provider usually holds a whole /64 of IPv6, so that is what is counted. */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return "unknown";
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups =
    tail === undefined
      ? front
      : [...front, ...Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0"), ...back];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
