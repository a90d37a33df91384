/**
 * A gateway of a few lines on a free port of this machine, for tests of the client: it answers what a test tells it to.
 */
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { type WebSocket, WebSocketServer } from "ws";

export interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** One connected client, as the script sees it. */
export interface Caller {
  readonly socket: WebSocket;
  readonly answer: (request: Request, payload: unknown) => void;
  readonly refuse: (request: Request, error: object) => void;
  readonly event: (event: string, payload: unknown) => void;
}

export type Script = (request: Request, caller: Caller) => void;

export interface ScriptedGateway {
  readonly url: string;
  readonly port: number;
  /** Every request that came, in order. */
  readonly requests: readonly Request[];
  /** How many clients are connected. */
  connections(): number;
  close(): Promise<void>;
}

export const helloOk = {
  type: "hello-ok",
  protocol: 4,
  server: { version: "9.9.9", connId: "c1" },
  snapshot: { uptimeMs: 125_000 },
  auth: { role: "operator", scopes: ["operator.read"] },
  policy: { tickIntervalMs: 15_000 },
};

export interface GatewayKind {
  /** The script answers `connect` as well. */
  readonly raw?: boolean;
  readonly greet?: boolean;
}

/** `connect` is answered with `helloOk` unless the script is `raw`. */
export async function startGateway(
  script: Script = () => undefined,
  { raw = false, greet = true }: GatewayKind = {},
): Promise<ScriptedGateway> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const requests: Request[] = [];
  server.on("connection", (socket) => {
    const send = (frame: object): void => socket.send(JSON.stringify(frame));
    const caller: Caller = {
      socket,
      answer: ({ id }, payload) => send({ type: "res", id, ok: true, payload }),
      refuse: ({ id }, error) => send({ type: "res", id, ok: false, error }),
      event: (event, payload) => send({ type: "event", event, payload }),
    };
    if (greet) caller.event("connect.challenge", { nonce: "n", ts: 1 });
    socket.on("message", (data: Buffer) => {
      const request = JSON.parse(data.toString("utf8")) as Request;
      requests.push(request);
      if (request.method === "connect" && !raw) caller.answer(request, helloOk);
      else script(request, caller);
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}/`,
    port,
    requests,
    connections: () => server.clients.size,
    close: async () => {
      for (const socket of server.clients) socket.terminate();
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

/** A gateway that the program finds in its state directory, with the key of this machine's operator. */
export async function startGatewayIn(
  stateDir: string,
  script: Script,
  options: GatewayKind = {},
): Promise<ScriptedGateway> {
  const gateway = await startGateway(script, options);
  await mkdir(path.join(stateDir, "run"), { recursive: true });
  await writeFile(path.join(stateDir, "operator.key"), "ab".repeat(32), { mode: 0o600 });
  const place = { pid: 1, port: gateway.port, host: "127.0.0.1", startedAtMs: 1 };
  await writeFile(path.join(stateDir, "run", "gateway.json"), JSON.stringify(place));
  return gateway;
}
