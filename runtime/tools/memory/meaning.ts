/**
 * Search by meaning: asks for the vectors that an index lacks, for the query's, and puts its hits and those of the words in one order. What a
 * provider does not give is no failure of a search: it goes by words, and says so.
 */
import type { EmbedAsk, EmbedEnd } from "../../broker/port.ts";
import { limits } from "../../kernel/limits.ts";
import type { Found } from "./index-file.ts";
import type { MemoryPlace } from "./port.ts";
import type { Unembedded, Vectors } from "./vectors.ts";

export type Embed = (ask: EmbedAsk) => Promise<EmbedEnd>;

export interface Meaning {
  /** Asks for one batch of what the index lacks, however long it takes. Gives whether that was the last one. */
  fillOnce(place: MemoryPlace, vectors: Vectors): Promise<boolean>;
  /** Undefined: the agent's memory has no meanings. */
  find(
    place: MemoryPlace,
    vectors: Vectors,
    asked: { readonly query: string; readonly collections: readonly string[]; readonly max: number },
    lateMs: number,
  ): Promise<{ readonly hits: readonly Found[]; readonly problem?: string } | undefined>;
  /** Why the last call gave nothing, of this index. */
  problemOf(place: MemoryPlace): string | undefined;
}

export function makeMeaning(embed: Embed, nowMs: () => number): Meaning {
  /** By index: the last failure. */
  const failed = new Map<string, { readonly why: string; readonly untilMs: number }>();

  const ask = async (
    place: MemoryPlace,
    texts: readonly string[],
    isQuery: boolean,
    timeoutMs: number,
  ): Promise<EmbedEnd> => {
    const end = await embed({ agentId: place.agentId, texts, isQuery, timeoutMs }).catch(
      (error: Error): EmbedEnd => ({ ok: false, refusal: { code: "CLOISTER_MODEL_FAILED", message: error.message } }),
    );
    failed.delete(place.indexFile);
    if (!end.ok && end.refusal.code !== "CLOISTER_MODEL_REFUSED") rest(place, end.refusal.message);
    return end;
  };

  /** Nothing is asked of it for a while. */
  const rest = ({ indexFile }: MemoryPlace, why: string): string => {
    failed.set(indexFile, { why, untilMs: nowMs() + limits.memoryEmbedRestMs });
    const [oldest] = failed.keys();
    if (failed.size > limits.memoryFailuresMax && oldest !== undefined) failed.delete(oldest);
    return why;
  };

  /**
   * A provider refuses all texts for one of them: each half alone, down to that one, until `lateMs`. Gives why it stopped. Vectors of another length than
   * the query's (`dims`) are not kept: they would drive out those that are found.
   */
  const embedAll = async (
    place: MemoryPlace,
    model: string,
    vectors: Vectors,
    pieces: readonly Unembedded[],
    dims: number | undefined,
    lateMs: number,
    timeoutMs: number,
  ): Promise<string | undefined> => {
    const leftMs = Math.min(timeoutMs, lateMs - nowMs());
    if (leftMs <= 0) return "some pieces have no vectors yet";
    const texts = pieces.map(({ text }) => text);
    const end = await ask(place, texts, false, leftMs);
    if (end.ok) {
      const found = end.vectors[0]?.length ?? 0;
      if (dims !== undefined && found !== dims)
        return rest(place, `${model} gave ${found} numbers for a note and ${dims} for the query`);
      vectors.fit(model, found);
      for (const [index, { hash }] of pieces.entries()) vectors.put(model, hash, end.vectors[index]);
      return undefined;
    }
    if (end.refusal.code !== "CLOISTER_MODEL_REFUSED") return end.refusal.message;
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) {
      vectors.put(model, only.hash, undefined);
      return undefined;
    }
    const middle = Math.ceil(pieces.length / 2);
    return (
      (await embedAll(place, model, vectors, pieces.slice(0, middle), dims, lateMs, timeoutMs)) ??
      (await embedAll(place, model, vectors, pieces.slice(middle), dims, lateMs, timeoutMs))
    );
  };

  const resting = ({ indexFile }: MemoryPlace): string | undefined => {
    const last = failed.get(indexFile);
    return last !== undefined && nowMs() < last.untilMs ? last.why : undefined;
  };

  /** Gives whether there is no more to ask for, and why not all of it is there. */
  const fillSome = async (
    place: MemoryPlace,
    vectors: Vectors,
    dims: number | undefined,
    lateMs: number,
    timeoutMs: number,
  ): Promise<{ readonly isOver: boolean; readonly why?: string }> => {
    const { embeddings } = place;
    if (embeddings === undefined) return { isOver: true };
    const pieces = vectors.lacking(embeddings.model, limits.memoryEmbedTextsMax);
    if (pieces.length === 0) return { isOver: true };
    const why = await embedAll(place, embeddings.model, vectors, pieces, dims, lateMs, timeoutMs);
    return why === undefined ? { isOver: false } : { isOver: true, why };
  };

  /** Until `lateMs`. Gives why not all of it is there. */
  const fill = async (
    place: MemoryPlace,
    vectors: Vectors,
    dims: number,
    lateMs: number,
  ): Promise<string | undefined> => {
    for (;;) {
      const { isOver, why } = await fillSome(place, vectors, dims, lateMs, limits.memoryEmbedMs);
      if (isOver) return why;
    }
  };

  return {
    fillOnce: async (place, vectors) =>
      (await fillSome(place, vectors, undefined, Number.POSITIVE_INFINITY, limits.memoryEmbedIndexMs)).isOver,
    async find(place, vectors, { query, collections, max }, lateMs) {
      const { embeddings } = place;
      if (embeddings === undefined) return undefined;
      const before = resting(place);
      if (before !== undefined) return { hits: [], problem: before };
      const end = await ask(place, [query], true, limits.memoryEmbedMs);
      const [vector] = end.ok ? end.vectors : [];
      if (vector === undefined) return { hits: [], problem: end.ok ? "it gave no vector" : end.refusal.message };
      vectors.fit(embeddings.model, vector.length);
      const problem = await fill(place, vectors, vector.length, lateMs);
      const hits = vectors.nearest(embeddings.model, vector, embeddings.scoreMin, collections, max);
      return { hits, ...(problem === undefined ? {} : { problem }) };
    },
    problemOf: ({ indexFile }) => failed.get(indexFile)?.why,
  };
}

/**
 * Lists in one order, by the ranks in them: their numbers (BM25, cosines) cannot be compared. What is in both comes first. Source: Cormack, Clarke and
 * Büttcher, Reciprocal Rank Fusion (SIGIR 2009), whose constant it is.
 */
export function fuse(lists: readonly (readonly Found[])[]): readonly Found[] {
  const scores = new Map<number, { readonly hit: Found; score: number }>();
  for (const list of lists)
    for (const [rank, hit] of list.entries()) {
      const known = scores.get(hit.id) ?? { hit, score: 0 };
      known.score += 1 / (60 + rank + 1);
      scores.set(hit.id, known);
    }
  return [...scores.values()].toSorted((a, b) => b.score - a.score || a.hit.id - b.hit.id).map(({ hit }) => hit);
}
