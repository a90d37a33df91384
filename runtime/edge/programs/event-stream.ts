/**
 * An answer as server-sent events. Who reads too slowly is cut off, at the bytes that a WebSocket may have waiting; a silent stream
 * gets a comment now and then, so that no proxy takes it for dead.
 */
import type { ServerResponse } from "node:http";
import { securityHeaders } from "../answer.ts";
import type { EdgeBounds } from "../bounds.ts";

export interface EventStream {
  /** `event` is the name of the event; without one it has none. */
  send(payload: object, event?: string): void;
  /** `last` is a line of its own, as the usual `[DONE]`. */
  end(last?: string): void;
}

export function openEventStream(
  response: ServerResponse,
  bounds: Pick<EdgeBounds, "socketBufferedBytesMax" | "programSilenceMs">,
  headers: Readonly<Record<string, string>>,
): EventStream {
  response.writeHead(200, {
    ...securityHeaders,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    ...headers,
  });
  response.flushHeaders();
  let hasSpoken = true;
  const write = (text: string): void => {
    if (response.destroyed || response.writableEnded) return;
    if (response.writableLength > bounds.socketBufferedBytesMax) return void response.destroy();
    response.write(text);
  };
  const silence = setInterval(() => {
    if (!hasSpoken) write(": still there\n\n");
    hasSpoken = false;
  }, bounds.programSilenceMs);
  response.once("close", () => clearInterval(silence));
  return {
    send(payload, event) {
      hasSpoken = true;
      write(`${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(payload)}\n\n`);
    },
    end(last) {
      clearInterval(silence);
      if (last !== undefined) write(`data: ${last}\n\n`);
      response.end();
    },
  };
}
