/**
 * The edge: HTTP and WebSocket on one port. It knows who a client is and what form a request has; every right is asked of
 * the kernel's side.
 *
 * One edge listens once. `close` may be called at any time, also before `listen`.
 */
import { createServer, type Server } from "node:http";
import { makeWebhookClient, type WebhookClient } from "../../channels/webhook/index.ts";
import { failure } from "../kernel/errors.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import { type Attempts, makeAttempts } from "./attempts.ts";
import { type EdgeBounds, makeBounds } from "./bounds.ts";
import { makeSecret } from "./credential.ts";
import { type DoorNotes, makeDoorNotes } from "./door-notes.ts";
import type { Door } from "./handshake.ts";
import { makeHealthRoutes } from "./health.ts";
import { makeHello } from "./hello.ts";
import { makeHookRoutes } from "./hooks.ts";
import { answerRequest, drainingRefusal } from "./http.ts";
import { listenOn } from "./listen.ts";
import { openLocalDoor } from "./local-door.ts";
import type { Log } from "./log.ts";
import { makeMetricsRoutes } from "./metrics-route.ts";
import { makeOriginRules, type OriginRules } from "./origin.ts";
import { loadPage, type Page } from "./page.ts";
import type { EdgeForKernel, KernelForEdge } from "./port.ts";
import type { AttemptsRule, ChangeableSettings, EdgeSettings, LoginRule } from "./settings.ts";
import { makeRunListeners, type RunListeners } from "./programs/call.ts";
import { makeProgramDoor, type ProgramDoor } from "./programs/door.ts";
import { makeProgramRoutes } from "./programs/routes.ts";
import { answerFrame } from "./requests.ts";
import { makePlatformRoutes } from "./platform-routes.ts";
import { makeDoorSecrets } from "./read-secrets.ts";
import type { RouteFinder } from "./route.ts";
import { type Entrance, makeSockets, type Sockets } from "./sockets.ts";
import { clientScheme, makeProxies, type Proxies } from "./trusted-proxy.ts";
import { makeWebhookRoutes } from "./webhook-routes.ts";

/** What a test replaces. */
export interface EdgeTuning {
  readonly now?: () => number;
  readonly bounds?: Partial<EdgeBounds>;
  readonly makeWebhookClient?: typeof makeWebhookClient;
}

/** Where references to secrets lead; of a program that has none. */
const noSecrets: Pick<SecretReader, "read" | "forget"> = {
  read: async () => ({ missing: "no references are followed here" }),
  forget: () => undefined,
};

interface Parts {
  readonly settings: EdgeSettings;
  readonly kernel: KernelForEdge;
  readonly log: Log;
  readonly bounds: EdgeBounds;
  readonly now: () => number;
  readonly closing: () => string | undefined;
}

/** What is made of the settings that may change. */
interface Changing {
  readonly settings: EdgeSettings;
  readonly door: Door;
  readonly rules: OriginRules;
  readonly proxies: Proxies;
  readonly hooks: RouteFinder;
  readonly programRoutes: RouteFinder;
  readonly metricsRoutes: RouteFinder;
  readonly webhookRoutes: RouteFinder;
  readonly platformRoutes: RouteFinder;
  readonly webhook: WebhookClient;
}

interface Open {
  readonly server: Server;
  /** The local operator's; it listens when there is a socket for it. */
  readonly localServer: Server;
  readonly sockets: Sockets;
  readonly changing: () => Changing;
  change(changed: ChangeableSettings): void;
  readonly programs: ProgramDoor;
  readonly listeners: RunListeners;
  readonly notes: DoorNotes;
}

