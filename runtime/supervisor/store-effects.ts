/**
 * The effects that ask the store and report to the kernel what came of it: journal, begin, steps, commit, end. Each of them reports
 * exactly once, also when the store refuses.
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import type { EnvelopeHeader, Outcome } from "../kernel/envelope.ts";
import { type ErrorCode, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { LearnedAtBegin } from "../kernel/session-choices.ts";
import type { Effect } from "../kernel/state.ts";
import { storedOutcome } from "../kernel/turns.ts";
import { sessionChannel, sessionKind } from "../routing/index.ts";
import type { Store } from "../store/port.ts";
import type { AgentBudgets } from "./agent-budgets.ts";
import type { Logger } from "./driver.ts";
import { choicesOfTurn } from "./channel-models.ts";
import { historyTurnsOf } from "./direct-history.ts";
import { toldRoomOf } from "./told-room.ts";
import { resetFor } from "./reset-rules.ts";
import { noticesFor } from "./session-notices.ts";
import type { Runs } from "./runs.ts";

export type StoreEffect = Extract<
  Effect,
  { type: "append" | "begin" | "record" | "take" | "commit" | "settle" | "bury" | "recall" }
>;

export interface StoreEffectsDeps {
  readonly config: ResolvedConfig;
  readonly kernel: Kernel;
  readonly store: Store;
  readonly runs: Pick<Runs, "opened" | "reopened" | "began">;
  readonly budgets: Pick<AgentBudgets, "countsWork" | "bookTime">;
  /** One more is in the store. */
  readonly onDeadLetter: () => void;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly log: Logger;
  readonly nowMs: () => number;
}

