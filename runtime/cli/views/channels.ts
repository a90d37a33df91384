/** Channels and their accounts, as the gateway has just asked them. */
import { z } from "zod";
import type { ChannelManifest } from "../../../channels/port.ts";
import { showableText } from "../terminal.ts";
import { formatTable } from "./table.ts";

export type ChannelProbes =
  | { readonly status: "asked"; readonly payload: unknown }
  | { readonly status: "not-asked"; readonly reason: string };

const account = z.object({
  accountId: z.string(),
  enabled: z.boolean().optional().catch(undefined),
  configured: z.boolean().optional().catch(undefined),
  running: z.boolean().optional().catch(undefined),
  connected: z.boolean().optional().catch(undefined),
  lastError: z.string().optional().catch(undefined),
  remedy: z.string().optional().catch(undefined),
});

const summary = z.object({ possibleDuplicates: z.number().catch(0) }).catch({ possibleDuplicates: 0 });

const channels = z.object({
  channels: z.record(z.string(), summary).catch({}),
  channelAccounts: z.record(z.string(), z.array(account)).catch({}),
});

export function formatChannels(probes: ChannelProbes): readonly string[] {
  if (probes.status === "not-asked") return [`channels were not asked: ${probes.reason}`];
  const nothing = { channels: {}, channelAccounts: {} };
  const { channels: summaries, channelAccounts } = channels.catch(nothing).parse(probes.payload);
  const rows = Object.entries(channelAccounts).flatMap(([channel, accounts]) =>
    accounts.map(({ accountId, enabled, configured, running, connected, lastError }) => [
      channel,
      accountId,
      state({ enabled, configured, running, connected }),
      lastError ?? "",
    ]),
  );
  if (rows.length === 0) return ["no channel is configured"];
  const table = formatTable(
    ["CHANNEL", "ACCOUNT", "STATE", "LAST ERROR"].map((title) => ({ title })),
    rows,
  );
  const remedies = Object.entries(channelAccounts).flatMap(([channel, accounts]) =>
    accounts.flatMap(({ accountId, remedy }) =>
      remedy === undefined ? [] : [showableText(`${channel}/${accountId}: ${remedy}`)],
    ),
  );
  const helped = remedies.length === 0 ? table : [...table, "", "what helps:", ...remedies];
  const repeated = Object.entries(summaries).flatMap(([channel, { possibleDuplicates: count }]) =>
    count === 0 ? [] : [`${channel}: ${count} possible ${count === 1 ? "duplicate" : "duplicates"}`],
  );
  return repeated.length === 0
    ? helped
    : [...helped, "", ...repeated, "which: cloister audit --kind possible_duplicate"];
}

/** How each account is, by channel and id; empty where the answer says nothing of that. */
export function readAccountStates(payload: unknown): AccountStates {
  const { channelAccounts } = channels.catch({ channels: {}, channelAccounts: {} }).parse(payload);
  return new Map(
    Object.entries(channelAccounts).map(([channel, accounts]) => [
      channel,
      new Map(
        accounts.map(({ accountId, enabled, configured, running, connected }) => [
          accountId,
          state({ enabled, configured, running, connected }),
        ]),
      ),
    ]),
  );
}

export type AccountStates = ReadonlyMap<string, ReadonlyMap<string, string>>;

function state(found: Record<"enabled" | "configured" | "running" | "connected", boolean | undefined>): string {
  if (found.enabled === false) return "disabled";
  if (found.configured === false) return "not configured";
  if (found.connected === true) return "connected";
  if (found.connected === false) return "not connected";
  return found.running === false ? "stopped" : "running";
}

export function formatCapabilities(manifests: readonly ChannelManifest[]): readonly string[] {
  return formatTable(
    ["CHANNEL", "CAN", "CANNOT", "ONE MESSAGE"].map((title) => ({ title })),
    manifests.map(({ id, capabilities, text }) => {
      const named = (wanted: boolean): string =>
        Object.entries(capabilities)
          .flatMap(([name, can]) => (can === wanted ? [name] : []))
          .join(", ");
      return [id, named(true), named(false), `${text.max} ${text.unit === "utf8" ? "bytes" : "characters"}`];
    }),
  );
}
