/**
 * What a client is told when it is admitted (`hello-ok`), and later of who is there. Only a client that may read hears of health and
 * presence. A kernel's side that does not answer leaves its part empty: nobody is kept out by that.
 */
import { holdsScope } from "../../auth/scopes.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { EdgeBounds } from "./bounds.ts";
import { type ConnectParams, protocolVersion, type StateVersion } from "./frames.ts";
import type { Log } from "./log.ts";
import { events, methods } from "./methods.ts";
import type { Client, KernelForEdge } from "./port.ts";
import type { EdgeSettings } from "./settings.ts";
import { makePresence, type PresenceRow } from "./presence.ts";

export interface HelloDeps {
  readonly settings: Pick<EdgeSettings, "version" | "bootId" | "snapshot">;
  readonly bounds: EdgeBounds;
  readonly kernel: Pick<KernelForEdge, "snapshot">;
  readonly log: Log;
  readonly now: () => number;
  readonly uptimeMs: () => number;
  /** To every client that may read. */
  tell(event: "presence", payload: { readonly presence: readonly PresenceRow[] }, state: StateVersion): void;
}

export interface Hello {
  /** The payload of `hello-ok`. The client is present from here on. */
  greet(client: Client, introduction: ConnectParams["client"], auth: object, remoteIp?: string): Promise<object>;
  left(connId: string): void;
  /** What agents do has changed. */
  agentsChanged(): void;
  /** The answer to `system-presence`. */
  presence(): Promise<readonly PresenceRow[]>;
  close(): void;
}

export function makeHello(deps: HelloDeps): Hello {
  const { settings, bounds, kernel, log, now, uptimeMs } = deps;
  const { version, bootId } = settings;

  const ask = (): ReturnType<KernelForEdge["snapshot"]> =>
    kernel.snapshot().catch((error: unknown) => {
      log("warn", "the gateway's state could not be asked for", { error: toRefusal(error) });
      return { health: {}, agents: [] };
    });
  const stateVersion = (): StateVersion => ({ presence: list.version, health: 1 });

  const list = makePresence({
    version,
    bootId,
    paceMs: bounds.presencePaceMs,
    now,
    tell: () => void ask().then(({ agents }) => deps.tell("presence", { presence: list.rows(agents) }, stateVersion())),
  });

  return {
    greet: async (client, introduction, auth, remoteIp) => {
      list.join(client, introduction, remoteIp);
      const mayRead = holdsScope(client.scopes, "operator.read");
      const { health, agents } = mayRead ? await ask() : { health: {}, agents: [] };
      return {
        type: "hello-ok",
        protocol: protocolVersion,
        server: { version, connId: client.connId, bootId },
        features: { methods: Object.keys(methods), events },
        snapshot: {
          presence: mayRead ? list.rows(agents) : [],
          health,
          stateVersion: stateVersion(),
          uptimeMs: uptimeMs(),
          // Of now: another configuration may be in force.
          sessionDefaults: { ownership: "explicit", selectionRequired: false, ...settings.snapshot },
        },
        auth,
        policy: {
          maxPayload: bounds.frameBytesMax,
          maxBufferedBytes: bounds.socketBufferedBytesMax,
          tickIntervalMs: bounds.tickMs,
        },
      };
    },
    left: (connId) => list.leave(connId),
    agentsChanged: () => list.changed(),
    presence: async () => list.rows((await ask()).agents),
    close: () => list.close(),
  };
}