export function makeStoreEffects(deps: StoreEffectsDeps): (effect: StoreEffect) => void {
  const { budgets, config, kernel, store, runs, log, nowMs } = deps;
  const failed = (what: string, fields: object) => (error: unknown) =>
    log.error({ ...fields, error: toRefusal(error) }, what);

  async function append(effect: Extract<Effect, { type: "append" }>): ReturnType<Store["append"]> {
    const { envelope, dedupe, replaces, releases, fires, sees, begins } = effect;
    if (fires !== undefined) return { status: "stored", ...(await store.fire(fires, envelope)) };
    if (releases !== undefined) return { status: "stored", ...(await store.releaseKept(releases, envelope)) };
    if (replaces !== undefined) return { status: "stored", ...(await store.replay(replaces, envelope)) };
    return store.append(envelope, dedupe, sees, begins);
  }

  function commit(effect: Extract<Effect, { type: "commit" }>): void {
    const { header } = effect;
    const { toolCalls, sinceMs } = effect.work;
    const work = budgets.countsWork(header.agentId) ? { toolCalls, turnMs: Math.max(0, nowMs() - sinceMs) } : undefined;
    store
      .commit({
        envelopeId: header.id,
        taken: effect.taken,
        agentId: header.agentId,
        sessionKey: header.sessionKey,
        kind: sessionKind(header.sessionKey, config.session.mainKey),
        channel: sessionChannel(header.sessionKey, header.provenance.sourceChannel),
        rows: effect.rows,
        ...(effect.state === undefined ? {} : { state: effect.state }),
        outcomeText: effect.outcomeText,
        ...(effect.failure === undefined ? {} : { failure: effect.failure }),
        ...(effect.outbound === undefined ? {} : { outbound: effect.outbound }),
        ...(effect.tokens === undefined ? {} : { tokens: effect.tokens }),
        ...(work === undefined ? {} : { work }),
        ...(effect.contextUsed === undefined ? {} : { contextUsed: effect.contextUsed }),
        ...(effect.noticed === undefined ? {} : { noticed: effect.noticed }),
        atMs: nowMs(),
      })
      .then(
        () => {
          if (work !== undefined) budgets.bookTime(header.agentId, work.turnMs);
          kernel.committed(effect.agentId, effect.turn, { ok: true }, nowMs());
          const isShortened = effect.rows.some(({ role }) => role === "compaction");
          if (isShortened) deps.onSessionChanged(header.sessionKey, header.agentId, "compact");
          deps.onSessionChanged(header.sessionKey, header.agentId, "turn");
        },
        (error: unknown) =>
          kernel.committed(effect.agentId, effect.turn, { ok: false, refusal: toRefusal(error) }, nowMs()),
      );
  }

  function recall(effect: Extract<Effect, { type: "recall" }>): void {
    const lost: Outcome = {
      status: "error",
      code: "CLOISTER_AGENT_CRASHED" satisfies ErrorCode,
      message: "this message was sent before; how it ended is no longer known",
    };
    store.outcome(effect.agentId, effect.envelopeId).then(
      (result) => {
        if (result.status === "open") kernel.stillOpen(effect, nowMs());
        else if (result.status === "unknown") kernel.recalled(effect, lost, false);
        else kernel.recalled(effect, storedOutcome(result), true);
      },
      () => kernel.recalled(effect, lost, false),
    );
  }

  return (effect) => {
    switch (effect.type) {
      case "append":
        append(effect).then(
          (result) => {
            // Known from here on: whoever hears of the run may ask for its end before it begins.
            if (effect.replaces !== undefined) runs.reopened(effect.envelope.header.runId);
            else if (result.status === "stored") runs.opened(effect.envelope.header.runId);
            if (effect.begins === true && result.status === "stored") runs.began(effect.envelope.header);
            kernel.appended(effect.envelope, effect.ticket, result, nowMs());
          },
          (error: unknown) => {
            const refusal = { ...toRefusal(error), retryAfterMs: limits.storeRetryMs };
            kernel.appended(effect.envelope, effect.ticket, { status: "failed", refusal }, nowMs());
          },
        );
        return;
      case "begin":
        // Of one that is not stored yet it is told when it is.
        if (effect.isEarly !== true) runs.began(effect.header);
        store
          .begin({
            envelopeId: effect.envelopeId,
            agentId: agentOfKey(effect.sessionKey) ?? effect.agentId,
            sessionKey: effect.sessionKey,
            wantState: effect.wantState,
            ...(effect.isEarly === true ? { isCounted: true } : {}),
            ...resetFor(config.session, effect.header),
            ...noticesFor(config.session, effect.header),
          })
          .then(
            (result) => {
              const learned =
                result.status === "begun" ? { ...result, ...ofPlace(config, effect.header, result) } : result;
              kernel.begun(effect.agentId, effect.turn, learned, nowMs());
            },
            (error: unknown) =>
              kernel.begun(effect.agentId, effect.turn, { status: "failed", refusal: toRefusal(error) }, nowMs()),
          );
        return;
      case "record": {
        const { envelopeId, sessionKey, late, row } = effect;
        const agentId = agentOfKey(sessionKey) ?? effect.agentId;
        const rows = row === undefined ? late : [...late, row];
        store.recordSteps({ envelopeId, agentId, sessionKey, rows }).then(
          () => kernel.recorded(effect, undefined, nowMs()),
          (error: unknown) => kernel.recorded(effect, toRefusal(error), nowMs()),
        );
        return;
      }
      case "take":
        store.take({ ...effect, agentId: agentOfKey(effect.sessionKey) ?? effect.agentId }).then(
          (found) => kernel.taken(effect, found, nowMs()),
          (error: unknown) => kernel.taken(effect, toRefusal(error), nowMs()),
        );
        return;
      case "commit":
        commit(effect);
        return;
      case "settle":
        store
          .settle(effect.envelopeId)
          .catch(failed("a done envelope could not be removed from the journal", { envelope: effect.envelopeId }));
        return;
      case "bury":
        log.warn(
          { envelope: effect.header.id, session: effect.header.sessionKey, fate: effect.fate, reason: effect.reason },
          "an envelope became a dead letter",
        );
        store
          .bury(effect.header.id, effect.fate, effect.reason)
          .then(deps.onDeadLetter, failed("a dead letter could not be written", { envelope: effect.header.id }));
        return;
      case "recall":
        recall(effect);
        return;
    }
  };
}

/** What a turn learns of where its conversation is. */
function ofPlace(
  { groups, channelModels }: Pick<ResolvedConfig, "groups" | "channelModels">,
  header: EnvelopeHeader,
  { choices: ofSession }: LearnedAtBegin,
): Pick<LearnedAtBegin, "choices" | "historyTurns" | "room"> {
  const choices = choicesOfTurn(channelModels, header, ofSession);
  const historyTurns = historyTurnsOf(groups, header);
  const room = toldRoomOf(groups, header);
  return { choices, ...(historyTurns === undefined ? {} : { historyTurns }), ...(room === undefined ? {} : { room }) };
}
