/**
 * Entry of a reader: a thread of the pool that cleans what is shown. It opens nothing and is asked by `readers.ts` alone.
 */
import type { HistoryPage } from "../store/port.ts";
import { formatHistory, type HistoryOptions, type HistoryView } from "./history-view.ts";
import { searchPage, type SearchResult } from "./search.ts";

export type ReaderTask =
  | { readonly type: "history"; readonly page: HistoryPage; readonly options: HistoryOptions }
  | { readonly type: "search"; readonly page: HistoryPage; readonly query: string; readonly max: number };

export default function read(task: ReaderTask): HistoryView | SearchResult {
  return task.type === "history" ? formatHistory(task.page, task.options) : searchPage(task.page, task.query, task.max);
}
