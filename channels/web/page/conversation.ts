/**
 * One conversation as the page knows it: what the gateway has committed, and what the page saw live. Pure.
 *
 * History is the truth, but it lags: a message that was just sent, an answer that still grows and a run that failed are not
 * in it. So a fresh history replaces everything that it covers and keeps the rest (`applyHistory`). Rows carry no id on the
 * wire; a row and a live message are the same when role and text are equal and the row is not older than the message.
 */
import type { ChatEvent, HistoryEntry, MessageSource, WireError } from "./wire.ts";
import { chatText, parseSource } from "./wire.ts";

export type MessageState =
  /** Committed by the gateway. */
  | "settled"
  /** Own message, not yet confirmed. */
  | "sending"
  /** Own message, accepted; its run goes on. */
  | "sent"
  | "streaming"
  | "aborted"
  | "failed";

export interface Message {
  readonly id: string;
  readonly role: "user" | "assistant" | "tool";
  readonly text: string;
  /** By the gateway's clock. */
  readonly atMs: number;
  readonly state: MessageState;
  readonly runId?: string;
  readonly source?: MessageSource;
  /** Why it failed or stopped. */
  readonly note?: string;
  /** Set while it is unknown whether the gateway has this message: sending it again must use the same key. */
  readonly unconfirmedKey?: string;
  /** Value of the conversation's `version` when this message last changed. */
  readonly touched: number;
}

export interface Conversation {
  readonly messages: readonly Message[];
  /** Runs that go on, by run id. */
  readonly running: readonly string[];
  /** Runs whose end was seen, newest last, so that a late answer to `chat.send` does not revive one. */
  readonly ended: readonly string[];
  /** Of `running`: those that went on when the connection was lost. */
  readonly suspects: readonly string[];
  readonly loaded: "no" | "loading" | "yes";
  readonly loadError?: string;
  /** Counts changes; message ids are made of it. */
  readonly version: number;
}

export const messagesMax = 500;
const endedMax = 100;
/** What the gateway puts at the end of a text that it cut (behaviour §3.3). */
const cutMark = "…(truncated)…";
/** How much earlier than a live message its committed row may be stamped. */
const clockSlackMs = 2_000;

export const emptyConversation: Conversation = {
  messages: [],
  running: [],
  ended: [],
  suspects: [],
  loaded: "no",
  version: 0,
};

/** Shows an own message before the gateway knows of it. `key` is the idempotency key that it is sent with. */
export function addOwn(conversation: Conversation, text: string, key: string, atMs: number): Conversation {
  return append(conversation, { role: "user", text, atMs, state: "sending", unconfirmedKey: key });
}

/**
 * The gateway stored the message under `runId`. `repeated`: perhaps it did so before, for an earlier sending whose answer
 * was lost; then the end of the run may have been missed.
 */
export function confirmOwn(conversation: Conversation, key: string, runId: string, repeated = false): Conversation {
  const over = conversation.ended.includes(runId);
  const next = change(
    conversation,
    (message) => message.unconfirmedKey === key,
    (message) => ({
      ...withoutKey(message),
      state: over ? "settled" : "sent",
      runId,
    }),
  );
  if (over) return next;
  const suspects = repeated ? [...next.suspects, runId] : next.suspects;
  return startRun({ ...next, suspects }, runId);
}

/** `chat.send` was refused, or its answer never came. The key stays only where the gateway may have stored the message. */
export function refuseOwn(conversation: Conversation, key: string, error: WireError): Conversation {
  const unknown = error.code === "DISCONNECTED" || error.code === "TIMEOUT";
  return change(
    conversation,
    (message) => message.unconfirmedKey === key,
    (message) => ({
      ...withoutKey(message),
      state: "failed",
      note: error.message,
      ...(unknown ? { unconfirmedKey: key } : {}),
    }),
  );
}

