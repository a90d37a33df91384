/** Entry of the broker's thread: credentials of models are read here and nowhere else, and their providers are called from here. */
import { setTimeout as pause } from "node:timers/promises";
import { limits } from "../kernel/limits.ts";
import { makeOnceIdle } from "../thread/once-idle.ts";
import { trimHeap } from "../thread/trim-heap.ts";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeBoundedFetch } from "./bounded-fetch.ts";
import { makeBroker } from "./broker.ts";
import type { BrokerAsk, KernelForBroker, ModelSettings } from "./port.ts";

serveTrustedThread<ModelSettings, KernelForBroker>(async (settings, _, tell) => {
  const broker = makeBroker({
    settings,
    remote: tell,
    fetch: makeBoundedFetch(),
    clock: {
      nowMs: () => Date.now(),
      random: () => Math.random(),
      pause: (ms, signal) => pause(ms, undefined, { signal }),
    },
  });
  // The first call has loaded its provider's package, which leaves several megabytes behind.
  const once = makeOnceIdle(trimHeap, limits.brokerTrimMs);
  return { ...broker, ask: (ask: BrokerAsk) => once(() => broker.ask(ask)) };
});
