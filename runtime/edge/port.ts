/**
 * What passes between the edge thread (sockets, HTTP, the page) and the kernel's thread. The edge parses, checks forms and
 * credentials; it decides no right: it says who asks (`Client`) and the kernel's side decides.
 */
import type { SecretsRead } from "../broker/secrets-read.ts";
import type { InboundEvent, OutboundMessage, SendResult } from "../../channels/port.ts";
import type { WithReferences } from "../broker/port.ts";
import type { AuditType } from "../kernel/audit-types.ts";
import type { AgentPhase } from "../kernel/envelope.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { ChangeableSettings, EdgeSettings } from "./settings.ts";

/** A client that the edge has authenticated. Scopes come from the edge's grant, never from the wire. */
export interface Client {
  readonly connId: string;
  readonly clientId: string;
  readonly mode: string;
  readonly scopes: readonly string[];
  /** Absent: an operator's client. A node has no scopes. */
  readonly role?: "node";
  /** Of the device whose approval its rights come from. Absent: they come from a secret alone. */
  readonly deviceId?: string;
  /** The request of this device for more, which waits for a decision. */
  readonly upgradeRequestId?: string;
}

/** A connection whose device has proved its key. What it says of itself is cut to one short line each. */
export interface DeviceAttempt {
  readonly connId: string;
  readonly deviceId: string;
  /** base64url */
  readonly publicKey: string;
  readonly role: string;
  readonly scopes?: readonly string[];
  /** Of a node: what it can do. */
  readonly commands?: readonly string[];
  readonly client: {
    readonly clientId: string;
    readonly clientMode: string;
    readonly platform?: string;
    readonly deviceFamily?: string;
    readonly displayName?: string;
  };
  readonly remoteIp?: string;
  /** What the edge has verified; with the two tokens nothing, they are for the kernel's side to verify. */
  readonly credential: "shared-secret" | "trusted-proxy" | "mode-none" | "device-token" | "bootstrap-token";
  readonly deviceToken?: string;
  readonly bootstrapToken?: string;
  readonly local: boolean;
  readonly browser: boolean;
}

export type DeviceAnswer =
  | {
      readonly type: "admitted";
      readonly scopes: readonly string[];
      /** Of a node: what was approved. */
      readonly commands?: readonly string[];
      /** The device's own token, for its later connections. */
      readonly token?: { readonly value: string; readonly issuedAtMs: number };
      /** It asked for more than it has; the rest waits for a decision. */
      readonly pendingUpgrade?: { readonly requestId: string; readonly scopes: readonly string[] };
      /** A known device that says the same of itself: perhaps this client has lost its key. */
      readonly looksLike?: string;
    }
  | {
      readonly type: "unapproved";
      readonly reason: "not-paired" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade";
      /** Absent: nobody is asked. */
      readonly requestId?: string;
      readonly approvedRoles: readonly string[];
      readonly approvedScopes: readonly string[];
      /** So many wait that this one was not taken. */
      readonly full: boolean;
      readonly looksLike?: string;
    }
  | { readonly type: "wrong-token" };

export interface AgentStatus {
  readonly agentId: string;
  readonly name: string;
  readonly isDefault: boolean;
  readonly module: string;
  readonly workspace: string;
  readonly phase: AgentPhase;
  readonly reason?: string;
  readonly activeRuns: number;
  readonly queueDepth: number;
  readonly restarts: number;
  readonly lastActivityAtMs?: number;
  readonly mainSessionKey: string;
}

/** An agent in the presence list. Source: behaviour §9.3. */
export interface AgentPresence {
  readonly agentId: string;
  readonly name: string;
  /** `stopped`: it was parked after failures, or by the operator, or its configuration keeps it from starting (`stopReason`). */
  readonly workerState: "starting" | "idle" | "running" | "stopped";
  readonly stopReason?: string;
  readonly activeRuns: number;
  readonly queueDepth: number;
  readonly lastActivityAt?: number;
}

