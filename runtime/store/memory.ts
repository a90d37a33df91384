import { type MemoryDisk, memoryEnvironments } from "./memory-environment.ts";
import type { Store, StorePlaces } from "./port.ts";
import type { StoreOptions } from "./open-store.ts";
import { openStore } from "./store.ts";

/**
 * A store without a disk, for tests of what is built on it. The same rules as on disk; what is in `disk` is found again by the
 * next store that is opened with it.
 */
export function openMemoryStore(
  places: StorePlaces,
  options: StoreOptions & { readonly disk?: MemoryDisk } = {},
): Promise<Store> {
  return openStore(places, memoryEnvironments(options.disk ?? new Map()), options);
}
