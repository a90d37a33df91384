/**
 * One connection of socket mode, over Slack's own client. Slack hears that an event arrived when it is stored; what was not taken ends the
 * connection, because the ones behind it must not overtake it, and Slack offers it again on the next.
 */
import { SocketModeClient } from "@slack/socket-mode";
import type { WebClientOptions } from "@slack/web-api";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { ChannelHost } from "../port.ts";
import { at } from "./inbound.ts";

export interface SocketDeps {
  readonly appToken: string;
  readonly options: WebClientOptions;
  readonly onOpen: () => void;
  /** Rejects when it was not taken. */
  readonly take: (payload: unknown) => Promise<void>;
  readonly host: Pick<ChannelHost, "pause" | "log">;
}

/** What Slack's client hands on of an envelope. */
interface Envelope {
  readonly ack: () => Promise<void>;
  readonly body: unknown;
}

/**
 * Resolves when the signal ended it (`ended`), or when Slack wants a new one in its place (`refreshed`). Rejects when it was lost, or could
 * not be opened.
 */
export async function runSocket(
  { appToken, options, onOpen, take, host }: SocketDeps,
  signal: AbortSignal,
): Promise<"ended" | "refreshed"> {
  const client = new SocketModeClient({
    appToken,
    autoReconnectEnabled: false,
    clientOptions: { ...options },
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });
  const over = Promise.withResolvers<"ended" | "refreshed">();
  // Whoever waits for it comes later.
  over.promise.catch(() => undefined);
  let isOver = false;
  let wantsNew = false;
  const lose = (error: unknown): void => {
    isOver = true;
    over.reject(error);
  };
  const stop = (): void => {
    isOver = true;
    over.resolve("ended");
  };
  client.on("ws_message", (data: unknown) => {
    wantsNew ||= asksForNew(data);
  });
  client.on("disconnected", () => {
    if (isOver) return;
    isOver = true;
    if (wantsNew) over.resolve("refreshed");
    else over.reject(failure("CLOISTER_CHANNEL_OFFLINE", "the connection to Slack was lost"));
  });
  client.on("slack_event", ({ ack, body }: Envelope) => {
    if (isOver) return;
    void take(body).then(
      // Where the connection is gone Slack offers it again, and it is known by its id.
      () => ack().catch(() => undefined),
      lose,
    );
  });
  // One that was ended while it was being opened.
  client.on("connected", () => {
    if (isOver) void client.disconnect();
  });
  if (signal.aborted) return "ended";
  signal.addEventListener("abort", stop, { once: true });
  const waited = new AbortController();
  try {
    const opened = client.start().then(
      () => "open" as const,
      (error: unknown) => {
        throw error ?? failure("CLOISTER_CHANNEL_OFFLINE", "Slack closed the connection before its greeting");
      },
    );
    const late = host.pause(limits.slackHelloMs, AbortSignal.any([signal, waited.signal])).then(() => "late" as const);
    const first = await Promise.race([opened, late, over.promise]);
    if (first === "late" && !signal.aborted)
      throw failure("CLOISTER_CHANNEL_OFFLINE", `Slack did not greet within ${limits.slackHelloMs / 1000} s`);
    if (first === "open" && !isOver) onOpen();
    return await over.promise;
  } finally {
    isOver = true;
    waited.abort();
    signal.removeEventListener("abort", stop);
    await close(client, host);
  }
}

/** Slack ends connections after a while, and before its servers are restarted; it says so, and a new one is expected. */
function asksForNew(data: unknown): boolean {
  if (typeof data !== "string" || !data.includes('"disconnect"')) return false;
  const message: unknown = JSON.parse(data);
  return at(message, "type") === "disconnect" && at(message, "reason") !== "link_disabled";
}

/** In order, or without the other side. What is still being opened is closed when it greets: before, the client fails in trying. */
async function close(client: SocketModeClient, { pause }: Pick<ChannelHost, "pause">): Promise<void> {
  if (isBeforeOpen(client)) return;
  const closed = new AbortController();
  const gone = client.disconnect().finally(() => closed.abort());
  await Promise.race([gone, pause(limits.slackCloseMs, closed.signal)]);
  // The second time it does not wait for the other side.
  if (!closed.signal.aborted) void client.disconnect();
}

/** The client tells it nobody: it asks for the address, or its WebSocket is in the state `CONNECTING`, which is 0. */
function isBeforeOpen(client: SocketModeClient): boolean {
  const socket: unknown = Reflect.get(client, "websocket");
  return typeof socket !== "object" || socket === null || Reflect.get(socket, "readyState") === 0;
}
