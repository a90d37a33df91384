/** A gateway behind a real edge, and clients that prove keys of their own. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { EdgeSettings } from "../../runtime/edge/settings.ts";
import { proofTexts } from "../../runtime/edge/device-proof.ts";
import type { Store } from "../../runtime/store/port.ts";
import { makeConfig, openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";
import {
  type EdgeChanges,
  type Frame,
  gatewayToken,
  openClient,
  openEdge,
  type Running,
  type WireClient,
} from "./edge-kit.ts";

export interface DeviceGateway extends Running {
  readonly gateway: TestGateway;
}

export async function openDeviceGateway(
  changes: {
    readonly auth?: EdgeSettings["auth"];
    readonly autoApproveLocal?: boolean;
    readonly nodeCommands?: { readonly allow: readonly string[]; readonly deny: readonly string[] };
    readonly store?: Store;
    readonly nowMs?: () => number;
    readonly agents?: readonly TestAgent[];
  } & EdgeChanges = {},
): Promise<DeviceGateway> {
  const { auth = { mode: "token", secret: gatewayToken } as const, autoApproveLocal = true, store } = changes;
  const { nodeCommands = { allow: [], deny: [] } } = changes;
  const config = makeConfig(changes.agents ?? [{ id: "main", module: "echo" }]);
  const gateway = await openGateway(
    [],
    {},
    {
      config: { ...config, gateway: { ...config.gateway, auth, autoApproveLocal, nodeCommands } },
      ...(store === undefined ? {} : { store }),
      ...(changes.nowMs === undefined ? {} : { nowMs: changes.nowMs }),
    },
  );
  const running = await openEdge({ ...changes, settings: { auth, ...changes.settings } });
  const { kernel, edge } = running;
  kernel.answers.rpc = (...args) => gateway.doors.rpc(...args);
  kernel.answers.waitRun = (...args) => gateway.doors.waitRun(...args);
  kernel.answers.snapshot = () => gateway.doors.snapshot();
  kernel.answers.connectDevice = (attempt) => gateway.doors.connectDevice(attempt);
  kernel.deviceGone = (connId) => gateway.doors.deviceGone(connId);
  gateway.attachEdge(edge);
  return { ...running, gateway };
}

export interface TestDevice {
  readonly id: string;
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

export function makeDevice(): TestDevice {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(12);
  return { id: createHash("sha256").update(raw).digest("hex"), publicKey: raw.toString("base64url"), privateKey };
}

export interface Asks {
  readonly role?: string;
  readonly scopes?: readonly string[];
  readonly commands?: readonly string[];
  readonly auth?: Record<string, string>;
  /** Through a proxy; so it is no client of this machine. */
  readonly remote?: boolean;
  readonly origin?: string;
  readonly headers?: Record<string, string>;
  readonly client?: Record<string, string>;
  /** Sees every frame that comes, in order. */
  readonly watch?: (frame: Frame) => void;
}

/** Connects with a proof, and gives the client with the answer to its `connect`. */
export async function connectAs(
  port: number,
  device: TestDevice,
  {
    role = "operator",
    scopes = ["operator.read"],
    commands,
    auth = { token: gatewayToken },
    remote = false,
    origin,
    headers = {},
    client,
    watch,
  }: Asks = {},
): Promise<{ readonly client: WireClient; readonly answer: Frame }> {
  const wire = openClient(port, "/", {
    headers: { ...(remote ? { "x-forwarded-for": "192.0.2.7" } : {}), ...headers },
    ...(origin === undefined ? {} : { origin }),
  });
  if (watch !== undefined) wire.ws.on("message", (data: Buffer) => watch(JSON.parse(data.toString("utf8"))));
  const challenge = await wire.next((frame) => frame.event === "connect.challenge");
  const { nonce, ts } = challenge.payload;
  const said = { id: "cli", version: "2026.9.6", platform: "linux", deviceFamily: "Linux", mode: "cli", ...client };
  const block = { id: device.id, publicKey: device.publicKey, signature: "", signedAt: ts, nonce };
  const sent = {
    minProtocol: 4,
    maxProtocol: 4,
    client: said,
    role,
    scopes: [...scopes],
    ...(commands === undefined ? {} : { commands: [...commands] }),
    auth,
  };
  const signature = sign(null, Buffer.from(proofTexts(block, sent)[0]), device.privateKey).toString("base64url");
  const answer = await wire.call("connect", { ...sent, device: { ...block, signature } });
  return { client: wire, answer };
}
