/**
 * The proof that a client holds the Ed25519 key of a device: a signature over the challenge and over what it asks for.
 *
 *     v3|deviceId|client.id|client.mode|role|scopes|signedAt|token|nonce|platform|deviceFamily
 *     v2|…                                                        |nonce
 *
 * The device's id is the SHA-256 (hex) of its raw public key, so an id cannot be claimed with another key. A proof says who
 * the device is; it grants nothing. Source: protocol.md, behaviour §4.2.
 */
import { createHash, createPublicKey, verify } from "node:crypto";
import type { ConnectParams, DeviceBlock } from "./frames.ts";

const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

export type DeviceFault =
  | "DEVICE_AUTH_PUBLIC_KEY_INVALID"
  | "DEVICE_AUTH_DEVICE_ID_MISMATCH"
  | "DEVICE_AUTH_NONCE_MISMATCH"
  | "DEVICE_AUTH_SIGNATURE_EXPIRED"
  | "DEVICE_AUTH_SIGNATURE_INVALID";

export interface Challenge {
  readonly nonce: string;
  readonly nowMs: number;
  readonly skewMs: number;
}

/** The first thing that is wrong with the proof, or undefined when it holds. */
export function findDeviceFault(
  device: DeviceBlock,
  params: ConnectParams,
  challenge: Challenge,
): DeviceFault | undefined {
  const rawKey = Buffer.from(device.publicKey, "base64url");
  if (rawKey.length !== 32) return "DEVICE_AUTH_PUBLIC_KEY_INVALID";
  if (createHash("sha256").update(rawKey).digest("hex") !== device.id) return "DEVICE_AUTH_DEVICE_ID_MISMATCH";
  if (device.nonce !== challenge.nonce) return "DEVICE_AUTH_NONCE_MISMATCH";
  if (!(Math.abs(challenge.nowMs - device.signedAt) <= challenge.skewMs)) return "DEVICE_AUTH_SIGNATURE_EXPIRED";
  const key = createPublicKey({ key: Buffer.concat([spkiPrefix, rawKey]), format: "der", type: "spki" });
  const signature = Buffer.from(device.signature, "base64url");
  const proved = proofTexts(device, params).some((text) => verify(null, Buffer.from(text, "utf8"), key, signature));
  return proved ? undefined : "DEVICE_AUTH_SIGNATURE_INVALID";
}

/** The texts that a client may have signed, newest form first. */
export function proofTexts(
  device: DeviceBlock,
  { client, role, scopes, auth }: ConnectParams,
): readonly [v3: string, v2: string] {
  const token = auth?.token ?? auth?.deviceToken ?? auth?.bootstrapToken ?? "";
  const asked = (scopes ?? []).join(",");
  const fields = [
    device.id,
    client.id,
    client.mode,
    role ?? "operator",
    asked,
    String(device.signedAt),
    token,
    device.nonce,
  ];
  return [
    ["v3", ...fields, plainText(client.platform), plainText(client.deviceFamily)].join("|"),
    ["v2", ...fields].join("|"),
  ];
}

/** Only ASCII letters change case: clients of other languages do no more. */
function plainText(text: string | undefined): string {
  return (text ?? "").trim().replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
