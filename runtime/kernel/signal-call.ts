import type { EnvelopeHeader } from "./envelope.ts";
import type { CallId } from "./steps.ts";

/** A call about timers or monitors whose right is checked (`signals.ts`). Ends with `signalResult`. */
export type SignalCall = {
  readonly type: "signal-call";
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  readonly callId: CallId;
  readonly header: EnvelopeHeader;
} & (
  | {
      readonly call: "schedule";
      readonly via: string;
      readonly sessionKey: string;
      /** JSON, as the cell gave it. */
      readonly params: string;
      readonly body: string;
    }
  /** Without a session: all of the agent's. */
  | { readonly call: "timers"; readonly sessionKey: string | undefined }
  | { readonly call: "unschedule"; readonly sessionKey: string | undefined; readonly id: string }
  | {
      readonly call: "complete";
      readonly sessionKey: string | undefined;
      readonly id: string;
      readonly status: "done" | "failed";
      readonly body: string;
    }
  | { readonly call: "monitor"; readonly via: string; readonly target: string }
  | { readonly call: "demonitor"; readonly monitor: string }
);
