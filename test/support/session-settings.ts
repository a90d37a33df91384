/** What the configuration says of sessions when nobody has written anything; `test/unit/config/resolve.test.ts` has it letter by letter. */
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";

export const sessionSettings: ResolvedConfig["session"] = {
  mainKey: "main",
  scope: "per-sender",
  dmScope: "main",
  groupScope: "per-group",
  identityLinks: {},
  maxPingPongTurns: 5,
  maintenance: {
    isEnforced: true,
    pruneAfterMs: 30 * 86_400_000,
    transcriptsAfterMs: 30 * 86_400_000,
    entriesMax: 5_000,
    bytes: { max: 10 * 2 ** 30, low: 8 * 2 ** 30 },
  },
  threadBindings: { enabled: true, idleMs: 86_400_000, maxAgeMs: 0 },
  notifyOnCreate: true,
  sendPolicy: { default: "allow", rules: [] },
  reset: { byType: {}, byChannel: {} },
};
