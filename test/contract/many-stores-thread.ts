/** Entry of a thread that holds the stores of many tests, one after another, each as the store's thread holds its own. */
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import type { Store, StorePlaces } from "../../runtime/store/port.ts";
import type { StoreThreadInit } from "../../runtime/store/store-thread.ts";
import { serveTrustedThread } from "../../runtime/thread/trusted-thread.ts";

export interface ManyStores {
  /** Gives the number of the store, for its calls. */
  open(places: StorePlaces, options: StoreThreadInit["options"]): Promise<number>;
  call(store: number, method: string, args: readonly unknown[]): Promise<unknown>;
}

serveTrustedThread(async (): Promise<ManyStores> => {
  const stores: Store[] = [];
  return {
    open: async (places, options) => stores.push(await openLmdbStore(places, options)) - 1,
    // Without a step in between: what comes together is begun together.
    call: (store, method, args) => Reflect.get(stores[store] ?? {}, method).apply(stores[store], args),
  };
});
