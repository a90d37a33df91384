/**
 * Puts the gateway together: store, kernel and driver, session tools, doors. What needs the process itself (environment,
 * working directory, signals) is in `run-gateway.ts`.
 */
import { randomUUID } from "node:crypto";
import { configTool } from "../../auth/tool-names.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import { mainSessionKey } from "../routing/index.ts";
import { makeAudit } from "./audit.ts";
import { makeBackups } from "./backups.ts";
import { makeAgentBudgets } from "./agent-budgets.ts";
import { makeAgentMemory } from "./agent-memory.ts";
import { makeAgentBoard } from "./agent-board.ts";
import { makeCallers } from "./callers.ts";
import { makeCommands } from "./commands/index.ts";
import { makeDeadLetters } from "./dead-letters.ts";
import { makeClock } from "./clock.ts";
import { makeTargets } from "./method-targets.ts";
import { makeConfigMethods } from "./config-methods.ts";
import { makeConfigProposals } from "./config-proposals.ts";
import { makeConfigDesk } from "./config-desk.ts";
import { type Driver, makeDriver } from "./driver.ts";
import { makeExchanges } from "./exchanges.ts";
import { makeGrantRequests } from "./grant-requests.ts";
import { describeAuth } from "./auth-lines.ts";
import { makeDevices } from "./devices.ts";
import { makeGatewayDoors } from "./gateway-doors.ts";
import type { AttachedEdge, Gateway, GatewayParts } from "./gateway-parts.ts";
import { makeGatewayViews } from "./gateway-views.ts";
import { makeInvitations } from "./invitations.ts";
import { makeNodes } from "./nodes.ts";
import { makeSenders } from "./senders.ts";
import { makeGrants } from "./grants.ts";
import { answerAsked } from "./right-answers.ts";
import { makeEvents } from "./events.ts";
import { makeEnvelopeIds } from "./envelope-ids.ts";
import { makeIngress } from "./ingress.ts";
import { makeLifecycle } from "./lifecycle.ts";
import { watchLoop } from "./loop-facts.ts";
import { makeDerived, makeLiveConfig, makeView } from "./live-config.ts";
import { makeLivePolicy } from "./live-policy.ts";
import { modelSettingsOf } from "./model-settings.ts";
import { makeMetrics } from "./metrics.ts";
import { makeModels } from "./models.ts";
import { makeOperatorMethods } from "./operator-methods.ts";
import { makeOutlets } from "./channels/outlets.ts";
import { makeQueues } from "./queues.ts";
import { answerInSession } from "./room-answers.ts";
import { makeRuns } from "./runs.ts";
import { makeReaders } from "../readers/readers.ts";
import { makeRetention } from "./retention.ts";
import { makeCensus } from "./session-census.ts";
import { makeSessionCare } from "./session-care.ts";
import { makeSessionTools } from "./tools/index.ts";
import { makeSubagents } from "./subagents.ts";
import { makeConfigPropose } from "./tools/config-propose.ts";
import { makeMessageTool } from "./tools/message.ts";
import { isRepeatable, runTool, type ToolTable } from "./tools/table.ts";
import { makeThreadTools } from "./tools/thread-tools.ts";
import { makeToolDesk } from "./tools/tool-desk.ts";
import { makeToolMethods } from "./tools/tool-methods.ts";
import { makeThreadBindings } from "./thread-bindings.ts";
import { makeSignals } from "./signals.ts";
import { makeWakePace } from "./wake-pace.ts";
import { makeStopWork } from "./stop-work.ts";

