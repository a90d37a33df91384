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
      return new Response(response.body.pipeThrough(bounded(bytesMax, watch)), response);
    } catch (error) {
      clearTimeout(watch);
      throw abort.signal.aborted ? abort.signal.reason : error;
    }
  };
}

function bounded(bytesMax: number, watch: NodeJS.Timeout): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, stream) {
      watch.refresh();
      bytes += chunk.byteLength;
      if (bytes > bytesMax) {
        clearTimeout(watch);
        throw new ProviderFailure("output", `the answer of the provider has more than ${bytesMax} bytes`);
      }
      stream.enqueue(chunk);
    },
    flush: () => clearTimeout(watch),
    cancel: () => clearTimeout(watch),
  });
}
