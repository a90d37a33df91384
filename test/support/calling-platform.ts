/** A platform that calls the gateway over HTTP: one call after the other for each chat, each made again until it is taken, as Telegram's and Slack's are. */
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";

export interface PlatformCall {
  /** Of the address. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 *   offered      a call is handed to the operating system
 *   unconfirmed  it was taken, and the platform has not heard so; it can be lost
 */
export type WatchCalls = (moment: "offered" | "unconfirmed") => "drop" | undefined | Promise<"drop" | undefined>;

export interface CallingPlatform {
  /** Where calls go from here on: what leads from outside to the gateway. */
  leadTo(origin: string): void;
  /** `make` is asked before each attempt. Resolves when it was taken, or when the platform is closed. */
  call(chat: string, make: () => PlatformCall, watch: WatchCalls): Promise<void>;
  close(): void;
}

/** Platforms wait for seconds and minutes. */
const pauseMs = 20;

export function openCallingPlatform(): CallingPlatform {
  const chats = new Map<string, Promise<void>>();
  const agent = new http.Agent({ keepAlive: true });
  let origin: string | undefined;
  const closed = new AbortController();

  async function untilTaken(make: () => PlatformCall, watch: WatchCalls): Promise<void> {
    while (!closed.signal.aborted) {
      if (origin !== undefined && (await attempt(origin, make(), watch))) return;
      await delay(pauseMs);
    }
  }

  /** Whether the platform heard that it was taken. */
  function attempt(to: string, { path, headers, body }: PlatformCall, watch: WatchCalls): Promise<boolean> {
    return new Promise((resolve) => {
      const request = http.request(new URL(path, to), { method: "POST", agent, headers }, (response) => {
        response.resume();
        response.on("error", () => resolve(false));
        response.on("end", () => {
          if (response.statusCode !== 200) return resolve(false);
          void Promise.resolve(watch("unconfirmed")).then((fault) => resolve(fault !== "drop"));
        });
      });
      request.on("error", () => resolve(false));
      request.end(body, () => void watch("offered"));
    });
  }

  return {
    leadTo: (to) => void (origin = to),
    call(chat, make, watch) {
      const taken = (chats.get(chat) ?? Promise.resolve()).then(() => untilTaken(make, watch));
      chats.set(chat, taken);
      return taken;
    },
    close() {
      closed.abort();
      agent.destroy();
    },
  };
}
