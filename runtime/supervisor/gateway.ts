/**
 * Puts the gateway together: store, kernel and driver, session tools, doors. What needs the process itself (environment,
 * working directory, signals) is in `run-gateway.ts`.
 */
import { randomUUID } from "node:crypto";
import type { Policy } from "../../auth/policy.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type {
  AgentStatus,
  DoorRefusal,
  EdgeForKernel,
  HookRequest,
  KernelForEdge,
  Program,
  ProgramCall,
  RunResult,
} from "../edge/port.ts";
import type { InboundEvent } from "../../channels/port.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import { mainSessionKey } from "../routing/index.ts";
import type { CallerRow, GrantRow } from "../kernel/envelope.ts";
import type { QueueRow, GrantRequest, StandingOrder, Store, KeptDevices, KeptSenders } from "../store/port.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import { makeAudit } from "./audit.ts";
import { makeBackups } from "./backups.ts";
import { makeAgentBoard } from "./agent-board.ts";
import { type Callers, makeCallers } from "./callers.ts";
import { makeCommands } from "./commands/index.ts";
import { makeDeadLetters } from "./dead-letters.ts";
import type { Deliver } from "./answers.ts";
import { makeConfigMethods } from "./config-methods.ts";
import { type ConfigDesk, makeConfigDesk, type ReadConfig, type ReadsConfig } from "./config-desk.ts";
import { type Driver, type Logger, makeDriver, type Resumed } from "./driver.ts";
import { makeExchanges } from "./exchanges.ts";
import { makeGrantRequests } from "./grant-requests.ts";
import { describeAuth } from "./auth-lines.ts";
import { makeDevices } from "./devices.ts";
import { makeGatewayViews } from "./gateway-views.ts";
import { makeInvitations } from "./invitations.ts";
import { makeClientDoors, makeNodes } from "./nodes.ts";
import { makeSenders } from "./senders.ts";
import { makeGrants } from "./grants.ts";
import { answerAsked } from "./right-answers.ts";
import { makeEvents } from "./events.ts";
import { makeEnvelopeIds } from "./envelope-ids.ts";
import { makeIngress } from "./ingress.ts";
import { type LifecycleDeps, makeLifecycle } from "./lifecycle.ts";
import { watchLoop } from "./loop-facts.ts";
import { makeLiveConfig, makeView } from "./live-config.ts";
import { modelSettingsOf } from "./model-settings.ts";
import { makeModels, type ModelsDeps } from "./models.ts";
import { makeOperatorMethods } from "./operator-methods.ts";
import { makePost } from "./post.ts";
import { makeQueues } from "./queues.ts";
import { answerDelivered, answerInSession } from "./room-answers.ts";
import { makeRuns } from "./runs.ts";
import { makeReaders } from "../readers/readers.ts";
import { makeRetention } from "./retention.ts";
import { makeCensus } from "./session-census.ts";
import { makeSessionCare } from "./session-care.ts";
import { makeSessionTools } from "./tools/index.ts";
import { makeSubagents } from "./subagents.ts";
import { isRepeatable, runTool } from "./tools/table.ts";
import { makeSignals } from "./signals.ts";
import { makeStopWork } from "./stop-work.ts";

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
  readonly devices: KeptDevices;
  readonly senders: KeptSenders;
  /** Hex; what tokens of devices are derived from. */
  readonly operatorKey: string;
  readonly liveCellsMax: number;
  readonly version: string;
  readonly log: Logger;
  readonly startBroker: ModelsDeps["start"];
  /** Of the process that it runs in. */
  readonly process: Omit<LifecycleDeps, "turnsInFlight" | "isReady">;
  readonly nowMs?: () => number;
  /** The gateway has to stop: an agent failed whose `supervision.escalate` says so. */
  readonly onFatal?: (reason: string) => void;
  /** What `config` was made of, and how it is read again. */
  readonly configFile: { readonly files: ReadConfig["files"]; readonly read: ReadsConfig };
}

type AttachedEdge = Pick<EdgeForKernel, "publish" | "send" | "tellOne" | "closeDevice" | "configure" | "setCallers">;

