/** Waiting for what another thread or a store does: what it gives, once it throws no more. Half a minute, for machines are shared. */
import { vi } from "vitest";

export const eventually = <T>(look: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(look, { timeout: 25_000, interval: 10 });
