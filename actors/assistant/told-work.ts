/**
 * What an answer tells people of the calls behind it, where that was chosen for the session (`/verbose`). What looks like a secret is not
 * told: channels keep what was said there. Source: behaviour §3.2, §3.3.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import { cleanValue } from "../../runtime/observe/redact.ts";
import type { VerboseLevel } from "../../runtime/kernel/session-choices.ts";
import type { ModelToolCall } from "../../runtime/thread/model-port.ts";
import { cutMiddle } from "./cut-text.ts";

interface MadeCall extends Pick<ModelToolCall, "name" | "input"> {
  readonly isError: boolean;
}

export interface ToldWork {
  note(call: MadeCall): void;
  /** The answer with it. One that says nothing stays so. */
  with(answer: string): string;
}

export function makeToldWork(level: VerboseLevel): ToldWork {
  const made: MadeCall[] = [];
  return {
    note(call) {
      made.push(call);
    },
    with(answer) {
      if (level === "off" || made.length === 0 || answer === "") return answer;
      return `${level === "on" ? inOneLine(made) : lineByLine(made)}\n\n${answer}`;
    },
  };
}

/** `Tools: read ×2, exec (failed)`, in the order of their first calls. */
function inOneLine(made: readonly MadeCall[]): string {
  const byName = Map.groupBy(made, ({ name }) => name);
  const told = Array.from(byName, ([name, calls]) => {
    const failed = calls.filter(({ isError }) => isError).length;
    const times = calls.length === 1 ? "" : ` ×${calls.length}`;
    const fate = failed === 0 ? "" : calls.length === 1 ? " (failed)" : ` (${failed} failed)`;
    return `${cutMiddle(name, limits.toldCallCharsMax, () => "…")}${times}${fate}`;
  });
  return `Tools: ${listed(told).join(", ")}`;
}

function lineByLine(made: readonly MadeCall[]): string {
  const lines = made.map(({ name, input, isError }) => {
    const shown = JSON.stringify(cleanValue(input, { charsMax: limits.toldCallCharsMax, redactSensitive: true }));
    const call = cutMiddle(`${name} ${shown}`, limits.toldCallCharsMax, () => "…");
    return `- ${call}${isError ? " (failed)" : ""}`;
  });
  return ["Tools:", ...listed(lines)].join("\n");
}

function listed(told: readonly string[]): readonly string[] {
  const more = told.length - limits.toldCallsMax;
  return more <= 0 ? told : [...told.slice(0, limits.toldCallsMax), `and ${more} more`];
}
