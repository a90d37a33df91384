/**
 * A channel whose accounts may refer to secrets: they are read in the channel's thread before each connection, so that another secret counts with the next
 * one, which a reload of the secrets begins at once. An account whose secret cannot be read is not connected, says why, and is tried again; the others go on.
 */
import { unlessAborted } from "../../channels/aborted.ts";
import type { AccountSettings, ChannelAdapter, ChannelModule } from "../../channels/port.ts";
import {
  compareSecrets,
  findReferences,
  type ReadReferences,
  readReferences,
  replaceReferences,
} from "../broker/follow-secrets.ts";
import type { WithReferences } from "../broker/port.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import { failure, isCoded } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { AccountModule } from "./port.ts";

interface Opened {
  readonly read: ReadReferences;
  readonly adapter: ChannelAdapter;
}

export function withSecrets<S extends AccountSettings>(
  channel: ChannelModule<S>,
  secrets: Pick<SecretReader, "read" | "forget">,
): AccountModule<WithReferences<S> & AccountSettings> {
  return {
    manifest: channel.manifest,
    open(settings, host) {
      const places = findReferences(settings);
      if (places.length === 0) return channel.open(settings as S, host);
      let opened: Opened | undefined;
      const open = async (): Promise<Opened> => {
        const read = await readReferences(places, secrets);
        const told = replaceReferences<S>(settings, read);
        if (opened !== undefined && compareSecrets(opened.read, read).renewed.length === 0) return opened;
        return { read, adapter: channel.open(told, host) };
      };
      /** What cannot be read is no other one: it may be on its way. */
      const isStill = async (was: Opened | undefined): Promise<boolean> =>
        compareSecrets(was?.read, await readReferences(places, secrets)).renewed.length === 0;
      const adapter = (): ChannelAdapter => {
        if (opened === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "the account is not connected yet");
        return opened.adapter;
      };
      return {
        async run(signal) {
          try {
            // An account that ends waits for no program, and no adapter begins a connection that nobody would end.
            const found = await unlessAborted(open(), signal);
            if (found === undefined || signal.aborted) return;
            opened = found;
            await opened.adapter.run(signal);
          } catch (error) {
            // A program may say another one now.
            if (isCoded(error) && error.code === "CLOISTER_CHANNEL_CREDENTIAL")
              secrets.forget(limits.secretProgramAgainMs);
            throw error;
          }
        },
        async whenOther(signal) {
          const refused = opened;
          do {
            await host.pause(limits.channelSecretLookMs, signal);
            if (signal.aborted) return;
            secrets.forget(limits.secretProgramLookMs);
          } while (await isStill(refused));
        },
        readSecrets: async () => compareSecrets(opened?.read, await readReferences(places, secrets)),
        probe: async (signal) => (await open()).adapter.probe(signal),
        send: async (part) => adapter().send(part),
        act: async (action) => adapter().act?.(action) ?? { status: "failed", reason: "it cannot", retry: false },
        async fetch(media, bytesMax, signal) {
          const found = await adapter().fetch?.(media, bytesMax, signal);
          if (found === undefined) throw new Error(`the channel ${channel.manifest.id} cannot fetch files`);
          return found;
        },
        typing: async (...where) => adapter().typing?.(...where),
        called: async (payload) => adapter().called?.(payload),
      };
    },
  };
}
