import type { Store, StorePlaces } from "../port.ts";
import type { StoreOptions } from "../open-store.ts";
import { openStore } from "../store.ts";
import { openLmdbEnvironment } from "./environment.ts";

/** The store on disk. See `openStore` for the errors. In the gateway it runs in a thread of its own (`runtime/store/thread.ts`). */
export function openLmdbStore(places: StorePlaces, options: StoreOptions = {}): Promise<Store> {
  return openStore(places, openLmdbEnvironment, options);
}