export interface Gateway {
  /** What the edge thread may call. */
  readonly doors: KernelForEdge;
  readonly driver: Driver;
  readonly agents: () => readonly AgentStatus[];
  readonly callers: Pick<Callers, "keys">;
  /** The edge is up: events go there, answers leave through it. */
  attachEdge(edge: AttachedEdge): void;
  readonly configDesk: ConfigDesk;
  /** Takes up what the last process left. Call it when the edge is attached. */
  resume(): Promise<Resumed>;
  /** Stops intake, lets turns end, ends the cells. The store stays open. */
  drain(timeoutMs: number): Promise<boolean>;
}

export function makeGateway(parts: GatewayParts): Gateway {
  const { store, log } = parts;
  const nowMs = parts.nowMs ?? Date.now;
  const live = makeLiveConfig(parts.config);
  const { config, agents, routes } = live;
  const audit = makeAudit({ store, stateDir: config.stateDir, operatorKey: parts.operatorKey, nowMs, log });
  const grants = makeGrants({
    kept: parts.grants,
    agents,
    store,
    kernel: () => driver.kernel,
    newId: () => `g-${randomUUID().slice(0, 8)}`,
    nowMs,
    log,
  });
  const policy: Policy = {
    get visibility() {
      return config.visibility;
    },
    get agentToAgent() {
      return config.agentToAgent;
    },
    get sessionToolsVisibility() {
      return config.sessionToolsVisibility;
    },
    get hooks() {
      return config.hooks.enabled ? (config.hooks.allowedAgentIds ?? ["*"]) : [];
    },
    get operator() {
      return grants.live();
    },
  };
  const queues = makeQueues(config, store, parts.queues);
  const loop = watchLoop();

  let edge: Omit<AttachedEdge, "publish"> | undefined;
  let isResumed = false;
  const events = makeEvents(log);
  const { publish } = events;

  const runs = makeRuns(
    publish,
    (sessionKey) => agentOfKey(sessionKey) ?? sessionKey,
    nowMs,
    (header, outcome) => {
      const answer = answerInSession(header, outcome);
      if (answer !== undefined) void ingress.answered(answer);
    },
  );
  const census = makeCensus(store);
  const onSessionChanged = (sessionKey: string, agentId: string, reason: string): void => {
    census.changed();
    publish({ event: "sessions.changed", payload: { sessionKey, agentId, reason, ts: nowMs() } });
  };
  const board = makeAgentBoard(
    config,
    (agentId) => driver.kernel.view(agentId),
    (changed) => publish({ event: "agents", payload: { agents: changed } }),
  );

  const newId = makeEnvelopeIds(randomUUID);
  const signals = makeSignals({
    store,
    kernel: () => driver.kernel,
    accept: (admission) => driver.accept(admission),
    dueRun: (row) => subagents.due(row),
    newId,
    nowMs,
    log,
  });
  const subagents = makeSubagents({
    store,
    kernel: () => driver.kernel,
    accept: (admission) => driver.accept(admission),
    expect: (atMs) => signals.expect(atMs),
    onSessionChanged,
    onAnswer: (call) => runTool(tools, driver.kernel, call, audit.trail),
    workspaceOf: (agentId) => agents.get(agentId)?.workspace,
    nowMs,
    log,
  });
  const post = makePost(() => edge);
  const deliver: Deliver = async (about, route, text) =>
    ingress.answered(answerDelivered(about, route, text, await post(about, route, text)));
  const models = makeModels({
    kernel: () => driver.kernel,
    settings: () => modelSettingsOf(live.current()),
    start: parts.startBroker,
    nowMs,
  });
  const onFollowUp = makeExchanges({
    store,
    kernel: () => driver.kernel,
    accept: (admission) => driver.accept(admission),
    log,
  });
  const driver: Driver = makeDriver({
    onFollowUp,
    config,
    agents,
    policy,
    store,
    assets: parts.assets,
    runs,
    queues,
    orders: parts.orders,
    callers: parts.callers.filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs()),
    liveCellsMax: parts.liveCellsMax,
    log,
    nowMs,
    newId,
    onAgentChanged: (agentId) => board.changed(agentId),
    onAgentGone: (agentId) => configDesk.gone(agentId),
    onSessionChanged,
    onDeadLetter: () => void deadLetters.changed(),
    deliver,
    callTool: (call) => runTool(tools, driver.kernel, call, audit.trail),
    noteAudit: audit.trail,
    isRepeatable: (tool) => isRepeatable(tools, tool),
    askRight: (effect) => void answerAsked(effect, requests, driver.kernel),
    signals,
    subagents,
    models,
    onEscalated: (agentId, reason) =>
      parts.onFatal?.(`the agent ${agentId}, whose failure is the gateway's, was parked: ${reason}`),
  });

  const requests = makeGrantRequests({
    config,
    agents,
    policy,
    kept: parts.requests,
    store,
    grants,
    pairings: () => driver.pairings,
    accept: (admission) => driver.accept(admission),
    onDeadLetter: () => void deadLetters.changed(),
    publish,
    newId: () => `r-${randomUUID().slice(0, 8)}`,
    newEnvelopeId: newId,
    nowMs,
    log,
  });
  const readers = makeReaders();
  const care = makeSessionCare({
    store,
    mainOf: (agentId) => mainSessionKey(agentId, config.session),
    forgetState: (sessionKey) => driver.kernel.forgetState(sessionKey),
    cancelChildren: (sessionKey) => subagents.cancelBelow(sessionKey, "the session that asked for it begins anew"),
    onSessionChanged,
    nowMs,
  });
  const retention = makeRetention({
    store,
    rule: makeView(() => config.session.maintenance),
    agents,
    mainOf: (agentId) => mainSessionKey(agentId, config.session),
    forgetState: (sessionKey) => driver.kernel.forgetState(sessionKey),
    onSessionChanged,
    nowMs,
    log,
  });
  const tools = makeSessionTools({
    config,
    agents,
    policy,
    store,
    readers,
    care,
    kernel: () => driver.kernel,
    pairings: () => driver.pairings,
    requests,
    subagents,
    newId,
    nowMs,
  });
  const commands = makeCommands({
    config,
    agents,
    store,
    care,
    queues,
    runs,
    subagents,
    readers,
    kernel: () => driver.kernel,
    newUuid: randomUUID,
    nowMs,
    ready: driver.resumed,
  });
  const senders = makeSenders({
    kept: parts.senders,
    store,
    nowMs,
    publish,
    tell: ({ channel, accountId, peerId }, text) => {
      const route = { type: "channel" as const, channel, accountId, peerKind: "direct" as const, peerId };
      return post({ id: randomUUID(), agentId: config.defaultAgentId, sessionKey: "" }, route, text);
    },
    log,
  });
  const callers = makeCallers({
    kept: parts.callers,
    agents,
    store,
    kernel: () => driver.kernel,
    edge: () => edge,
    newId: () => `c-${randomUUID().slice(0, 8)}`,
    nowMs,
    log,
  });
  const isAgent = (agentId: string): boolean => agents.has(agentId);
  const ingress = makeIngress({
    isAgent,
    commands,
    senders,
    pairings: () => driver.pairings,
    refused: (subject, object, { code, message }) =>
      audit.note({ type: "refused", subject, object, verb: "send", decision: "refused", code, detail: message }),
    answer: (about, route, text) =>
      void post(about, route, text).catch((error: unknown) =>
        log.warn({ session: about.sessionKey, error: toRefusal(error) }, "the answer of a command was not delivered"),
      ),
    config,
    routes,
    store,
    runs,
    accept: (admission) => driver.accept(admission),
    newUuid: randomUUID,
    nowMs,
    log,
    carriesAnswers: (channel, accountId) =>
      channel === "webhook" && config.webhook?.accounts[accountId]?.outboundUrl !== undefined,
  });
  const deadLetters = makeDeadLetters({
    store,
    accept: (admission) => driver.accept(admission),
    deliver,
    publish,
    log,
    nowMs,
  });
  for (const line of describeAuth(config.gateway)) log.info({}, line);
  const invitations = makeInvitations(nowMs);
  const nodes = makeNodes({ newId: randomUUID, nowMs, edge: () => edge, log });
  const devices = makeDevices({
    invitations,
    kept: parts.devices,
    operatorKey: parts.operatorKey,
    autoApproveLocal: () => config.gateway.autoApproveLocal,
    authMode: config.gateway.auth.mode,
    store,
    newId: randomUUID,
    nowMs,
    publish,
    edge: () => edge,
    log,
  });
  const stopWork = makeStopWork({ store, agents, kernel: () => driver.kernel, runs, nowMs });
  const lifecycle = makeLifecycle({
    ...parts.process,
    turnsInFlight: () => driver.kernel.turnsInFlight(),
    isReady: () => isResumed,
  });
  const configDesk = makeConfigDesk({
    live,
    ...parts.configFile,
    store,
    driver: () => driver,
    policy,
    edge: () => edge,
    publish,
    ...(parts.process.launched === undefined ? {} : { restart: (by: string) => lifecycle.end({}, true, by) }),
    nowMs,
    log,
  });
  const views = makeGatewayViews({
    configStatus: () => configDesk.status(),
    config,
    version: parts.version,
    startedAtMs: nowMs(),
    nowMs,
    census,
    agents: () => board.all(),
    lanes: () => driver.kernel.lanes(),
    deadLetters,
    subagents,
    loop: () => loop.read(),
  });
  const rpc = makeOperatorMethods({
    configMethods: makeConfigMethods({ desk: configDesk, live, read: parts.configFile.read, grants, nowMs, log }),
    isAgent,
    devices,
    nodes,
    invitations,
    note: audit.note,
    callers,
    senders,
    config,
    views,
    nowMs,
    store,
    readers,
    care,
    retention,
    routes,
    ingress,
    runs,
    commands,
    deadLetters,
    audit: audit.methods,
    signals,
    grants,
    requests,
    subagents,
    policy,
    agents: () => board.all(),
    lanes: () => driver.kernel.lanes(),
    stopWork,
    order: (agentId, order) => driver.kernel.order(agentId, order, nowMs()),
    unpark: (agentId) => driver.kernel.unpark(agentId, nowMs()),
    backups: makeBackups(store, nowMs, log),
    lifecycle,
    isRunning: (sessionKey) => driver.kernel.isRunning(sessionKey),
  });

  const doors: KernelForEdge = {
    ...makeClientDoors(rpc, devices, nodes),
    inbound: (event: InboundEvent, idempotencyKey?: string) => ingress.inbound(event, idempotencyKey),
    hook: (request: HookRequest) => ingress.hook(request),
    call: (request: ProgramCall) => ingress.call(request),
    callable: (program: Program) => Promise.resolve(ingress.callable(program)),
    stopCall: async (sessionKey: string, runId: string, by: string) =>
      void (await stopWork.session(sessionKey, runId, by)),
    waitRun: (runId: string, timeoutMs: number): Promise<RunResult> =>
      runs.wait(runId, Math.min(timeoutMs, limits.askTimeoutMsMax)),
    refusedAtDoor: async (refusal: DoorRefusal) => audit.note({ decision: "refused", ...refusal }),
    audience: (isThere: boolean) => Promise.resolve(events.hasAudience(isThere)),
    snapshot: () => Promise.resolve(views.snapshot()),
    ready: () =>
      Promise.resolve({ failing: isResumed ? [] : ["journal: what the last process left is being taken up"] }),
  };

  return {
    doors,
    driver,
    configDesk,
    agents: () => board.all(),
    callers,
    attachEdge: (attached) => {
      edge = attached;
      events.attach(attached);
    },
    async resume() {
      const [found] = await Promise.all([driver.resume(), deadLetters.changed()]);
      isResumed = true;
      audit.start();
      requests.resume();
      retention.start();
      return found;
    },
    async drain(timeoutMs) {
      requests.close();
      await configDesk.close();
      const [clean] = await Promise.all([driver.drain(timeoutMs), retention.close()]);
      await models.close();
      await readers.close();
      await audit.close();
      loop.close();
      board.close();
      return clean;
    },
  };
}