export function makeGateway(parts: GatewayParts): Gateway {
  const { version, store, log, nowMs = Date.now, newUuid = randomUUID } = parts;
  const live = makeLiveConfig(parts.config);
  const { config, agents, routes } = live;
  const audit = makeAudit({ store, stateDir: config.stateDir, operatorKey: parts.operatorKey, nowMs, log });
  const trail: typeof audit.trail = (effect) => (metrics.noted(effect), audit.trail(effect));
  const kernel = () => driver.kernel;
  const grants = makeGrants({
    kept: parts.grants,
    agents,
    store,
    kernel,
    newId: () => `g-${randomUUID().slice(0, 8)}`,
    nowMs,
    log,
  });
  const policy = makeLivePolicy(config, () => grants.live());
  const queues = makeQueues(config, store, parts.queues);
  const loop = watchLoop();
  let edge: Omit<AttachedEdge, "publish"> | undefined;
  let isResumed = false;
  const events = makeEvents(
    (event) => notices.heard(event),
    (isThere) => driver.kernel.watch(isThere),
  );
  const { publish } = events;

  const runs = makeRuns(
    publish,
    (sessionKey) => agentOfKey(sessionKey) ?? sessionKey,
    nowMs,
    (header, outcome) => {
      metrics.ended(header);
      clock.ended(header, outcome);
      const answer = answerInSession(header, outcome);
      if (answer !== undefined) void ingress.answered(answer);
    },
    (header) => {
      metrics.began(header);
      clock.began(header);
    },
    () => events.isHeard,
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
  const newId = makeEnvelopeIds(newUuid);
  const signals = makeSignals({
    store,
    kernel,
    accept: (admission) => driver.accept(admission),
    dueRun: (row) => subagents.due(row),
    heartbeat: (timer, atMs) => clock.heartbeats.due(timer, atMs),
    heartbeatMs: (agentId, key) => clock.heartbeats.nextMs(agentId, key),
    jobsHappen: () => config.jobs.enabled,
    newId,
    nowMs,
    log,
  });
  const subagents = makeSubagents({
    store,
    kernel,
    accept: (admission) => driver.accept(admission),
    expect: (atMs) => signals.expect(atMs),
    onSessionChanged,
    onRunEnded: (sessionKey) => threads.ended(sessionKey),
    onAnswer: (call) => runTool(tools, driver.kernel, call, audit.trail),
    workspaceOf: (agentId) => agents.get(agentId)?.workspace,
    nowMs,
    log,
  });
  const threads = makeThreadBindings({ rules: () => config.session.threadBindings, kernel, nowMs, log });
  const operatorRpc: typeof rpc = (...call) => rpc(...call);
  const { channels, post, bring, sent, deliver, answerCommand, tell, carriesAnswers, notices } = makeOutlets({
    config,
    rpc: operatorRpc,
    store,
    edge: () => edge,
    start: parts.startChannel,
    commands: () => commands,
    mail: () => ingress,
    onDeadLetter: () => void deadLetters.changed(),
    agentOf: (agentId) => agents.get(agentId),
    toUrl: (message) => threadTools.postAnswer(message),
    runs,
    note: audit.note,
    nowMs,
    log,
  });
  const modelSettings = makeDerived(() => live.current(), modelSettingsOf);
  const budgets = makeAgentBudgets({ budgetOf: (agentId) => agents.get(agentId)?.budget, store, nowMs });
  const models = makeModels({ budgets, kernel, settings: modelSettings, start: parts.startBroker, nowMs });
  const threadTools = makeThreadTools(
    { config, agents, log, kernel, nowMs, publish, note: audit.note, models, store, signals: () => signals, newId },
    parts,
  );
  const toolDesk = makeToolDesk({ config, agents, tools: () => tools, mcp: threadTools.mcp, log });
  const driver: Driver = makeDriver({
    onFollowUp: makeExchanges({ store, kernel, accept: (admission) => driver.accept(admission), log }),
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
    onAgentGone: (agentId) => (configDesk.gone(agentId), proposals.forget(agentId)),
    onSessionChanged,
    onDeadLetter: () => void deadLetters.changed(),
    deliver,
    callTool: (call) => runTool(tools, driver.kernel, call, trail, budgets),
    budgets,
    noteAudit: trail,
    noteAsked: audit.asked,
    isRepeatable: (tool) => isRepeatable(tools, tool),
    toolDesk,
    skills: { of: (allowed) => threadTools.skills.of(allowed) },
    askRight: (effect) => void answerAsked(effect, requests, driver.kernel),
    signals,
    subagents,
    models,
    commands: threadTools.commands,
    calls: threadTools.mcp,
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
    models: modelSettings,
    profileNames: (...about) => models.profileNames(...about),
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
  const sessionTools = makeSessionTools({
    config,
    agents,
    policy,
    store,
    readers,
    care,
    models: modelSettings,
    kernel,
    pairings: () => driver.pairings,
    requests,
    subagents,
    threads,
    desk: toolDesk,
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
    threads,
    readers,
    kernel,
    rpc: operatorRpc,
    newUuid: randomUUID,
    nowMs,
    ready: driver.resumed,
  });
  const senders = makeSenders({ kept: parts.senders, store, nowMs, publish, tell, log });
  const callers = makeCallers({
    kept: parts.callers,
    agents,
    store,
    kernel,
    edge: () => edge,
    newId: () => `c-${randomUUID().slice(0, 8)}`,
    nowMs,
    log,
  });
  const isAgent = (agentId: string): boolean => agents.has(agentId);
  const wakePace = makeWakePace();
  const common = { config, agents, store, carriesAnswers, kernel, note: audit.note, wakePace, nowMs, log };
  const ingress = makeIngress({
    ...common,
    isAgent,
    models: modelSettings,
    commands,
    senders,
    threads,
    pairings: () => driver.pairings,
    refused: (subject, object, { code, message }) =>
      audit.noteOften({ type: "refused", subject, object, verb: "send", decision: "refused", code, detail: message }),
    answer: answerCommand,
    bring,
    routes,
    runs,
    accept: (admission) => driver.accept(admission),
    newUuid: randomUUID,
    holdHook: (event) => clock.holdHook(event),
  });
  const clock = makeClock({
    ...common,
    models: modelSettings,
    profileType: models.profileType,
    targets: makeTargets(config, isAgent),
    accept: (admission) => driver.accept(admission),
    expect: (atMs) => signals.expect(atMs),
    answer: answerCommand,
  });
  const tools: ToolTable = {
    ...sessionTools,
    ...threadTools.tools,
    cron: clock.tool,
    message: makeMessageTool({ ...common, pairings: () => driver.pairings, post, sent, channels }),
    [configTool]: makeConfigPropose({ propose: (asked) => proposals.propose(asked) }),
  };
  const deadLetters = makeDeadLetters({ ...common, accept: (admission) => driver.accept(admission), deliver, publish });
  for (const line of describeAuth(config.gateway)) log.info({}, line);
  const invitations = makeInvitations(nowMs);
  const outside = { newId: randomUUID, nowMs, publish, edge: () => edge };
  const devices = makeDevices({
    ...outside,
    invitations,
    kept: parts.devices,
    operatorKey: parts.operatorKey,
    autoApproveLocal: () => config.gateway.autoApproveLocal,
    authMode: config.gateway.auth.mode,
    store,
    log,
  });
  const nodes = makeNodes({
    ...outside,
    devices,
    commands: () => config.gateway.nodeCommands,
    log,
  });
  const stopWork = makeStopWork({ store, agents, kernel, runs, nowMs });
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
    models,
    channels,
    mcp: threadTools.mcp,
    commands: threadTools.commands,
    policy,
    heartbeats: clock.heartbeats,
    edge: () => edge,
    publish,
    ...(parts.process.launched === undefined ? {} : { restart: (by: string) => lifecycle.end({}, true, by) }),
    nowMs,
    log,
  });
  const proposals = makeConfigProposals({
    live,
    read: parts.configFile.read,
    desk: configDesk,
    store,
    publish,
    newId: () => `p-${randomUUID().slice(0, 8)}`,
    nowMs,
    log,
  });
  const views = makeGatewayViews({
    configStatus: () => configDesk.status(),
    config,
    version,
    startedAtMs: nowMs(),
    nowMs,
    census,
    agents: () => board.all(),
    lanes: () => driver.kernel.lanes(),
    heartbeats: clock.heartbeats,
    deadLetters,
    subagents,
    loop: () => loop.read(),
  });
  const memory = makeAgentMemory({ ...threadTools, cells: () => driver.cellFigures() });
  const metrics = makeMetrics({ version, nowMs, board, isAgent, kernel, memory, loop, deadLetters, devices });
  const rpc = makeOperatorMethods({
    ...common,
    budgets,
    channels,
    metrics,
    memory,
    clock,
    threadToolMethods: threadTools.methods,
    toolMethods: makeToolMethods({ config, agents, kernel, store }, toolDesk, threadTools),
    configMethods: makeConfigMethods({
      desk: configDesk,
      live,
      read: parts.configFile.read,
      grants,
      proposals,
      store,
      onSessionChanged,
      nowMs,
      log,
    }),
    isAgent,
    devices,
    nodes,
    invitations,
    noteOften: audit.noteOften,
    callers,
    senders,
    views,
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
    bringBack: (agentId) => driver.bringBack(agentId),
    backups: makeBackups(store, nowMs, log),
    lifecycle,
    isRunning: (sessionKey) => driver.kernel.isRunning(sessionKey),
  });
  const doors = makeGatewayDoors({
    ...common,
    rpc,
    devices,
    nodes,
    channels,
    ingress,
    stopWork,
    runs,
    events,
    views,
    isResumed: () => isResumed,
  });

  return {
    doors,
    driver,
    configDesk,
    checkSandboxes: () => threadTools.commands.checkSandboxes(),
    agents: () => board.all(),
    callers,
    attachEdge: (attached) => {
      edge = attached;
      events.attach(attached);
    },
    async resume() {
      const [found] = await Promise.all([driver.resume(), deadLetters.changed()]);
      isResumed = true;
      await Promise.all([clock.start(parts.withWorkspace), threadTools.start()]);
      channels.start();
      notices.start();
      audit.start();
      requests.resume();
      retention.start();
      return found;
    },
    lookAtDue: () => signals.look(),
    async drain(timeoutMs) {
      requests.close();
      await configDesk.close();
      const [clean] = await Promise.all([driver.drain(timeoutMs), retention.close()]);
      await channels.close();
      await models.close();
      await threadTools.close();
      await readers.close();
      await audit.close();
      loop.close();
      threads.close();
      board.close();
      return clean;
    },
  };
}
