/**
 * That an agent is at work is shown where its answer is waited for: once for each conversation, until every run of it has ended, and renewed
 * before the platform takes it away. Source: behaviour §5.4.
 */
import type { InboundEvent } from "../../../channels/port.ts";
import type { ChannelClock, ChannelForKernel } from "../../channels/port.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { limits } from "../../kernel/limits.ts";
import type { Runs } from "../runs.ts";
import type { ChannelDesk } from "./channel-desk.ts";
import { placeKey } from "./place-key.ts";

export interface TypingDeps {
  readonly settings: () => ResolvedConfig["typing"];
  readonly manifestOf: ChannelDesk["manifest"];
  readonly remoteOf: (channel: string) => Pick<ChannelForKernel, "typing"> | undefined;
  readonly runs: Pick<Runs, "wait" | "follow">;
  readonly clock: ChannelClock;
  /** The gateway ends. */
  readonly ending: AbortSignal;
}

/** How far a run has come. */
type Stage = "began" | "streamed";

/** Of what it makes: a message has got its run. */
export function makeTyping({ settings, manifestOf, remoteOf, runs, clock, ending }: TypingDeps) {
  /** By conversation: how many runs it waits for. */
  const atWork = new Map<string, { runs: number; readonly over: AbortController }>();
  /** Of runs that have not ended: no more than turns run. */
  const stages = new Map<string, Stage>();
  /** What is shown when its run has come so far. */
  const waiting = new Map<string, { readonly event: InboundEvent; readonly stage: Stage }>();

  const reached = (runId: string, stage: Stage): void => {
    stages.set(runId, stage);
    const found = waiting.get(runId);
    if (found === undefined || (found.stage === "streamed" && stage === "began")) return;
    waiting.delete(runId);
    void show(found.event, runId);
  };
  runs.follow({
    began: ({ runId }) => reached(runId, "began"),
    streamed: ({ runId }) => {
      if (stages.get(runId) !== "streamed") reached(runId, "streamed");
    },
    ended: ({ runId }) => void stages.delete(runId),
  });

  /** For ten minutes at the most. */
  async function show(event: InboundEvent, runId: string): Promise<void> {
    const { channel, accountId, peer, threadId } = event;
    const typingMs = manifestOf(channel)?.typingMs ?? 0;
    const conversation = placeKey(event);
    const shown = atWork.get(conversation) ?? { runs: 0, over: new AbortController() };
    atWork.set(conversation, shown);
    shown.runs++;
    void runs.wait(runId, limits.channelTypingMs).finally(() => {
      shown.runs--;
      if (shown.runs > 0) return;
      atWork.delete(conversation);
      shown.over.abort();
    });
    if (shown.runs > 1) return;
    const signal = AbortSignal.any([shown.over.signal, ending]);
    while (!signal.aborted) {
      // Nobody misses it where it does not come through.
      void remoteOf(channel)
        ?.typing(accountId, peer, threadId)
        .catch(() => undefined);
      await clock.pause(Math.min(Math.round(typingMs * 0.9), settings().intervalMs), signal);
    }
  }

  return (event: InboundEvent, runId: string): void => {
    if ((manifestOf(event.channel)?.typingMs ?? 0) === 0) return;
    const isMeant = event.peer.kind === "direct" || event.wasMentioned === true || event.repliesToBot === true;
    const { mode = isMeant ? "instant" : "message" } = settings();
    if (mode === "never") return;
    const stage = mode === "message" ? "streamed" : "began";
    const reachedStage = stages.get(runId);
    if (mode === "instant" || reachedStage === "streamed" || reachedStage === stage) {
      void show(event, runId);
      return;
    }
    waiting.set(runId, { event, stage });
    void runs.wait(runId, limits.channelTypingMs).finally(() => waiting.delete(runId));
  };
}
