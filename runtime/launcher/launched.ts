/**
 * The gateway's side of its launcher: the heartbeat, the orders to stop, and what happens when the launcher is gone.
 *
 * Without its launcher a gateway ends in order, as on SIGTERM: nobody would start it again after a crash, and a service manager
 * that saw the launcher die starts a new one, which needs the state directory.
 */
import inspector from "node:inspector";
import { limits } from "../kernel/limits.ts";
import { type FromGateway, type FromLauncher, type Launched, launchedVariable } from "./port.ts";

/** The part of the process that is used. */
export type Host = Pick<NodeJS.Process, "env" | "ppid" | "connected" | "channel" | "on" | "off"> & {
  readonly send?: NodeJS.Process["send"];
};

export interface Launcher {
  readonly launched: Launched;
  /** Calls the handler for every order to stop, with its signal, and when the launcher is gone. */
  onStop(handler: (cause: string) => void): () => void;
  /** From here on the gateway ends within this time or is killed. `again`: and is then started again. */
  stopping(withinMs: number, again: boolean): void;
  /** The process ends now, as a crash; it is killed if something holds up its exit. */
  failing(): void;
}

/** Undefined: nobody launched this process. Takes the variable out of the environment and beats from here on. */
export function findLauncher(host: Host): Launcher | undefined {
  const text = host.env[launchedVariable];
  delete host.env[launchedVariable];
  if (text === undefined || host.send === undefined) return undefined;
  const launched = JSON.parse(text) as Launched;
  // Another process's variable: that one started whatever started this.
  if (launched.pid !== host.ppid) return undefined;
  const tell = (message: FromGateway): void => {
    // A launcher that is gone hears nothing; "disconnect" tells that.
    if (host.connected) host.send?.(message, undefined, undefined, () => undefined);
  };
  const beat = (): void => tell({ type: "beat", debugged: inspector.url() !== undefined });
  beat();
  setInterval(beat, limits.gatewayBeatMs).unref();
  return {
    launched,
    onStop(handler) {
      const onMessage = (message: unknown): void => handler((message as FromLauncher).signal);
      const onGone = (): void => handler("the launcher is gone");
      host.on("message", onMessage);
      host.on("disconnect", onGone);
      // Listening must not keep the process alive when it has stopped.
      host.channel?.unref();
      return () => {
        host.off("message", onMessage);
        host.off("disconnect", onGone);
      };
    },
    stopping: (withinMs, again) => tell({ type: "stopping", withinMs, again }),
    failing: () => tell({ type: "failing" }),
  };
}
