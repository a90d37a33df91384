/**
 * The pool of readers: work on what the store gave that may take long, and therefore never runs on the main thread, such as
 * cleaning a hostile transcript. Threads start with the first request and end when they are idle.
 */
import type { Piscina } from "piscina";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { HistoryPage } from "../store/port.ts";
import { entryUrl } from "../thread/entries.ts";
import type { HistoryOptions, HistoryView } from "./history-view.ts";
import type { ReaderTask } from "./reader-thread.ts";
import type { SearchResult } from "./search.ts";

export interface Readers {
  /** A page as it may be shown. Rejects with `CLOISTER_BUSY` when too many wait. */
  history(page: HistoryPage, options: HistoryOptions): Promise<HistoryView>;
  /** At most `max` places of a page. Rejects as `history` does. */
  search(page: HistoryPage, query: string, max: number): Promise<SearchResult>;
  /** Requests that are worked on or wait. */
  readonly pending: number;
  /** Ends the threads; what is under way is rejected. */
  close(): Promise<void>;
}

export function makeReaders(): Readers {
  let pool: Promise<Piscina> | undefined;
  let pending = 0;
  let isClosed = false;

  const run = async (task: ReaderTask): Promise<unknown> => {
    if (isClosed) throw failure("CLOISTER_THREAD_LOST", "the history cannot be read: the gateway stops");
    if (pending >= limits.readerQueueMax)
      throw failure(
        "CLOISTER_BUSY",
        `${pending} requests wait for a reader; the bound is reached`,
        "ask again in a moment",
      );
    pending++;
    try {
      const readers = await (pool ??= startPool());
      return await readers.run(task);
    } catch (error) {
      throw failure("CLOISTER_THREAD_LOST", `the history could not be read: ${toRefusal(error).message}`);
    } finally {
      pending--;
    }
  };

  return {
    history: async (page, options) => (await run({ type: "history", page, options })) as HistoryView,
    search: async (page, query, max) => (await run({ type: "search", page, query, max })) as SearchResult,
    get pending() {
      return pending;
    },
    async close() {
      isClosed = true;
      await (await pool)?.destroy();
    },
  };
}

/** Loaded with the first request: most gateways start without one. */
async function startPool(): Promise<Piscina> {
  const { Piscina: Pool } = await import("piscina");
  return new Pool({
    filename: entryUrl("reader").href,
    minThreads: 0,
    maxThreads: limits.readersMax,
    idleTimeout: limits.readerIdleMs,
    env: {},
  });
}
