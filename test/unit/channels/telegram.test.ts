/** What Telegram says, as the gateway is told it; and where a text may go. */
import { describe, expect, test } from "vitest";
import { parseUpdate } from "../../../channels/telegram/inbound.ts";
import { makeMenu } from "../../../channels/telegram/menu.ts";
import { parsePlace } from "../../../channels/telegram/outbound.ts";
import { makeMessage } from "../../support/bot-api.ts";

const self = { id: 7_000, username: "helper_bot" };
const parse = (changes: object) => parseUpdate({ update_id: 1, message: makeMessage(changes) } as never, self);
const group = { id: -100, type: "supergroup", title: "Family" };
const forum = { ...group, is_forum: true };
const command = (text: string) => ({
  chat: group,
  text,
  entities: [{ type: "bot_command", offset: 0, length: text.split(" ")[0]?.length }],
});

describe("where a message is", () => {
  test("a direct chat is its person, and a topic of it is a thread", () => {
    expect(parse({})).toMatchObject({ peer: { kind: "direct", id: "42" } });
    expect(parse({})).not.toHaveProperty("threadId");
    expect(parse({ is_topic_message: true, message_thread_id: 9 })).toMatchObject({ threadId: "9" });
  });

  test("a group is its chat, and a thread of replies in it is not a topic", () => {
    const said = parse({ chat: group, message_thread_id: 9 });
    expect(said).toMatchObject({ peer: { kind: "group", id: "-100" } });
    expect(said).not.toHaveProperty("parentPeer");
    expect(said).not.toHaveProperty("threadId");
  });

  test("a topic of a forum is a peer below its chat, also the first one, which messages do not name", () => {
    const parentPeer = { kind: "group", id: "-100" };
    expect(parse({ chat: forum, is_topic_message: true, message_thread_id: 9 })).toMatchObject({
      peer: { kind: "group", id: "-100:topic:9" },
      parentPeer,
    });
    expect(parse({ chat: forum })).toMatchObject({ peer: { kind: "group", id: "-100:topic:1" }, parentPeer });
  });

  test("a post in a channel is of the channel", () => {
    const channel = { id: -200, type: "channel", title: "News" };
    const post = makeMessage({ chat: channel as never, sender_chat: channel as never, from: undefined as never });
    expect(parseUpdate({ update_id: 1, channel_post: post } as never, self)).toMatchObject({
      peer: { kind: "channel", id: "-200" },
      sender: { id: "-200", name: "News" },
    });
  });
});

describe("who a message is meant for", () => {
  const cases: readonly (readonly [string, object, boolean])[] = [
    ["a name in the text alone", { text: "helper_bot, are you there" }, false],
    [
      "its @-name, in any case",
      { text: "hi @Helper_Bot", entities: [{ type: "mention", offset: 3, length: 11 }] },
      true,
    ],
    ["another's @-name", { text: "hi @helper_bots", entities: [{ type: "mention", offset: 3, length: 12 }] }, false],
    [
      "its name without @",
      { text: "hi you", entities: [{ type: "text_mention", offset: 3, length: 3, user: { id: 7_000 } }] },
      true,
    ],
    [
      "a caption",
      {
        text: undefined,
        photo: [],
        caption: "@helper_bot",
        caption_entities: [{ type: "mention", offset: 0, length: 11 }],
      },
      true,
    ],
    ["a command to it", command("/status@helper_bot"), true],
    ["a command to another", command("/status@other_bot"), false],
    ["a command to nobody", command("/status"), false],
  ];
  test.each(cases)("%s", (_, changes, wanted) => {
    expect(parse({ chat: group, ...changes })?.wasMentioned).toBe(wanted);
  });

  test("a reply to the bot is one; the message that began the topic is not", () => {
    const own = { message_id: 3, from: { id: 7_000 } };
    expect(parse({ chat: group, reply_to_message: own })).toMatchObject({ repliesToBot: true, replyTo: "3" });
    expect(parse({ chat: group, reply_to_message: { ...own, from: { id: 1 } } })).toMatchObject({
      repliesToBot: false,
    });
    const began = parse({ chat: forum, reply_to_message: { ...own, forum_topic_created: {} } });
    expect(began).toMatchObject({ repliesToBot: false });
    expect(began).not.toHaveProperty("replyTo");
  });

  test("a command loses the bot's name, so that it is the command; another's keeps it", () => {
    expect(parse(command("/queue@helper_bot collect"))?.text).toBe("/queue collect");
    expect(parse(command("/queue@other_bot collect"))?.text).toBe("/queue@other_bot collect");
  });
});

