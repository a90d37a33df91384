/** Credentials that failed come last for a while: whose, and until when. Equal ones of the same name only; another one has not failed yet. */
import { createHash } from "node:crypto";
import { limits } from "../kernel/limits.ts";
import type { Credential } from "./profiles.ts";
import type { ProviderFailure } from "./provider-failure.ts";

/** Profiles of two agents may have the same name. */
export interface CredentialPlace {
  readonly provider: string;
  readonly agentId: string;
  readonly credential: Credential;
}

export interface Resting {
  /** 0: it does not rest. */
  untilMs(place: CredentialPlace): number;
  failed(place: CredentialPlace, kind: ProviderFailure["kind"]): void;
  answered(place: CredentialPlace): void;
}

/** How long a credential rests after a failure of this kind; what is not the credential's fault does not tire it. */
const restMs: Readonly<Record<ProviderFailure["kind"], number>> = {
  "rate-limit": limits.modelRestMs,
  credential: limits.modelRestMs,
  billing: limits.modelBillingRestMs,
  transient: 0,
  output: 0,
  absent: 0,
  refused: 0,
  context: 0,
};

export function makeResting(nowMs: () => number): Resting {
  const rests = new Map<string, { readonly untilMs: number; readonly form: string }>();
  return {
    untilMs(place) {
      const rest = rests.get(keyOf(place));
      return rest !== undefined && rest.form === formOf(place.credential) ? rest.untilMs : 0;
    },
    failed(place, kind) {
      const ms = restMs[kind];
      if (ms > 0) rests.set(keyOf(place), { untilMs: nowMs() + ms, form: formOf(place.credential) });
    },
    answered: (place) => void rests.delete(keyOf(place)),
  };
}

/** Equal for equal secrets, and of no use to who reads it. */
export const formOf = ({ secret }: Credential): string =>
  secret === undefined ? "" : createHash("sha256").update(`${secret.type} ${secret.value}`).digest("base64");

const keyOf = ({ provider, credential, agentId }: CredentialPlace): string =>
  JSON.stringify([provider, credential.id, agentId]);
