/** A clock that moves when told, and a gateway that answers when told: what the page's tests stand on. */
import type { PageSocket, SocketHandlers, Timers } from "../../../channels/web/page/client.ts";
import { type Memory, openPage, type Page } from "../../../channels/web/page/page.ts";
import type { Choice } from "../../../channels/web/page/store.ts";

export class FakeTimers implements Timers {
  #nowMs = 1_000_000;
  readonly #jobs = new Set<{ readonly atMs: number; readonly job: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, job: () => void): () => void {
    const entry = { atMs: this.#nowMs + ms, job };
    this.#jobs.add(entry);
    return () => this.#jobs.delete(entry);
  }

  get waiting(): number {
    return this.#jobs.size;
  }

  /** Runs what falls due, in order of time, with the clock at its time. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#jobs].filter((entry) => entry.atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#jobs.delete(next);
      this.#nowMs = next.atMs;
      next.job();
    }
    this.#nowMs = endMs;
  }
}

export interface SentRequest {
  readonly id: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** One socket as the gateway's end sees it. */
export class FakeLink implements PageSocket {
  readonly sent: SentRequest[] = [];
  closedWith: number | undefined;
  readonly handlers: SocketHandlers;

  constructor(handlers: SocketHandlers) {
    this.handlers = handlers;
  }

  send(data: string): void {
    const request: SentRequest = JSON.parse(data);
    this.sent.push(request);
  }

  close(code: number): void {
    this.closedWith = code;
  }

  deliver(frame: object): void {
    this.handlers.message(JSON.stringify(frame));
  }

  event(event: string, payload: unknown, seq?: number): void {
    this.deliver({ type: "event", event, payload, ...(seq === undefined ? {} : { seq }) });
  }

  challenge(ts?: number): void {
    this.event("connect.challenge", { nonce: "n", ...(ts === undefined ? {} : { ts }) });
  }

  hello(tickIntervalMs = 15_000): void {
    const payload = { type: "hello-ok", protocol: 4, server: { version: "9.9.9" }, policy: { tickIntervalMs } };
    this.answer("connect", payload);
  }

  /** The oldest request of this method that was not taken before. */
  take(method: string): SentRequest {
    const at = this.sent.findIndex((request) => request.method === method);
    const [request] = at < 0 ? [] : this.sent.splice(at, 1);
    if (request === undefined) {
      throw new Error(`The page sent no ${method}; it sent: ${this.sent.map((sent) => sent.method).join(", ")}.`);
    }
    return request;
  }

  answer(method: string, payload: unknown): SentRequest {
    const request = this.take(method);
    this.deliver({ type: "res", id: request.id, ok: true, payload });
    return request;
  }

  refuse(method: string, error: object): SentRequest {
    const request = this.take(method);
    this.deliver({ type: "res", id: request.id, ok: false, error });
    return request;
  }

  drop(code = 1006, reason = ""): void {
    this.handlers.closed(code, reason);
  }
}

/** All sockets that were opened, newest last. */
export class FakeGateway {
  readonly links: FakeLink[] = [];

  readonly open = (handlers: SocketHandlers): PageSocket => {
    const link = new FakeLink(handlers);
    this.links.push(link);
    return link;
  };

  get link(): FakeLink {
    const last = this.links.at(-1);
    if (last === undefined) throw new Error("The page has opened no socket yet.");
    return last;
  }
}

export function countingIds(): () => string {
  let next = 0;
  return () => `id-${++next}`;
}

/** Lets promises that are settled run their continuations. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

export const agentRow = (agentId: string, more: object = {}) => ({
  agentId,
  name: agentId,
  isDefault: agentId === "main",
  phase: "live",
  activeRuns: 0,
  queueDepth: 0,
  mainSessionKey: `agent:${agentId}:main`,
  ...more,
});

/** The page with a gateway that answers when told. */
export function open(options: { readonly key?: string; readonly choice?: Choice } = {}) {
  const gateway = new FakeGateway();
  const timers = new FakeTimers();
  const frames: (() => void)[] = [];
  let { key, choice } = options;
  let deviceToken: string | undefined;
  const memory: Memory = {
    readKey: () => key,
    writeKey: (next) => {
      key = next;
    },
    readDeviceToken: () => deviceToken,
    keepDeviceToken: (token) => {
      deviceToken = token;
      key = undefined;
    },
    readChoice: () => choice,
    writeChoice: (next) => {
      choice = next;
    },
  };
  const page: Page = openPage({
    openSocket: gateway.open,
    timers,
    memory,
    newId: countingIds(),
    onFrame: (job) => frames.push(job),
    random: () => 0,
    version: "1.0.0",
  });
  page.start();
  return {
    page,
    gateway,
    timers,
    memory,
    drawFrame: () => {
      for (const job of frames.splice(0)) job();
    },
    /** Goes through a whole connect with these agents and this history of the open session. */
    connect: async (
      agents: readonly object[] = [agentRow("main"), agentRow("raul")],
      messages: object[] = [],
      gatewayMs?: number,
    ) => {
      gateway.link.challenge(gatewayMs);
      gateway.link.hello();
      gateway.link.answer("sessions.subscribe", {});
      gateway.link.answer("flow.recent", { flows: [] });
      gateway.link.answer("agents.list", { agents });
      await settled();
      gateway.link.answer("sessions.list", { sessions: [] });
      gateway.link.answer("chat.history", { messages });
      gateway.link.answer("deadletters.list", { letters: [], total: 0 });
      gateway.link.answer("grants.requests", { requests: [] });
      gateway.link.answer("subagents.list", { tasks: [] });
      gateway.link.answer("tasks.list", { tasks: [], total: 0 });
      gateway.link.answer("timers.list", { timers: [], total: 0 });
      gateway.link.answer("device.pair.list", { pending: [], paired: [] });
      gateway.link.answer("channels.pairing.list", { requests: [], approved: [] });
      gateway.link.answer("config.proposals", { proposals: [] });
      gateway.link.answer("exec.approval.list", { requests: [] });
      await settled();
    },
    shown: () =>
      page.view.conversation.value.messages.map((message) => `${message.role} ${message.state}: ${message.text}`),
  };
}
