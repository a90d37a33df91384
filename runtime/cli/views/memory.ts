/** `cloister memory status|index|search`. */
import { z } from "zod";
import { formatCount, formatFacts, formatTable } from "./table.ts";

const text = z.string().catch("");
const count = z.number().catch(0);

export const memoryStatus = z.object({
  agentId: text,
  files: count,
  pieces: count,
  chars: count,
  collections: z.array(
    z.object({ name: text, path: text, pattern: text, files: count, problem: z.string().exactOptional() }),
  ),
  leftOut: z.array(z.object({ collection: text, path: text, reason: text })).catch([]),
  behind: count,
  embeddings: z
    .object({ model: text, vectors: count, without: count, problem: z.string().exactOptional() })
    .exactOptional(),
});

export const memoryHits = z.object({
  error: z.string().exactOptional(),
  results: z.array(z.object({ collection: text, path: text, from: count, to: count, text })).catch([]),
  behind: z.string().exactOptional(),
  meaning: z.string().exactOptional(),
});

export function formatMemoryStatus({
  agentId,
  files,
  pieces,
  chars,
  collections,
  leftOut,
  behind,
  embeddings,
}: z.infer<typeof memoryStatus>): readonly string[] {
  return [
    ...formatFacts([
      ["agent", agentId],
      ["indexed", `${formatCount(files, "file")}, ${formatCount(pieces, "piece")}, ${formatCount(chars, "character")}`],
      ["not indexed", behind === 0 ? "nothing" : `${formatCount(behind, "changed file")}; the next search reads them`],
      ["by meaning", formatEmbeddings(embeddings)],
    ]),
    "",
    ...formatTable(
      [{ title: "COLLECTION" }, { title: "FILES" }, { title: "PATTERN" }, { title: "PATH" }, { title: "PROBLEM" }],
      collections.map((one) => [one.name, String(one.files), one.pattern, one.path, one.problem ?? ""]),
    ),
    ...(leftOut.length === 0
      ? []
      : [
          "",
          ...formatTable(
            [{ title: "LEFT OUT" }, { title: "COLLECTION" }, { title: "BECAUSE" }],
            leftOut.map((one) => [one.path, one.collection, one.reason]),
          ),
        ]),
  ];
}

function formatEmbeddings(found: z.infer<typeof memoryStatus>["embeddings"]): string {
  if (found === undefined) return "no (memorySearch.provider)";
  const { model, vectors, without, problem } = found;
  const lacking = without === 0 ? "" : `, ${formatCount(without, "piece")} without one`;
  return `${model}: ${formatCount(vectors, "vector")}${lacking}${problem === undefined ? "" : `; ${problem}`}`;
}

export function formatMemoryHits({ results, behind, meaning }: z.infer<typeof memoryHits>): readonly string[] {
  const hits = results.flatMap((hit) => [
    `${hit.path}:${hit.from}-${hit.to} (${hit.collection})`,
    ...hit.text.split("\n").map((line) => `  ${line}`),
    "",
  ]);
  return [...(hits.length === 0 ? ["nothing found"] : hits), ...[behind, meaning].filter((note) => note !== undefined)];
}
