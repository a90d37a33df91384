/** The refusal of what needs an envelope that the journal does not hold. */
import { failure } from "../kernel/errors.ts";

/** For an envelope whose row is gone; `attempt` is the verb of what was tried. */
export function unknownEnvelope(attempt: string, envelopeId: string): Error {
  return failure(
    "CLOISTER_ENVELOPE_UNKNOWN",
    `cannot ${attempt} the envelope ${envelopeId}: the journal does not hold it; it was settled, delivered or buried, or never accepted`,
  );
}
