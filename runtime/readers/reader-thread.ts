/**
 * Entry of a reader: a thread of the pool that cleans what is shown. It opens nothing and is asked by `readers.ts` alone.
 */
import type { HistoryPage } from "../store/port.ts";
import { formatHistory, type HistoryOptions, type HistoryView } from "./history-view.ts";

export interface HistoryTask {
  readonly page: HistoryPage;
  readonly options: HistoryOptions;
}

export default function read({ page, options }: HistoryTask): HistoryView {
  return formatHistory(page, options);
}
