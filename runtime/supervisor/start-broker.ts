/** Starts the broker's thread, with the first call of a model and again after it was lost. */
import type { BrokerForKernel, KernelForBroker } from "../broker/port.ts";
import { limits } from "../kernel/limits.ts";
import { entryUrl } from "../thread/entries.ts";
import { startTrustedThread } from "../thread/trusted-thread.ts";
import type { Logger } from "./driver.ts";
import type { ModelsDeps } from "./models.ts";

export function makeBrokerStart(log: Logger): ModelsDeps["start"] {
  return async (settings, onText) => {
    const handlers: KernelForBroker = {
      text: async (id, text) => onText(id, text),
      log: async (level, message, fields) => log[level]({ subsystem: "broker", ...fields }, message),
    };
    return startTrustedThread<BrokerForKernel>({
      entry: entryUrl("broker"),
      name: "broker",
      init: settings,
      handlers,
      stuckMs: limits.helperStuckMs,
      onNotStarted: (reason) => log.error({ reason }, "the broker of models cannot start; the next call tries again"),
      onLost: (reason) => log.error({ reason }, "the broker of models was lost; the next call starts it again"),
    });
  };
}
