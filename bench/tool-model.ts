/**
 * A model that answers at once and calls the session tools when it is told to: OpenAI's chat API on this machine. What it notes down is the
 * order in which a gateway asks it, from which the times of a send and of a spawn follow, for every gateway alike.
 *
 * A message of the form `send <agent> <mark>` is answered with a call of `sessions_send` to the agent, `spawn <mark>` with one of
 * `sessions_spawn`; whatever else with a sentence, which names the mark of the task that it was given.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { formatAnswer, quickAnswer } from "./model-server.ts";

/** One request of a gateway, by this process's clock. */
export interface Asked {
  /** When all of it had come. */
  readonly askedMs: number;
  /** When its answer was written. */
  readonly answeredMs: number;
  /** `tool`: it is told what a tool gave. */
  readonly role: "user" | "tool";
  /** All that was said since the model's last word. */
  readonly text: string;
  /** The tool that the answer calls. */
  readonly called?: string;
}

export interface ToolModel {
  readonly baseUrl: string;
  /** The first request from number `from` on that fits, which may have come already. Rejects after `forMs`. */
  waitFor(what: string, from: number, fits: (asked: Asked) => boolean, forMs?: number): Promise<Asked>;
  /** How many requests there were. */
  readonly count: () => number;
  close(): Promise<void>;
}

const waitMs = 60_000;

const body = z.looseObject({
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).min(1),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).optional(),
});

export async function openToolModel(): Promise<ToolModel> {
  const all: Asked[] = [];
  const watchers = new Set<() => void>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const askedMs = performance.now();
      const { messages, tools = [] } = body.parse(JSON.parse(Buffer.concat(parts).toString()));
      // All since the model's last word: a gateway may add what it knows after what was said.
      const since = messages.slice(messages.findLastIndex(({ role }) => role === "assistant") + 1);
      const text = since.map(({ content }) => textOf(content)).join("\n");
      const role: Asked["role"] = since.some((message) => message.role === "tool") ? "tool" : "user";
      const call = role === "user" ? callFor(text) : undefined;
      if (call !== undefined && !tools.some((tool) => tool.function.name === call.name)) {
        response.writeHead(400).end(`the gateway offers no ${call.name}`);
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(
        call === undefined ? formatAnswer({ content: answerTo(text) }, "stop") : formatCall(call, all.length),
      );
      const noted = { askedMs, answeredMs: performance.now(), role, text };
      all.push(call === undefined ? noted : { ...noted, called: call.name });
      for (const watcher of watchers) watcher();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    count: () => all.length,
    waitFor: (what, from, fits, forMs = waitMs) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = all.slice(from).find(fits);
          if (found === undefined) return;
          settle();
          resolve(found);
        };
        const late = setTimeout(() => {
          settle();
          const came = all.slice(from).map(({ role, text }) => `${role}: ${text.slice(-200)}`);
          reject(
            new Error(
              `Waiting for ${what}: found none of ${came.length} requests after ${forMs} ms: ${came.join(" | ")}`,
            ),
          );
        }, forMs);
        const settle = (): void => {
          clearTimeout(late);
          watchers.delete(look);
        };
        watchers.add(look);
        look();
      }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface ToolCall {
  readonly name: string;
  readonly params: object;
}

/** What the child says, so that its end can be found in what its requester is told. */
export const resultOf = (mark: string): string => `result-of-${mark}`;

function callFor(text: string): ToolCall | undefined {
  const [, agent, sent] = /\bsend (m\d+) (mark-\d+)\b/.exec(text) ?? [];
  if (agent !== undefined && sent !== undefined)
    return {
      name: "sessions_send",
      params: { sessionKey: `agent:${agent}:main`, message: `question ${sent}`, timeoutSeconds: 50 },
    };
  const [, spawned] = /\bspawn (mark-\d+)\b/.exec(text) ?? [];
  return spawned === undefined ? undefined : { name: "sessions_spawn", params: { task: `task ${spawned}` } };
}

function answerTo(text: string): string {
  const [, mark] = /\btask (mark-\d+)\b/.exec(text) ?? [];
  return mark === undefined ? quickAnswer : resultOf(mark);
}

/** Of a string or of parts. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: { readonly text?: unknown }) => (typeof part.text === "string" ? part.text : ""))
    .join("\n");
}

const formatCall = ({ name, params }: ToolCall, at: number): string => {
  const called = {
    index: 0,
    id: `call-${at}`,
    type: "function",
    function: { name, arguments: JSON.stringify(params) },
  };
  return formatAnswer({ tool_calls: [called] }, "tool_calls");
};
