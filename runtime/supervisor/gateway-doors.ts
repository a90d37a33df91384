/** What the edge may ask of the kernel's side: each call goes to the one part that answers it. */
import type { KernelForEdge } from "../edge/port.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { makeAuditNote } from "./audit-trail.ts";
import type { ChannelDesk } from "./channels/channel-desk.ts";
import type { DeviceDesk } from "./devices.ts";
import type { Events } from "./events.ts";
import type { GatewayViews } from "./gateway-views.ts";
import type { Ingress } from "./ingress.ts";
import { makeClientDoors, type Nodes } from "./nodes.ts";
import { makeProgramTasks, type ProgramTasksDeps } from "./program-tasks.ts";
import type { Runs } from "./runs.ts";
import type { StopWork } from "./stop-work.ts";

export interface GatewayDoorsDeps {
  readonly rpc: KernelForEdge["rpc"];
  readonly devices: Pick<DeviceDesk, "connect" | "gone">;
  readonly nodes: Nodes;
  readonly channels: Pick<ChannelDesk, "called">;
  readonly ingress: Pick<Ingress, "inbound" | "hook" | "call" | "callable" | "reach" | "sessionOf">;
  readonly kernel: () => Pick<Kernel, "openHeaders">;
  readonly store: ProgramTasksDeps["store"];
  readonly nowMs: () => number;
  readonly stopWork: Pick<StopWork, "session">;
  readonly runs: Pick<Runs, "wait" | "look">;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly events: Pick<Events, "hasAudience">;
  readonly views: Pick<GatewayViews, "snapshot">;
  readonly isResumed: () => boolean;
}

export function makeGatewayDoors(deps: GatewayDoorsDeps): KernelForEdge {
  const { ingress } = deps;
  const programTasks = makeProgramTasks({
    ...deps,
    programs: ingress,
    openOf: (agentId) => deps.kernel().openHeaders(agentId),
  });
  return {
    ...makeClientDoors(deps.rpc, deps.devices, deps.nodes),
    inbound: (event, idempotencyKey) => ingress.inbound(event, idempotencyKey),
    platformCalled: (channel, accountId, payload) => deps.channels.called(channel, accountId, payload),
    hook: (request) => ingress.hook(request),
    call: (request) => ingress.call(request),
    callable: (program) => Promise.resolve(ingress.callable(program)),
    reach: (program, agentId) => Promise.resolve(ingress.reach(program, agentId)),
    programTask: (ref) => programTasks.find(ref),
    programTasks: (query) => programTasks.list(query),
    stopCall: async (sessionKey, runId, by) => void (await deps.stopWork.session(sessionKey, runId, by)),
    waitRun: (runId, timeoutMs) => deps.runs.wait(runId, Math.min(timeoutMs, limits.askTimeoutMsMax)),
    refusedAtDoor: async (refusal) => deps.note({ decision: "refused", ...refusal }),
    audience: (isThere) => Promise.resolve(deps.events.hasAudience(isThere)),
    snapshot: () => Promise.resolve(deps.views.snapshot()),
    ready: () =>
      Promise.resolve({ failing: deps.isResumed() ? [] : ["journal: what the last process left is being taken up"] }),
  };
}
