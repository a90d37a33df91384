/**
 * Albums: Telegram tells of each picture as a message of its own, with the number of the album. They become one message, which ends with another one
 * of its chat, with as many parts as an album can have, or when no further part comes for a while.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { ChannelHost, Received } from "../port.ts";
import type { TelegramEvent } from "./inbound.ts";

export interface Albums {
  /** Hands on what came, or keeps it until its album has ended. Resolves as `receive`. `chat`: whose messages stay in their order. */
  take(chat: string, album: string | undefined, event: TelegramEvent): Promise<Received>;
}

interface Open {
  readonly album: string;
  readonly parts: TelegramEvent[];
  readonly stored: PromiseWithResolvers<Received>;
  waits: AbortController;
}

export function makeAlbums({ receive, pause }: Pick<ChannelHost, "receive" | "pause">): Albums {
  const open = new Map<string, Open>();

  function end(chat: string): void {
    const found = open.get(chat);
    if (found === undefined) return;
    open.delete(chat);
    found.waits.abort();
    receive(joinParts(found.parts)).then(found.stored.resolve, found.stored.reject);
  }

  function waitOn(chat: string, found: Open): void {
    found.waits.abort();
    const waits = new AbortController();
    found.waits = waits;
    void pause(limits.telegramAlbumMs, waits.signal).then(() => {
      if (!waits.signal.aborted) end(chat);
    });
  }

  return {
    take(chat, album, event) {
      if (open.get(chat)?.album !== album) end(chat);
      if (album === undefined) return receive(event);
      const found = open.get(chat) ?? {
        album,
        parts: [],
        stored: Promise.withResolvers<Received>(),
        waits: new AbortController(),
      };
      open.set(chat, found);
      found.parts.push(event);
      if (found.parts.length >= limits.telegramAlbumMax) end(chat);
      else waitOn(chat, found);
      return found.stored.promise;
    },
  };
}

/** The first part is the message; words stand at any of them. */
export function joinParts(parts: readonly TelegramEvent[]): TelegramEvent {
  const [first, ...others] = parts;
  if (first === undefined) throw new RangeError("an album has a part");
  const media = parts.flatMap((part) => part.media ?? []);
  return {
    ...first,
    ...(others.some(({ wasMentioned }) => wasMentioned === true) ? { wasMentioned: true } : {}),
    text: parts.map(({ text }) => text).join("\n"),
    ...(media.length === 0 ? {} : { media }),
  };
}
