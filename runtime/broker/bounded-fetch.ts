/**
 * `fetch` for providers of models. The answer is bounded in bytes and in silence while it streams, before anything parses it; and a
 * redirect is an error: a key in a header of our own would travel with it.
 *
 * It is made of Node's own client: the `fetch` of Node takes as much of a processor for a short answer as all else that the broker does about one.
 * It fails as that one does (`TypeError`, with what happened as its cause): the packages of providers know such a failure by it.
 */
import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { limits } from "../kernel/limits.ts";
import { ProviderFailure } from "./provider-failure.ts";

export interface FetchBounds {
  readonly bytesMax: number;
  readonly silenceMs: number;
  /** See `limits.modelConnectMs`. */
  readonly connectMs?: number;
}

const usual: FetchBounds = { bytesMax: limits.modelResponseBytesMax, silenceMs: limits.modelSilenceMs };

type Open = (sent: Sent, onAnswer: (incoming: IncomingMessage) => void) => ClientRequest;

export function makeBoundedFetch({
  bytesMax,
  silenceMs,
  connectMs = limits.modelConnectMs,
}: FetchBounds = usual): typeof fetch {
  const open = makeOpen();
  return async (input, init) => {
    const sent = await sentOf(input, init);
    const signal = init?.signal ?? undefined;
    signal?.throwIfAborted();
    return await new Promise<Response>((resolve, reject) => {
      let ended = false;
      let body: ReadableStreamDefaultController<Uint8Array> | undefined;
      let asked: ClientRequest;
      const end = (): void => {
        ended = true;
        clearTimeout(watch);
        signal?.removeEventListener("abort", stop);
      };
      const fail = (error: unknown): void => {
        if (ended) return;
        end();
        asked.destroy();
        reject(error);
        body?.error(error);
      };
      const stop = (): void => fail(signal?.reason);
      const broken = (error: Error): void => fail(new TypeError("terminated", { cause: error }));
      const watch = setTimeout(
        () => fail(new ProviderFailure("transient", `the provider said nothing for ${silenceMs} ms`)),
        silenceMs,
      );
      signal?.addEventListener("abort", stop);

      const answered = (incoming: IncomingMessage): void => {
        watch.refresh();
        const { statusCode: status = 0, statusMessage: statusText = "" } = incoming;
        if (redirects.has(status)) {
          fail(new TypeError("fetch failed", { cause: new Error(`unexpected redirect (${status})`) }));
          return;
        }
        const headers = headersOf(incoming);
        if (withoutBody.has(status)) {
          resolve(new Response(null, { status, statusText, headers }));
          end();
          incoming.resume();
          return;
        }
        const from = decoded(incoming, headers.get("content-encoding"));
        let bytes = 0;
        incoming.on("error", broken);
        from.on("error", broken);
        from.on("data", (chunk: Buffer) => {
          if (ended) return;
          watch.refresh();
          bytes += chunk.byteLength;
          if (bytes > bytesMax) {
            fail(new ProviderFailure("output", `the answer of the provider has more than ${bytesMax} bytes`));
            return;
          }
          body?.enqueue(chunk);
          if ((body?.desiredSize ?? 1) <= 0) from.pause();
        });
        from.on("end", () => {
          if (ended) return;
          end();
          body?.close();
        });
        const stream = new ReadableStream<Uint8Array>(
          {
            start: (controller) => void (body = controller),
            pull: () => void from.resume(),
            cancel: () => {
              end();
              asked.destroy();
            },
          },
          { highWaterMark: chunksWaitingMax },
        );
        resolve(new Response(stream, { status, statusText, headers }));
      };

      const ask = (isAgain: boolean): void => {
        asked = open(sent, (incoming) => {
          try {
            answered(incoming);
          } catch (error) {
            // A status or a header that no `Response` may have.
            fail(new TypeError("fetch failed", { cause: error }));
          }
        });
        boundConnecting(asked, sent.url, connectMs);
        let readBefore = 0;
        asked.once("socket", ({ bytesRead }) => void (readBefore = bytesRead));
        asked.on("error", (error: NodeJS.ErrnoException) => {
          if (!ended && !isAgain && asked.reusedSocket && isUntaken(asked, readBefore)) ask(true);
          else fail(new TypeError("fetch failed", { cause: error }));
        });
        asked.end(sent.body);
      };
      try {
        ask(false);
      } catch (error) {
        end();
        reject(new TypeError("fetch failed", { cause: error }));
      }
    });
  };
}

/**
 * Of a request that failed on a connection that was kept: nobody can have acted on it. It had not left this process as a whole, and not a byte came back.
 * One that had left may have been taken, whatever the failure is called: a model may have been paid for, or a token that renews another used up.
 */
const isUntaken = (asked: ClientRequest, readBefore: number): boolean =>
  !asked.writableFinished && asked.socket?.bytesRead === readBefore;

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const withoutBody: ReadonlySet<number> = new Set([204, 205, 304]);

/** Then the provider has to wait: a chunk has at most 64 KB. */
const chunksWaitingMax = 16;

/** Connections are kept for the next request. */
function makeOpen(): Open {
  const kept = { keepAlive: true, timeout: limits.modelConnectionIdleMs };
  const agents = { http: new HttpAgent(kept), https: new HttpsAgent(kept) };
  return ({ url, method, headers }, onAnswer) =>
    url.protocol === "https:"
      ? httpsRequest(url, { method, headers, agent: agents.https }, onAnswer)
      : httpRequest(url, { method, headers, agent: agents.http }, onAnswer);
}

/** Where nobody answers at all, the next provider is asked long before this one counts as silent. */
function boundConnecting(asked: ClientRequest, { protocol }: URL, connectMs: number): void {
  asked.once("socket", (socket) => {
    if (asked.reusedSocket) return;
    const slow = setTimeout(() => asked.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
    const clear = (): void => clearTimeout(slow);
    socket.once(protocol === "https:" ? "secureConnect" : "connect", clear).once("close", clear);
  });
}

interface Sent {
  readonly url: URL;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

async function sentOf(input: Parameters<typeof fetch>[0], init: RequestInit = {}): Promise<Sent> {
  if (input instanceof Request) throw new TypeError("a Request is not taken: give its address and its options");
  const url = new URL(input);
  const headers = { accept: "*/*", "user-agent": "cloister", ...Object.fromEntries(new Headers(init.headers)) };
  const { method = "GET", body } = init;
  if (body === undefined || body === null) return { url, method, headers, body: undefined };
  if (typeof body === "string") return { url, method, headers: withLength(headers, Buffer.byteLength(body)), body };
  const encoded = new Response(body);
  const bytes = new Uint8Array(await encoded.arrayBuffer());
  const type = encoded.headers.get("content-type");
  const typed = type === null ? headers : { "content-type": type, ...headers };
  return { url, method, headers: withLength(typed, bytes.byteLength), body: bytes };
}

const withLength = (headers: Record<string, string>, bytes: number): Record<string, string> => ({
  ...headers,
  "content-length": String(bytes),
});

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  return headers;
}

/** No encoding is asked for; some servers use one all the same. */
function decoded(incoming: IncomingMessage, encoding: string | null): Readable {
  const decoder = encoding === null ? undefined : decoders[encoding.trim().toLowerCase()]?.();
  return decoder === undefined ? incoming : incoming.pipe(decoder);
}

const decoders: Readonly<Record<string, () => ReturnType<typeof createGunzip>>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};
