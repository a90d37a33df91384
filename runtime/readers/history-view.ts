/**
 * A page of history as `sessions_history` gives it: scrubbed, without secrets, bounded in messages, in characters a text, and
 * in bytes. The order matters: a secret that the cut would halve is found before it. Source: behaviour §3.3.
 */
import { limits } from "../kernel/limits.ts";
import { frameMessage } from "../kernel/peer-frame.ts";
import { formatMessageId } from "./message-id.ts";
import { redactText } from "../observe/redact.ts";
import type { HistoryPage, TranscriptRow } from "../store/port.ts";
import { scrub } from "./scrub.ts";

export interface HistoryMessage {
  /** `<sessionId>:<number>`: of this transcript, for good. */
  readonly messageId: string;
  readonly role: TranscriptRow["role"];
  readonly content: readonly [{ readonly type: "text"; readonly text: string }];
  readonly timestamp: number;
  readonly isUser: boolean;
  readonly provenance?: TranscriptRow["provenance"];
  readonly toolName?: string;
}

export interface HistoryView {
  readonly messages: readonly HistoryMessage[];
  readonly truncated: boolean;
  readonly droppedMessages: boolean;
  readonly contentTruncated: boolean;
  /** Something that looked like a secret was taken out. */
  readonly contentRedacted: boolean;
  readonly bytes: number;
  readonly offset: number;
  readonly hasMore: boolean;
  readonly nextOffset?: number;
  readonly totalMessages: number;
}

const cutMark = "…(truncated)…";

export interface HistoryOptions {
  readonly offset: number;
  readonly includeTools: boolean;
  /** Marks messages of other sessions in the text itself, for readers that see only text (models). */
  readonly framed: boolean;
}

export function formatHistory(page: HistoryPage, { offset, includeTools, framed }: HistoryOptions): HistoryView {
  let contentTruncated = false;
  let contentRedacted = false;
  let bytes = 2;
  const kept: HistoryMessage[] = [];
  let reached = 0;
  let dropped = false;
  for (const row of page.rows.toReversed()) {
    reached++;
    if (row.role === "toolResult" && !includeTools) continue;
    const said = row.role === "assistant" || row.role === "compaction" ? scrub(row.text).text : row.text;
    // Nothing is left of a message that was all thinking.
    if (said === "" && row.text !== "") continue;
    const safe = redactText(said);
    const text = cut(safe);
    const message = formatRow(page, row, framed ? frameRow(text.text, row) : text.text);
    const size = Buffer.byteLength(JSON.stringify(message)) + 1;
    if (bytes + size > limits.historyBytesMax) {
      dropped = true;
      reached--;
      if (kept.length === 0) {
        reached++;
        kept.push(formatRow(page, row, "[sessions_history omitted: message too large]"));
      }
      break;
    }
    contentTruncated ||= text.wasCut;
    contentRedacted ||= safe !== said;
    bytes += size;
    kept.push(message);
  }
  const next = offset + reached;
  const hasMore = next < page.total;
  return {
    messages: kept.toReversed(),
    truncated: dropped || contentTruncated,
    droppedMessages: dropped,
    contentTruncated,
    contentRedacted,
    bytes,
    offset,
    hasMore,
    ...(hasMore ? { nextOffset: next } : {}),
    totalMessages: page.total,
  };
}

/** After the cut, so that every frame has its end. */
function frameRow(text: string, { provenance }: TranscriptRow): string {
  return frameMessage(text, provenance, provenance?.kind === "inter_session" ? provenance.chain : undefined);
}

function formatRow({ sessionId }: HistoryPage, row: TranscriptRow, text: string): HistoryMessage {
  return {
    messageId: formatMessageId(sessionId, row.seq),
    role: row.role,
    content: [{ type: "text", text }],
    timestamp: row.atMs,
    isUser: row.isUser,
    ...(row.provenance === undefined ? {} : { provenance: row.provenance }),
    ...(row.toolName === undefined ? {} : { toolName: row.toolName }),
  };
}

/** Never between the halves of a surrogate pair. */
function cut(text: string): { readonly text: string; readonly wasCut: boolean } {
  const max = limits.historyTextCharsMax;
  if (text.length <= max) return { text, wasCut: false };
  const end = isHighSurrogate(text.charCodeAt(max - 1)) ? max - 1 : max;
  return { text: text.slice(0, end) + cutMark, wasCut: true };
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
