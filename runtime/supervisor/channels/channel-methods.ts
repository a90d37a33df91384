/** `channels.status`, `channels.login` and `channels.logout`: the accounts of the webhook, and those of channels with threads of their own, asked on the spot when `probe` says so. */
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { AccountState } from "../../channels/port.ts";
import { fallbackAccountId } from "../../routing/ids.ts";
import type { Handlers } from "../method-handlers.ts";
import type { AccountView, ChannelDesk, ChannelView } from "./channel-desk.ts";

export interface ChannelMethodsDeps {
  readonly config: Pick<ResolvedConfig, "webhook" | "channelDefaults">;
  readonly channels: Pick<ChannelDesk, "views" | "link" | "unlink">;
  readonly nowMs: () => number;
}

export function makeChannelMethods({
  config,
  channels,
  nowMs,
}: ChannelMethodsDeps): Handlers<"channels.status" | "channels.login" | "channels.logout"> {
  const accountMeant = (channel: string, accountId: string | undefined): string =>
    accountId ?? config.channelDefaults[channel] ?? fallbackAccountId;

  return {
    "channels.login": async ({ channel, accountId: named, begin = true }) => {
      const accountId = accountMeant(channel, named);
      return { channel, accountId, ...linkOf(await channels.link(channel, accountId, begin)) };
    },
    "channels.logout": async ({ channel, accountId: named }) => {
      const accountId = accountMeant(channel, named);
      await channels.unlink(channel, accountId);
      return { channel, accountId, loggedOut: true };
    },
    "channels.status": async ({ channel, probe }) => {
      const wantsWebhook = config.webhook !== null && (channel === undefined || channel === "webhook");
      const wanted = { ...(channel === undefined ? {} : { channel }), ...(probe === undefined ? {} : { probe }) };
      const views = channel === "webhook" ? [] : await channels.views(wanted);
      const names = [...(wantsWebhook ? ["webhook"] : []), ...views.map((view) => view.channel)];
      const webhook = { configured: true, running: true };
      return {
        ts: nowMs(),
        channelOrder: names,
        channelLabels: Object.fromEntries(names.map((name) => [name, name])),
        channels: Object.fromEntries([
          ...(wantsWebhook ? [["webhook", webhook]] : []),
          ...views.map((view) => [view.channel, summaryOf(view)]),
        ]),
        channelAccounts: Object.fromEntries([
          ...(wantsWebhook ? [["webhook", webhookAccounts(config.webhook)]] : []),
          ...views.map((view) => [view.channel, view.accounts.map(accountOf)]),
        ]),
        channelDefaultAccountId: Object.fromEntries([
          ...(wantsWebhook ? [["webhook", config.webhook?.defaultAccount]] : []),
          ...views.map((view) => [view.channel, config.channelDefaults[view.channel]]),
        ]),
      };
    },
  };
}

/** How it stands with the link of an account. The code is for who asked to link it, and for nobody else. */
function linkOf(state: AccountState): object {
  if (state.type === "online") return { status: "linked", name: state.identity.name };
  if (state.type === "linking") return { status: "code", code: state.code };
  if (state.type === "connecting") return { status: "connecting" };
  const { message, remedy } = state.refusal;
  return { status: state.type, reason: message, ...(remedy === undefined ? {} : { remedy }) };
}

function webhookAccounts(webhook: ResolvedConfig["webhook"]): readonly object[] {
  return Object.entries(webhook?.accounts ?? {}).map(([accountId, { outboundUrl }]) => ({
    accountId,
    enabled: true,
    configured: true,
    running: true,
    // Answers without an address to go to stay in the session.
    mode: outboundUrl === undefined ? "inbound" : "both",
  }));
}

const summaryOf = ({ manifest, restarts, outbox, repeats, accounts }: ChannelView): object => ({
  configured: true,
  running: accounts.some(({ state }) => state.type === "online"),
  /** How often its thread was lost. */
  restarts,
  /** Texts that wait to be sent. */
  outbox,
  /** Texts that may have arrived twice; `audit.list` has each. */
  possibleDuplicates: repeats,
  capabilities: manifest.capabilities,
  ...(manifest.linksByCode === true ? { linksByCode: true } : {}),
});

function accountOf({ accountId, state, probe }: AccountView): object {
  const failed = state.type === "waiting" || state.type === "failed" ? state.refusal : undefined;
  const asked = probe === undefined || probe.ok ? failed : probe.refusal;
  return {
    accountId,
    enabled: true,
    configured: true,
    running: state.type !== "failed",
    connected: state.type === "online",
    ...(state.type === "linking" ? { linking: true } : {}),
    mode: "both",
    ...(state.type === "online" ? { name: state.identity.name } : {}),
    ...(asked === undefined
      ? {}
      : { lastError: asked.message, ...(asked.remedy === undefined ? {} : { remedy: asked.remedy }) }),
    ...(probe === undefined ? {} : { probe: { ok: probe.ok, elapsedMs: probe.tookMs } }),
  };
}
