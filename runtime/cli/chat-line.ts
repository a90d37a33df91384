/**
 * One person's line to a session, over as many connections as it takes. A message is sent again under its idempotency key when the
 * connection is lost before its answer: the gateway knows it, handles it once, and tells its end.
 *
 *     open ── lost ──► trying again, at most `limits.clientReconnectsMax` times ──► open, or closed
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { limits } from "../kernel/limits.ts";
import type { CliContext } from "./context.ts";
import { type Answer, type Conversation, openConversation } from "./conversation.ts";
import { chooseSession } from "./choose-session.ts";
import { findGateway } from "./find-gateway.ts";
import { type ClientScope, connectGateway, type GatewayClient } from "./gateway-client.ts";
import { type HistoryRow, parseAccepted, parseHistory } from "./gateway-rows.ts";
import { moreScopes } from "./open-client.ts";
import { isGone, pauseBeforeTry } from "./reconnect.ts";
import { fieldsOf } from "./wire-failure.ts";

export interface ChatLine {
  readonly sessionKey: string;
  readonly url: string;
  ask(text: string, onText: (text: string) => void): Promise<Answer>;
  /** False when no answer is running. */
  abort(): Promise<boolean>;
  /** The newest messages, oldest first. */
  history(limit: number): Promise<readonly HistoryRow[]>;
  request(method: string, params: object): Promise<unknown>;
  close(): Promise<void>;
}

interface Connection {
  readonly client: GatewayClient;
  readonly conversation: Conversation;
}

/** Rejects as `connectGateway` does when the first connection cannot be made. After `signal` nothing is tried again. */
export async function openChatLine(
  context: CliContext,
  target: { readonly agent?: string; readonly session?: string },
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<ChatLine> {
  const { version, platform } = context;
  let scopes: readonly ClientScope[] = ["operator.read", "operator.write"];
  const connect = async (session: string | undefined): Promise<Connection & { readonly sessionKey: string }> => {
    const client = await connectGateway(await findGateway(context), { version, platform, scopes }, { signal });
    try {
      const sessionKey = await chooseSession(client, session === undefined ? target : { session });
      await client.request("sessions.subscribe", {});
      return { client, sessionKey, conversation: openConversation(client, sessionKey) };
    } catch (error) {
      await client.close();
      throw error;
    }
  };
  const first = await connect(undefined);
  const { sessionKey } = first;
  let current: Connection = first;

  const reconnect = async (lost: unknown): Promise<void> => {
    await current.client.close();
    let error = lost;
    for (let failed = 1; ; failed += 1) {
      await pauseBeforeTry(failed, limits.clientReconnectMsFirst, error, say, signal);
      try {
        current = await connect(sessionKey);
        // Who left closes the connection that they know.
        if (signal.aborted) await current.client.close();
        say("connected again");
        return;
      } catch (again) {
        if (!isGone(again)) throw again;
        error = again;
      }
    }
  };

  /** Does it on a connection that works. `again` does the rest on the next one, if it is not the same. */
  const use = async <T>(act: (on: Connection) => Promise<T>, again = act): Promise<T> => {
    let next = act;
    for (;;) {
      try {
        return await next(current);
      } catch (error) {
        if (signal.aborted) throw error;
        const more = moreScopes(scopes, error);
        if (more !== undefined) {
          scopes = more;
          const { client } = current;
          current = await connect(sessionKey);
          await client.close();
        } else if (isGone(error)) {
          await reconnect(error);
          next = again;
        } else throw error;
      }
    }
  };

  return {
    sessionKey,
    url: first.client.url,
    ask: (text, onText) => {
      const key = randomUUID();
      return use(
        ({ conversation }) => conversation.ask(text, onText, key),
        ({ client }) => hearEnd(client, sessionKey, text, key),
      );
    },
    abort: () => current.conversation.abort(),
    history: (limit) =>
      use(async ({ client }) => {
        const payload = await client.request("chat.history", { sessionKey, limit });
        return fieldsOf(payload)["messages"] === undefined ? [] : parseHistory(payload);
      }),
    request: (method, params) => use(({ client }) => client.request(method, params)),
    close: () => current.client.close(),
  };
}

const ended = z.object({ status: z.string(), reply: z.string().nullish(), error: z.string().optional() });

/** The end of a message that was sent before: the gateway recognises its key, or has never had it and takes it now. */
async function hearEnd(client: GatewayClient, sessionKey: string, message: string, key: string): Promise<Answer> {
  const { runId } = parseAccepted(await client.request("chat.send", { sessionKey, message, idempotencyKey: key }));
  for (;;) {
    const timeoutMs = limits.clientRequestMs / 2;
    const { status, reply, error } = ended.parse(await client.request("agent.wait", { runId, timeoutMs }));
    if (status === "timeout") continue;
    if (status === "ok") return { status: "final", text: reply ?? "" };
    return { status: "error", text: "", ...(error === undefined ? {} : { error }) };
  }
}
