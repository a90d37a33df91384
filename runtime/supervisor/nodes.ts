/**
 * Devices in the role `node`: what they can do, and asking them to. A node has no scopes: it answers what it is asked, says what
 * happens to it, and asks nothing. It can be asked only for what it has declared on this connection, that an operator has approved for
 * its key or `gateway.nodes.allowCommands` names, and that `gateway.nodes.denyCommands` does not. Source: behaviour §4.4, protocol.md.
 *
 *     node.invoke ──► node.invoke.request (to that connection alone) ──► node.invoke.result ──► the answer
 *                         └── no answer in time, or the connection ends ──► an error
 *     node.event  ──► an event of the same name, to every client that may read
 */
import { type DeviceRow, liveToken } from "../../auth/device-state.ts";
import type {
  Client,
  DeviceAnswer,
  DeviceAttempt,
  EdgeForKernel,
  GatewayEvent,
  KernelForEdge,
  RpcResult,
} from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { DeviceDesk } from "./devices.ts";
import type { Logger } from "./driver.ts";

export interface NodesDeps {
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly edge: () => Pick<EdgeForKernel, "tellOne"> | undefined;
  readonly publish: (event: GatewayEvent) => void;
  readonly devices: Pick<DeviceDesk, "approved" | "isToken">;
  /** `gateway.nodes.allowCommands` and `denyCommands`, as they stand now. */
  readonly commands: () => { readonly allow: readonly string[]; readonly deny: readonly string[] };
  readonly log: Logger;
}

export interface NodeInvocation {
  readonly nodeId: string;
  readonly command: string;
  readonly params?: unknown;
  readonly timeoutMs?: number;
}

export interface NodeResult {
  readonly id: string;
  readonly ok: boolean;
  readonly payload?: unknown;
  readonly error?: { readonly message?: string };
}

/** A node as clients see it. */
export interface NodeView {
  /** The id of its device. */
  readonly nodeId: string;
  readonly displayName: string;
  readonly platform: string;
  readonly deviceFamily?: string;
  /** What it may be asked for now; of one that is away, what it may be asked for when it comes with the same. */
  readonly commands: readonly string[];
  readonly connected: boolean;
  readonly paired: boolean;
  readonly connectedAtMs?: number;
  readonly lastSeenAtMs?: number;
  readonly approvedAtMs?: number;
}

export interface Nodes {
  /** What an approval is needed for: neither what the config allows nor what it denies. */
  asking(attempt: DeviceAttempt): DeviceAttempt;
  /** After a device was judged; one that is no node, or was not let in, is left alone. */
  joined(attempt: DeviceAttempt, answer: DeviceAnswer): void;
  gone(connId: string): void;
  /** Those that are connected, and those that are approved and away. */
  list(): Promise<readonly NodeView[]>;
  /** One of them, with what it declares beside `commands`. Rejects with `CLOISTER_DEVICE_UNKNOWN`. */
  describe(
    nodeId: string,
  ): Promise<NodeView & { readonly declared: readonly string[]; readonly denied: readonly string[] }>;
  /** Whether this is the token by which the node connects. */
  verify(nodeId: string, token: string): Promise<object>;
  /** Rejects with `CLOISTER_NODE_*`, or with what the node says. */
  invoke(invocation: NodeInvocation): Promise<object>;
  /**
   * A request of a node. `node.invoke.result` answers an invocation; `taken` is false when nobody waits for it (any more), or another node
   * was asked. `node.event` is told to clients as it is.
   */
  said(client: Client, method: string, params: unknown): Promise<RpcResult>;
}

interface Node {
  readonly connId: string;
  readonly nodeId: string;
  readonly displayName: string;
  readonly platform: string;
  readonly deviceFamily?: string;
  readonly declared: readonly string[];
  readonly approved: readonly string[];
  readonly connectedAtMs: number;
}

interface Asked {
  readonly connId: string;
  readonly settle: (result: NodeResult | Error) => void;
}

