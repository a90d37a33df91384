/** What a file says about how messages are acknowledged. */
import { expect, it } from "vitest";
import { loadText } from "./load-text.ts";

it("ackReaction is kept for channels and their accounts beside the usual one, and nothing of it is told as not active", async () => {
  const { resolved } = await loadText({
    messages: { ackReaction: " 👀 ", ackReactionScope: "all", removeAckAfterReply: true },
    channels: {
      telegram: { ackReaction: "", accounts: { One: { botToken: "1:A", ackReaction: "🫡" }, two: {} } },
      whatsapp: { ackReaction: { emoji: "⏳", group: "never" } },
      slack: { accounts: { work: { ackReaction: { direct: false } } } },
      discord: {},
    },
  });
  const all = { direct: true, rooms: "always" };
  expect(resolved.ackReactions).toEqual({
    removed: true,
    usual: { emoji: "👀", ...all },
    byChannel: {
      telegram: { usual: { emoji: "", ...all }, byAccount: { one: { emoji: "🫡", ...all } } },
      whatsapp: { usual: { emoji: "⏳", direct: true, rooms: "never" }, byAccount: {} },
      slack: { byAccount: { work: { emoji: "👀", direct: false, rooms: "mentions" } } },
    },
  });
  expect(resolved.notActive.filter((feature) => feature.includes("reaction"))).toEqual([]);
});

it("without a word of it, the agent's own emoji stands at mentions in groups", async () => {
  const usual = { direct: false, rooms: "mentions" };
  expect((await loadText({})).resolved.ackReactions).toEqual({ removed: false, usual, byChannel: {} });
  const off = (await loadText({ messages: { ackReactionScope: "off" } })).resolved.ackReactions.usual;
  expect(off).toEqual({ direct: false, rooms: "never" });
});

it("what is no emoji is refused", async () => {
  const channels = { slack: { ackReaction: { group: "sometimes" } } };
  await expect(loadText({ channels })).rejects.toThrow("channels.slack.ackReaction");
});
