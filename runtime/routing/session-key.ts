/**
 * Session keys: the one builder and the one parser. A key addresses one durable conversation of one agent. Nobody else in
 * the project puts a key together or takes one apart. Source: behaviour §2.5.
 *
 *     key      = "agent:" agentId ":" rest
 *     rest     = mainKey | dm | room | internal
 *     dm       = "direct:" peer | channel ":direct:" peer | channel ":" accountId ":direct:" peer
 *     room     = channel ":" ("group"|"channel") ":" roomId [":topic:" topicId]
 *     thread   = (mainKey | dm | room) ":thread:" threadId
 *     internal = "cron:" jobId [":run:" runId] | ("hook"|"subagent"|"acp"|"boot"|"dashboard"|"explicit"|"voice") ":" id
 *              | "node-" id | channel ":slash:" userId | "global" | "unknown"
 *
 * Keys are lower case, except ids in which case carries meaning: Signal group ids, Matrix room ids and Matrix event ids.
 * Segments that would be read as structure are escaped (`key-text.ts`), so different conversations never share a key.
 * `global` is a key below its agent and not bare as in the source: the index of sessions spans all agents.
 */
import { failure } from "../kernel/errors.ts";
import { isValidAgentId, normalizeAgentId } from "./ids.ts";
import { readText, writeFirstName, writeId, writeName } from "./key-text.ts";

const plainTypes = ["hook", "subagent", "acp", "boot", "dashboard", "explicit", "voice"] as const;
type PlainType = (typeof plainTypes)[number];

/** What a conversation is, as a tuple. `parse(format(x))` gives `x` back, trimmed and in the case that the key keeps. */
export type Session =
  | { readonly type: "main"; readonly mainKey: string; readonly threadId?: string }
  | { readonly type: "dm"; readonly scope: "per-peer"; readonly peerId: string; readonly threadId?: string }
  | {
      readonly type: "dm";
      readonly scope: "per-channel-peer";
      readonly channel: string;
      readonly peerId: string;
      readonly threadId?: string;
    }
  | {
      readonly type: "dm";
      readonly scope: "per-account-channel-peer";
      readonly channel: string;
      readonly accountId: string;
      readonly peerId: string;
      readonly threadId?: string;
    }
  | {
      readonly type: "room";
      readonly channel: string;
      readonly kind: "group" | "channel";
      readonly roomId: string;
      readonly topicId?: string;
      readonly threadId?: string;
    }
  | { readonly type: "cron"; readonly jobId: string; readonly runId?: string }
  | { readonly type: PlainType | "node"; readonly id: string }
  | { readonly type: "slash"; readonly channel: string; readonly userId: string }
  | { readonly type: "global" }
  | { readonly type: "unknown" };

/** A key below an agent that follows none of the forms: kept as it is, never built here. */
export interface OtherSession {
  readonly type: "other";
  readonly rest: string;
}

/**
 * What a text is. `key` is its one canonical spelling: check and store that, never the text. `legacy_or_alias` (no
 * `agent:` in front) has a meaning only relative to a caller: see `resolveSessionReference`.
 */
export type ParsedKey =
  | { readonly shape: "missing" }
  | {
      readonly shape: "agent";
      readonly key: string;
      readonly agentId: string;
      readonly session: Session | OtherSession;
    }
  | { readonly shape: "legacy_or_alias"; readonly text: string }
  | { readonly shape: "malformed_agent"; readonly text: string };

const plainWords: ReadonlySet<string> = new Set(plainTypes);
/** Words that are structure when a key's rest begins with them; a channel with such a name is escaped. */
const firstWords: ReadonlySet<string> = new Set([...plainTypes, "cron", "direct"]);
const mainWords: ReadonlySet<string> = new Set([...firstWords, "global", "unknown"]);
const accountWords: ReadonlySet<string> = new Set(["direct", "group", "channel", "slash", "thread"]);
const threadWord: ReadonlySet<string> = new Set(["thread"]);
const roomWords: ReadonlySet<string> = new Set(["thread", "topic"]);
const runWord: ReadonlySet<string> = new Set(["run"]);
const noWords: ReadonlySet<string> = new Set();

/**
 * The key of a session. Throws `CLOISTER_REQUEST_INVALID` when a part is empty: a key without its peer would be a session
 * that strangers share.
 */
export function formatSessionKey(agentId: string, session: Session): string {
  return `agent:${normalizeAgentId(agentId)}:${formatRest(session)}`;
}

