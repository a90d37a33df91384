/**
 * What streams, as sockets hear it. The kernel's side tells new text alone; the wire repeats all text so far beside each
 * `delta` (protocol.md), which would cost more the longer the answer is. So the text is put together here, off the main thread: what
 * an agent streams within `deltaPaceMs` becomes one event, and of a long text most events hold what is new and nothing else. All of it is
 * told when it has grown by an eighth, or when no more than `wholeTextCharsPerSecond` come of it: so the bytes of an answer are a
 * multiple of its length and of its time, not its square. Everything that came before the end of a run is told before it.
 */
import type { EdgeBounds } from "./bounds.ts";
import type { ChatEvent } from "./port.ts";

interface Stream {
  text: string;
  /** New text that no event has told yet. */
  fresh: string;
  /** The latest delta; it stands for all that `fresh` holds. */
  last: ChatEvent;
  /** How long the text was when all of it was told, and when that was; 0: never. */
  wholeChars: number;
  wholeAtMs: number;
  pause: NodeJS.Timeout | undefined;
}

export interface Streams {
  /** A chat event of the kernel's side. */
  take(event: ChatEvent): void;
  close(): void;
}

/**
 * What an event is of the stream of its run: all text so far; what came since the event before, which means nothing to who missed that;
 * or its end. Of those before the end a slow reader may miss any, since a later one holds it as well.
 */
export interface StreamPart {
  readonly runId: string;
  readonly is: "whole" | "more" | "end";
}

/** `tell` gets what goes to the sockets. */
export function makeStreams(
  { deltaPaceMs, wholeTextCharsPerSecond }: Pick<EdgeBounds, "deltaPaceMs" | "wholeTextCharsPerSecond">,
  now: () => number,
  tell: (event: ChatEvent, part: StreamPart) => void,
): Streams {
  const streams = new Map<string, Stream>();

  const flush = (stream: Stream): void => {
    const { fresh: deltaText, text, last, wholeChars, wholeAtMs } = stream;
    const { runId } = last;
    const atMs = now();
    stream.fresh = "";
    const isWhole =
      text.length * 8 >= wholeChars * 9 || ((atMs - wholeAtMs) / 1_000) * wholeTextCharsPerSecond >= text.length;
    if (!isWhole) return tell({ ...last, deltaText }, { runId, is: "more" });
    stream.wholeChars = text.length;
    stream.wholeAtMs = atMs;
    const message = { role: "assistant", content: [{ type: "text", text }], timestamp: atMs } as const;
    tell({ ...last, deltaText, message }, { runId, is: "whole" });
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
      stream = { text: "", fresh: "", last: event, wholeChars: 0, wholeAtMs: 0, pause: undefined };
      streams.set(event.runId, stream);
    } else if (event.seq === 1) {
      // The turn is handled again, after its cell ended: it begins anew.
      stream.text = "";
      stream.fresh = "";
      stream.wholeChars = 0;
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
      tell(event, { runId: event.runId, is: "end" });
    },
    close() {
      for (const { pause } of streams.values()) clearTimeout(pause);
      streams.clear();
    },
  };
}
