/** The main thread's side of the store: the same interface, the work in a thread of its own. */
import { entryUrl } from "../thread/entries.ts";
import { startTrustedThread } from "../thread/trusted-thread.ts";
import { rememberSending } from "./known-sending.ts";
import type { Store, StorePlaces } from "./port.ts";
import type { StoreThreadInit } from "./store-thread.ts";

export interface StoreThreadOptions {
  readonly places: StorePlaces;
  /** As for `openStore`; clock and ids are the thread's own. */
  readonly options: StoreThreadInit["options"];
  /** The thread ended without `close`: nothing can be accepted any more. */
  readonly onLost: (reason: string) => void;
}

/** Rejects as `openStore` does. Calls made in one turn of the loop travel together, and so share a flush. */
export async function startStoreThread({ places, options, onLost }: StoreThreadOptions): Promise<Store> {
  const init: StoreThreadInit = { places, options };
  const { remote, stop } = await startTrustedThread<Store>({
    entry: entryUrl("store"),
    name: "store",
    init,
    handlers: {},
    onLost,
  });
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    try {
      await remote.close();
    } finally {
      await stop();
    }
  };
  const own: Partial<Store> = { ...rememberSending(remote), close: () => (closed ??= close()) };
  return new Proxy<Store>(remote, {
    get: (target, method) => Reflect.get(Object.hasOwn(own, method) ? own : target, method),
  });
}