export function makeNodes(deps: NodesDeps): Nodes {
  const { newId, nowMs, edge, log } = deps;
  const nodes = new Map<string, Node>();
  const asked = new Map<string, Asked>();
  /** Events of each node since the window began. */
  const said = makeWindow(nowMs);

  const latest = (nodeId: string): Node | undefined => [...nodes.values()].findLast((one) => one.nodeId === nodeId);

  const askable = (declared: readonly string[], approved: readonly string[]): readonly string[] => {
    const { allow, deny } = deps.commands();
    return declared
      .filter((command) => !deny.includes(command) && (approved.includes(command) || allow.includes(command)))
      .toSorted();
  };

  const find = (nodeId: string, command: string): Node => {
    const node = latest(nodeId);
    if (node === undefined)
      throw failure("CLOISTER_NODE_OFFLINE", `no node with the id ${nodeId} is connected`, "cloister nodes list");
    const may = askable(node.declared, node.approved);
    if (may.includes(command)) return node;
    const isDenied = deps.commands().deny.includes(command);
    throw failure(
      "CLOISTER_NODE_COMMAND_DENIED",
      `the node ${nodeId} may not be asked for ${command}: ${
        isDenied ? "gateway.nodes.denyCommands names it" : "it did not declare it, or nobody approved it"
      }; it may: ${may.join(", ") || "nothing"}`,
      isDenied
        ? "take it out of gateway.nodes.denyCommands: cloister config get gateway.nodes"
        : "approve what it asks for: cloister devices list",
    );
  };

  const here = (node: Node, row: DeviceRow | undefined): NodeView => ({
    nodeId: node.nodeId,
    displayName: row?.operatorLabel ?? node.displayName,
    platform: node.platform,
    ...(node.deviceFamily === undefined ? {} : { deviceFamily: node.deviceFamily }),
    commands: askable(node.declared, node.approved),
    connected: true,
    paired: true,
    connectedAtMs: node.connectedAtMs,
    ...(row === undefined ? {} : { lastSeenAtMs: row.lastSeenAtMs, approvedAtMs: row.approvedAtMs }),
  });

  const away = (row: DeviceRow): NodeView => {
    const approved = liveToken(row, "node")?.commands ?? [];
    return {
      nodeId: row.deviceId,
      displayName: row.operatorLabel ?? row.displayName ?? row.clientId,
      platform: row.platform ?? "",
      ...(row.deviceFamily === undefined ? {} : { deviceFamily: row.deviceFamily }),
      commands: askable(approved, approved),
      connected: false,
      paired: true,
      lastSeenAtMs: row.lastSeenAtMs,
      approvedAtMs: row.approvedAtMs,
    };
  };

  return {
    asking: (attempt) => {
      if (attempt.role !== "node" || attempt.commands === undefined) return attempt;
      const { allow, deny } = deps.commands();
      return {
        ...attempt,
        commands: attempt.commands.filter((command) => !allow.includes(command) && !deny.includes(command)),
      };
    },
    joined: ({ connId, deviceId, role, client, commands = [] }, answer) => {
      if (role !== "node" || answer.type !== "admitted") return;
      nodes.set(connId, {
        connId,
        nodeId: deviceId,
        displayName: client.displayName ?? client.clientId,
        platform: client.platform ?? "",
        ...(client.deviceFamily === undefined ? {} : { deviceFamily: client.deviceFamily }),
        declared: [...new Set(commands)].toSorted(),
        approved: answer.commands ?? [],
        connectedAtMs: nowMs(),
      });
    },
    gone: (connId) => {
      nodes.delete(connId);
      for (const [id, waiting] of asked)
        if (waiting.connId === connId) {
          asked.delete(id);
          waiting.settle(failure("CLOISTER_NODE_OFFLINE", "the node's connection ended before it answered"));
        }
    },
    list: async () => {
      const rows = await deps.devices.approved("node");
      const present = [...nodes.values()];
      return [
        ...present.map((node) =>
          here(
            node,
            rows.find(({ deviceId }) => deviceId === node.nodeId),
          ),
        ),
        ...rows.filter(({ deviceId }) => !present.some(({ nodeId }) => nodeId === deviceId)).map(away),
      ];
    },
    describe: async (nodeId) => {
      const row = (await deps.devices.approved("node")).find(({ deviceId }) => deviceId === nodeId);
      const node = latest(nodeId);
      const view = node === undefined ? row && away(row) : here(node, row);
      if (view === undefined)
        throw failure("CLOISTER_DEVICE_UNKNOWN", `no node has the id ${nodeId}`, "cloister nodes list");
      const declared = node?.declared ?? (row && liveToken(row, "node")?.commands) ?? [];
      const { deny } = deps.commands();
      return { ...view, declared, denied: declared.filter((command) => deny.includes(command)) };
    },
    verify: async (nodeId, token) => {
      if (!(await deps.devices.isToken(nodeId, "node", token))) return { ok: false };
      const row = (await deps.devices.approved("node")).find(({ deviceId }) => deviceId === nodeId);
      if (row === undefined) return { ok: false };
      const node = latest(nodeId);
      return { ok: true, node: node === undefined ? away(row) : here(node, row) };
    },
    invoke: async ({ nodeId, command, params, timeoutMs = limits.nodeInvokeMsDefault }) => {
      const { connId } = find(nodeId, command);
      const open = [...asked.values()].filter((one) => one.connId === connId).length;
      if (open >= limits.nodeInvokesMax)
        throw failure("CLOISTER_BUSY", `the node ${nodeId} is asked ${open} things at once, which is the most`);
      const id = newId();
      const answered = Promise.withResolvers<NodeResult | Error>();
      asked.set(id, { connId, settle: answered.resolve });
      const timer = setTimeout(
        () => answered.resolve(failure("CLOISTER_ASK_TIMEOUT", `the node did not answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      try {
        const payload = { id, nodeId, command, paramsJSON: JSON.stringify(params ?? {}), timeoutMs };
        if ((await edge()?.tellOne(connId, "node.invoke.request", payload)) !== true)
          throw failure("CLOISTER_NODE_OFFLINE", `the node ${nodeId} was not asked: its connection ends`);
        const result = await answered.promise;
        if (result instanceof Error) throw result;
        if (!result.ok)
          throw failure(
            "CLOISTER_NODE_FAILED",
            `${command} failed on the node: ${result.error?.message ?? "no reason"}`,
          );
        return { ok: true, nodeId, command, payload: result.payload ?? null };
      } catch (error) {
        log.info({ node: nodeId, command, error: toRefusal(error) }, "a node did not do what it was asked");
        throw error;
      } finally {
        clearTimeout(timer);
        asked.delete(id);
      }
    },
    said: async (client, method, params) => {
      if (method === "node.invoke.result") {
        const { payloadJSON, ...result } = params as NodeResult & WithJson;
        const waiting = asked.get(result.id);
        const taken = waiting !== undefined && waiting.connId === client.connId;
        if (taken) {
          asked.delete(result.id);
          waiting.settle(payloadJSON === undefined ? result : { ...result, payload: parseJson(payloadJSON) });
        }
        return { ok: true, payload: { ok: true, taken } };
      }
      const node = nodes.get(client.connId);
      if (method !== "node.event" || node === undefined)
        return { ok: false, refusal: { code: "CLOISTER_EDGE_FORBIDDEN", message: `a node may not ask for ${method}` } };
      const { event, payload, payloadJSON } = params as { event: string; payload?: unknown } & WithJson;
      const length = payloadJSON?.length ?? JSON.stringify(payload ?? null).length;
      if (length > limits.nodeEventCharsMax)
        return tooMuch("CLOISTER_MESSAGE_TOO_LARGE", `${length} characters; at most ${limits.nodeEventCharsMax}`);
      if (said.count(node.nodeId) > limits.nodeEventsMax)
        return tooMuch(
          "CLOISTER_BUSY",
          `more than ${limits.nodeEventsMax} events of one node within ${limits.nodeEventWindowMs} ms`,
        );
      const told = payloadJSON === undefined ? (payload ?? null) : parseJson(payloadJSON);
      deps.publish({ event: "node.event", payload: { nodeId: node.nodeId, event, payload: told, ts: nowMs() } });
      return { ok: true, payload: { ok: true, event } };
    },
  };
}

interface WithJson {
  readonly payloadJSON?: string;
}

const tooMuch = (code: "CLOISTER_MESSAGE_TOO_LARGE" | "CLOISTER_BUSY", found: string): RpcResult => ({
  ok: false,
  refusal: { code, message: `the event was not told: ${found}` },
});

/** How many of each there were since the window began, this one among them; a new one begins with the first after its end. */
function makeWindow(nowMs: () => number): { count(key: string): number } {
  let endsAtMs = 0;
  const counts = new Map<string, number>();
  return {
    count(key) {
      if (nowMs() >= endsAtMs) {
        counts.clear();
        endsAtMs = nowMs() + limits.nodeEventWindowMs;
      }
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return count;
    },
  };
}

/** What clients may call: each connection is judged by the devices' desk, and a node says its own things. */
export function makeClientDoors(
  rpc: KernelForEdge["rpc"],
  devices: Pick<DeviceDesk, "connect" | "gone">,
  nodes: Nodes,
): Pick<KernelForEdge, "rpc" | "connectDevice" | "deviceGone"> {
  return {
    rpc: (client, method, params) =>
      client.role === "node" ? nodes.said(client, method, params) : rpc(client, method, params),
    connectDevice: async (attempt) => {
      const answer = await devices.connect(nodes.asking(attempt));
      nodes.joined(attempt, answer);
      return answer;
    },
    deviceGone: async (connId) => {
      nodes.gone(connId);
      await devices.gone(connId);
    },
  };
}

/** What is no JSON is handed on as the text that it is. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