function withoutKey(message: Message): Message {
  const { unconfirmedKey: _, ...confirmed } = message;
  return confirmed;
}

export function removeMessage(conversation: Conversation, id: string): Conversation {
  return { ...conversation, messages: conversation.messages.filter((message) => message.id !== id) };
}

/** Folds a chat event in. Deltas of a run grow one message; its end settles it. Late deltas of an ended run are ignored. */
export function applyChat(conversation: Conversation, event: ChatEvent, nowMs: number): Conversation {
  const { runId } = event;
  if (conversation.ended.includes(runId)) return conversation;
  const isAnswer = (message: Message): boolean => message.runId === runId && message.role === "assistant";
  const existing = conversation.messages.find(isAnswer);
  const before = existing?.text ?? "";
  const text = chatText(event) ?? before + (event.deltaText ?? "");
  const state = stateOf[event.state];
  const note = event.errorMessage ?? (event.state === "error" ? "The agent failed without a message." : undefined);
  // A final without text is the agent's silence: there is nothing to show.
  const visible = text !== "" || event.state === "error" || event.state === "aborted";
  let next = conversation;
  if (existing !== undefined) {
    next = change(next, isAnswer, (message) => ({ ...message, text, state, ...(note === undefined ? {} : { note }) }));
  } else if (visible) {
    const source = parseSource(event.provenance);
    const atMs = event.message?.timestamp ?? nowMs;
    const answer = { role: "assistant", text, atMs, state, runId } as const;
    next = append(next, {
      ...answer,
      ...(note === undefined ? {} : { note }),
      ...(source === undefined ? {} : { source }),
    });
  }
  return event.state === "delta" ? startRun(next, runId) : endRun(next, runId);
}

const stateOf = { delta: "streaming", final: "settled", aborted: "aborted", error: "failed" } as const;

/**
 * Replaces what `entries` cover. `since` is the conversation's `version` when the history was asked for: what changed
 * later may be missing in it and stays. Messages older than the oldest entry stay as well, for `chat.history` is bounded.
 */
export function applyHistory(
  conversation: Conversation,
  entries: readonly HistoryEntry[],
  since: number,
): Conversation {
  const version = conversation.version + 1;
  const unmatched = [...conversation.messages];
  const committed: string[] = [];
  const rows = entries.map((entry, index): Message => {
    const at = unmatched.findIndex((message) => covers(entry, message));
    const known = at < 0 ? undefined : unmatched.splice(at, 1)[0];
    if (known?.role === "user" && known.runId !== undefined) committed.push(known.runId);
    if (known?.state === "settled" && known.atMs === entry.atMs) return known;
    const source = entry.source ?? known?.source;
    return {
      id: known?.id ?? `row-${version}.${index}`,
      role: entry.role,
      // Of a long text the history holds the beginning only.
      text: known?.text ?? entry.text,
      atMs: entry.atMs,
      state: "settled",
      ...(known?.runId === undefined ? {} : { runId: known.runId }),
      ...(source === undefined ? {} : { source }),
      touched: version,
    };
  });
  const oldestMs = entries[0]?.atMs ?? 0;
  // A question is committed with its answer, so the half answer to it is of a run whose end was missed.
  const missedEnds = committed.filter((runId) => conversation.suspects.includes(runId));
  const stays = (message: Message): boolean =>
    message.state === "streaming"
      ? !missedEnds.some((runId) => runId === message.runId)
      : message.state !== "settled" || message.touched > since || message.atMs < oldestMs;
  const liveRuns = new Set(unmatched.filter(stays).map((message) => message.runId));
  const kept = unmatched.filter(
    (message) => stays(message) || (message.runId !== undefined && liveRuns.has(message.runId)),
  );
  const { loadError: _, ...rest } = conversation;
  const merged: Conversation = {
    ...rest,
    messages: kept.reduce<readonly Message[]>(insert, rows).slice(-messagesMax),
    loaded: "yes",
    version,
  };
  return committed.filter((runId) => !liveRuns.has(runId)).reduce(endRun, merged);
}