/** One edge of the who-asks-whom picture. `open` while the asking turn waits. */
export interface Flow {
  readonly id: string;
  readonly fromAgent: string;
  readonly toAgent: string;
  readonly fromSession: string;
  readonly toSession: string;
  readonly state: "open" | "ok" | "timeout" | "error";
  readonly atMs: number;
}

/** A turn begins, or begins anew. Times are milliseconds since the epoch. */
export interface RunBegan {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly acceptedAt: number;
  readonly startedAt: number;
}

/** Events that the kernel's side publishes to sockets; names and shapes as in protocol.md; `agents`, `flow` and `deadletters` are ours. */
export type GatewayEvent =
  /** The edge makes `agent` and `task` of it (`run-events.ts`). */
  | { readonly event: "run"; readonly payload: RunBegan }
  | { readonly event: "chat"; readonly payload: ChatEvent }
  /** The agents that changed, not all. */
  | { readonly event: "agents"; readonly payload: { readonly agents: readonly AgentStatus[] } }
  | { readonly event: "flow"; readonly payload: Flow }
  /** All that there are now, whenever that changes. */
  | { readonly event: "deadletters"; readonly payload: DeadLettersEvent }
  /** How many requests for rights wait for a decision, whenever they change. */
  | { readonly event: "grants.requests"; readonly payload: { readonly total: number } }
  /** To those who may decide about devices. */
  | { readonly event: "device.pair.requested"; readonly payload: object }
  /** What a node says without being asked; nothing of it was checked but its size. */
  | {
      readonly event: "node.event";
      readonly payload: {
        readonly nodeId: string;
        readonly event: string;
        readonly payload: unknown;
        readonly ts: number;
      };
    }
  | {
      readonly event: "device.pair.resolved";
      readonly payload: {
        readonly requestId: string;
        readonly deviceId: string;
        readonly decision: "approved" | "rejected";
        readonly ts: number;
      };
    }
  /** Senders who wait for an approval, to those who may decide. */
  | { readonly event: "channels.pairing.requested"; readonly payload: object }
  | {
      readonly event: "channels.pairing.resolved";
      readonly payload: {
        readonly channel: string;
        readonly accountId: string;
        readonly senderId: string;
        readonly code: string;
        readonly decision: "approved" | "dismissed";
        readonly ts: number;
      };
    }
  | {
      readonly event: "sessions.changed";
      readonly payload: {
        readonly sessionKey: string;
        readonly agentId: string;
        readonly reason: string;
        readonly ts: number;
      };
    }
  /** Changes of the configuration that agents propose: one came, or was decided. */
  | { readonly event: "config.proposals"; readonly payload: { readonly total: number } }
  /** Commands that wait for an operator. */
  | { readonly event: "exec.approvals"; readonly payload: { readonly total: number } }
  /** Another configuration is in force. */
  | { readonly event: "config.changed"; readonly payload: ConfigChanged }
  | { readonly event: "shutdown"; readonly payload: { readonly reason: string } };

export interface ConfigChanged {
  readonly generation: number;
  readonly revision: string;
  /** Ids of agents. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** Other sections, by the names of their keys. */
  readonly sections: readonly string[];
  readonly ts: number;
}

export interface DeadLettersEvent {
  readonly total: number;
  /** Fates that there are none of are left out. */
  readonly byFate: Readonly<Record<string, number>>;
}

export interface ChatEvent {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly seq: number;
  readonly state: "delta" | "final" | "aborted" | "error";
  /** The newly streamed text (state `delta`). */
  readonly deltaText?: string;
  /** The answer (state `final`). On the wire also all text so far (`delta`): the edge puts it together (`streams.ts`). */
  readonly message?: {
    readonly role: "assistant";
    readonly content: readonly [{ readonly type: "text"; readonly text: string }];
    readonly timestamp: number;
  };
  readonly stopReason?: string;
  readonly errorMessage?: string;
  /** Present when the turn was started by another agent. */
  readonly provenance?: { readonly kind: "inter_session"; readonly sourceSessionKey: string };
}

