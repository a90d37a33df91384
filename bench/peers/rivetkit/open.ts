/**
 * rivetkit: a client asks an actor by the connection that its documentation advises for more than one call. The actor runs in the process
 * that registered it, and every call goes there and back through the library's own server, which it starts beside it: WebSockets on both sides.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../../../test/support/free-port.ts";
import { measureCalls } from "../../inside/measure-calls.ts";
import { answer } from "../../inside/mortal.ts";
import type { OpenPeer } from "../peer.ts";

const retryMs = 100;

export const open: OpenPeer = async () => {
  const endpoint = `http://127.0.0.1:${await findFreePort()}`;
  // Read when the library is loaded.
  Object.assign(process.env, {
    RIVET_RUN_ENGINE_PORT: new URL(endpoint).port,
    RIVET_INSPECTOR_DISABLE: "1",
    RIVET_LOG_LEVEL: "ERROR",
  });
  const { actor, setup } = await import("rivetkit");
  const { createClient } = await import("rivetkit/client");
  const echo = actor({ state: {}, actions: { answer: (_: unknown, text: string) => answer(text) } });
  setup({ use: { echo }, noWelcome: true }).start();
  const handle = createClient(endpoint).echo.getOrCreate(["bench"]);
  const connect = async (): Promise<ReturnType<typeof handle.connect>> => {
    const connection = handle.connect();
    try {
      await connection.answer("hello");
      return connection;
    } catch {
      // Its server is not ready; whoever measures says how long it may take.
      await connection.dispose();
      await sleep(retryMs);
      return connect();
    }
  };
  const connection = await connect();
  return {
    measure: (order) => measureCalls(order, () => connection.answer(order.text)),
    close: () => connection.dispose(),
  };
};