export function makeEdge(
  kernel: KernelForEdge,
  log: Log,
  tuning: EdgeTuning = {},
  secrets: Pick<SecretReader, "read" | "forget"> = noSecrets,
): EdgeForKernel {
  const bounds = makeBounds(tuning.bounds);
  const now = tuning.now ?? Date.now;
  let open: Open | undefined;
  let closing: string | undefined;
  const doors = makeDoorSecrets(secrets, log, bounds.secretLookMs);
  const change = ({ auth, hooks, metrics, webhook, platforms }: ChangeableSettings): void =>
    open?.change({ ...open.changing().settings, auth, hooks, metrics, webhook, platforms });

  return {
    listen: async (told) => {
      if (open !== undefined) throw failure("CLOISTER_INTERNAL", "the edge listens already; an edge listens once");
      const { settings, follow } = await doors.read<EdgeSettings>(told);
      const parts: Parts = { settings, kernel, log, bounds, now, closing: () => closing };
      if (settings.auth.mode === "none") {
        // The text is one that operators search their logs for (behaviour §4.7).
        log("warn", "auth mode=none explicitly configured; all gateway connections are unauthenticated.");
      }
      open = await assemble(parts, tuning.makeWebhookClient ?? makeWebhookClient);
      const { server, localServer, sockets } = open;
      try {
        const listening = await listenOn(server, settings.host, settings.port);
        const { localSocket } = settings;
        const local = localSocket === undefined ? undefined : await openLocalDoor(localServer, localSocket);
        if (local?.open === false)
          log("warn", "the local operator's socket is not open; operator.key still opens the gateway", {
            reason: local.reason,
          });
        follow(change);
        return listening;
      } catch (error) {
        await sockets.close("the address cannot be bound");
        open = undefined;
        throw error;
      }
    },
    publish: async (published) => {
      for (const { event, payload } of published) {
        if (event === "chat") open?.listeners.take(payload);
        if (event === "run") open?.listeners.began(payload.runId);
      }
      open?.sockets.publish(published);
    },
    setCallers: async (callers) => open?.programs.setCallers(callers),
    tellOne: async (connId, event, payload) => open?.sockets.tellOne(connId, event, payload) ?? false,
    closeDevice: async (deviceId, reason, exceptConnId) => open?.sockets.closeDevice(deviceId, reason, exceptConnId),
    send: async (message) => {
      if (message.channel !== "webhook" || open === undefined) {
        return { status: "failed", reason: `the edge has no open channel ${message.channel}`, retry: false };
      }
      return open.changing().webhook.send(message);
    },
    configure: async (changed) => {
      // What a program said before may be another secret by now.
      secrets.forget();
      const { settings, follow } = await doors.read<ChangeableSettings>(changed);
      open?.change(settings);
      follow(change);
    },
    readSecrets: () => {
      secrets.forget();
      return doors.look();
    },
    close: async (reason) => {
      closing ??= reason;
      doors.close();
      if (open === undefined) return;
      const { server, localServer, sockets, programs } = open;
      programs.close(drainingRefusal(reason));
      open.notes.close();
      const servers = [server, localServer];
      const stopped = servers.map((one) => new Promise<void>((resolve) => one.close(() => resolve())));
      await sockets.close(reason);
      const cut = setTimeout(() => servers.forEach((one) => one.closeAllConnections()), bounds.socketCloseGraceMs);
      await Promise.all(stopped);
      clearTimeout(cut);
    },
  };
}

const perMinute = (failuresMax: number, lockoutMs: number): AttemptsRule => ({
  failuresMax,
  windowMs: 60_000,
  lockoutMs,
});

