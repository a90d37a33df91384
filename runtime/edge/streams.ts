/**
 * What streams, as sockets hear it. The kernel's side tells new text alone; the wire repeats all text so far with each
 * `delta` (protocol.md), which costs more the longer the answer is. So the text is put together here, off the main thread, and what
 * an agent streams within `deltaPaceMs` becomes one event. Everything that came before the end of a run is told before it.
 */
import type { ChatEvent } from "./port.ts";

interface Stream {
  text: string;
  /** New text that no event has told yet. */
  fresh: string;
  /** The latest delta; it stands for all that `fresh` holds. */
  last: ChatEvent;
  pause: NodeJS.Timeout | undefined;
}

export interface Streams {
  /** A chat event of the kernel's side. */
  take(event: ChatEvent): void;
  close(): void;
}

/** `tell` gets what goes to the sockets. `lossy`: a later event holds it as well, so that it may be left out. */
export function makeStreams(
  deltaPaceMs: number,
  now: () => number,
  tell: (event: ChatEvent, lossy: boolean) => void,
): Streams {
  const streams = new Map<string, Stream>();

  const flush = (stream: Stream): void => {
    const { fresh: deltaText, text } = stream;
    stream.fresh = "";
    const message = { role: "assistant", content: [{ type: "text", text }], timestamp: now() } as const;
    tell({ ...stream.last, deltaText, message }, true);
  };

  const rest = (stream: Stream): void => {
    stream.pause = setTimeout(() => {
      stream.pause = undefined;
      if (stream.fresh === "") return;
      flush(stream);
      rest(stream);
    }, deltaPaceMs);
    stream.pause.unref();
  };

  const grow = (event: ChatEvent): void => {
    let stream = streams.get(event.runId);
    if (stream === undefined) {
      stream = { text: "", fresh: "", last: event, pause: undefined };
      streams.set(event.runId, stream);
    } else if (event.seq === 1) {
      // The turn is handled again, after its cell ended: it begins anew.
      stream.text = "";
      stream.fresh = "";
    }
    stream.text += event.deltaText ?? "";
    stream.fresh += event.deltaText ?? "";
    stream.last = event;
    if (stream.pause !== undefined) return;
    flush(stream);
    rest(stream);
  };

  return {
    take(event) {
      if (event.state === "delta") return grow(event);
      const stream = streams.get(event.runId);
      if (stream !== undefined) {
        streams.delete(event.runId);
        clearTimeout(stream.pause);
        if (stream.fresh !== "") flush(stream);
      }
      tell(event, false);
    },
    close() {
      for (const { pause } of streams.values()) clearTimeout(pause);
      streams.clear();
    },
  };
}
