/** What the kernel is told at its start beside the agents and their rights. */
import type { EnvelopeHeader, Verb } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { SharedLane } from "./lanes.ts";
import type { Limits } from "./limits.ts";
import type { QueuePolicy } from "./queues.ts";
import type { ElevatedLevel } from "./session-choices.ts";

export interface LoopBounds {
  readonly sameFailuresMax: number;
  readonly sameSessionMax: number;
  readonly chainTokensMax: number;
  /** 10^-9 USD. */
  readonly chainCostNanosMax: number;
}

/** What the tool policy goes by. */
export interface JudgedTurn {
  /** All that it handles: whoever spoke last must not borrow what whoever began may do. */
  readonly messages: readonly EnvelopeHeader[];
  /** Chosen for its session; absent: the agent's own. */
  readonly model?: string;
  /** Chosen for its session with `/elevated`. */
  readonly elevated?: ElevatedLevel;
  /** Models that have answered in it, which need not be that one: a fallback, or one that the actor named. */
  readonly answered?: readonly string[];
}

export interface KernelSettings {
  readonly limits: Limits;
  /** Places of each lane. */
  readonly lanes: Readonly<Record<SharedLane, number>>;
  readonly liveCellsMax: number;
  /** In [0, 1): the jitter of back-off. */
  readonly random: () => number;
  /** Why there is no pairing, and what would make one: from the policy that decides (`auth/compile-pairings.ts`). */
  readonly whyNot: (
    subject: string,
    verb: Verb,
    object: string,
  ) => { readonly message: string; readonly remedy: string };
  /** `sameFailuresMax`: so often a call may fail in the same way in one run. `sameSessionMax`: so often a chain may come to one session. The others: what its turns may take of models. */
  readonly loops: LoopBounds;
  /** A send without a right may be put to the operator (`right-requests.ts`). */
  readonly asksForRights: boolean;
  /** Whether a call of the tool may be carried out again when its result was not kept (`runtime/supervisor/tools/table.ts`). */
  readonly isRepeatable: (tool: string) => boolean;
  /** Why the policy keeps the tool from the turn; undefined when it does not (`auth/tool-policy.ts`). */
  readonly whyNotTool: (turn: JudgedTurn, tool: string) => Refusal | undefined;
  /**
   * What a model is told of the held tools that such a turn may call (JSON, `ToolSpec[]`); a refusal: it may call none of them. Undefined:
   * other programs have yet to tell theirs; never when `isLast`.
   */
  readonly describeTools: (turn: JudgedTurn, held: readonly string[], isLast: boolean) => string | Refusal | undefined;
  /** How messages of the session wait, where somebody has said so. */
  readonly queueOf: (header: EnvelopeHeader) => QueuePolicy | undefined;
  /** Whether the key is of a sub-agent's session. */
  readonly isRunKey: (sessionKey: string) => boolean;
  /** Whether the key is in its one spelling: the grammar has its owner in `runtime/routing`. */
  readonly isCanonicalKey: (sessionKey: string) => boolean;
  /** Bytes of a text in UTF-8. */
  readonly bytesOf: (text: string) => number;
  /** Unique, sortable by `nowMs`. */
  readonly newId: (nowMs: number) => string;
}
