/** Rules of one account, as a config file says them. */
import type { InboundEvent } from "../../../channels/port.ts";
import { type AccountRules, findRules, type GroupsConfig } from "../../../runtime/groups/index.ts";
import { groupsOf } from "../../support/gateway.ts";

export function channelRules(channel: string, written: object): AccountRules {
  return findRules(groupsOf({ channels: { [channel]: written } }), channel, "default");
}

export function broadcastOf(written: object): GroupsConfig["broadcast"] {
  return groupsOf({ broadcast: written }).broadcast;
}

export const inGroup = (parts: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "telegram",
  accountId: "default",
  peer: { kind: "group", id: "G1" },
  sender: { id: "ana" },
  text: "hello",
  tsMs: 1,
  ...parts,
});