async function assemble(parts: Parts, makeClient: typeof makeWebhookClient): Promise<Open> {
  const { settings, kernel, log, bounds, now } = parts;
  const startedAtMs = now();
  const uptimeMs = (): number => now() - startedAtMs;
  const limited = (rule: () => AttemptsRule): Attempts =>
    makeAttempts({ rule, addressesMax: bounds.attemptAddressesMax, now });
  const ofWebhooks = perMinute(bounds.webhookAuthFailuresPerMinute, bounds.webhookAuthLockoutMs);
  const webhookAttempts = limited(() => ofWebhooks);
  const usualLogin = { ...perMinute(bounds.authFailuresPerMinute, bounds.authLockoutMs), exemptLoopback: true };
  const loginRule = (): LoginRule => changing.settings.loginRule ?? usualLogin;
  const listeners = makeRunListeners();
  const programs = makeProgramDoor({
    callers: settings.callers,
    door: () => changing.door,
    attempts: webhookAttempts,
    bounds,
    now,
  });
  const make = (from: EdgeSettings): Changing => ({
    settings: from,
    door: makeDoor(from),
    rules: makeOriginRules(from.host, from.allowedOrigins),
    proxies: makeProxies(from.trustedProxies),
    hooks: makeHookRoutes(from.hooks, { kernel, bounds, attempts: webhookAttempts }),
    programRoutes: makeProgramRoutes(
      from.programs,
      {
        kernel,
        door: programs,
        bounds,
        listeners,
        log,
        version: from.version,
        schemeOf: (request) => clientScheme(request, proxies),
      },
      now,
    ),
    metricsRoutes: makeMetricsRoutes(from.metrics, { kernel, programs, attempts: webhookAttempts }),
    webhookRoutes: makeWebhookRoutes(from.webhook, { kernel, bounds, attempts: webhookAttempts, now }),
    platformRoutes: makePlatformRoutes(from.platforms, { kernel, bounds, attempts: webhookAttempts, now }),
    webhook: makeClient(from.webhook?.accounts ?? {}),
  });
  let changing = make(settings);
  const rules: OriginRules = {
    hostAllowed: (arrival) => changing.rules.hostAllowed(arrival),
    judgeOrigin: (arrival) => changing.rules.judgeOrigin(arrival),
  };
  const proxies: Proxies = { trusts: (address) => changing.proxies.trusts(address) };
  const page = await openPage(parts);

  const finders: readonly RouteFinder[] = [
    makeHealthRoutes({ kernel, version: settings.version, uptimeMs }),
    (path) => changing.hooks(path),
    (path) => changing.programRoutes(path),
    (path) => changing.metricsRoutes(path),
    (path) => changing.webhookRoutes(path),
    (path) => changing.platformRoutes(path),
    page.find,
  ];
  const hello = makeHello({
    settings: {
      ...settings,
      get snapshot() {
        return changing.settings.snapshot;
      },
    },
    bounds,
    kernel,
    log,
    now,
    uptimeMs,
    tell: (event, payload, state) => sockets.tell(event, payload, state),
  });
  const notes = makeDoorNotes(kernel, log);
  const sockets: Sockets = makeSockets({
    kernel,
    bounds,
    door: () => changing.door,
    log,
    now,
    rules,
    attempts: limited(loginRule),
    exemptsLoopback: () => loginRule().exemptLoopback,
    proxies,
    ...(settings.auth.mode === "trusted-proxy" ? { proxyRule: settings.auth.proxy } : {}),
    basePath: settings.page.basePath,
    closing: parts.closing,
    hello,
    device: (attempt) => kernel.connectDevice(attempt),
    deviceGone: (connId) =>
      void kernel
        .deviceGone(connId)
        .catch((error: unknown) =>
          log("warn", "the end of a device's connection was not taken", { error: String(error) }),
        ),
    noteRefusal: notes.note,
    request: (client, frame, respond) =>
      answerFrame(client, frame, respond, {
        kernel,
        bounds,
        now,
        noteRefusal: notes.note,
        presence: () => hello.presence(),
      }),
  });
  const http = { rules, proxies, finders, log, noteRefusal: notes.note, closing: parts.closing };
  const serve = (entrance: Entrance): Server => {
    const server = createServer(
      serverOptions(bounds),
      (request, response) => void answerRequest(request, response, http),
    );
    server.maxConnections = bounds.httpConnectionsMax;
    // A client that sends `Expect: 100-continue` is judged first and asked for its body only when it is wanted.
    server.on("checkContinue", (request, response) => void answerRequest(request, response, http));
    server.on("upgrade", (request, socket, head) => sockets.upgrade(request, socket, head, entrance));
    return server;
  };
  const change = (changed: ChangeableSettings): void => {
    const before = changing.settings.auth;
    const { loginRule: _before, ...others } = changing.settings;
    changing = make({ ...others, ...changed });
    if (JSON.stringify(before) === JSON.stringify(changed.auth)) return;
    sockets.closeShared("the gateway's token or password has changed: connect again with the new one");
    programs.closeShared();
  };
  return {
    server: serve("network"),
    localServer: serve("operator"),
    sockets,
    changing: () => changing,
    change,
    programs,
    listeners,
    notes,
  };
}

function serverOptions(bounds: EdgeBounds) {
  const requestTimeout = bounds.httpHeadMs + bounds.httpBodyMs;
  return {
    maxHeaderSize: 16_384,
    headersTimeout: bounds.httpHeadMs,
    requestTimeout,
    keepAliveTimeout: bounds.httpIdleMs,
    connectionsCheckingInterval: Math.min(1_000, bounds.httpHeadMs),
    // Another protocol that a client offers to switch to (h2c) is not taken up, and its request is answered as it is.
    shouldUpgradeCallback: ({ headers }: { headers: { upgrade?: string | undefined } }) =>
      headers.upgrade?.toLowerCase() === "websocket",
  };
}

function makeDoor({ auth, operatorKey, host }: EdgeSettings): Door {
  const key = makeSecret(operatorKey, "the operator key file");
  const { mode } = auth;
  if (auth.mode === "trusted-proxy") return { mode, operatorKey: key };
  // A blank secret counts as none (behaviour §1.7): then only the operator key opens.
  if (auth.mode === "none" || auth.secret === undefined || auth.secret.trim() === "") return { mode, operatorKey: key };
  return { mode, operatorKey: key, shared: makeSecret(auth.secret, `gateway.auth.${mode} (on ${host})`) };
}

async function openPage({ settings, log }: Parts): Promise<Page> {
  if (!settings.page.enabled) return { find: () => undefined, files: 0 };
  const page = await loadPage(settings.page.assetsDir, settings.page.basePath);
  if (page.files === 0)
    log("warn", "the web page has no files; run `npm run build`", { assetsDir: settings.page.assetsDir });
  return page;
}
