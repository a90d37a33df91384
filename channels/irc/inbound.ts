/**
 * A message of IRC as an `InboundEvent`. Pure. A room (`#name`) is a peer of kind `group`, a query the nick of who wrote it, both as the
 * network compares them. Source: behaviour §8, RFC 2812 §2.2.
 */
import type { ChannelHost } from "../port.ts";

export type IrcEvent = Parameters<ChannelHost["receive"]>[0];

export interface IrcMessage {
  readonly nick: string;
  readonly target: string;
  readonly message: string;
  readonly isAction: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly atMs: number;
}

export interface IrcSelf {
  readonly nick: string;
  /** Lower case as this network defines it. */
  readonly fold: (text: string) => string;
}

/** RFC 2811 §2.1. */
export const isRoom = (target: string): boolean => /^[#&+!]/.test(target);

/** Undefined: the account's own, or nothing that can be read. */
export function parseMessage(said: IrcMessage, { nick, fold }: IrcSelf): IrcEvent | undefined {
  const sender = fold(said.nick);
  const text = withoutFormat(said.message).trim();
  if (sender === "" || sender === fold(nick) || text === "") return undefined;
  const inRoom = isRoom(said.target);
  const { addressed, rest } = splitAddress(text, nick, fold);
  const { msgid } = said.tags;
  return {
    ...(msgid === undefined || msgid === "" ? {} : { messageId: msgid.slice(0, 256) }),
    peer: inRoom ? { kind: "group", id: fold(said.target) } : { kind: "direct", id: sender },
    sender: { id: sender, name: said.nick },
    selfId: fold(nick),
    ...(inRoom ? { wasMentioned: addressed || hasWord(fold(text), fold(nick)) } : {}),
    text: said.isAction ? `* ${said.nick} ${text}` : rest,
    tsMs: said.atMs,
  };
}

/** `nick: text`, as rooms address somebody. What is left may be a command. */
function splitAddress(text: string, nick: string, fold: IrcSelf["fold"]): { addressed: boolean; rest: string } {
  const head = text.slice(0, nick.length);
  const after = /^[:,]\s+(?=\S)/.exec(text.slice(nick.length));
  if (fold(head) !== fold(nick) || after === null) return { addressed: false, rest: text };
  return { addressed: true, rest: text.slice(nick.length + after[0].length) };
}

/** Characters that a nick may have, so that `bots` does not name `bot`. RFC 2812 §2.3.1. */
const nickCharacter = /[a-z0-9\-[\]\\`^{}|_]/i;

function hasWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    const around = [text[at - 1], text[at + word.length]];
    if (around.every((character) => character === undefined || !nickCharacter.test(character))) return true;
  }
  return false;
}

/** Colours and styles of clients are no text. */
function withoutFormat(text: string): string {
  return text.replaceAll(colours, "").replaceAll(/\p{Cc}/gu, "");
}

const [colour, hexColour] = [String.fromCharCode(3), String.fromCharCode(4)];
/** `^C` with one or two numbers, `^D` with six digits. */
const colours = new RegExp(`${colour}(?:\\d{1,2}(?:,\\d{1,2})?)?|${hexColour}(?:[0-9a-f]{6})?`, "gi");
