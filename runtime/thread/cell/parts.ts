/** Several messages that one turn handles: as the actor gets them, and as one text. */
import type { EnvelopeHeader, Signal } from "../../kernel/envelope.ts";
import { frameMessage } from "../../kernel/peer-frame.ts";
import { taskMark } from "../../kernel/run-rows.ts";
import type { IncomingSignal, MessagePart } from "../actor-port.ts";

/** As it came: a `down.part` record. */
export interface RawPart {
  readonly header: string;
  readonly body: string;
  readonly isShortened: boolean;
}

export function partOf({ header, body, isShortened }: RawPart): MessagePart {
  const { id, provenance, chain, acceptedAtMs, signal } = JSON.parse(header) as EnvelopeHeader;
  return {
    id,
    text: body,
    /** Made when it is asked for: a program reads the text. */
    get framed() {
      return frameMessage(body, provenance, chain);
    },
    provenance,
    receivedAtMs: acceptedAtMs,
    isShortened,
    ...(signal === undefined ? {} : { signal: signalOf(signal, body) }),
  };
}

/** One is as it was said; of more, each is under its number and, where it is known, its sender's name. */
export function joinParts(parts: readonly MessagePart[]): string {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && !only.isShortened) return only.text;
  const texts = parts.map(({ text, isShortened, provenance }, index) => {
    const name = provenance.kind === "external_user" ? provenance.senderName : undefined;
    const marks = [`${index + 1} of ${parts.length}`, ...(name === undefined ? [] : [name])];
    return `[${[...marks, ...(isShortened ? ["shortened"] : [])].join(", ")}]\n${text}${isShortened ? "…" : ""}`;
  });
  return texts.join("\n\n");
}

export function signalOf(signal: Signal, body: string): IncomingSignal {
  if (signal.type === "spawned") return spawnedOf(signal, body);
  if (signal.type !== "timer") return signal;
  const { isData, ...timer } = signal;
  return isData ? { ...timer, data: JSON.parse(body) as unknown } : timer;
}

function spawnedOf({ attachments, ...signal }: Extract<Signal, { type: "spawned" }>, body: string): IncomingSignal {
  if (attachments === undefined) return { ...signal, task: body.slice(taskMark.length) };
  const { noteChars, ...told } = attachments;
  return { ...signal, task: body.slice(taskMark.length, body.length - noteChars), attachments: told };
}