export type RpcResult =
  | { readonly ok: true; readonly payload: unknown }
  | { readonly ok: false; readonly refusal: Refusal };

export type InboundResult =
  | {
      readonly status: "accepted" | "duplicate";
      readonly runId: string;
      readonly agentId: string;
      readonly sessionKey: string;
      readonly matchedBy: string;
      /** It goes to an agent, and is no command that was answered at once. `isMentioned`: in a room, by whatever counts there as a mention. */
      readonly turn?: { readonly isMentioned: boolean };
      /** Of a broadcast: the turns of its first round. `runId` is then the broadcast as a whole. */
      readonly runs?: readonly { readonly agentId: string; readonly sessionKey: string; readonly runId: string }[];
      /** Of a broadcast: agents of the first round that did not take it; each refusal is a dead letter. */
      readonly refused?: readonly {
        readonly agentId: string;
        readonly sessionKey: string;
        readonly refusal: Refusal;
      }[];
    }
  /** Not admitted: `rule` is the key that decided. */
  | {
      readonly status: "dropped";
      readonly reason: string;
      readonly rule: string;
      readonly remedy: string;
      /** What the sender is told, once. */
      readonly reply?: string;
    }
  /** Admitted to a group and meant for nobody: an agent sees it with its next message. */
  | { readonly status: "pending"; readonly reason: string; readonly remedy: string }
  | { readonly status: "refused"; readonly refusal: Refusal };

/** A hook names its agent, and nothing is dropped. */
export type HookResult = Extract<InboundResult, { status: "accepted" | "duplicate" | "refused" }> & {
  /** When one is told that waits for a heartbeat. */
  readonly atMs?: number;
};

export interface HookRequest extends Pick<InboundEvent, "trace">, HookWishes {
  readonly name: string;
  readonly message: string;
  readonly agentId?: string;
  readonly sessionKey?: string;
  /** The session that the config names, which needs no leave; `main` is the agent's main session. */
  readonly configuredSession?: string;
  /** It wakes the agent: there is a bound on how often. */
  readonly isWake?: true;
  /** It waits for the agent's next heartbeat, and wakes nobody now: because of this key of the request or the configuration. */
  readonly atHeartbeat?: string;
  readonly idempotencyKey?: string;
  /** Not handled any more after so long: then it is a dead letter (`expired`). */
  readonly ttlMs?: number;
}

/** What a hook asks for beside its message. */
export interface HookWishes {
  /** Where the answer goes beside its session. */
  readonly delivery?: HookDelivery;
  /** For this message alone, as `/model` and `/think` take them. */
  readonly model?: string;
  readonly thinking?: string;
  /** How long its turn may take, from when it begins; then it is ended. Absent: as any. */
  readonly turnMsMax?: number;
}

export interface HookDelivery {
  /** `last`: where the session, or else the agent's main session, last spoke; it has no `to`. */
  readonly channel: string;
  /** `kind:id`, as `direct:ana`; an id alone is a person's. */
  readonly to?: string;
}

/** A program that proved itself: by what opens the gateway for the operator, or by a token of its own. */
export type Program = { readonly type: "operator" } | { readonly type: "caller"; readonly name: string };

export interface ProgramAgent {
  readonly agentId: string;
  readonly name: string;
  readonly isDefault: boolean;
}

/** What the edge tells a caller by. */
export interface CallerKey {
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string;
  readonly untilMs?: number;
}

/** Ids of runs that begin so are of tasks: also who has no WebSocket is told when their turns begin. */
export const followedRun = "task-";

/** The door that a program came by. Its conversations are apart from those of the other. */
export type ProgramPlace = "http" | "a2a";

