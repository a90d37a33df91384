/**
 * Devices in the role `node`: what they can do, and asking them to. A node has no scopes: it answers what it is asked, and asks
 * nothing. It can be asked only for what it has declared on this connection and an operator has approved for its key.
 * Source: behaviour §4.4, protocol.md.
 *
 *     node.invoke ──► node.invoke.request (to that connection alone) ──► node.invoke.result ──► the answer
 *                         └── no answer in time, or the connection ends ──► an error
 */
import type { Client, DeviceAnswer, DeviceAttempt, EdgeForKernel, KernelForEdge, RpcResult } from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { DeviceDesk } from "./devices.ts";
import type { Logger } from "./driver.ts";

export interface NodesDeps {
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly edge: () => Pick<EdgeForKernel, "tellOne"> | undefined;
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

export interface Nodes {
  /** After a device was judged; one that is no node, or was not let in, is left alone. */
  joined(attempt: DeviceAttempt, answer: DeviceAnswer): void;
  gone(connId: string): void;
  list(): readonly object[];
  /** Rejects with `CLOISTER_NODE_*`, or with what the node says. */
  invoke(invocation: NodeInvocation): Promise<object>;
  /** A request of a node: its answer to an invocation. `taken` is false when nobody waits for it (any more), or another node was asked. */
  said(client: Client, method: string, params: unknown): Promise<RpcResult>;
}

interface Node {
  readonly connId: string;
  readonly nodeId: string;
  readonly displayName: string;
  readonly platform: string;
  readonly commands: readonly string[];
  readonly connectedAtMs: number;
}

interface Asked {
  readonly connId: string;
  readonly settle: (result: NodeResult | Error) => void;
}

export function makeNodes({ newId, nowMs, edge, log }: NodesDeps): Nodes {
  const nodes = new Map<string, Node>();
  const asked = new Map<string, Asked>();

  const find = (nodeId: string, command: string): Node => {
    const node = [...nodes.values()].findLast((one) => one.nodeId === nodeId);
    if (node === undefined)
      throw failure("CLOISTER_NODE_OFFLINE", `no node with the id ${nodeId} is connected`, "cloister nodes list");
    if (node.commands.includes(command)) return node;
    throw failure(
      "CLOISTER_NODE_COMMAND_DENIED",
      `the node ${nodeId} may not be asked for ${command}: it did not declare it, or nobody approved it; it may: ${node.commands.join(", ") || "nothing"}`,
      "approve what it asks for: cloister devices list",
    );
  };

  return {
    joined: ({ connId, deviceId, role, client, commands = [] }, answer) => {
      if (role !== "node" || answer.type !== "admitted") return;
      const approved = answer.commands ?? [];
      nodes.set(connId, {
        connId,
        nodeId: deviceId,
        displayName: client.displayName ?? client.clientId,
        platform: client.platform ?? "",
        commands: commands.filter((command) => approved.includes(command)).toSorted(),
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
    list: () => [...nodes.values()].map(({ connId: _connId, ...node }) => ({ ...node, connected: true, paired: true })),
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
      if (method !== "node.invoke.result")
        return { ok: false, refusal: { code: "CLOISTER_EDGE_FORBIDDEN", message: `a node may not ask for ${method}` } };
      const { payloadJSON, ...result } = params as NodeResult & { readonly payloadJSON?: string };
      const waiting = asked.get(result.id);
      const taken = waiting !== undefined && waiting.connId === client.connId;
      if (taken) {
        asked.delete(result.id);
        waiting.settle(payloadJSON === undefined ? result : { ...result, payload: parseJson(payloadJSON) });
      }
      return { ok: true, payload: { ok: true, taken } };
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
      const answer = await devices.connect(attempt);
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
