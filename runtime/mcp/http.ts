/**
 * `fetch` for MCP servers: each message of an answer is bounded in bytes before anything parses it. A stream of events may go on for as long as the
 * connection does, so that it is counted event by event.
 */
import { limits } from "../kernel/limits.ts";

export function makeMessageFetch(bytesMax: number = limits.mcpMessageBytesMax): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.body === null) return response;
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    // A copy by its constructor has no address, which the transport looks at.
    return Object.defineProperty(
      new Response(response.body.pipeThrough(bounded(bytesMax, isStream)), response),
      "url",
      { value: response.url },
    );
  };
}

const newLine = 0x0a;
const carriageReturn = 0x0d;

function bounded(bytesMax: number, isStream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  let isLineEmpty = false;
  const check = (): void => {
    if (bytes > bytesMax) throw new Error(`the server sent a message of more than ${bytesMax} bytes`);
  };
  return new TransformStream({
    transform(chunk, stream) {
      for (const byte of chunk) {
        bytes++;
        if (!isStream || byte === carriageReturn) continue;
        // An empty line ends an event.
        if (byte === newLine && isLineEmpty) {
          check();
          bytes = 0;
        }
        isLineEmpty = byte === newLine;
      }
      check();
      stream.enqueue(chunk);
    },
  });
}