export interface ProgramCall extends Pick<InboundEvent, "trace"> {
  readonly program: Program;
  readonly place: ProgramPlace;
  /** Made by the edge, so that it hears what the run streams from the first word on. */
  readonly runId: string;
  /** Absent: the default agent, or the only one that the program may call. */
  readonly agentId?: string;
  readonly conversation: /** Of this request alone; its id serves to go on from it. */
    | { readonly type: "new"; readonly id: string }
    /** Goes on from an earlier one of the same program with the same agent. */
    | { readonly type: "earlier"; readonly id: string }
    /** Kept for this name among the program's own. */
    | { readonly type: "user"; readonly user: string }
    /** For the operator alone. */
    | { readonly type: "key"; readonly key: string };
  readonly said: {
    readonly text: string;
    /** What stands before it in the request, oldest first. */
    readonly before: readonly {
      readonly role: "system" | "user" | "assistant";
      readonly text: string;
    }[];
    /** So many of them end with the agent's last answer: a conversation that is kept has them already. */
    readonly knownUpTo: number;
  };
  readonly idempotencyKey?: string;
  /** What the program calls the message. */
  readonly messageId?: string;
}

export type ProgramCallResult =
  | {
      readonly status: "accepted" | "duplicate";
      readonly runId: string;
      /** By which its task is found again, also after a restart. */
      readonly envelopeId: string;
      readonly agentId: string;
      readonly sessionKey: string;
    }
  | { readonly status: "refused"; readonly refusal: Refusal };

/** A message of a program and what came of it, as it is found again. */
export interface ProgramTask {
  readonly envelopeId: string;
  readonly sessionKey: string;
  readonly conversation: ProgramConversation;
  readonly acceptedAtMs: number;
  readonly state:
    | { readonly type: "waiting" | "running"; readonly runId: string }
    | { readonly type: "answered"; readonly atMs: number; readonly reply: string | null }
    /** `stopped`: somebody ended it. `refused`: the right was gone when its turn came. */
    | { readonly type: "failed" | "stopped" | "refused"; readonly atMs: number; readonly failure: Refusal };
  /** What was said; absent while it waits or runs. */
  readonly said?: { readonly text: string; readonly messageId?: string };
}

/** A conversation whose name serves to go on with it. */
export type ProgramConversation = Extract<ProgramCall["conversation"], { type: "new" | "user" }>;

export interface ProgramTaskRef {
  readonly program: Program;
  readonly place: ProgramPlace;
  readonly agentId: string;
  readonly conversation: ProgramConversation;
  readonly envelopeId: string;
}

export interface ProgramTaskQuery extends Omit<ProgramTaskRef, "conversation" | "envelopeId"> {
  /** Of this one alone. */
  readonly conversation?: ProgramConversation;
}

export type RunResult =
  | { readonly status: "ok"; readonly runId: string; readonly reply: string | null }
  | { readonly status: "timeout"; readonly runId: string }
  | { readonly status: "error"; readonly runId: string; readonly refusal: Refusal };

