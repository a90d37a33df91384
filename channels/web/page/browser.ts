/** What the page takes from the browser, behind the interfaces that the rest of the page is tested with. */
import type { PageSocket, SocketHandlers, Timers } from "./client.ts";
import { keyInFragment, socketAddress } from "./operator-key.ts";
import type { Memory } from "./page.ts";
import type { Choice } from "./store.ts";
import { fieldsOf } from "./wire.ts";

export type Theme = "system" | "light" | "dark";

/** Storage that a browser forbids (private mode, policy) is replaced by one that lasts as long as the page. */
const forgetful = new Map<string, string>();

function read(name: string): string | undefined {
  try {
    return localStorage.getItem(name) ?? forgetful.get(name);
  } catch {
    return forgetful.get(name);
  }
}

function write(name: string, value: string): void {
  forgetful.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // The page works on without; the next visit asks again.
  }
}

function forget(name: string): void {
  forgetful.delete(name);
  try {
    localStorage.removeItem(name);
  } catch {
    // It was not kept there.
  }
}

export const memory: Memory = {
  readKey: () => read("cloister.key"),
  writeKey: (key) => write("cloister.key", key),
  readDeviceToken: () => read("cloister.deviceToken"),
  // What the gateway's owner typed opens more than this browser needs any more.
  keepDeviceToken: (token) => {
    write("cloister.deviceToken", token);
    forget("cloister.key");
  },
  readChoice: () => parseChoice(read("cloister.choice")),
  writeChoice: (choice) => write("cloister.choice", JSON.stringify(choice)),
};

function parseChoice(stored: string | undefined): Choice | undefined {
  try {
    const { agentId, sessionKey } = fieldsOf(JSON.parse(stored ?? "{}"));
    return typeof agentId === "string" && typeof sessionKey === "string" ? { agentId, sessionKey } : undefined;
  } catch {
    return undefined;
  }
}

/** Moves a key from the address bar into storage, so that it is in no history entry, bookmark or screenshot. */
export function takeKeyFromAddress(): boolean {
  const key = keyInFragment(location.hash);
  if (key === undefined) return false;
  write("cloister.key", key);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

export function openSocket(handlers: SocketHandlers): PageSocket {
  const socket = new WebSocket(socketAddress(location.href));
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") handlers.message(data);
  });
  socket.addEventListener("close", ({ code, reason }) => handlers.closed(code, reason));
  return {
    // Of one that is closing nothing leaves any more, and the browser would call it a fault; who asked is told when it has closed.
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: (code, reason) => socket.close(code, reason),
  };
}

export const timers: Timers = {
  nowMs: () => Date.now(),
  after: (ms, job) => {
    const timer = setTimeout(job, ms);
    return () => clearTimeout(timer);
  },
};

/** A hidden tab draws no frames, but its streams must not pile up. */
export function onFrame(job: () => void): void {
  if (document.hidden) setTimeout(job, 100);
  else requestAnimationFrame(job);
}

/** `crypto.randomUUID` exists only in secure contexts; a gateway on a private network is often plain http. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function readTheme(): Theme {
  const stored = read("cloister.theme");
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function applyTheme(theme: Theme): void {
  write("cloister.theme", theme);
  document.documentElement.dataset["theme"] = theme;
}
