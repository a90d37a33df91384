/** Entry of the broker's thread: credentials of models are read here and nowhere else, and their providers are called from here. */
import { setTimeout as pause } from "node:timers/promises";
import { serveTrustedThread } from "../thread/trusted-thread.ts";
import { makeBoundedFetch } from "./bounded-fetch.ts";
import { makeBroker } from "./broker.ts";
import type { KernelForBroker, ModelSettings } from "./port.ts";

serveTrustedThread<ModelSettings, KernelForBroker>(async (settings, _, tell) =>
  makeBroker({
    settings,
    remote: tell,
    fetch: makeBoundedFetch(),
    clock: {
      nowMs: () => Date.now(),
      random: () => Math.random(),
      pause: (ms, signal) => pause(ms, undefined, { signal }),
    },
  }),
);