function formatRest(session: Session): string {
  if (session.type === "main") {
    return writeFirstName(lower(session.mainKey, "mainKey"), mainWords) + threadSuffix(session.threadId);
  }
  if (session.type === "dm") {
    return dmPrefix(session) + writeId(lower(session.peerId, "peerId"), threadWord) + dmThread(session);
  }
  if (session.type === "room") return formatRoom(session);
  if (session.type === "cron") {
    const run = session.runId === undefined ? "" : `:run:${writeId(lower(session.runId, "runId"), noWords)}`;
    return `cron:${writeId(lower(session.jobId, "jobId"), runWord)}${run}`;
  }
  if (session.type === "slash") {
    return `${channelName(session.channel)}:slash:${writeId(lower(session.userId, "userId"), noWords)}`;
  }
  if (session.type === "global" || session.type === "unknown") return session.type;
  const id = writeId(lower(session.id, "id"), noWords);
  return session.type === "node" ? `node-${id}` : `${session.type}:${id}`;
}

function formatRoom({ channel, kind, roomId, topicId, threadId }: Extract<Session, { type: "room" }>): string {
  const name = lower(channel, "channel");
  const room = `${channelName(channel)}:${kind}:${writeId(roomCase(name, roomId), roomWords)}`;
  const topic = topicId === undefined ? "" : `:topic:${writeId(threadCase(name, topicId, "topicId"), threadWord)}`;
  return room + topic + threadSuffix(threadId, name);
}

type Dm = Extract<Session, { type: "dm" }>;

function dmPrefix(dm: Dm): string {
  if (dm.scope === "per-peer") return "direct:";
  if (dm.scope === "per-channel-peer") return `${channelName(dm.channel)}:direct:`;
  return `${channelName(dm.channel)}:${writeName(lower(dm.accountId, "accountId"), accountWords)}:direct:`;
}

function dmThread(dm: Dm): string {
  return threadSuffix(dm.threadId, dm.scope === "per-peer" ? undefined : lower(dm.channel, "channel"));
}

function channelName(channel: string): string {
  return writeFirstName(lower(channel, "channel"), firstWords);
}

function threadSuffix(threadId: string | undefined, channel?: string): string {
  return threadId === undefined ? "" : `:thread:${writeId(threadCase(channel, threadId, "threadId"), noWords)}`;
}

/** A room id as it is compared: in lower case, except where a platform tells ids apart by case. */
export function roomCase(channel: string, roomId: string): string {
  return channel === "signal" || channel === "matrix" ? present(roomId, "roomId") : lower(roomId, "roomId");
}

/** Matrix event ids begin with `$`, which tells them also where the key does not name the channel. */
function threadCase(channel: string | undefined, id: string, part: string): string {
  const text = present(id, part);
  return channel === "matrix" || text.startsWith("$") ? text : text.toLowerCase();
}

function lower(text: string, part: string): string {
  return present(text, part).toLowerCase();
}

function present(text: string, part: string): string {
  const trimmed = text.trim();
  if (trimmed !== "") return trimmed;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Building a session key: ${part} is empty, but each part of a key must name something. Give the platform's id, or route without this part.`,
  );
}

/** Takes any text, never throws. */
export function parseSessionKey(text: string | undefined): ParsedKey {
  const trimmed = (text ?? "").trim();
  if (trimmed === "") return { shape: "missing" };
  if (!/^agent:/i.test(trimmed)) return { shape: "legacy_or_alias", text: trimmed };
  const end = trimmed.indexOf(":", "agent:".length);
  const agentId = end < 0 ? "" : trimmed.slice("agent:".length, end);
  const rest = end < 0 ? "" : trimmed.slice(end + 1).trim();
  // An id that is not valid is refused and not repaired: a repaired one would be another agent's session.
  if (rest === "" || !isValidAgentId(agentId)) return { shape: "malformed_agent", text: trimmed };
  const id = normalizeAgentId(agentId);
  const session = parseRest(rest);
  if (session !== undefined) return { shape: "agent", key: formatSessionKey(id, session), agentId: id, session };
  const other = rest.toLowerCase();
  return { shape: "agent", key: `agent:${id}:${other}`, agentId: id, session: { type: "other", rest: other } };
}

