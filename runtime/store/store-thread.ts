/** Entry of the store's thread: every LMDB environment is opened here and nowhere else. */
import { trimHeap } from "../thread/trim-heap.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { openLmdbStore } from "./lmdb/store.ts";
import type { StorePlaces } from "./port.ts";
import type { StoreOptions } from "./open-store.ts";

/** The part of the options that can travel to another thread. */
export interface StoreThreadInit {
  readonly places: StorePlaces;
  readonly options: Omit<StoreOptions, "now" | "elapsedMs" | "newId">;
}

serveTrustedThread(async ({ places, options }: StoreThreadInit) => {
  const store = await openLmdbStore(places, options);
  // What the message with the agents' places left behind.
  await trimHeap();
  return store;
});
