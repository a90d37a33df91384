/** Senders for people: who waits with which code, and who may write. */
import type { SendersListed } from "../commands/pairing.ts";
import { formatAge, formatDuration, formatTable } from "./table.ts";

const titled = (...titles: readonly string[]) => titles.map((title) => ({ title }));

export function formatSenders({ requests, approved }: SendersListed, nowMs: number): readonly string[] {
  const waiting = requests.map(({ code, channel, accountId, senderId, senderName = "", createdAtMs, expiresAtMs }) => [
    code,
    channel,
    accountId,
    senderId,
    senderName,
    formatAge(createdAtMs, nowMs),
    formatDuration(Math.max(0, expiresAtMs - nowMs)),
  ]);
  const known = approved.map(({ channel, accountId, senderId, senderName = "", approvedAtMs, by }) => [
    channel,
    accountId,
    senderId,
    senderName,
    formatAge(approvedAtMs, nowMs),
    by,
  ]);
  return [
    ...(waiting.length === 0
      ? ["no sender waits for an approval"]
      : formatTable(titled("CODE", "CHANNEL", "ACCOUNT", "SENDER", "NAME", "ASKED", "LEFT"), waiting)),
    ...(known.length === 0
      ? []
      : ["", ...formatTable(titled("CHANNEL", "ACCOUNT", "APPROVED", "NAME", "SINCE", "BY"), known)]),
  ];
}
