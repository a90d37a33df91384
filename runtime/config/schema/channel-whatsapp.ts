/** `channels.whatsapp`. */
import * as z from "zod";
import { ackKeys, built, inboundDebounce, mediaMaxMb } from "./channel-keys.ts";
import { key, later } from "./note.ts";
import { anyMap, anyValue, filledText } from "./values.ts";

const whatsappKeys = () => ({
  authDir: key(
    "Folder of the account's login; `credentials/whatsapp/<account>` of the state directory by default. Each account has its own.",
    filledText().optional(),
  ),
  libraryDir: key(
    "Where the library Baileys was installed; `libraries/whatsapp` of the state directory by default (docs/guides/whatsapp.md).",
    filledText().optional(),
  ),
  sendReadReceipts: key("`false`: people do not see that an agent has read what they wrote.", z.boolean().optional()),
  selfChatMode: later(
    "self-chat without a list",
    "The owner's chat with himself. It is heard when `allowFrom` has the account's own number.",
    z.boolean().optional(),
  ),
  mediaMaxMb,
  messagePrefix: later("response prefix", "Text before each message.", z.string().optional()),
  ...ackKeys(),
  reactionLevel: later("reactions", "Reactions that agents give.", anyValue()),
  replyToMode: later("reply modes", "Which answers are replies.", z.string().optional()),
  debounceMs: key(
    "How long a message waits for the next one of its sender, in milliseconds. Default: that of `messages.inbound`.",
    inboundDebounce().optional(),
  ),
  chunkMode: later("chunk modes", "How a long answer is cut.", z.string().optional()),
  actions: later("message actions", "Actions of the message tool.", anyMap().optional()),
});

export const whatsapp = () => built(whatsappKeys());
