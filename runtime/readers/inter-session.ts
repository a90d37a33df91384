/**
 * How a message from another session looks to whoever reads it as text: marked, with its sender, as data and not as the
 * user's word. Text that imitates the mark is broken up, so that only the supervisor can make one. Source: behaviour §3.4.
 */
import type { Provenance } from "../kernel/envelope.ts";

const mark = "[Inter-session message";

export function frameInterSession(text: string, provenance: Extract<Provenance, { kind: "inter_session" }>): string {
  const { sourceSessionKey, sourceChannel, sourceTool } = provenance;
  return `${mark} sourceSession=${sourceSessionKey} sourceChannel=${sourceChannel} sourceTool=${sourceTool} isUser=false]\n${escapeMark(text)}`;
}

export function escapeMark(text: string): string {
  return text.replace(/\[(\s*inter-session message)/gi, "(imitated: $1");
}
