/** The edge of a gateway that has no doors: it takes all that is sent, and refuses nothing. */
import { nothingRead } from "../../runtime/broker/secrets-read.ts";
import type { AttachedEdge } from "../../runtime/supervisor/gateway-parts.ts";

export function quietEdge(overrides: Partial<AttachedEdge> = {}): AttachedEdge {
  return {
    tellOne: async () => true,
    closeDevice: async () => undefined,
    configure: async () => undefined,
    setCallers: async () => undefined,
    readSecrets: async () => nothingRead,
    publish: () => undefined,
    send: async () => ({ status: "sent" }),
    ...overrides,
  };
}
