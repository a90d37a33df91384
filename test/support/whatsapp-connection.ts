/**
 * One connection of a device, as WhatsApp has it: what comes on it is handled in order, answers go to it alone, and a device that leaves out its pings
 * loses it.
 */
import { WebSocket } from "ws";
import type { BinaryNode } from "../../channels/whatsapp/library.ts";
import { childOf, type TestLibrary } from "./whatsapp-library.ts";
import { type Certified, type Handshaken, makeNoiseServer } from "./whatsapp-noise.ts";

export interface DeviceConnection {
  isLoggedIn: boolean;
  /** What goes to a connection that has ended, or is silent, is lost. */
  readonly send: (node: BinaryNode, onSent?: () => void) => void;
  /** Resolves when the device has taken all that was sent; that it is asked does not count as something that it is sent. */
  caughtUp(): Promise<void>;
  /** From now on nothing goes out, and nothing that comes is read; it stays open. */
  fallSilent(): void;
  terminate(): void;
}

/** How often a device pings, and after how long without a ping its connection is ended. */
export interface KeepAlive {
  readonly everyMs: number;
  readonly withinMs: number;
}

export interface ConnectionDeps {
  readonly library: TestLibrary;
  readonly certified: Certified;
  readonly keepAlive: KeepAlive;
  readonly handle: (found: Handshaken | BinaryNode, connection: DeviceConnection) => void | Promise<void>;
  readonly violate: (what: string) => void;
  /** It has ended, and all that came on it is handled. */
  readonly onDone: (connection: DeviceConnection) => void;
}

export function serveConnection(
  socket: WebSocket,
  { library, certified, keepAlive, handle, violate, onDone }: ConnectionDeps,
): DeviceConnection {
  const noise = makeNoiseServer(library, certified, (bytes) => socket.send(bytes));
  let isSilent = false;
  let last = Promise.resolve();
  let unpinged: NodeJS.Timeout | undefined;

  const connection: DeviceConnection = {
    isLoggedIn: false,
    send(node, onSent) {
      if (!isSilent && socket.readyState === WebSocket.OPEN) socket.send(noise.encode(node), onSent);
    },
    caughtUp: () =>
      new Promise((resolve) => {
        socket.once("pong", () => resolve());
        socket.ping();
      }),
    fallSilent() {
      isSilent = true;
      clearTimeout(unpinged);
      socket.pause();
    },
    terminate: () => socket.terminate(),
  };

  function awaitPing(): void {
    clearTimeout(unpinged);
    if (isSilent || socket.readyState !== WebSocket.OPEN) return;
    unpinged = setTimeout(() => {
      violate(`no ping for ${keepAlive.withinMs} ms, and one was wanted every ${keepAlive.everyMs}`);
      socket.terminate();
    }, keepAlive.withinMs);
  }

  async function receive(bytes: Buffer): Promise<void> {
    for (const found of await noise.receive(bytes)) {
      if ("payload" in found || isPing(found)) awaitPing();
      await handle(found, connection);
    }
  }

  socket.on("message", (bytes: Buffer) => {
    last = last
      .then(() => receive(bytes))
      .catch((error: unknown) => {
        violate(error instanceof Error ? error.message : "unknown fault");
        socket.terminate();
      });
  });
  socket.on("close", () => {
    clearTimeout(unpinged);
    last = last.then(() => onDone(connection));
  });
  return connection;
}

export const isPing = (node: BinaryNode): boolean =>
  node.tag === "iq" && node.attrs["xmlns"] === "w:p" && childOf(node, "ping") !== undefined;
