/**
 * `fetch` for providers of models. The answer is bounded in bytes and in silence while it streams, before anything parses it; and a
 * redirect is an error: a key in a header of our own would travel with it.
 */
import { limits } from "../kernel/limits.ts";
import { ProviderFailure } from "./provider-failure.ts";

export interface FetchBounds {
  readonly bytesMax: number;
  readonly silenceMs: number;
}

const usual: FetchBounds = { bytesMax: limits.modelResponseBytesMax, silenceMs: limits.modelSilenceMs };

export function makeBoundedFetch({ bytesMax, silenceMs }: FetchBounds = usual): typeof fetch {
  return async (input, init) => {
    const abort = new AbortController();
    const watch = setTimeout(
      () => abort.abort(new ProviderFailure("transient", `the provider said nothing for ${silenceMs} ms`)),
      silenceMs,
    );
    const signals = init?.signal === undefined || init.signal === null ? [] : [init.signal];
    try {
      const signal = AbortSignal.any([abort.signal, ...signals]);
      const response = await fetch(input, { ...init, redirect: "error", signal });
      if (response.body === null) {
        clearTimeout(watch);
        return response;
      }
      return new Response(bounded(response.body, bytesMax, watch), response);
    } catch (error) {
      clearTimeout(watch);
      throw abort.signal.aborted ? abort.signal.reason : error;
    }
  };
}

/** A stream that is read as it is read itself: a transform of it would be two more, with a queue each. */
function bounded(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
  watch: NodeJS.Timeout,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(stream) {
        const { done, value } = await reader.read().catch((error: unknown) => {
          clearTimeout(watch);
          throw error;
        });
        if (done) {
          clearTimeout(watch);
          stream.close();
          return;
        }
        watch.refresh();
        bytes += value.byteLength;
        if (bytes <= bytesMax) {
          stream.enqueue(value);
          return;
        }
        clearTimeout(watch);
        const failed = new ProviderFailure("output", `the answer of the provider has more than ${bytesMax} bytes`);
        await reader.cancel(failed).catch(() => undefined);
        throw failed;
      },
      cancel(reason) {
        clearTimeout(watch);
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
