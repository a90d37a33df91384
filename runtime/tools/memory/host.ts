/**
 * `memory_search` and `memory_get`: an index for each agent, brought up to date by the search that uses it, and files read as the file
 * tools read them. What one agent's index has comes from that agent's collections alone. Source: behaviour §6.5.
 */
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import { readParams, toResult } from "../answer.ts";
import { makeInOrder, page } from "../files.ts";
import { type MemoryParams, memoryParams } from "../params.ts";
import { refused } from "../results.ts";
import { inFolder, readText } from "../text-file.ts";
import { type Collection, findCollections, rootOf } from "./collections.ts";
import { type Found, type IndexFile, openIndex, removeIndex } from "./index-file.ts";
import { type Embed, fuse, makeMeaning } from "./meaning.ts";
import type { MemoryForKernel, MemoryPlace, MemoryStatus } from "./port.ts";
import { isIndexed, seeFiles, syncIndex } from "./sync.ts";
import { matchOf, queryWords } from "./words.ts";

/** `nowMs` is replaced in tests. */
export function makeMemory(embed: Embed, nowMs: () => number = Date.now): MemoryForKernel {
  const meaning = makeMeaning(embed, nowMs);
  const inTurn = makeInOrder();
  /** By file, the last used one last. */
  const open = new Map<string, IndexFile>();

  const drop = (file: string): void => {
    open.get(file)?.close();
    open.delete(file);
  };
  const indexOf = (file: string): IndexFile => {
    const found = open.get(file);
    if (found?.isGone() === true) drop(file);
    const index = open.get(file) ?? openIndex(file);
    open.delete(file);
    open.set(file, index);
    const [oldest] = open.keys();
    if (open.size > limits.memoryOpenMax && oldest !== undefined) drop(oldest);
    return index;
  };

  const search = async (
    place: MemoryPlace,
    { query, maxResults, collection: only }: MemoryParams<"memory_search">,
  ): Promise<object> => {
    const words = queryWords(query);
    if (words.length === 0) throw refused("invalid", `the query ${JSON.stringify(query)} has no words to look for`);
    const collections = await findCollections(place);
    const wanted = collections.filter(({ name }) => only === undefined || name === only);
    if (wanted.length === 0) throw refused("not_found", unknown(only, collections));
    const index = indexOf(place.indexFile);
    const { behind, hasChanged } = await syncIndex(index, collections, nowMs, nowMs() + limits.memorySyncMs);
    if (hasChanged) index.vectors.sweep(place.embeddings?.model);
    const max = Math.min(maxResults ?? place.resultsMax, limits.memoryResultsMax);
    const names = wanted.map(({ name }) => name);
    // Time of its own: how long the files took is not the provider's fault.
    const meant = await meaning.find(
      place,
      index.vectors,
      { query, collections: names, max: max * 4 },
      nowMs() + limits.memoryEmbedMs,
    );
    const worded = index.find(matchOf(words), names, max * 4);
    const hits = onceEach(meant === undefined ? worded : fuse([worded, meant.hits]), collections).slice(0, max);
    return {
      status: "ok",
      results: hits.map((hit) => ({
        collection: hit.collection,
        path: hit.path,
        from: hit.from,
        to: hit.to,
        text: around(hit.text, words),
      })),
      count: hits.length,
      ...(behind === 0 ? {} : { behind: `${behind} changed files are not indexed yet; search again for them` }),
      ...(meant?.problem === undefined ? {} : { meaning: `not all was searched by meaning: ${meant.problem}` }),
    };
  };

  const stateOf = (
    place: MemoryPlace,
    index: IndexFile,
    collections: readonly Collection[],
    problems: ReadonlyMap<string, string>,
    behind: number,
  ): MemoryStatus => {
    const status = statusOf(place, index, collections, problems, behind);
    const { embeddings } = place;
    if (embeddings === undefined) return status;
    const problem = meaning.problemOf(place);
    const counted = index.vectors.count(embeddings.model);
    return {
      ...status,
      embeddings: { model: embeddings.model, ...counted, ...(problem === undefined ? {} : { problem }) },
    };
  };

  /** One that turns out to be broken is made anew, once. */
  const inIndexTurn = <T>({ indexFile }: MemoryPlace, work: () => Promise<T>): Promise<T> =>
    inTurn(indexFile, () =>
      work().catch((error: unknown) => {
        if ((error as { readonly code?: unknown }).code !== "ERR_SQLITE_ERROR") throw error;
        drop(indexFile);
        removeIndex(indexFile);
        return work();
      }),
    );

  return {
    run: (tool, place, params) =>
      toResult(tool, () =>
        inIndexTurn(place, () =>
          tool === "memory_search"
            ? search(place, readParams(memoryParams.memory_search, tool, params))
            : get(place, readParams(memoryParams.memory_get, tool, params)),
        ),
      ),
    async index(place, isNew) {
      const { collections, behind, problems } = await inIndexTurn(place, async () => {
        if (isNew) {
          drop(place.indexFile);
          removeIndex(place.indexFile);
        }
        const index = indexOf(place.indexFile);
        const found = await findCollections(place);
        const synced = await syncIndex(index, found, nowMs, Number.POSITIVE_INFINITY);
        index.vectors.sweep(place.embeddings?.model);
        return { collections: found, ...synced };
      });
      // Searches come between the batches: all of them may take hours.
      let isOver = false;
      while (!isOver)
        isOver = await inIndexTurn(place, () => meaning.fillOnce(place, indexOf(place.indexFile).vectors));
      return inIndexTurn(place, async () => stateOf(place, indexOf(place.indexFile), collections, problems, behind));
    },
    status: (place) =>
      inIndexTurn(place, async () => {
        const index = indexOf(place.indexFile);
        const collections = await findCollections(place);
        const problems = new Map<string, string>();
        let behind = 0;
        for (const collection of collections) {
          const { files, problem } = await seeFiles(collection);
          if (problem !== undefined) problems.set(collection.name, problem);
          const known = new Map(index.filesOf(collection.name).map((row) => [row.path, row.stamp]));
          behind += files.filter((file) => !isIndexed(file, known.get(file.path))).length;
        }
        return stateOf(place, index, collections, problems, behind);
      }),
    async close() {
      for (const file of open.keys()) drop(file);
    },
  };
}

