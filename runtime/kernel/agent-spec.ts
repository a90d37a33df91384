/** What the kernel is told of an agent: the part of its configuration that decides anything here. */
import type { AgentGroup, Supervision } from "./supervision.ts";

export interface AgentSpec {
  readonly id: string;
  /** Only with `clamp: "non-main"`, which asks for it: ten thousand of them are a megabyte. */
  readonly mainSessionKey?: string;
  /** Turns of this agent at a time. */
  readonly maxConcurrent: number;
  /** Places of a shared lane that it has at a time at the most, with its sub-agents' runs in lane `subagent`. Absent: no bound of its own. */
  readonly lanes?: Readonly<Partial<Record<string, number>>>;
  /** Places of a lane that it gets in a row when others want one too. Absent: 1. */
  readonly weight?: number;
  /** Which of its sessions may reach only what they spawned (behaviour §3.8). */
  readonly clamp: "none" | "non-main" | "all";
  /** Present when the agent cannot run; it refuses mail with this reason. */
  readonly disabled?: string;
  /** Present when an operator took it out of service before this start: its mail waits until it is started again. */
  readonly parked?: string;
  /** What is left out is `limits.mailboxDepthMax`, `limits.sessionDepthMax` and `reject`. */
  readonly mailbox?: Partial<MailboxPolicy>;
  readonly supervision: Supervision;
  readonly group?: AgentGroup;
}

export interface MailboxPolicy {
  /** Envelopes of the agent in memory, and of one of its sessions; the second does not bound `spill`. */
  readonly depthMax: number;
  readonly sessionDepthMax: number;
  /** What becomes of a message beyond them: refused, its sender waits, or it waits on the disk. */
  readonly overflow: "reject" | "park" | "spill";
}
