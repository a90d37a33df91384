/**
 * Who is there: the gateway itself, the clients, the agents. In memory and bounded; a client that left stays for five minutes.
 * Command lines, backends and probes come and go with each call and are not listed. Source: behaviour §9.3.
 *
 * Changes that come together are told together (`presencePaceMs`), each time the whole list with its version.
 */
import { hostname } from "node:os";
import { limits } from "../kernel/limits.ts";
import type { ConnectParams } from "./frames.ts";
import { shownText } from "./handshake.ts";
import type { AgentPresence, Client } from "./port.ts";

/** `text` is the row in one line, for clients that show no more. */
export type PresenceRow = {
  readonly mode: string;
  readonly reason: string;
  readonly text: string;
  readonly ts: number;
} & (
  | { readonly host: string; readonly version: string; readonly platform: string; readonly instanceId: string }
  | ClientFacts
  | AgentPresence
);

interface ClientFacts {
  readonly clientId: string;
  readonly host: string;
  readonly ip?: string;
  readonly version?: string;
  readonly platform?: string;
  readonly deviceFamily?: string;
  readonly instanceId: string;
  readonly deviceId?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly onlineSince: number;
}

interface Seen {
  readonly mode: string;
  readonly facts: ClientFacts;
  /** Absent: it is connected. */
  readonly leftMs?: number;
}

export interface Presence {
  readonly version: number;
  rows(agents: readonly AgentPresence[]): readonly PresenceRow[];
  join(client: Client, introduction: ConnectParams["client"], remoteIp: string | undefined): void;
  leave(connId: string): void;
  /** What an agent does has changed. */
  changed(): void;
  close(): void;
}

export interface PresenceDeps {
  readonly version: string;
  readonly bootId: string;
  readonly paceMs: number;
  readonly now: () => number;
  /** The list has a new version: time to tell it. */
  tell(): void;
}

const passing: ReadonlySet<string> = new Set(["cli", "backend", "probe"]);

export function makePresence(deps: PresenceDeps): Presence {
  const seen = new Map<string, Seen>();
  const startedAtMs = deps.now();
  let version = 1;
  let timer: NodeJS.Timeout | undefined;

  const changed = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      deps.tell();
    }, deps.paceMs);
    timer.unref();
    version += 1;
  };

  const forget = (): void => {
    const now = deps.now();
    for (const [connId, { leftMs }] of seen)
      if (leftMs !== undefined && now - leftMs > limits.presenceGoneMs) seen.delete(connId);
    // Those that left longest ago first: they are moved to the end when they leave.
    for (const [connId, { leftMs }] of seen) {
      if (seen.size <= limits.presenceRowsMax) break;
      if (leftMs !== undefined) seen.delete(connId);
    }
  };

  return {
    get version() {
      return version;
    },
    rows: (agents) => {
      forget();
      const now = deps.now();
      const host = hostname();
      const own: PresenceRow = {
        host,
        version: deps.version,
        platform: process.platform,
        mode: "gateway",
        reason: "self",
        instanceId: deps.bootId,
        text: `Gateway: ${host} · ${deps.version}`,
        ts: startedAtMs,
      };
      const clients = [...seen.values()].map(({ mode, facts, leftMs }): PresenceRow => {
        const reason = leftMs === undefined ? "connect" : "disconnect";
        const text = `Client: ${facts.host} · mode ${mode} · ${reason}`;
        return { ...facts, mode, reason, text, ts: leftMs ?? facts.onlineSince };
      });
      const working = agents.map((agent): PresenceRow => {
        const { name, workerState, activeRuns, lastActivityAt } = agent;
        const text = `Agent: ${name} · ${workerState}${activeRuns > 0 ? ` · ${activeRuns} runs` : ""}`;
        return { ...agent, mode: "agent", reason: "agent", text, ts: lastActivityAt ?? now };
      });
      const gone = clients.filter(({ reason }) => reason === "disconnect");
      const there = clients.filter(({ reason }) => reason === "connect");
      return [own, ...there, ...working, ...gone].slice(0, limits.presenceRowsMax);
    },
    join: (client, introduction, remoteIp) => {
      if (passing.has(client.mode)) return;
      const { id, displayName, version: clientVersion, platform, deviceFamily, instanceId } = introduction;
      const told = { version: clientVersion, platform, deviceFamily };
      const shown = Object.entries(told).flatMap(([name, text]) =>
        text === undefined ? [] : [[name, shownText(text)]],
      );
      const facts: ClientFacts = {
        clientId: shownText(id),
        host: shownText(displayName ?? id),
        ...Object.fromEntries(shown),
        instanceId: instanceId === undefined ? client.connId : shownText(instanceId),
        ...(remoteIp === undefined ? {} : { ip: remoteIp }),
        ...(client.deviceId === undefined ? {} : { deviceId: client.deviceId }),
        roles: [client.role ?? "operator"],
        scopes: client.scopes,
        onlineSince: deps.now(),
      };
      seen.set(client.connId, { mode: shownText(client.mode), facts });
      forget();
      changed();
    },
    leave: (connId) => {
      const row = seen.get(connId);
      if (row === undefined) return;
      seen.delete(connId);
      seen.set(connId, { ...row, leftMs: deps.now() });
      forget();
      changed();
    },
    changed,
    close: () => clearTimeout(timer),
  };
}
