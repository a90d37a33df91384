/** What tests of channels share: a message on its way out, and a log that keeps its lines. */
import type { OutboundMessage } from "../../channels/port.ts";
import { usual } from "../../runtime/testing/channel-world.ts";
import type { Logger } from "../../runtime/supervisor/driver.ts";

export const outbound = (changes: Partial<OutboundMessage> = {}): OutboundMessage => ({
  ...usual,
  channel: "telegram",
  ...changes,
});

export interface KeptLog {
  readonly log: Logger;
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[];
}

export function makeKeptLog(): KeptLog {
  const lines: KeptLog["lines"] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, message, fields });
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}