const covers = (entry: HistoryEntry, message: Message): boolean =>
  message.role === entry.role &&
  isSameText(entry.text, message.text) &&
  (message.state === "settled" && message.runId === undefined
    ? message.atMs === entry.atMs
    : entry.atMs >= message.atMs - clockSlackMs);

function isSameText(committed: string, live: string): boolean {
  if (!committed.endsWith(cutMark)) return committed === live;
  return committed === live || live.startsWith(committed.slice(0, -cutMark.length));
}

/** To be called when the connection goes: the end of a run that goes on now may be missed. */
export function suspectRuns(conversation: Conversation): Conversation {
  return { ...conversation, suspects: conversation.running };
}

/**
 * The agent is idle and its history is read: runs whose end was missed will not report any more. Their half answers go;
 * a question that the history does not hold either is marked, so that it can be sent again.
 */
export function settleSuspects(conversation: Conversation): Conversation {
  if (conversation.suspects.length === 0) return conversation;
  const lost = conversation.suspects.filter((runId) => conversation.running.includes(runId));
  const isLost = ({ runId }: Message): boolean => runId !== undefined && lost.includes(runId);
  const half = conversation.messages.filter((message) => !(isLost(message) && message.state === "streaming"));
  const marked = change(
    { ...conversation, messages: half },
    (message) => isLost(message) && message.state === "sent",
    (message) => ({
      ...message,
      state: "failed",
      note: "The run ended while the page was disconnected, and the gateway holds no answer.",
    }),
  );
  return { ...lost.reduce(endRun, marked), suspects: [] };
}

/** The text that a retry of `message` sends: its own, or that of the message which it was to answer. */
export function retryText(conversation: Conversation, message: Message): string | undefined {
  if (message.state !== "failed" && message.state !== "aborted") return undefined;
  if (message.role === "user") return message.text;
  const question = conversation.messages.find((other) => other.role === "user" && other.runId === message.runId);
  const isOperator = question?.source === undefined || question.source.type === "operator";
  return isOperator ? question?.text : undefined;
}

function append(conversation: Conversation, message: Omit<Message, "id" | "touched">): Conversation {
  const version = conversation.version + 1;
  const made: Message = { ...message, id: `live-${version}`, touched: version };
  return { ...conversation, messages: insert(conversation.messages, made).slice(-messagesMax), version };
}

/**
 * Runs queue up, so an answer goes under its question even when later questions are already there; anything else goes
 * where its time says.
 */
function insert(messages: readonly Message[], message: Message): readonly Message[] {
  const { runId, role, atMs } = message;
  const question = role === "user" || runId === undefined ? -1 : messages.findLastIndex((m) => m.runId === runId);
  const before = question >= 0 ? question : messages.findLastIndex((m) => m.atMs <= atMs);
  return messages.toSpliced(before + 1, 0, message);
}

function change(
  conversation: Conversation,
  which: (message: Message) => boolean,
  to: (message: Message) => Omit<Message, "touched">,
): Conversation {
  const version = conversation.version + 1;
  const messages = conversation.messages.map((message) =>
    which(message) ? { ...to(message), touched: version } : message,
  );
  return { ...conversation, messages, version };
}

const startRun = (conversation: Conversation, runId: string): Conversation =>
  conversation.running.includes(runId) ? conversation : { ...conversation, running: [...conversation.running, runId] };

function endRun(conversation: Conversation, runId: string): Conversation {
  const settled = change(
    conversation,
    (message) => message.runId === runId && message.state === "sent",
    (message) => ({ ...message, state: "settled" }),
  );
  return {
    ...settled,
    running: settled.running.filter((other) => other !== runId),
    ended: [...settled.ended.filter((other) => other !== runId), runId].slice(-endedMax),
  };
}
