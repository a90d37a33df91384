/** A client that keeps a fixed number of HTTP requests in flight, and the requests that the scenarios make. */
import { Agent, request } from "node:http";
import { type CallFigures, measureCalls } from "./inside/measure-calls.ts";

/** The two credentials that `makeConfig` configures. */
const webhookToken = "bench-webhook-token-0123456789";
const hookToken = "bench-hook-token-0123456789abc";

interface Request {
  readonly port: number;
  readonly path: string;
  readonly agent?: Agent;
  readonly token?: string;
  /** A request with a body is a POST. */
  readonly body?: object;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** An entry of `agents.list`. */
export interface AgentConfig {
  readonly id: string;
  readonly [key: string]: unknown;
}

/**
 * Agents `a0`, `a1`, … with the module `echo`, the first of them behind webhook accounts of their own names, and hooks. `others` come
 * after them, each behind such an account too.
 */
export function makeConfig(
  agents: number,
  webhookAccounts = 0,
  level: "thread" | "process" = "thread",
  others: readonly AgentConfig[] = [],
): object {
  const ids = Array.from({ length: agents }, (_, index) => `a${index}`);
  const accounts = [...ids.slice(0, webhookAccounts), ...others.map(({ id }) => id)];
  return {
    gateway: { auth: { mode: "none" } },
    hooks: { enabled: true, token: hookToken },
    agents: { defaults: { module: "echo", isolation: { level } }, list: [...ids.map((id) => ({ id })), ...others] },
    channels: {
      webhook: {
        groupPolicy: "open",
        accounts: Object.fromEntries(accounts.map((id) => [id, { token: webhookToken }])),
      },
    },
    bindings: accounts.map((id) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
  };
}

/** A message by webhook to the agent of the account, in the session of the room; waits for its answer. */
export async function sayByWebhook(
  port: number,
  agent: Agent,
  account: string,
  room: string,
  text: string = "x".repeat(200),
): Promise<void> {
  expectReply(await postByWebhook(port, agent, account, room, text), text);
}

/** The same with any text and any answer. */
export function postByWebhook(
  port: number,
  agent: Agent,
  account: string,
  room: string,
  text: string,
  wait = true,
): Promise<Answer> {
  const body = { text, peer: { kind: "group", id: room }, sender: { id: "bench" }, ...(wait ? { wait } : {}) };
  return send({ port, agent, path: `/channels/webhook/${account}`, token: webhookToken, body });
}

/** Asks `/healthz`; rejects when the answer is not 200. */
export async function expectHealthy(port: number, agent: Agent): Promise<void> {
  const status = await getStatus(port, "/healthz", agent);
  if (status !== 200) throw new Error(`Asking /healthz: found ${status}, wanted 200.`);
}

/** A message by hook to any agent, in a new session; waits for its answer. It wakes the agent when it is dormant. */
export async function sayByHook(port: number, agentId: string): Promise<void> {
  const body = { agentId, message: "wake up", waitForCompletion: true };
  expectReply(await send({ port, path: "/hooks/agent", token: hookToken, body }), body.message);
}

/** 0 when nobody answers. */
export async function getStatus(port: number, path: string, agent?: Agent): Promise<number> {
  const answer = await send({ port, path, ...(agent === undefined ? {} : { agent }) }).catch(() => undefined);
  return answer?.status ?? 0;
}

/** Calls for so long, with so many in flight over as many kept connections. */
export async function loadHttp(
  inFlight: number,
  seconds: number,
  call: (agent: Agent, client: number) => Promise<void>,
): Promise<CallFigures> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  try {
    return await measureCalls({ inFlight, forMs: seconds * 1_000 }, (client) => call(agent, client));
  } finally {
    agent.destroy();
  }
}

/** Calls so often, with so many in flight over as many kept connections; `call` gets its number, from 0. */
export async function doEach(
  times: number,
  inFlight: number,
  call: (agent: Agent, number: number) => Promise<void>,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < times) await call(agent, next++);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(inFlight, times) }, client));
  } finally {
    agent.destroy();
  }
}

/** A load of refusals would be fast and mean nothing. */
function expectReply({ status, text }: Answer, wanted: string): void {
  const body: unknown = text === "" ? undefined : JSON.parse(text);
  if (status === 200 && (body as { reply?: unknown }).reply === wanted) return;
  throw new Error(`Sending a message: found ${status} ${text.slice(0, 500)}, wanted 200 and the reply of an echo.`);
}

export function send({ port, path, agent, token, body }: Request): Promise<Answer> {
  const content = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port,
        path,
        ...(agent === undefined ? {} : { agent }),
        method: content === undefined ? "GET" : "POST",
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(content === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(content) }),
        },
      },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (part: string) => (text += part));
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
        incoming.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(content);
  });
}