async function get(
  place: MemoryPlace,
  { path: file, collection: only, from, lines }: MemoryParams<"memory_get">,
): Promise<object> {
  const collections = await findCollections(place);
  const wanted = collections.filter(
    ({ name, problem }) => problem === undefined && (only === undefined || name === only),
  );
  if (wanted.length === 0) throw refused("not_found", unknown(only, collections));
  const found = wanted.find((collection) => has(collection, file));
  if (found === undefined)
    throw refused("not_found", `no collection has ${JSON.stringify(file)}`, "memory_search names what there is");
  return inFolder(rootOf(found), file, false, async (folder, name) => ({
    ...page(file, await readText(folder, name), from, lines),
    collection: found.name,
  }));
}

function statusOf(
  { agentId }: MemoryPlace,
  index: IndexFile,
  collections: readonly Collection[],
  problems: ReadonlyMap<string, string>,
  behind: number,
): MemoryStatus {
  return {
    agentId,
    ...index.count(),
    collections: collections.map(({ name, path: at, pattern }) => {
      const problem = problems.get(name);
      return {
        name,
        path: at,
        pattern,
        files: index.filesOf(name).length,
        ...(problem === undefined ? {} : { problem }),
      };
    }),
    leftOut: index.leftOut(leftOutMax),
    behind,
  };
}

const leftOutMax = 20;

function unknown(only: string | undefined, collections: readonly Collection[]): string {
  const names = collections.map(({ name }) => name).join(", ");
  return only === undefined
    ? "this agent's memory has no collections"
    : `there is no collection ${JSON.stringify(only)}; there are: ${names}`;
}

/** Whether the file is one that the collection's pattern means; its path is below the root. */
function has({ below, pattern }: Collection, file: string): boolean {
  const plain = path.posix.normalize(file);
  if (below === plain) return true;
  const inner = below === "" ? plain : plain.startsWith(`${below}/`) ? plain.slice(below.length + 1) : undefined;
  return inner !== undefined && !inner.startsWith("../") && path.matchesGlob(inner, pattern);
}

/** Two collections may have one file. */
function onceEach(hits: readonly Found[], collections: readonly Collection[]): readonly Found[] {
  const roots = new Map(collections.map(({ name, root }) => [name, root]));
  const seen = new Set<string>();
  return hits.filter((hit) => {
    const key = JSON.stringify([roots.get(hit.collection), hit.path, hit.from]);
    return !seen.has(key) && seen.add(key);
  });
}

/** The part of a piece where the first of the words stands. */
function around(text: string, words: readonly string[]): string {
  const most = limits.memorySnippetChars;
  if (text.length <= most) return text;
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const first = places.length === 0 ? 0 : Math.min(...places);
  const start = Math.min(Math.max(0, first - Math.floor(most / 4)), text.length - most);
  return `${start > 0 ? "…" : ""}${text.slice(start, start + most).toWellFormed()}${start + most < text.length ? "…" : ""}`;
}
