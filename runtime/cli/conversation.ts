/**
 * One session of an agent, as somebody at a terminal talks with it: one question at a time, the answer as it grows.
 *
 * The events of a run may arrive before the answer to `chat.send` names it, so that events of unknown runs are kept until
 * then.
 */
import { randomUUID } from "node:crypto";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { GatewayClient } from "./gateway-client.ts";
import { type ChatRow, findChatEvent, parseAccepted } from "./gateway-rows.ts";

export interface Answer {
  readonly status: "final" | "aborted" | "error";
  /** All visible text; empty when the agent chose to say nothing. */
  readonly text: string;
  readonly error?: string;
}

export interface Conversation {
  /**
   * Resolves with the end of the answer. `onText` gets the text that is new each time. Rejects when the connection is lost; a
   * message that is sent again with the same `key` is handled once.
   */
  ask(message: string, onText: (text: string) => void, key?: string): Promise<Answer>;
  /** Asks the gateway to stop the running answer; false when none is running. */
  abort(): Promise<boolean>;
  /** Ends the reading of events. */
  readonly ended: Promise<void>;
}

interface Turn {
  runId: string | undefined;
  early: ChatRow[];
  shown: string;
  readonly onText: (text: string) => void;
  readonly done: PromiseWithResolvers<Answer>;
}

export function openConversation(client: GatewayClient, sessionKey: string): Conversation {
  let turn: Turn | undefined;

  const apply = (current: Turn, row: ChatRow): void => {
    if (row.runId !== current.runId) return;
    const whole = row.message?.content;
    // An event may be left out on a slow connection; the whole text tells what is missing.
    const fresh = whole?.startsWith(current.shown) === true ? whole.slice(current.shown.length) : (row.deltaText ?? "");
    if (row.state === "delta") {
      current.shown += fresh;
      current.onText(fresh);
      return;
    }
    const text = whole ?? current.shown;
    turn = undefined;
    current.done.resolve({
      status: row.state,
      text,
      ...(row.errorMessage === undefined ? {} : { error: row.errorMessage }),
    });
  };

  const listen = async (): Promise<void> => {
    for await (const event of client.events()) {
      const row = turn === undefined ? undefined : findChatEvent(event);
      if (turn === undefined || row === undefined) continue;
      if (turn.runId !== undefined) apply(turn, row);
      else if (turn.early.length < limits.clientEventsMax) turn.early.push(row);
    }
  };
  const ended = listen().catch((error: unknown) => {
    turn?.done.reject(error);
    turn = undefined;
    throw error;
  });
  // Who asks hears of it; between two questions the next one does.
  ended.catch(() => undefined);

  return {
    ended,
    ask: async (message, onText, key = randomUUID()) => {
      if (turn !== undefined) throw failure("CLOISTER_REQUEST_INVALID", "Asking: an answer is still running.");
      const current: Turn = { runId: undefined, early: [], shown: "", onText, done: Promise.withResolvers() };
      turn = current;
      try {
        const sent = await client.request("chat.send", { sessionKey, message, idempotencyKey: key });
        current.runId = parseAccepted(sent).runId;
      } catch (error) {
        turn = undefined;
        throw error;
      }
      for (const row of current.early.splice(0)) apply(current, row);
      return current.done.promise;
    },
    abort: async () => {
      if (turn === undefined) return false;
      const { runId } = turn;
      await client.request("chat.abort", { sessionKey, ...(runId === undefined ? {} : { runId }) });
      return true;
    },
  };
}
