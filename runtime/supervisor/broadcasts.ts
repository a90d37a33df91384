/**
 * Runs broadcasts: one message, several agents, each in its own session, round by round. Who runs is decided in
 * `runtime/groups/broadcast.ts`; each agent's message goes the one accept path. The rounds are in memory: when the gateway ends
 * in the middle, what was accepted is handled and later rounds are not begun, unless the message is sent again, which goes on
 * where it was, since every turn has a key of its own. Source: behaviour §2.8.
 */
import type { InboundResult } from "../edge/port.ts";
import {
  type AgentReply,
  type BroadcastEntry,
  makeBroadcast,
  type MentionPatterns,
  type Round,
} from "../groups/index.ts";
import type { Outcome } from "../kernel/envelope.ts";
import { type Refusal, toRefusal } from "../kernel/errors.ts";
import type { Admission } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { Logger } from "./driver.ts";
import type { Runs } from "./runs.ts";

export type Accept = (admission: Admission) => Promise<
  /** `isOver`: nobody hears its end any more. */
  | { readonly status: "accepted" | "duplicate"; readonly runId: string; readonly isOver?: true }
  | { readonly status: "refused"; readonly refusal: Refusal }
>;

export interface BroadcastsDeps {
  readonly accept: Accept;
  readonly runs: Runs;
  readonly addresses: MentionPatterns["addresses"];
  readonly newUuid: () => string;
  /** Keeps what one agent did not take, where another one took the same message: nobody will send it again. */
  readonly keepRefused: (admission: Admission, refusal: Refusal) => Promise<void>;
  readonly log: Logger;
}

export interface BroadcastJob {
  readonly entry: BroadcastEntry;
  /** What the sender said. */
  readonly text: string;
  readonly admit: (agentId: string, round: number, replies: readonly AgentReply[]) => Admission;
}

export interface Broadcasts {
  /** Resolves when the first turns are accepted: all of the first round, or its first when they run one after the other. */
  start(job: BroadcastJob): Promise<InboundResult>;
}

type Started = { readonly agentId: string; readonly sessionKey: string } & (
  | { readonly runId: string; readonly isDuplicate: boolean; readonly isOver: boolean }
  | { readonly refusal: Refusal; readonly admission: Admission }
);

