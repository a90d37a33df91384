/** The platform of the channel for the contract of channels: who writes, what arrived, and how the connection is lost. */
import type { ChannelModule } from "cloister/channels";
import type { ChannelRig } from "cloister/testing";
import type { LinesSettings } from "./index.ts";
import { openLinesServer } from "./lines-server.ts";

export const makeLinesRig = (module: ChannelModule<LinesSettings>, token = "SECRET"): ChannelRig<LinesSettings> => ({
  module,
  idsOfMessages: true,
  async open() {
    const server = await openLinesServer();
    return {
      settings: { textChunkLimit: 4_000, host: "127.0.0.1", port: server.port, token },
      platform: {
        say: async (text, { inGroup = false, mentions = false, at } = {}) =>
          server.say(inGroup ? "#room" : "helper", text, mentions, at === undefined ? undefined : `n${at}`),
        person: { peer: { kind: "direct", id: "ana" }, senderId: "ana", senderName: "ana" },
        group: { kind: "group", id: "#room" },
        nowhere: { kind: "direct", id: "#room" },
        arrived: () => server.arrived,
        lose: async () => server.drop(),
        violations: () => server.violations,
        unconfirmed: () => server.unconfirmed(),
        typed: () => undefined,
        close: () => server.close(),
      },
    };
  },
});
