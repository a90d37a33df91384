/**
 * Senders that an account does not know: who waits, who may write, and the operator's decisions, by one writer (`auth/senders.ts`
 * decides). A code is on the disk before its sender is told of it, and a decision before it is obeyed and answered.
 */
import { randomInt } from "node:crypto";
import { z } from "zod";
import {
  approveSender,
  askForSender,
  codeLength,
  codeLetters,
  expireSenders,
  findSenderRequest,
  type KnownSender,
  type NamedRequest,
  rejectSender,
  removeSender,
  senderKey,
  type SenderPlace,
  type SenderRequest,
  type Senders,
} from "../../auth/senders.ts";
import type { Client, GatewayEvent } from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { KeptSenders, SenderChange, Store } from "../store/port.ts";
import { makeAuditNote } from "./audit-trail.ts";
import type { Logger } from "./driver.ts";
import { makeInTurn } from "./in-turn.ts";
import { wholeRows } from "./whole-rows.ts";

export interface SendersDeps {
  readonly kept: KeptSenders;
  readonly store: Pick<Store, "keepSenders" | "audit">;
  readonly nowMs: () => number;
  readonly publish: (event: GatewayEvent) => void;
  /** Sends a text to a sender through its channel; rejects when the channel does not take it. */
  readonly tell: (request: SenderRequest, text: string) => Promise<unknown>;
  readonly log: Logger;
}

export interface SenderDesk {
  isKnown(place: SenderPlace): boolean;
  /** What the sender is told; undefined: it was told already, or too many wait. Never rejects. */
  ask(asking: Omit<SenderRequest, "code" | "atMs">): Promise<string | undefined>;
  list(filter: { readonly channel?: string; readonly accountId?: string }): object;
  /** These throw `CLOISTER_SENDER_UNKNOWN`. */
  approve(client: Client, named: NamedRequest & { readonly notify?: boolean }): Promise<object>;
  dismiss(client: Client, named: NamedRequest): Promise<object>;
  remove(client: Client, place: SenderPlace): Promise<object>;
}

export function makeSenders(deps: SendersDeps): SenderDesk {
  const { store, nowMs, log } = deps;
  const read = readSenders(deps.kept);
  if (read.damaged > 0)
    log.error(
      { damaged: read.damaged },
      "rows of senders cannot be read and are left out: approve those senders again",
    );
  let senders: Senders = read.senders;
  const audit = makeAuditNote(store, log, nowMs);
  const inTurn = makeInTurn();

  const keep = async (next: Senders): Promise<void> => {
    const change = changeBetween(senders, next);
    if (change.put.length + change.remove.length > 0) await store.keepSenders(change);
    senders = next;
  };

  const resolved = (request: SenderRequest, decision: "approved" | "dismissed"): void => {
    const { channel, accountId, senderId, code } = request;
    deps.publish({
      event: "channels.pairing.resolved",
      payload: { channel, accountId, senderId, code, decision, ts: nowMs() },
    });
  };

  const find = (named: NamedRequest): SenderRequest => {
    const found = findSenderRequest(expireSenders(senders, nowMs()), named);
    if (found !== undefined) return found;
    throw failure(
      "CLOISTER_SENDER_UNKNOWN",
      `no sender waits with the code ${JSON.stringify(named.code)}; it was decided, or it is over after ${limits.senderRequestAgeMs / 60_000} minutes`,
      "cloister pairing list",
    );
  };

  return {
    isKnown: (place) => senders.known.has(senderKey(place)),
    ask: (asking) =>
      inTurn(async () => {
        const asked = askForSender(senders, asking, { nowMs: nowMs(), newCode });
        await keep(asked.senders);
        const { request } = asked;
        if (request === undefined) return undefined;
        const { channel, accountId, senderId } = request;
        log.info({ channel, account: accountId, sender: senderId }, "pairing request: a sender waits for an approval");
        audit({ type: "sender_requested", subject: senderOf(request), object: `${channel}:${accountId}` });
        deps.publish({ event: "channels.pairing.requested", payload: requestView(request, nowMs()) });
        return formatReply(request);
      }).catch((error: unknown) => {
        log.error({ error: toRefusal(error) }, "a sender could not be asked about, because that could not be kept");
        return undefined;
      }),
    list: ({ channel, accountId }) => {
      // Only looked at: those that are over leave the store with the next change.
      const current = expireSenders(senders, nowMs());
      const isWanted = (place: SenderPlace): boolean =>
        (channel === undefined || place.channel === channel) &&
        (accountId === undefined || place.accountId === accountId);
      return {
        requests: current.pending.filter(isWanted).map((request) => requestView(request, nowMs())),
        approved: [...current.known.values()].filter(isWanted),
      };
    },
    approve: (client, { notify = false, ...named }) =>
      inTurn(async () => {
        const request = find(named);
        if (senders.known.size >= limits.knownSendersMax)
          throw failure(
            "CLOISTER_BUSY",
            `cannot approve ${named.code}: ${limits.knownSendersMax} senders are approved, which is the most`,
            "remove some: cloister pairing remove <channel> <sender>; or list them in allowFrom",
          );
        await keep(approveSender(senders, request, client.clientId, nowMs()));
        const { channel, accountId, senderId } = request;
        log.info({ channel, account: accountId, sender: senderId, by: client.clientId }, "a sender was approved");
        audit({ type: "sender_approved", subject: client.clientId, object: senderOf(request) });
        resolved(request, "approved");
        return { channel, accountId, senderId, ...(notify ? { notified: await notifySender(request) } : {}) };
      }),
    dismiss: (client, named) =>
      inTurn(async () => {
        const request = find(named);
        await keep(rejectSender(senders, request));
        audit({ type: "sender_rejected", subject: client.clientId, object: senderOf(request) });
        resolved(request, "dismissed");
        const { channel, accountId, senderId } = request;
        return { channel, accountId, senderId };
      }),
    remove: (client, place) =>
      inTurn(async () => {
        const next = removeSender(senders, place);
        if (next === undefined)
          throw failure(
            "CLOISTER_SENDER_UNKNOWN",
            `the sender ${JSON.stringify(place.senderId)} was not approved for ${place.channel}, account ${place.accountId}`,
            "cloister pairing list",
          );
        await keep(next);
        audit({ type: "sender_removed", subject: client.clientId, object: senderOf(place) });
        return place;
      }),
  };

  async function notifySender(request: SenderRequest): Promise<boolean> {
    try {
      await deps.tell(request, "Cloister: you are approved. Send your message again.");
      return true;
    } catch (error) {
      log.warn({ channel: request.channel, error: toRefusal(error) }, "an approved sender could not be told");
      return false;
    }
  }
}

