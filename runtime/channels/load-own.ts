/**
 * The module of a channel of the operator's own, in the channel's thread. One that cannot be used is no lost thread, which would be started again and
 * again: its accounts stand as failed, with the reason, until the gateway or the channel starts anew.
 */
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { channelApi, type ChannelDefinition, type OwnChannel } from "../../channels/own.ts";
import type { AccountSettings, ChannelModule } from "../../channels/port.ts";
import { type CodedError, failure, isCoded } from "../kernel/errors.ts";
import { missingExport } from "../thread/missing-export.ts";
import { channelDoorUrl } from "../thread/entries.ts";

const doorName = "cloister/channels";

export async function loadOwn({ module, manifest }: OwnChannel): Promise<ChannelModule<AccountSettings>> {
  const doorUrl = channelDoorUrl().href;
  // The door of this version, whatever copy for types is installed beside the module.
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === doorName ? { url: doorUrl, shortCircuit: true } : next(specifier, context),
  });
  try {
    return { manifest, open: (await importChannel(module)).open };
  } catch (error) {
    return { manifest, open: () => refuse(invalid(module, error)) };
  }
}

/** @throws CLOISTER_MODULE_INVALID without a channel; else what the module throws */
export async function importChannel<S extends AccountSettings>(module: string): Promise<ChannelDefinition<S>> {
  const loaded = (await import(pathToFileURL(module).href)) as { readonly default?: Partial<ChannelDefinition<S>> };
  const { open } = loaded.default ?? {};
  if (typeof open === "function") return { open };
  throw failure(
    "CLOISTER_MODULE_INVALID",
    `${module} has no channel as its default export`,
    "write `export default defineChannel({ open })`; docs/guides/write-a-channel.md",
  );
}

function invalid(module: string, error: unknown): CodedError {
  const message = error instanceof Error ? error.message : String(error);
  const [, from, name] = missingExport.exec(message) ?? [];
  if (from === doorName)
    return failure(
      "CLOISTER_MODULE_INVALID",
      `${module} needs ${JSON.stringify(name)} of ${doorName}, which version ${channelApi} of the API of channels does not have`,
      "take a release of the channel that was made for this version, or another version of Cloister",
      error,
    );
  if (isCoded(error)) return error;
  return failure(
    "CLOISTER_MODULE_INVALID",
    `${module} cannot be loaded: ${message.replace(/^CLOISTER_MODULE_INVALID: /, "").split("\n")[0]}`,
    "correct the module, then start the gateway again",
    error,
  );
}

/** An adapter that says why there is none. */
function refuse(reason: CodedError) {
  const rejected = () => Promise.reject(reason);
  const failed = { status: "failed", reason: reason.message, retry: true } as const;
  return { run: rejected, probe: rejected, send: () => Promise.resolve(failed) };
}
