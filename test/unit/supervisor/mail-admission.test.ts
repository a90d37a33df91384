/** What the accept path is told of a message of a channel. */
import { expect, test } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import type { Route } from "../../../runtime/routing/index.ts";
import { makeAdmission } from "../../../runtime/supervisor/mail-admission.ts";

test("what is said in a thread, and where its answer goes, names the channel that it hangs from and the guild", () => {
  const place = { channel: "discord", accountId: "default" };
  const event: InboundEvent = {
    ...place,
    peer: { kind: "channel", id: "555" },
    parentPeer: { kind: "channel", id: "222" },
    guildId: "1",
    sender: { id: "7" },
    text: "hello",
    tsMs: 0,
  };
  const route = { ...place, agentId: "main", sessionKey: "agent:main:discord:channel:555" } as Route;
  const { from, replyRoute } = makeAdmission(event, route, "hello", undefined, undefined, true);
  expect(from).toMatchObject({ peer: "channel:555", parentPeer: "channel:222", guildId: "1" });
  expect(replyRoute).toMatchObject({ peerId: "555", parentPeer: "channel:222", guildId: "1" });
});
