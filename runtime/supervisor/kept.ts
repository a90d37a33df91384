/** What a gateway begins with of what it kept. */
import type { Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

/** What operators and devices left in the store; asked for together, so that it is one message there and one back. */
export async function readKept(store: Store, log: Pick<Logger, "error">) {
  const [orders, grants, callers, queues, requests, commandRequests, devices, senders] = await Promise.all([
    store.orders(),
    store.grants(),
    store.callers(),
    store.queues(),
    store.requests(),
    // Without them the gateway still works: whoever still wants to run its command asks again.
    store.commandRequests().catch((error: unknown) => {
      log.error({ error }, "the commands that wait for an operator cannot be read; their agents have to ask again");
      return [];
    }),
    // Without them the gateway still works: the operator's key opens it, and devices can be approved again.
    store.devices().catch((error: unknown) => {
      log.error({ error }, "the devices cannot be read; all of them have to be approved again");
      return { paired: [], pending: [] };
    }),
    store.senders().catch((error: unknown) => {
      log.error({ error }, "the approved senders cannot be read; all of them have to be approved again");
      return { known: [], pending: [] };
    }),
  ]);
  return { orders, grants, callers, queues, requests, commandRequests, devices, senders };
}
