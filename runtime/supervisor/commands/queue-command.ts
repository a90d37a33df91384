/** `/queue`: how messages of this session wait while a turn runs. Source: behaviour §5.3. */
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { findQueueMode, queueDrops } from "../../kernel/queues.ts";
import type { QueueChange, Queues, QueueState } from "../queues.ts";
import { type ChatCommand, takesAnything } from "./table.ts";

const usage =
  "/queue [steer|followup|collect|interrupt|default] [debounce:<time>] [cap:<count>] [drop:old|new|summarize]";

const origins: Readonly<Record<QueueState["from"], string>> = {
  session: "set for this session",
  channel: "from messages.queue, for this channel",
  config: "from messages.queue",
  default: "the default; nothing is dropped",
};

export function makeQueueCommand(queues: Queues): ChatCommand {
  return {
    name: "/queue",
    usage,
    summary: "how messages wait while a turn runs",
    takes: takesAnything,
    // It decides what becomes of what others send to the session.
    needs: (rest) => (rest === "" ? undefined : "operator.admin"),
    async run({ sessionKey, channel }, rest) {
      if (rest === "") return { reply: `Queue: ${describeQueue(queues.stateOf(sessionKey, channel))}` };
      const asked = parseQueue(rest);
      if (typeof asked === "string") return { reply: `${asked} Usage: ${usage}` };
      try {
        if (asked === undefined) await queues.clear(sessionKey);
        else await queues.set(sessionKey, asked);
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        return { reply: `The queue was not changed: ${message}${remedy === undefined ? "" : ` (${remedy})`}` };
      }
      return { reply: `Queue: ${describeQueue(queues.stateOf(sessionKey, channel))}` };
    },
  };
}

export function describeQueue({ policy, from }: QueueState): string {
  const { mode, debounceMs, cap, drop } = policy;
  const bounds = from === "default" ? "" : `, cap ${cap}, drop ${drop}`;
  return `${mode}${mode === "collect" ? `, debounce ${debounceMs} ms` : ""}${bounds} (${origins[from]})`;
}

/** Undefined: back to what the configuration says. A text: what is wrong. */
export function parseQueue(text: string): QueueChange | string | undefined {
  const words = text.toLowerCase().split(/\s+/u);
  if (words.length === 1 && (words[0] === "default" || words[0] === "reset")) return undefined;
  let change: QueueChange = {};
  for (const word of words) {
    const part = parseWord(word);
    if (typeof part === "string") return part;
    change = { ...change, ...part };
  }
  return change;
}

function parseWord(word: string): QueueChange | string {
  const mode = findQueueMode(word);
  if (mode !== undefined) return { mode };
  const [name, value = ""] = word.split(":", 2);
  if (name === "debounce") {
    const debounceMs = parseTime(value);
    return debounceMs === undefined || debounceMs > limits.queueDebounceMsMax
      ? `debounce: found ${JSON.stringify(value)}, wanted a time up to ${limits.queueDebounceMsMax / 1_000}s, like 500ms or 1s.`
      : { debounceMs };
  }
  if (name === "cap") {
    const cap = /^\d{1,6}$/u.test(value) ? Number(value) : 0;
    return cap < 1 || cap > limits.sessionDepthMax
      ? `cap: found ${JSON.stringify(value)}, wanted a number from 1 to ${limits.sessionDepthMax}.`
      : { cap };
  }
  if (name === "drop") {
    const drop = queueDrops.find((known) => known === value);
    return drop === undefined ? `drop: found ${JSON.stringify(value)}, wanted ${queueDrops.join(", ")}.` : { drop };
  }
  return `Found ${JSON.stringify(word.slice(0, 40))}.`;
}

/** A number without a unit is milliseconds. */
function parseTime(text: string): number | undefined {
  const [, digits, unit = "ms"] = /^(\d{1,9})(ms|s|m)?$/u.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * { ms: 1, s: 1_000, m: 60_000 }[unit as "ms" | "s" | "m"];
}
