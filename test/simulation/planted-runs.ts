/** Bugs of sub-agents that the simulation must find within its seeds (`runs.test.ts`). */
import type { Mutant } from "../support/mutants.ts";

export const plantedInRuns: readonly (Mutant & { readonly seen: RegExp })[] = [
  {
    bug: "a run whose end is told, and whose message is not stored",
    file: "kernel/run-ends.ts",
    text: "    completion,\n  });\n}",
    instead: "    completion: undefined,\n  });\n}",
    seen: /counts \d+ (?:envelopes|appends)|was told 0 times/u,
  },
  {
    bug: "a place that a waiting run keeps",
    file: "kernel/waits.ts",
    text: "  if (agent?.run !== undefined) giveRunPlaceBack(k, agent);",
    instead: "",
    seen: /comes? to rest|has mail and no cell|waits for time without end/u,
  },
];
