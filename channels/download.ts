/** A file of a platform over HTTP, as much of it as is wanted. The address may hold a credential: no error tells it. */
import { failure, isCoded } from "../runtime/kernel/errors.ts";

export interface Download {
  readonly headers?: Readonly<Record<string, string>>;
  /** `error`: where the platform sends strangers to a page of login, which is no file. Default: it is followed. */
  readonly redirect?: "error" | "follow";
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** @throws CLOISTER_CHANNEL_OFFLINE when it does not come, CLOISTER_REQUEST_INVALID when it has more than `bytesMax` */
export async function download(
  url: string,
  { headers = {}, redirect = "follow", bytesMax, signal }: Download,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    const response = await fetch(url, { headers, redirect, signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw failure("CLOISTER_CHANNEL_OFFLINE", `the platform answered ${response.status} instead of the file`);
    }
    for await (const chunk of response.body) {
      bytes += chunk.length;
      // Leaving the loop ends the transfer.
      if (bytes > bytesMax)
        throw failure("CLOISTER_REQUEST_INVALID", `it has more than the ${bytesMax} bytes that are fetched at most`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (isCoded(error)) throw error;
    throw failure("CLOISTER_CHANNEL_OFFLINE", signal.aborted ? "it did not come in time" : "the connection was lost");
  }
  return Buffer.concat(chunks, bytes);
}
