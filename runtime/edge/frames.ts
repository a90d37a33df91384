/**
 * Frames of the WebSocket protocol, version 4, as existing clients speak it: text frames of JSON.
 *
 *     client → server   {type:"req", id, method, params?}
 *     server → client   {type:"res", id, ok:true, payload} | {type:"res", id, ok:false, error}
 *                       {type:"event", event, payload, seq?, stateVersion?}
 *
 * A request may get two responses with one id (`agent`). Keys that a schema does not name are dropped, since clients of
 * other versions send more. Source: protocol.md.
 */
import { z } from "zod";
import { isTooDeep } from "./depth.ts";
import { limits } from "../kernel/limits.ts";
import type { WireError } from "./wire-error.ts";

export const protocolVersion = 4;

const text = z.string().max(4_096);

const requestFrame = z.object({
  type: z.literal("req"),
  id: z.string().min(1).max(256),
  method: z.string().min(1).max(128),
  params: z.unknown().optional(),
});

export type RequestFrame = z.infer<typeof requestFrame>;

const deviceBlock = z.object({
  id: text,
  publicKey: text,
  signature: text,
  signedAt: z.number(),
  nonce: text,
});

export const connectParams = z.object({
  minProtocol: z.int(),
  maxProtocol: z.int(),
  client: z.object({
    id: z.string().min(1).max(128),
    mode: z.string().min(1).max(64),
    version: text.exactOptional(),
    platform: text.exactOptional(),
    deviceFamily: text.exactOptional(),
    displayName: text.exactOptional(),
    instanceId: text.exactOptional(),
  }),
  role: text.exactOptional(),
  scopes: z.array(z.string().max(128)).max(64).exactOptional(),
  /** Of a node: what it can be asked to do. */
  commands: z
    .array(z.string().regex(/^[\w.:-]{1,64}$/))
    .max(limits.nodeCommandsMax)
    .exactOptional(),
  auth: z
    .object({
      token: text.exactOptional(),
      password: text.exactOptional(),
      deviceToken: text.exactOptional(),
      bootstrapToken: text.exactOptional(),
    })
    .exactOptional(),
  device: deviceBlock.exactOptional(),
});

export type ConnectParams = z.infer<typeof connectParams>;
export type DeviceBlock = z.infer<typeof deviceBlock>;

/** What arrived: a request, something with an id that can be told what is wrong, or no frame at all. */
export type ParsedFrame =
  | { readonly type: "request"; readonly frame: RequestFrame }
  | { readonly type: "malformed"; readonly id: string; readonly issues: z.ZodError }
  | { readonly type: "not-a-frame" };

export function parseFrame(raw: string): ParsedFrame {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    return { type: "not-a-frame" };
  }
  if (isTooDeep(value)) return { type: "not-a-frame" };
  const parsed = requestFrame.safeParse(value);
  if (parsed.success) return { type: "request", frame: parsed.data };
  const identified = z.object({ type: z.literal("req"), id: z.string().min(1).max(256) }).safeParse(value);
  if (identified.success) return { type: "malformed", id: identified.data.id, issues: parsed.error };
  return { type: "not-a-frame" };
}

const wireError = z.strictObject({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
  retryable: z.boolean().optional(),
  retryAfterMs: z.number().optional(),
});

const responseFrame = z.discriminatedUnion("ok", [
  z.strictObject({ type: z.literal("res"), id: z.string(), ok: z.literal(true), payload: z.unknown() }),
  z.strictObject({ type: z.literal("res"), id: z.string(), ok: z.literal(false), error: wireError }),
]);

const stateVersion = z.strictObject({ presence: z.int(), health: z.int() });

/** What the gateway sends. Payloads: `test/fixtures/recorded-shapes.json`, and what of them is left out. */
export const serverFrame = z.union([
  responseFrame,
  z.strictObject({
    type: z.literal("event"),
    event: z.string(),
    payload: z.looseObject({}),
    seq: z.int().min(1).optional(),
    stateVersion: stateVersion.optional(),
  }),
]);

/** Which state of the snapshot an event brings: a client that has a newer one drops it. */
export type StateVersion = z.infer<typeof stateVersion>;

export const formatPayload = (id: string, payload: unknown): string =>
  JSON.stringify({ type: "res", id, ok: true, payload: payload === undefined ? {} : payload });

export const formatError = (id: string, error: WireError): string =>
  JSON.stringify({ type: "res", id, ok: false, error });

/** The payload is given as JSON, since one event goes to many sockets and is encoded once. */
export function formatEvent(event: string, payloadJson: string, seq?: number, state?: StateVersion): string {
  const order = seq === undefined ? "" : `,"seq":${seq}`;
  const version = state === undefined ? "" : `,"stateVersion":${JSON.stringify(state)}`;
  return `{"type":"event","event":${JSON.stringify(event)},"payload":${payloadJson}${order}${version}}`;
}

/** A close reason of at most 123 bytes of UTF-8, which is all that a close frame holds; no character is cut in two. */
export function closeReason(reason: string): string {
  const bytes = Buffer.from(reason.replaceAll(/[\r\n]+/g, " "), "utf8");
  if (bytes.length <= closeReasonBytesMax) return bytes.toString("utf8");
  let end = closeReasonBytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString("utf8");
}

const closeReasonBytesMax = 123;