/** The kernel's side, called by the edge thread. */
export interface KernelForEdge {
  /** A request of an authenticated client; `params` has passed the method's schema (`runtime/edge/methods.ts`). */
  rpc(client: Client, method: string, params: unknown): Promise<RpcResult>;
  /** A message from a channel. Resolves once it is stored. */
  inbound(event: InboundEvent, idempotencyKey?: string): Promise<InboundResult>;
  /** A platform called for an account of its channel. Resolves once what it said is stored, with the body of the answer if it wants one. */
  platformCalled(channel: string, accountId: string, payload: unknown): Promise<object | undefined>;
  /** A webhook (`POST /hooks/agent`). Resolves once it is stored. */
  hook(request: HookRequest): Promise<HookResult>;
  /** A call of a program over HTTP. Resolves once it is stored. */
  call(call: ProgramCall): Promise<ProgramCallResult>;
  callable(program: Program): Promise<readonly ProgramAgent[]>;
  /** The agent, when the program may call it; else it is noted that it tried. */
  reach(program: Program, agentId: string): Promise<ProgramAgent | undefined>;
  /** Undefined: there is none, it is another program's, or it is gone by now. */
  programTask(ref: ProgramTaskRef): Promise<ProgramTask | undefined>;
  /** Newest first, as far as they are looked for. */
  programTasks(query: ProgramTaskQuery): Promise<readonly ProgramTask[]>;
  /** Nobody waits for the run any more. `by` is for the audit trail. */
  stopCall(sessionKey: string, runId: string, by: string): Promise<void>;
  /** The end of a run that was accepted here before. */
  waitRun(runId: string, timeoutMs: number): Promise<RunResult>;
  /** What a device may do. An admitted one is told of with `deviceGone` when its connection ends. */
  connectDevice(attempt: DeviceAttempt): Promise<DeviceAnswer>;
  deviceGone(connId: string): Promise<void>;
  /** For the audit trail; bounded by the edge. */
  refusedAtDoor(refusal: DoorRefusal): Promise<void>;
  /** Whether a WebSocket is open: without one, next to no event is wanted. Told before anything that the first one asks. */
  audience(isThere: boolean): Promise<void>;
  /** What a client that may read is told when it connects; `agents` are at most as many as the presence list has rows. */
  snapshot(): Promise<{ readonly health: object; readonly agents: readonly AgentPresence[] }>;
  /** `failing` is empty when ready. */
  ready(): Promise<{ readonly failing: readonly string[] }>;
}

/** Who was refused what, in texts that hold no secret. */
export interface DoorRefusal {
  readonly type: Extract<AuditType, "auth_failed" | "access_denied" | "door_flooded">;
  /** `client:<id>` as it calls itself, or `address:<address>`. */
  readonly subject: string;
  /** `gateway`, a method, or a path. */
  readonly object: string;
  readonly code?: string;
  readonly detail?: string;
}

/** What the edge thread is started with; the settings come with `listen`. */
export interface EdgeThreadInit {
  /** Records of a lower level are not sent over. */
  readonly logLevel: string;
  /** Where references to secrets lead. */
  readonly stateDir: string;
  /** Of the main thread, which the edge's thread watches; absent: nobody watches it. */
  readonly mainBeat?: SharedArrayBuffer;
}

/** All that the edge thread may call: the kernel's side, and its log. */
export interface EdgeThreadRemote extends KernelForEdge {
  log(
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<void>;
}

/** The edge's side, called by the kernel's thread. */
export interface EdgeForKernel {
  /** Starts to listen. Rejects with `CLOISTER_EDGE_BIND`. */
  listen(settings: WithReferences<EdgeSettings>): Promise<{ readonly port: number; readonly host: string }>;
  /** To every connected client that may read. Ordered; each socket numbers its events. */
  publish(events: readonly GatewayEvent[]): Promise<void>;
  /**
   * One event to one connection, whatever its scopes; never before its hello, but behind that. False when nobody is there to be told:
   * it is gone, leaving, or too slow.
   */
  tellOne(connId: string, event: string, payload: object): Promise<boolean>;
  /** Ends the connections of a device (close 4001), but for one. */
  closeDevice(deviceId: string, reason: string, exceptConnId?: string): Promise<void>;
  /** Who may call from now on. Open answers of others, and of those whose token is another one, end. */
  setCallers(callers: readonly CallerKey[]): Promise<void>;
  /** Sends through a channel whose client lives in the edge thread (`webhook`). */
  send(message: OutboundMessage): Promise<SendResult>;
  /** These settings from now on. Rejects, and changes nothing, when one of them cannot be used. */
  configure(changed: WithReferences<ChangeableSettings>): Promise<void>;
  /** Reads the secrets of the doors now, also what programs say. */
  readSecrets(): Promise<SecretsRead>;
  /** Stops intake, tells the clients (close 1012), ends the sockets. */
  close(reason: string): Promise<void>;
}
