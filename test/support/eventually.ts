/** Waiting for what another thread or a store does: what it gives, once it throws no more. */
import { inject, vi } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Milliseconds; from `vitest.config.ts`, by project. */
    readonly patienceMs: number;
  }
}

/** A little less than a test may take: machines are shared, and what did not come should be said by who waited for it. */
export const patienceMs = inject("patienceMs");

export const eventually = <T>(look: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(look, { timeout: patienceMs, interval: 10 });
