/** What the kernel is told of the configuration and of the rooms around it; what may change is read when it is needed. */
import { explainMissing } from "../../auth/compile-pairings.ts";
import { limits } from "../kernel/limits.ts";
import type { KernelSettings } from "../kernel/settings.ts";
import { isSubagentKey, makeIsCanonicalKey } from "../routing/index.ts";
import type { DriverDeps } from "./driver.ts";

export function makeKernelSettings(deps: DriverDeps): KernelSettings {
  const { config } = deps;
  return {
    limits,
    lanes: config.lanes,
    liveCellsMax: deps.liveCellsMax,
    random: Math.random,
    whyNot: (subject, verb, object) => explainMissing(deps.policy, subject, verb, object),
    isCanonicalKey: makeIsCanonicalKey(limits.canonicalKeysMax),
    isRunKey: isSubagentKey,
    bytesOf: (text) => Buffer.byteLength(text),
    isRepeatable: deps.isRepeatable,
    whyNotTool: (turn, tool) => deps.toolDesk.whyNot(turn, tool),
    describeTools: (turn, held, isLast) => deps.toolDesk.describe(turn, held, isLast),
    get loops() {
      return config.loops;
    },
    get asksForRights() {
      return config.agentToAgent.requests === "operator";
    },
    queueOf: (header) => deps.queues.of(header),
    newId: deps.newId,
  };
}
