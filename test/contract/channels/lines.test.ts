/** The channel that `docs/guides/write-a-channel.md` writes, against its server. */
import { expect, test } from "vitest";
import { channel as module } from "../../../examples/lines/index.ts";
import type { LinesSettings } from "../../../examples/lines/manifest.ts";
import { eventually } from "../../support/eventually.ts";
import { openLinesServer } from "../../support/lines-server.ts";
import { type ChannelRig, describeChannel, openChannel } from "./suite.ts";

const makeRig = (token = "SECRET"): ChannelRig<LinesSettings> => ({
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

describeChannel(makeRig());

test("a token that the server does not take is not tried again, and its remedy names the key", async () => {
  const { states } = await openChannel(makeRig("wrong"), undefined, false);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({
    refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL", remedy: "set channels.lines.accounts.default.token" },
  });
});