const senderOf = ({ channel, accountId, senderId }: SenderPlace): string => `${channel}:${accountId}:${senderId}`;

const newCode = (): string =>
  Array.from({ length: codeLength }, () => codeLetters[randomInt(codeLetters.length)]).join("");

function requestView({ channel, accountId, senderId, senderName, code, atMs }: SenderRequest, nowMs: number): object {
  const who = { channel, accountId, senderId, ...(senderName === undefined ? {} : { senderName }) };
  return { ...who, code, createdAtMs: atMs, ageMs: nowMs - atMs, expiresAtMs: atMs + limits.senderRequestAgeMs };
}

/** Nobody but the operator can do anything with it: the code names the request and opens nothing. */
function formatReply({ channel, senderId, code }: SenderRequest): string {
  return [
    "Cloister: sender approval needed; the message was not read.",
    "",
    `Your ${channel} id: ${senderId}`,
    `Code: ${code}`,
    "",
    "Ask the owner to approve you with:",
    `cloister pairing approve ${channel} ${code}`,
  ].join("\n");
}

const place = { channel: z.string().min(1), accountId: z.string().min(1), senderId: z.string().min(1) };
const requestRow = z.object({
  ...place,
  code: z.string().length(codeLength),
  senderName: z.string().exactOptional(),
  peerId: z.string().min(1),
  atMs: z.number().min(0),
});
const knownRow = z.object({
  ...place,
  senderName: z.string().exactOptional(),
  approvedAtMs: z.number().min(0),
  by: z.string(),
});

/** Each row is checked, and one that is damaged is left out. */
function readSenders({ known, pending }: KeptSenders): { readonly senders: Senders; readonly damaged: number } {
  const requests: readonly SenderRequest[] = wholeRows(pending, requestRow);
  const approved: readonly KnownSender[] = wholeRows(known, knownRow);
  return {
    senders: {
      known: new Map(approved.map((sender) => [senderKey(sender), sender])),
      pending: requests.toSorted((a, b) => a.atMs - b.atMs),
    },
    damaged: known.length + pending.length - requests.length - approved.length,
  };
}

function changeBetween(before: Senders, after: Senders): SenderChange {
  const put = [
    ...[...after.known]
      .filter(([key]) => !before.known.has(key))
      .map(([id, row]) => ({ type: "known" as const, id, row })),
    ...after.pending
      .filter((request) => !before.pending.includes(request))
      .map((row) => ({ type: "pending" as const, id: row.code, row })),
  ];
  const remove = [
    ...[...before.known.keys()].filter((key) => !after.known.has(key)).map((id) => ({ type: "known" as const, id })),
    ...before.pending
      .filter((request) => !after.pending.includes(request))
      .map(({ code }) => ({ type: "pending" as const, id: code })),
  ];
  return { put, remove };
}
