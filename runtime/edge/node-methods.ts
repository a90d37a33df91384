/** The methods about nodes: what operators may ask, and what a node itself may say. Source: protocol.md, behaviour §4.4. */
import { z } from "zod";
import { limits } from "../kernel/limits.ts";
import { id } from "./param-forms.ts";

const nodeId = z.object({ nodeId: id });

export const nodeMethods = {
  "node.list": { scope: "operator.read", params: z.object({}) },
  "node.describe": { scope: "operator.read", params: nodeId },
  "node.invoke": {
    scope: "operator.write",
    params: z.object({
      nodeId: id,
      command: id,
      params: z.unknown().optional(),
      timeoutMs: z.int().min(1).max(limits.nodeInvokeMsMax).exactOptional(),
    }),
    /** What runs programs on a node is the operator's alone. Source: behaviour §4.4. */
    needs: ({ command }: { readonly command: string }) =>
      command.startsWith("system.") ? "operator.admin" : undefined,
  },
  "node.pair.list": { scope: "operator.pairing", params: z.object({}) },
  "node.pair.approve": {
    scope: "operator.pairing",
    params: z.object({ requestId: id, revision: z.int().min(1).exactOptional() }),
  },
  "node.pair.reject": { scope: "operator.pairing", params: z.object({ requestId: id }) },
  "node.pair.remove": { scope: "operator.pairing", params: nodeId },
  "node.pair.rename": {
    scope: "operator.pairing",
    params: z.object({ nodeId: id, displayName: z.string().trim().max(limits.deviceLabelCharsMax) }),
  },
  /** Whether a token opens the gateway for this node. */
  "node.pair.verify": {
    scope: "operator.pairing",
    params: z.object({ nodeId: id, token: z.string().min(1).max(1_024) }),
  },
} as const;

/** What a node may say, which has no scope. */
const said = new Map<string, z.ZodType>([
  [
    "node.invoke.result",
    z.object({
      id,
      ok: z.boolean(),
      payload: z.unknown().optional(),
      payloadJSON: z.string().max(limits.frameBytesMax).exactOptional(),
      error: z.object({ message: z.string().max(1_024).exactOptional() }).exactOptional(),
    }),
  ],
  [
    "node.event",
    z.object({
      event: z.string().regex(/^[a-z][\w.-]{0,63}$/i, "expected a name such as battery.low, of at most 64 characters"),
      payload: z.unknown().optional(),
      payloadJSON: z.string().max(limits.nodeEventCharsMax).exactOptional(),
    }),
  ],
]);

export const findNodeMethod = (name: string): z.ZodType | undefined => said.get(name);
