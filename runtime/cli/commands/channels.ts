/** `cloister channels …`: channels and their accounts, as the gateway has them. */
import { type BuiltChannel, builtChannels, isBuiltChannel } from "../../../channels/built.ts";
import type { ChannelManifest } from "../../../channels/port.ts";
import { isOwnChannel, switchAccount } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import { changeConfig, type ChangedConfig, describeChange, readShown } from "../change-config.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { withGateway } from "../open-client.ts";
import { readConfig } from "../read-config.ts";
import { formatCapabilities, formatChannels } from "../views/channels.ts";
import { formatJson } from "../views/table.ts";

export interface ChannelsOptions {
  readonly json?: boolean;
  readonly channel?: string;
  /** Ask the platforms now. */
  readonly probe?: boolean;
}

export function runChannelsStatus(context: CliContext, { json, channel, probe }: ChannelsOptions): Promise<ExitCode> {
  const { terminal } = context;
  const wanted = { ...(channel === undefined ? {} : { channel }), ...(probe === true ? { probe } : {}) };
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("channels.status", wanted);
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatChannels({ status: "asked", payload })) terminal.out(line);
    return 0;
  });
}

/** Of the program, and of the operator's own channels as they are configured; without a gateway. */
export async function runChannelsCapabilities(
  context: CliContext,
  { json, channel }: ChannelsOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  const { ownChannels } = await readConfig(context);
  const all: readonly ChannelManifest[] = [
    ...Object.values(builtChannels),
    ...Object.values(ownChannels).map(({ manifest }) => manifest),
  ];
  const named = channel === undefined ? undefined : nameOf(channel);
  const manifests = all.filter(({ id }) => named === undefined || id === named);
  if (manifests.length === 0) throw unknownChannel(named ?? "", Object.keys(ownChannels));
  if (json === true) terminal.out(formatJson({ channels: manifests }));
  else for (const line of formatCapabilities(manifests)) terminal.out(line);
  return 0;
}

export interface SwitchOptions {
  readonly channel: string;
  readonly account?: string;
  readonly json?: boolean;
  readonly tokenStdin?: boolean;
  readonly ask?: boolean;
}

/**
 * A login is a credential of the configuration, which stays there: what changes is whether the account is used. One that has none is asked for it.
 * Where accounts are linked by a code, it is that link.
 */
export async function runChannelsSwitch(
  context: CliContext,
  isOn: boolean,
  { channel, account, json, tokenStdin, ask }: SwitchOptions,
): Promise<ExitCode> {
  const name = nameOf(channel);
  if (!isBuiltChannel(name) && isOwnChannel(await readShown(context), name)) {
    if (tokenStdin === true || ask === true)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `${name} is a channel of your own, and nobody asks for what its accounts need`,
        `write it in channels.modules.${name}, then give the command without --token-stdin and --ask`,
      );
    return tellSwitched(
      context,
      name,
      account,
      json,
      await changeConfig(context, (value) => switchAccount(value, name, account, isOn)),
    );
  }
  const built = findBuilt(name);
  const manifest: ChannelManifest = builtChannels[built];
  if (manifest.linksByCode === true && (tokenStdin === true || ask === true))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `accounts of ${built} have no token: a person links them with a phone`,
      `cloister channels login --channel ${built}`,
    );
  if (built === "whatsapp") {
    const { runChannelsLink, runChannelsUnlink } = await import("./channel-link.ts");
    const named = {
      channel: built,
      ...(account === undefined ? {} : { account }),
      ...(json === undefined ? {} : { json }),
    };
    return isOn ? runChannelsLink(context, named) : runChannelsUnlink(context, named);
  }
  const { takeCredential } = await import("./channel-credential.ts");
  const asked = isOn ? await takeCredential(context, { channel: built, account, tokenStdin, ask }) : undefined;
  const changed = asked ?? (await changeConfig(context, (value) => switchAccount(value, built, account, isOn)));
  return tellSwitched(context, built, account, json, changed);
}

function tellSwitched(
  { terminal }: CliContext,
  channel: string,
  account: string | undefined,
  json: boolean | undefined,
  changed: ChangedConfig,
): ExitCode {
  if (json === true) terminal.out(formatJson({ channel, ...(account === undefined ? {} : { account }), ...changed }));
  else for (const line of describeChange(changed)) terminal.out(line);
  return 0;
}

const nameOf = (channel: string): string => channel.trim().toLowerCase();

function findBuilt(name: string): BuiltChannel {
  if (isBuiltChannel(name)) return name;
  throw unknownChannel(name, []);
}

const unknownChannel = (name: string, own: readonly string[]) =>
  failure(
    "CLOISTER_CHANNEL_UNKNOWN",
    name === "webhook"
      ? "the webhook has no connection that could be logged in or out, or asked what it can do"
      : `this version has no channel ${JSON.stringify(name)}`,
    `use one of: ${[...Object.keys(builtChannels), ...own].join(", ")}`,
  );
