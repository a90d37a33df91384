/** A model that answers at once: OpenAI's chat API on this machine, with a short answer in two pieces. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface QuickModel {
  /** What a provider of the config takes. */
  readonly baseUrl: string;
  readonly port: number;
  /** When the last answer's first piece was written, by this process's clock. */
  readonly lastPieceMs: () => number;
  close(): Promise<void>;
}

export const quickAnswer = "This is the answer of a model that needs no time for it.";

/** One piece of an answer, as OpenAI's chat API streams it. */
const chunk = (delta: object, finish: string | null, usage?: object): string =>
  `data: ${JSON.stringify({
    id: "c",
    object: "chat.completion.chunk",
    created: 0,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...(usage === undefined ? {} : { usage }),
  })}\n\n`;

/** How a stream ends, with what the answer is said to have cost. */
const ending = (finish: string): string =>
  `${chunk({}, finish, { prompt_tokens: 100, completion_tokens: 12, total_tokens: 112 })}data: [DONE]\n\n`;

/** A whole answer in one piece. */
export const formatAnswer = (delta: object, finish: "stop" | "tool_calls"): string =>
  chunk({ role: "assistant", ...delta }, null) + ending(finish);

const half = quickAnswer.length / 2;
const first = chunk({ role: "assistant", content: quickAnswer.slice(0, half) }, null);
const rest = chunk({ content: quickAnswer.slice(half) }, null) + ending("stop");

export async function openQuickModel(): Promise<QuickModel> {
  let lastPieceMs = Number.NaN;
  const answer = (response: ServerResponse): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(first);
    lastPieceMs = performance.now();
    response.end(rest);
  };
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => answer(response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    port,
    lastPieceMs: () => lastPieceMs,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