test("a sender has an id, the name that people see, and whether it is a bot", () => {
  expect(parse({})?.sender).toEqual({ id: "42", name: "Ana Lee", isBot: false });
  expect(parse({ from: { id: 8, is_bot: true, first_name: "Other" } })?.sender).toEqual({
    id: "8",
    name: "Other",
    isBot: true,
  });
  expect(parse({ sender_chat: { id: -100, type: "supergroup", title: "Family" } })?.sender).toEqual({
    id: "-100",
    name: "Family",
  });
});

test.each([
  [{ photo: [], caption: "look" }, "[photo]\nlook"],
  [{ voice: { duration: 3 } }, "[voice message, 3 s]"],
  [{ document: { file_name: "a.pdf" } }, "[document: a.pdf]"],
  [{ document: {}, animation: {} }, "[animation]"],
  [{ sticker: {} }, "[sticker]"],
  [{ location: { latitude: 1, longitude: 2 } }, "[location: 1, 2]"],
  [{ poll: { question: "When?" } }, "[poll: When?]"],
])("what is no text is named: %j", (changes, wanted) => {
  expect(parse({ text: undefined, ...changes })?.text).toBe(wanted);
});

test("what nobody said is nothing", () => {
  expect(parse({ text: undefined, new_chat_title: "Other" })).toBeUndefined();
  expect(parse({ text: "  " })).toBeUndefined();
  expect(parseUpdate({ update_id: 1, edited_message: makeMessage() } as never, self)).toBeUndefined();
});

test.each([
  ["direct", "42", undefined, { chatId: 42 }],
  ["group", "-1001234567890", undefined, { chatId: -1_001_234_567_890 }],
  ["group", "-100:topic:9", undefined, { chatId: -100, topicId: 9 }],
  ["group", "-100:topic:1", undefined, { chatId: -100 }],
  ["direct", "42", "5", { chatId: 42, topicId: 5 }],
  ["channel", "@some_channel", undefined, { chatId: "@some_channel" }],
  ["direct", "42", "x", undefined],
  ["direct", "ana", undefined, undefined],
  ["direct", "42 43", undefined, undefined],
  ["direct", "", undefined, undefined],
  // A right to write to persons opens no group, and one to write in groups no person.
  ["direct", "-100", undefined, undefined],
  ["direct", "@some_channel", undefined, undefined],
  ["group", "42", undefined, undefined],
  // It would be rounded to the number of another chat.
  ["direct", "9007199254740993", undefined, undefined],
] as const)("the %s peer %j with thread %j is %j", (kind, id, threadId, wanted) => {
  expect(parsePlace({ kind, id }, threadId)).toEqual(wanted);
});

describe("the menu of commands", () => {
  const makeAll = (names: readonly string[]) => makeMenu(names.map((name) => ({ name, summary: "what it does" })));

  test("has what Telegram takes as a name, and leaves out what would have all of it refused", () => {
    const fitting = ["/status", "/new_2", `/${"a".repeat(32)}`];
    const others = ["/New", "/start-over", "/", `/${"b".repeat(33)}`, "/a b", "begin"];
    expect(makeAll([...fitting, ...others]).map((one) => `/${one.command}`)).toEqual(fitting);
  });

  test("has 100 commands at most, each told in 256 characters at most", () => {
    expect(makeAll(Array.from({ length: 101 }, (_, n) => `/c${n}`))).toHaveLength(100);
    const [told] = makeMenu([{ name: "/status", summary: "x".repeat(300) }]);
    expect(told?.description).toHaveLength(256);
  });
});
