/**
 * A message that an agent has got is acknowledged with a reaction, where the configuration wants one and the platform has some: once, beside the
 * message's own way, so that what the platform makes of it concerns no turn. Source: behaviour §1.3, §1.8.
 */
import type { InboundEvent } from "../../../channels/port.ts";
import type { ChannelForKernel } from "../../channels/port.ts";
import { findByAccount } from "../../config/by-account.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { InboundResult } from "../../edge/port.ts";
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Logger } from "../driver.ts";
import type { Runs } from "../runs.ts";
import type { ChannelDesk } from "./channel-desk.ts";
import { placeKey } from "./place-key.ts";

export interface AckReactionDeps {
  readonly settings: () => ResolvedConfig["ackReactions"];
  /** Of the agent's identity. */
  readonly emojiOf: (agentId: string) => string | undefined;
  readonly manifestOf: ChannelDesk["manifest"];
  readonly remoteOf: (channel: string) => Pick<ChannelForKernel, "act"> | undefined;
  readonly runs: Pick<Runs, "wait">;
  readonly log: Pick<Logger, "warn" | "debug">;
  /** The gateway ends. */
  readonly ending: AbortSignal;
}

type Taken = Extract<InboundResult, { status: "accepted" | "duplicate" }>;
type Place = Pick<InboundEvent, "channel" | "accountId" | "peer"> & { readonly messageId: string };

type AckedMessage = Place & Pick<InboundEvent, "threadId">;

export interface AckReactions {
  /** Never throws, and nobody waits for it. */
  readonly taken: (event: InboundEvent, result: Taken) => void;
  /** The agent has reacted to this message itself: what stands there now is its own. */
  readonly replaced: (place: Place) => void;
}

const keyOf = ({ channel, accountId, peer, messageId }: Place): string =>
  `${placeKey({ channel, accountId, peer })}\n${messageId}`;

export function makeAckReactions({
  settings,
  emojiOf,
  manifestOf,
  remoteOf,
  runs,
  log,
  ending,
}: AckReactionDeps): AckReactions {
  /** Messages with an acknowledgement on its way or to be taken back. */
  const open = new Set<string>();
  /** Accounts of which the log has said that a reaction failed. */
  const warned = new Set<string>();

  function emojiFor({ channel, accountId, peer }: InboundEvent, { agentId, turn }: Taken): string {
    if (turn === undefined) return "";
    const { emoji, direct, rooms } = findByAccount(settings(), channel, accountId);
    const isWanted = peer.kind === "direct" ? direct : rooms === "always" || (rooms === "mentions" && turn.isMentioned);
    return isWanted ? (emoji ?? emojiOf(agentId) ?? "") : "";
  }

  /** Whether it stands there now. */
  async function react(
    { channel, accountId, peer, threadId, messageId }: AckedMessage,
    emoji: string,
  ): Promise<boolean> {
    const change = { type: "react", emoji } as const;
    const thread = threadId === undefined ? {} : { threadId };
    const result = await remoteOf(channel)?.act(accountId, { peer, ...thread, messageId, change });
    if (result?.status !== "failed") return result !== undefined;
    const account = `${channel}:${accountId}`;
    const level = warned.has(account) ? "debug" : "warn";
    warned.add(account);
    log[level](
      { channel, account: accountId, reason: result.reason },
      "a message was not acknowledged with a reaction",
    );
    return false;
  }

  async function acknowledge(place: AckedMessage, emoji: string, runId: string): Promise<void> {
    const key = keyOf(place);
    open.add(key);
    try {
      const stands = await react(place, emoji);
      if (!stands || !settings().removed) return;
      await runs.wait(runId, limits.ackReactionMs);
      if (open.has(key) && !ending.aborted) await react(place, "");
    } finally {
      open.delete(key);
    }
  }

  return {
    taken(event, result) {
      const { channel, messageId } = event;
      const canReact = manifestOf(channel)?.capabilities.reactions === true;
      if (!canReact || messageId === undefined || open.size >= limits.ackReactionsMax) return;
      const emoji = emojiFor(event, result);
      if (emoji === "") return;
      acknowledge({ ...event, messageId }, emoji, result.runId).catch((error: unknown) =>
        log.debug({ channel, error: toRefusal(error) }, "a message was not acknowledged with a reaction"),
      );
    },
    replaced: (place) => void open.delete(keyOf(place)),
  };
}
