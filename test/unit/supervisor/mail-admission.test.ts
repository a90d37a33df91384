/** What the accept path is told of a message of a channel. */
import { expect, test } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import type { Route } from "../../../runtime/routing/index.ts";
import { dropLine, letterOf, makeAdmission, placeOf, roomKey } from "../../../runtime/supervisor/mail-admission.ts";

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

const direct: InboundEvent = {
  channel: "irc",
  accountId: "default",
  peer: { kind: "direct", id: "ana" },
  sender: { id: "Ana" },
  text: "hello",
  tsMs: 0,
};
const toMain = { channel: "irc", accountId: "default", agentId: "main", sessionKey: "agent:main:main" } as Route;

test("an answer says what it answers, where the platform names its messages", () => {
  const of = (event: InboundEvent) => makeAdmission(event, toMain, "hello", undefined, undefined, true).replyRoute;
  expect(of({ ...direct, messageId: "m1" })).toMatchObject({ inReplyTo: "m1" });
  expect(of(direct)).not.toHaveProperty("inReplyTo");
});

test("a dead letter goes on with the trace of its message, and begins one for a message without", () => {
  const letter = (event: InboundEvent) =>
    letterOf(makeAdmission(event, toMain, "hello", undefined, undefined, true), "id", 5);
  expect(letter({ ...direct, trace: "t" })).toMatchObject({
    header: { id: "id", runId: "id", trace: "t", acceptedAtMs: 5 },
    body: "hello",
  });
  expect(letter(direct).header.trace).toBe("id");
});

test("each thread of a room, and a channel beside a group of the same name, keeps context of its own", () => {
  const keys = [
    roomKey("slack", "a", { kind: "group", id: "1" }, undefined),
    roomKey("slack", "a", { kind: "channel", id: "1" }, undefined),
    roomKey("slack", "a", { kind: "group", id: "1" }, "t"),
    roomKey("slack", "a", { kind: "group", id: "1" }, "u"),
    roomKey("slack", "b", { kind: "group", id: "1" }, undefined),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test("a sender is the same in whatever letters its platform takes for the same", () => {
  expect(placeOf(direct, toMain)).toEqual(placeOf({ ...direct, sender: { id: "ana" } }, toMain));
});

test.each([
  ["discord", "drop guild message (why)"],
  ["irc", "drop channel message (why)"],
])("the log says of %s: %s", (channel, line) => {
  expect(dropLine(channel, "why")).toBe(line);
});
