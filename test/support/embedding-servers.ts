/**
 * Servers on this machine that make vectors, in the wire formats of the providers. Sources: the API references of OpenAI (embeddings), Google
 * (embedContent, batchEmbedContents) and Ollama (/api/embed). What a text means is which of a few subjects its words are of.
 */
import { type ModelServer, openWireServer, type WireApi } from "./model-servers.ts";

export type EmbedWireApi = Exclude<WireApi, "anthropic-messages">;
export const embedWireApis: readonly EmbedWireApi[] = [
  "openai-responses",
  "openai-completions",
  "google-generative-ai",
  "ollama",
];

const subjects: readonly (readonly string[])[] = [
  ["harbour", "port", "ship", "sea"],
  ["tea", "coffee", "drink", "beverage"],
  ["invoice", "bill", "payment", "money"],
];

/** One number for each subject, and a small one for what is of none. */
export function meaningOf(text: string): readonly number[] {
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  return [...subjects.map((subject) => words.filter((word) => subject.includes(word)).length), 0.01];
}

export interface EmbeddingServer extends ModelServer {
  /** Texts that vectors were asked for, in order. */
  readonly texts: readonly string[];
}

/** Instead of vectors. */
export interface EmbedRefusal {
  readonly status: number;
  readonly message: string;
}

/** `refuse` may say no to a request, by its texts; "hang" never answers. `vectorOf` is replaced by tests of nonsense. */
export async function openEmbeddingServer(
  api: EmbedWireApi,
  refuse: (texts: readonly string[]) => EmbedRefusal | "hang" | undefined = () => undefined,
  vectorsOf: (texts: readonly string[]) => readonly (readonly number[])[] = (texts) => texts.map(meaningOf),
): Promise<EmbeddingServer> {
  const texts: string[] = [];
  const server = await openWireServer(api, ({ path, body }, _count, response) => {
    const asked = textsOf(body);
    texts.push(...asked);
    const refused = refuse(asked);
    if (refused === "hang") return;
    const answer =
      refused === undefined ? bodyOf(api, path, vectorsOf(asked)) : { error: { message: refused.message } };
    response.writeHead(refused?.status ?? 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  });
  return { ...server, texts };
}

interface GoogleContent {
  readonly content?: { readonly parts: readonly { readonly text: string }[] };
}

function textsOf(body: Readonly<Record<string, unknown>>): readonly string[] {
  const { input, requests, content } = body as GoogleContent & {
    readonly input?: readonly string[];
    readonly requests?: readonly GoogleContent[];
  };
  if (input !== undefined) return input;
  return (requests ?? [content === undefined ? {} : { content }]).map((one) => one.content?.parts[0]?.text ?? "");
}

function bodyOf(api: EmbedWireApi, path: string, vectors: readonly (readonly number[])[]): object {
  if (api === "ollama")
    return { model: "m", embeddings: vectors, total_duration: 1, load_duration: 1, prompt_eval_count: 7 };
  if (api === "google-generative-ai")
    return path.endsWith(":embedContent")
      ? { embedding: { values: vectors[0] } }
      : { embeddings: vectors.map((values) => ({ values })) };
  return {
    object: "list",
    model: "m",
    data: vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
    usage: { prompt_tokens: 7, total_tokens: 7 },
  };
}
