/** A session as the tools show it to an agent: one row of `sessions_list`, and the fields of `session_status`. */
import type { Requester } from "../../../auth/policy.ts";
import type { SendAction } from "../../../auth/send-policy.ts";
import { sessionChannel, sessionKind } from "../../routing/index.ts";
import type { Tokens } from "../../kernel/run-rows.ts";
import { nanosPerDollar } from "../../kernel/usage.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { ThinkingLevel, VerboseLevel } from "../../kernel/session-choices.ts";
import type { SessionKind } from "../../store/port.ts";
import { contextTokensOf } from "../../kernel/model-context.ts";
import { channelModelOf } from "../channel-models.ts";
import { sendingOf } from "../send-policy.ts";
import { effectiveChoices } from "../session-choices.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";

export interface SessionView {
  readonly key: string;
  readonly agentId: string;
  readonly kind: SessionKind;
  readonly channel: string;
  /** Which model answers, how many tokens it takes at most, how much it thinks, and how much of its work is told: as chosen for the session, else as configured. */
  readonly model?: string;
  readonly contextTokens?: number;
  /** Tokens of its last request to a model with the answer, and how much of `contextTokens` that is. Absent: none yet. */
  readonly contextUsed?: number;
  readonly contextPercent?: number;
  readonly thinkingLevel?: ThinkingLevel;
  readonly verboseLevel?: VerboseLevel;
  /** Whether its answers leave for its channel. */
  readonly sendPolicy: SendAction;
  readonly access: { readonly read: boolean; readonly send: boolean; readonly control: boolean };
  readonly status: "running" | "idle";
  readonly archived: boolean;
  readonly pinned: boolean;
  /** Absent: nobody spoke to it yet. */
  readonly sessionId?: string;
  readonly label?: string;
  readonly displayName?: string;
  /** Milliseconds since the epoch; `updatedAt` 0: never. */
  readonly createdAt?: number;
  readonly updatedAt: number;
  readonly messages: number;
  readonly stateVersion: number;
  /** How often its conversation was summed up since it began. */
  readonly compactions: number;
  /** What its turns took of models since it began. */
  readonly usage?: UsageView;
  /** Of `usage`, where the peer's clients look for it. */
  readonly totalTokens?: number;
  readonly lastChannel?: string;
  readonly lastTo?: string;
  /** Where its answers go. */
  readonly deliveryContext?: {
    readonly channel: string;
    readonly accountId: string;
    readonly to: string;
    readonly threadId?: string;
  };
  readonly spawnedBy?: string;
  /** Sessions of the sub-agents that it started and that live. */
  readonly children?: readonly string[];
}

function childrenOf(kernel: Pick<Kernel, "childrenOf">, key: string): { readonly children?: readonly string[] } {
  const children = kernel.childrenOf(key);
  return children.length === 0 ? {} : { children };
}

/** `costUsd` is absent where no price was known. */
export interface UsageView {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly costUsd?: number;
}

export function formatUsage({ input, output, costNanos }: Tokens): UsageView {
  return {
    inputTokens: input,
    outputTokens: output,
    totalTokens: input + output,
    ...(costNanos === undefined ? {} : { costUsd: costNanos / nanosPerDollar }),
  };
}

/** As `/status` and the card of `session_status` show it. Source: behaviour §5.6. */
export const modelLine = (model: string | undefined, thinking = "off"): string =>
  model === undefined ? "Model: none" : `Model: ${model}, thinking: ${thinking}`;

export function contextLine(used: number | undefined, max: number | undefined): string {
  if (used === undefined) return max === undefined ? "Context: unknown" : `Context: unknown, of ${max} tokens`;
  return max === undefined
    ? `Context: ${used} tokens`
    : `Context: ${used} of ${max} tokens (${percentOf(used, max)} %)`;
}

/** Of the model's window; more than 100 where a smaller model was chosen since. */
const percentOf = (used: number, max: number): number => Math.round((100 * used) / max);

export const compactionsLine = (compactions: number): string => `🧹 Compactions: ${compactions}`;

function contextOf(
  used: number | undefined,
  max: number | undefined,
): Pick<SessionView, "contextUsed" | "contextPercent"> {
  if (used === undefined) return {};
  return { contextUsed: used, ...(max === undefined ? {} : { contextPercent: percentOf(used, max) }) };
}

function usageOf(tokens: Tokens | undefined): Pick<SessionView, "usage" | "totalTokens"> {
  if (tokens === undefined) return {};
  const usage = formatUsage(tokens);
  return { usage, totalTokens: usage.totalTokens };
}

export function viewSession(
  { config, kernel }: Pick<SessionToolsDeps, "config" | "kernel">,
  find: SessionFinder,
  requester: Requester,
  target: FoundSession,
): SessionView {
  const { key, agentId, row } = target;
  const agent = find.agents.get(agentId);
  const { model, thinking, verbose } = effectiveChoices(
    agent,
    row?.choices,
    channelModelOf(config.channelModels, key, row?.lastRoute),
  );
  const base = {
    key,
    agentId,
    kind: row?.kind ?? sessionKind(key, config.session.mainKey),
    channel: row?.channel ?? sessionChannel(key),
    ...(model === undefined ? {} : { model }),
    ...(agent === undefined || model === undefined
      ? {}
      : { contextTokens: contextTokensOf(agent.settings, model), thinkingLevel: thinking, verboseLevel: verbose }),
    access: find.accessOf(requester, target),
    sendPolicy: sendingOf(config, key, row).action,
    archived: row?.archivedAtMs !== undefined,
    pinned: row?.pinned === true,
    status: kernel().isRunning(key) ? ("running" as const) : ("idle" as const),
    ...childrenOf(kernel(), key),
  };
  if (row === undefined) return { ...base, messages: 0, updatedAt: 0, stateVersion: 0, compactions: 0 };
  const { lastRoute } = row;
  return {
    ...base,
    sessionId: row.sessionId,
    ...(row.label === undefined ? {} : { label: row.label, displayName: row.label }),
    createdAt: row.createdAtMs,
    updatedAt: row.updatedAtMs,
    messages: row.messages,
    // A transcript only grows, so that the number of its rows tells one state of the session from another.
    stateVersion: row.messages,
    compactions: row.compactions ?? 0,
    ...contextOf(row.contextUsed, base.contextTokens),
    ...usageOf(row.tokens),
    ...(lastRoute?.type === "channel"
      ? {
          lastChannel: lastRoute.channel,
          lastTo: lastRoute.peerId,
          deliveryContext: {
            channel: lastRoute.channel,
            accountId: lastRoute.accountId,
            to: lastRoute.peerId,
            ...(lastRoute.threadId === undefined ? {} : { threadId: lastRoute.threadId }),
          },
        }
      : {}),
    ...(row.spawnedBy === undefined ? {} : { spawnedBy: row.spawnedBy }),
  };
}
