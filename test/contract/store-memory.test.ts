import type { MemoryDisk } from "../../runtime/store/memory-environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { placesIn } from "./store-envelopes.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite({ name: "memory", clock: true, modelRuns: 300 }, async () => {
  const disk: MemoryDisk = new Map();
  return {
    dir: "/memory",
    open: (options) => openMemoryStore(placesIn("/memory"), { ...options, disk }),
    openEnvironment: memoryEnvironments(disk),
    dispose: async () => disk.clear(),
  };
});
