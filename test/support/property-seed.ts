/**
 * One seed for all property tests, so that a run repeats. `CLOISTER_PROPERTY_SEED` sets another: a number, or `random` to look
 * elsewhere. What fails says its seed.
 */
import fc from "fast-check";

const text = process.env["CLOISTER_PROPERTY_SEED"] ?? "20261121";
if (text !== "random") {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed))
    throw new TypeError(`CLOISTER_PROPERTY_SEED: found ${JSON.stringify(text)}, wanted a whole number or "random"`);
  fc.configureGlobal({ seed });
}
