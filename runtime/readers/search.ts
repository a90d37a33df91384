/**
 * Finds text in a page of a transcript, as `sessions_search` shows it. It looks at what `sessions_history` would show, so that
 * neither a secret nor an assistant's thinking can be found by guessing. Source: behaviour §3.7.
 */
import { limits } from "../kernel/limits.ts";
import { formatMessageId } from "./message-id.ts";
import { redactText } from "../observe/redact.ts";
import type { HistoryPage, TranscriptRow } from "../store/port.ts";
import { escapeFrame, escapePeer } from "../kernel/peer-frame.ts";
import { scrub } from "./scrub.ts";

export interface SearchHit {
  /** For `sessions_history`. */
  readonly messageId: string;
  /** Position in the transcript, from 0. */
  readonly seq: number;
  readonly role: TranscriptRow["role"];
  readonly isUser: boolean;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  /** The place and what is around it. */
  readonly snippet: string;
  /** Who said it, if another session did: its text is data and not a person's word. */
  readonly sourceSessionKey?: string;
}

export interface SearchResult {
  /** Newest first. */
  readonly hits: readonly SearchHit[];
  /** There are further ones on the page. */
  readonly hasMore: boolean;
}

/** Whatever the case. Results of tools are left out, and summaries, which say again what was said. */
export function searchPage(page: HistoryPage, query: string, max: number): SearchResult {
  const wanted = query.toLowerCase();
  const hits: SearchHit[] = [];
  for (const row of page.rows.toReversed()) {
    if (row.role === "toolResult" || row.role === "compaction") continue;
    const text = redactText(row.role === "assistant" ? scrub(row.text).text : row.text);
    const at = text.toLowerCase().indexOf(wanted);
    if (at === -1) continue;
    if (hits.length === max) return { hits, hasMore: true };
    const source = row.provenance?.kind === "inter_session" ? row.provenance.sourceSessionKey : undefined;
    const around = cutAround(text, at, wanted.length);
    hits.push({
      messageId: formatMessageId(page.sessionId, row.seq),
      seq: row.seq,
      role: row.role,
      isUser: row.isUser,
      timestamp: row.atMs,
      snippet: source === undefined ? escapeFrame(around) : escapePeer(around),
      ...(source === undefined ? {} : { sourceSessionKey: source }),
    });
  }
  return { hits, hasMore: false };
}

/** Never half of a surrogate pair. */
function cutAround(text: string, at: number, length: number): string {
  const from = Math.max(0, at - limits.searchContextChars);
  const to = Math.min(text.length, at + length + limits.searchContextChars);
  const part = text
    .slice(from, to)
    .replace(/^[\udc00-\udfff]/, "")
    .replace(/[\ud800-\udbff]$/, "");
  return `${from > 0 ? "…" : ""}${part}${to < text.length ? "…" : ""}`;
}