export function makeBroadcasts({ accept, runs, addresses, newUuid, keepRefused, log }: BroadcastsDeps): Broadcasts {
  const failed = (agentId: string, reason: string): void =>
    log.warn({ agent: agentId }, `Broadcast agent ${agentId} failed: ${reason}`);

  const launch = async ({ admit }: BroadcastJob, round: Round, at: number): Promise<Started> => {
    const { agentId, replies } = round.launches[at] as Round["launches"][number];
    const admission = admit(agentId, round.number, replies);
    const { sessionKey } = admission;
    try {
      const result = await accept(admission);
      if (result.status !== "refused") {
        const { runId, isOver = false } = result;
        return { agentId, sessionKey, runId, isDuplicate: result.status === "duplicate", isOver };
      }
      failed(agentId, result.refusal.message);
      return { agentId, sessionKey, refusal: result.refusal, admission };
    } catch (error) {
      const refusal = toRefusal(error);
      failed(agentId, refusal.message);
      return { agentId, sessionKey, refusal, admission };
    }
  };

  /** Of those of one round. Where all were refused, whoever sent the message hears so, and does with it what is done with any other. */
  const keepEach = async (started: readonly Started[]): Promise<void> => {
    for (const one of started)
      if ("refusal" in one)
        await keepRefused(one.admission, one.refusal).catch((error: unknown) =>
          log.error(
            { agent: one.agentId, error: toRefusal(error) },
            "what an agent of a broadcast did not take could not be kept as a dead letter",
          ),
        );
  };

  const replyOf = async (started: Started): Promise<AgentReply | undefined> => {
    if ("refusal" in started || started.isOver) return undefined;
    const { agentId, runId } = started;
    const result = await runs.wait(runId, limits.broadcastTurnMs);
    if (result.status === "ok")
      return result.reply === null ? undefined : { agentId, text: result.reply, envelopeId: runId };
    failed(
      agentId,
      result.status === "timeout" ? `no end within ${limits.broadcastTurnMs / 60_000} minutes` : result.refusal.message,
    );
    return undefined;
  };

  /** The replies of a round, in the order of its agents. `onStarted` hears of the first turns once they are accepted. */
  const runRound = async (
    job: BroadcastJob,
    round: Round,
    onStarted?: (started: readonly Started[]) => void,
  ): Promise<readonly AgentReply[]> => {
    if (round.leftOut.length > 0)
      log.info(
        { room: job.entry.key, agents: round.leftOut },
        `the turns of the broadcast are used up (maxTurns ${job.entry.maxTurns}); these agents are left out`,
      );
    const replies: (AgentReply | undefined)[] = [];
    if (job.entry.strategy === "parallel") {
      const started = await Promise.all(round.launches.map((_, at) => launch(job, round, at)));
      if (isTaken(started, round)) await keepEach(started);
      onStarted?.(started);
      replies.push(...(await Promise.all(started.map(replyOf))));
    } else {
      const started: Started[] = [];
      for (const at of round.launches.keys()) {
        const one = await launch(job, round, at);
        // The first that takes it makes the others' refusals theirs alone.
        const wasTaken = isTaken(started, round);
        started.push(one);
        if (isTaken(started, round)) await keepEach(wasTaken ? [one] : started);
        // Whoever waits for the acceptance has it with the first turn; without any, when all were refused.
        if ("runId" in one || at === round.launches.length - 1) onStarted?.(started);
        replies.push(await replyOf(one));
      }
    }
    return replies.filter((reply) => reply !== undefined);
  };

  return {
    async start(job) {
      const broadcast = makeBroadcast(job.entry, job.text, addresses);
      const { first } = broadcast;
      const runId = `broadcast-${newUuid()}`;
      log.info(
        { room: job.entry.key, run: runId },
        `Broadcasting message to ${first.launches.length} agents (${job.entry.strategy})`,
      );
      const begun = Promise.withResolvers<readonly Started[]>();
      const work = async (): Promise<void> => {
        const all: AgentReply[] = [];
        let refused: Refusal | undefined;
        const noteStarted = (started: readonly Started[]): void => {
          for (const one of started) if ("refusal" in one) refused ??= one.refusal;
          begun.resolve(started);
        };
        let replies = await runRound(job, first, noteStarted);
        for (;;) {
          all.push(...replies);
          const round = broadcast.next(replies);
          if (round === undefined) break;
          replies = await runRound(job, round);
        }
        runs.recalled(runId, outcomeOf(all, refused));
      };
      runs.opened(runId);
      work().catch((error: unknown) => {
        const { code, message } = toRefusal(error);
        log.error({ room: job.entry.key, run: runId, error: { code, message } }, "a broadcast ended with an error");
        runs.recalled(runId, { status: "error", code, message });
        begun.reject(error);
      });
      const started = await begun.promise;
      const accepted = started.filter((one) => "runId" in one);
      const [lead] = accepted;
      if (lead === undefined) return { status: "refused", refusal: (started[0] as { refusal: Refusal }).refusal };
      return {
        status: accepted.every(({ isDuplicate }) => isDuplicate) ? "duplicate" : "accepted",
        runId,
        agentId: lead.agentId,
        sessionKey: lead.sessionKey,
        matchedBy: "broadcast",
        runs: accepted.map(({ agentId, sessionKey, runId: ofAgent }) => ({ agentId, sessionKey, runId: ofAgent })),
        ...refusedOf(started),
      };
    },
  };
}

/** Whoever sent the message has no cause to send it again: an agent took it, or it is the word of one that did. */
const isTaken = (started: readonly Started[], { number }: Round): boolean =>
  number > 1 || started.some((one) => "runId" in one);

/** Those that did not take the message, as far as is known now. */
function refusedOf(started: readonly Started[]): Pick<Extract<InboundResult, { runId: string }>, "refused"> {
  const refused = started.flatMap((one) =>
    "refusal" in one ? [{ agentId: one.agentId, sessionKey: one.sessionKey, refusal: one.refusal }] : [],
  );
  return refused.length === 0 ? {} : { refused };
}

/** What somebody hears who waits for the broadcast as a whole: every reply, with its agent. */
function outcomeOf(replies: readonly AgentReply[], refused: Refusal | undefined): Outcome {
  if (replies.length > 0)
    return { status: "ok", text: replies.map(({ agentId, text }) => `${agentId}: ${text}`).join("\n\n") };
  return refused === undefined
    ? { status: "no_reply" }
    : { status: "error", code: refused.code, message: refused.message };
}
