/** Where a text goes, and what became of it. Pure. */
import type { Peer, SendResult } from "cloister/channels";

/** Undefined: no place that the server can have. */
export function parsePlace({ kind, id }: Peer): string | undefined {
  const isRoom = id.startsWith("#");
  return /^#?[\w-]{1,50}$/.test(id) && isRoom === (kind !== "direct") ? id : undefined;
}

/** `["done", key, id]`, `["failed", key, why]`, or nothing, when the connection was lost first. */
export function judgeAnswer(answer: readonly unknown[] | undefined): SendResult {
  const [type, , about] = answer ?? [];
  if (type === "done") return { status: "sent", platformMessageId: String(about) };
  if (type === "failed") return { status: "failed", reason: `the server refused it: ${String(about)}`, retry: false };
  return { status: "failed", reason: "the connection was lost", retry: true, mayHaveArrived: true };
}
