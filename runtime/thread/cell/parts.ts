/** Several messages that one turn handles: as the actor gets them, and as one text. */
import type { Provenance, Signal } from "../../kernel/envelope.ts";
import { frameMessage } from "../../kernel/peer-frame.ts";
import { taskMark } from "../../kernel/run-rows.ts";
import type { ToldHeader } from "../../kernel/session-choices.ts";
import type { IncomingMessage, IncomingSignal, MessagePart } from "../actor-port.ts";

/** As it came: a `down.part` record. */
export interface RawPart {
  readonly header: string;
  readonly body: string;
  readonly isShortened: boolean;
}

export function partOf({ header: json, body, isShortened }: RawPart): MessagePart {
  const header = JSON.parse(json) as ToldHeader;
  const { signal } = header;
  return Object.assign(
    new Heard(header, body),
    { isShortened },
    signal === undefined ? {} : { signal: signalOf(signal, body) },
  );
}

/**
 * What every message has. The text for a model is made when it is asked for, since a program reads the other one. It is a class for that: an accessor
 * that an object has of its own is a new shape for V8 each time, and was most of what a short turn cost its cell.
 */
export class Heard implements Pick<IncomingMessage, "id" | "text" | "framed" | "provenance" | "receivedAtMs"> {
  readonly id: string;
  readonly text: string;
  readonly provenance: Provenance;
  readonly receivedAtMs: number;
  readonly #chain: readonly string[];

  constructor({ id, provenance, acceptedAtMs, chain }: ToldHeader, text: string) {
    this.id = id;
    this.text = text;
    this.provenance = provenance;
    this.receivedAtMs = acceptedAtMs;
    this.#chain = chain;
  }

  get framed(): string {
    return frameMessage(this.text, this.provenance, this.#chain);
  }
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
