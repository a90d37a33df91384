/** What a gateway is made of, and what it gives. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { AgentStatus, EdgeForKernel, KernelForEdge } from "../edge/port.ts";
import type { CallerRow, GrantRow } from "../kernel/envelope.ts";
import type { GrantRequest, KeptDevices, KeptSenders, QueueRow, StandingOrder, Store } from "../store/port.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import type { Callers } from "./callers.ts";
import type { StartChannel } from "./channels/channel-life.ts";
import type { ConfigDesk, ReadConfig, ReadsConfig } from "./config-desk.ts";
import type { Driver, Logger } from "./driver.ts";
import type { PublishEvents } from "./events.ts";
import type { AgentPlace } from "./heartbeats.ts";
import type { LifecycleDeps } from "./lifecycle.ts";
import type { McpDeps } from "./mcp.ts";
import type { ModelsDeps } from "./models.ts";
import type { Resumed } from "./resume-work.ts";
import type { HostToolsDeps } from "./tools/host-tools.ts";
import type { MemoryDeps } from "./tools/memory.ts";

export interface GatewayParts {
  readonly config: ResolvedConfig;
  readonly store: Store;
  readonly assets: CellAssets;
  /** What the store keeps of orders to agents: in force before the first message. */
  readonly orders: readonly StandingOrder[];
  /** What the store keeps of operators' grants, likewise. */
  readonly grants: readonly GrantRow[];
  /** What the store keeps of programs that may call agents, likewise. */
  readonly callers: readonly CallerRow[];
  /** Queues that were set in chats before this start. */
  readonly queues: readonly QueueRow[];
  /** Requests for rights, likewise. */
  readonly requests: readonly GrantRequest[];
  /** Commands that wait for an operator, likewise. */
  readonly commandRequests: readonly unknown[];
  /** Agents whose workspace is there (`havingWorkspace`). Who looks at every agent does so before memory is collected. */
  readonly withWorkspace: readonly AgentPlace[];
  readonly devices: KeptDevices;
  readonly senders: KeptSenders;
  /** Hex; what tokens of devices are derived from. */
  readonly operatorKey: string;
  readonly liveCellsMax: number;
  readonly version: string;
  readonly log: Logger;
  readonly startBroker: ModelsDeps["start"];
  readonly startChannel: StartChannel;
  readonly startTools: HostToolsDeps["start"];
  readonly startMemory: MemoryDeps["start"];
  readonly startMcp: McpDeps["start"];
  /** The folder of the skills that come with the program; absent: there are none. */
  readonly bundledSkills?: string;
  /** Of the process that it runs in. */
  readonly process: Omit<LifecycleDeps, "turnsInFlight" | "isReady">;
  readonly nowMs?: () => number;
  /** What tells the ids of its messages from those of other processes. Default: chance. */
  readonly newUuid?: () => string;
  /** The gateway has to stop: an agent failed whose `supervision.escalate` says so. */
  readonly onFatal?: (reason: string) => void;
  /** What `config` was made of, and how it is read again. */
  readonly configFile: { readonly files: ReadConfig["files"]; readonly read: ReadsConfig };
}

export interface AttachedEdge
  extends Pick<EdgeForKernel, "send" | "tellOne" | "closeDevice" | "configure" | "readSecrets" | "setCallers"> {
  readonly publish: PublishEvents;
}

export interface Gateway {
  /** What the edge thread may call. */
  readonly doors: KernelForEdge;
  readonly driver: Driver;
  readonly agents: () => readonly AgentStatus[];
  readonly callers: Pick<Callers, "keys">;
  /** The edge is up: events go there, answers leave through it. */
  attachEdge(edge: AttachedEdge): void;
  readonly configDesk: ConfigDesk;
  /** Says in the log which sandboxes cannot be set up here. */
  checkSandboxes(): Promise<void>;
  /** Takes up what the last process left. Call it when the edge is attached. */
  resume(): Promise<Resumed>;
  /** For who keeps the clock: what is due by now comes now. */
  lookAtDue(): Promise<void>;
  /** Stops intake, lets turns end, ends the cells. The store stays open. */
  drain(timeoutMs: number): Promise<boolean>;
}
