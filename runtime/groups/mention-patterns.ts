/**
 * The regular expressions by which an agent is mentioned. They come from an operator and are run over what anybody writes, on
 * the main thread; so they run on RE2, whose time grows with the length of the text and with nothing else: there is no pattern
 * that can hold the gateway up. The price is what RE2 does not know: back references and look-around, which are refused as
 * invalid. Built-in expressions can take exponential time, and a check for nested repetition does not see all of those.
 *
 * Source: behaviour §2.7 ("invalid or nested-repetition regexes are skipped with a warning"); R. Cox, "Regular Expression
 * Matching Can Be Simple And Fast" (2007).
 */
import { RE2JS } from "re2js";
import { limits } from "../kernel/limits.ts";
import type { AgentGroupChat } from "./rules.ts";

export type CompiledPattern =
  | { readonly ok: true; readonly matches: (text: string) => boolean }
  | { readonly ok: false; readonly reason: string };

/** Case does not matter. */
export function compileMentionPattern(pattern: string): CompiledPattern {
  if (pattern.trim() === "") return { ok: false, reason: "is empty and would be found in every message" };
  if (pattern.length > limits.mentionPatternCharsMax)
    return {
      ok: false,
      reason: `has ${pattern.length} characters; at most ${limits.mentionPatternCharsMax} are allowed`,
    };
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
    const steps = compiled.programSize();
    if (steps > limits.mentionPatternStepsMax)
      return {
        ok: false,
        reason: `has ${steps} steps when compiled; at most ${limits.mentionPatternStepsMax} are allowed`,
      };
    if (compiled.matcher("").find()) return { ok: false, reason: "matches the empty text and so every message" };
    return { ok: true, matches: (text) => compiled.matcher(text).find() };
  } catch (error) {
    return {
      ok: false,
      reason: `is no regular expression that RE2 knows: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** Name and emoji as patterns: as a word of their own, with or without `@`. */
export function derivePatterns(identity: AgentGroupChat["identity"]): readonly string[] {
  const name = identity?.name?.trim();
  const emoji = identity?.emoji?.trim();
  return [
    ...(name ? [`(?:^|[^\\pL\\pN_])@?${RE2JS.quote(name)}(?:$|[^\\pL\\pN_])`] : []),
    ...(emoji ? [RE2JS.quote(emoji)] : []),
  ];
}

/** An explicit address: `@` and the agent's id or name. */
export function handlePattern(text: string): string {
  return `(?:^|[^\\pL\\pN_@])@${RE2JS.quote(text)}(?:$|[^\\pL\\pN_-])`;
}
