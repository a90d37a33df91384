/** What both ways of signing in work with. */
import type { SignInSettings } from "../../broker/port.ts";
import type { OAuthClient } from "../../broker/token-server.ts";
import type { SignInServer } from "./server.ts";

export interface SignIn {
  readonly provider: string;
  readonly settings: SignInSettings;
  readonly server: SignInServer;
  readonly client: OAuthClient;
  readonly fetch: typeof globalThis.fetch;
  readonly nowMs: () => number;
  /** The person gave up, or the time is over. */
  readonly signal: AbortSignal;
}

/** What is waited for, until nobody waits any more. */
export function orGivenUp<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const gone = Promise.withResolvers<never>();
  const leave = (): void => gone.reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  return Promise.race([work, gone.promise]).finally(() => signal.removeEventListener("abort", leave));
}