function parseRest(rest: string): Session | undefined {
  const segments = rest.split(":");
  const word = segments.map((segment) => segment.toLowerCase());
  const first = word[0] ?? "";
  if (rest.toLowerCase().startsWith("node-")) {
    const id = readText(rest.slice("node-".length))?.toLowerCase();
    return id === undefined ? undefined : { type: "node", id };
  }
  if (first === "cron") return parseCron(segments.slice(1));
  if (first === "direct") return parseDm({ scope: "per-peer" }, segments.slice(1));
  if (isPlain(first)) {
    const id = readText(segments.slice(1).join(":"))?.toLowerCase();
    return id === undefined ? undefined : { type: first, id };
  }
  const name = readText(segments[0] ?? "")?.toLowerCase();
  if (name === undefined) return undefined;
  if (segments.length === 1)
    return first === "global" || first === "unknown" ? { type: first } : { type: "main", mainKey: name };
  const tail = segments.slice(2);
  const second = word[1] ?? "";
  if (second === "group" || second === "channel") return parseRoom(name, second, tail);
  if (second === "direct") return parseDm({ scope: "per-channel-peer", channel: name }, tail);
  if (second === "slash") {
    const userId = readText(tail.join(":"))?.toLowerCase();
    return userId === undefined ? undefined : { type: "slash", channel: name, userId };
  }
  if (second === "thread") {
    const threadId = readThread(undefined, tail);
    return threadId === undefined ? undefined : { type: "main", mainKey: name, threadId };
  }
  const accountId = readText(segments[1] ?? "")?.toLowerCase();
  if (word[2] !== "direct" || accountId === undefined) return undefined;
  return parseDm({ scope: "per-account-channel-peer", channel: name, accountId }, segments.slice(3));
}

function isPlain(word: string): word is PlainType {
  return plainWords.has(word);
}

function parseCron(segments: readonly string[]): Session | undefined {
  const [job, run] = splitAt(segments, "run");
  const jobId = readText(job.join(":"))?.toLowerCase();
  if (jobId === undefined) return undefined;
  const runId = run === undefined ? undefined : readText(run.join(":"))?.toLowerCase();
  return runId === undefined ? { type: "cron", jobId } : { type: "cron", jobId, runId };
}

type DmHead =
  | { readonly scope: "per-peer" }
  | { readonly scope: "per-channel-peer"; readonly channel: string }
  | { readonly scope: "per-account-channel-peer"; readonly channel: string; readonly accountId: string };

function parseDm(head: DmHead, segments: readonly string[]): Session | undefined {
  const [peer, thread] = splitAt(segments, "thread");
  const peerId = readText(peer.join(":"))?.toLowerCase();
  if (peerId === undefined) return undefined;
  const threadId = thread && readThread(head.scope === "per-peer" ? undefined : head.channel, thread);
  return { type: "dm", ...head, peerId, ...(threadId !== undefined && { threadId }) };
}

function parseRoom(channel: string, kind: "group" | "channel", segments: readonly string[]): Session | undefined {
  const [place, thread] = splitAt(segments, "thread");
  const [room, topic] = splitAt(place, "topic");
  const roomText = readText(room.join(":"));
  if (roomText === undefined) return undefined;
  const topicId = topic && readThread(channel, topic);
  const threadId = thread && readThread(channel, thread);
  return {
    type: "room",
    channel,
    kind,
    roomId: roomCase(channel, roomText),
    ...(topicId !== undefined && { topicId }),
    ...(threadId !== undefined && { threadId }),
  };
}

function readThread(channel: string | undefined, segments: readonly string[]): string | undefined {
  const text = readText(segments.join(":"));
  return text === undefined ? undefined : threadCase(channel, text, "threadId");
}

/** The segments before and after the first `word` that has something on both sides; without one, all are before. */
function splitAt(segments: readonly string[], word: string): readonly [readonly string[], (readonly string[])?] {
  for (const [at, segment] of segments.entries()) {
    if (segment.toLowerCase() !== word) continue;
    const before = segments.slice(0, at);
    const after = segments.slice(at + 1);
    if (readText(before.join(":")) !== undefined && readText(after.join(":")) !== undefined) return [before, after];
  }
  return [segments];
}

/** Of a sub-agent's session: `agent:<agent>:subagent:<id>`. */
export function formatSubagentKey(agentId: string, id: string): string {
  return formatSessionKey(agentId, { type: "subagent", id });
}

/** Whether a key in its one spelling is of a sub-agent's session. */
export function isSubagentKey(key: string): boolean {
  return subagentKey.test(key);
}

const subagentKey = /^agent:[^:]+:subagent:/u;

/** Splits a platform's room id that carries a forum topic (`-100:topic:7`) into the parts that the key names. */
export function splitTopic(roomId: string): { readonly roomId: string; readonly topicId?: string } {
  const [room, topic] = splitAt(roomId.split(":"), "topic");
  return topic === undefined ? { roomId } : { roomId: room.join(":"), topicId: topic.join(":") };
}

/** Key of the pending context of a group, which is not a session. */
export function formatGroupHistoryKey(
  channel: string,
  accountId: string,
  kind: "group" | "channel",
  peerId: string,
): string {
  const name = lower(channel, "channel");
  const account = writeName(lower(accountId, "accountId"), noWords);
  return `${writeName(name, noWords)}:${account}:${kind}:${writeId(roomCase(name, peerId), noWords)}`;
}
