/** `channels.modules`. Keys of an account that its own channel has are checked against the channel's `channel.json`. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import {
  accountEnabled,
  ackKeys,
  channelKeys,
  chunkKeys,
  commonKeys,
  mediaMaxMb,
  reactionKeys,
} from "./channel-keys.ts";
import { key } from "./note.ts";
import { filledText } from "./values.ts";

const ownKeys = () => ({ ...commonKeys, ...chunkKeys, ...reactionKeys(), ...ackKeys(), mediaMaxMb });

const ownChannel = () => {
  const keys = ownKeys();
  return z.looseObject({
    ...keys,
    ...channelKeys,
    module: key("File of the channel's module; `channel.json` stands beside it.", filledText()),
    accounts: key(
      "Logins of the channel; each inherits the channel's keys.",
      z.record(filledText(), z.looseObject({ ...keys, ...accountEnabled })).default({}),
    ),
  });
};

/** Names that are part of a session's key and of a path. */
const channelName = () => z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "must be lower-case letters, digits and dashes");

export const ownChannels = () =>
  z
    .record(channelName(), ownChannel())
    .refine((all) => Object.keys(all).length <= limits.ownChannelsMax, `must have at most ${limits.ownChannelsMax}`);

/** Keys of a section, or of an account, that every channel of its own has. */
export const sharedOwnKeys: ReadonlySet<string> = new Set([
  ...Object.keys(ownKeys()),
  ...Object.keys(channelKeys),
  "module",
  "accounts",
]);
