/** What is said on Discord, as the gateway is told it; what it is told of guilds; and what may be written there. */
import type { GatewayDispatchPayload, GatewayMessageCreateDispatchData } from "discord-api-types/v10";
import type { REST } from "@discordjs/rest";
import { describe, expect, test } from "vitest";
import { sendPart } from "../../../channels/discord/calls.ts";
import { parseMessage } from "../../../channels/discord/inbound.ts";
import { judgeFault, makeBody, parseTarget } from "../../../channels/discord/outbound.ts";
import { makeDirectory, type ToldChannel } from "../../../channels/discord/places.ts";
import { outbound } from "../../support/channels.ts";
import { ana, makeDiscordMessage } from "../../support/discord-api.ts";

const self = { id: "200000000000000001", name: "helper" };
const [guildId, room, thread, ownRole] = [
  "300000000000000001",
  "400000000000000001",
  "500000000000000001",
  "600000000000000001",
];
const inRoom = { id: room, guildId, isDirect: false };
const direct = { id: "900000000000000042", isDirect: true };

const parse = (changes: object, place: Parameters<typeof parseMessage>[1]["place"] = inRoom) =>
  parseMessage(makeDiscordMessage(changes) as GatewayMessageCreateDispatchData, {
    self,
    place,
    ownRoles: new Set([ownRole]),
  });

describe("a message of Discord", () => {
  test("has every fact that Discord tells", () => {
    const timestamp = "2023-11-14T22:13:20.000000+00:00";
    expect(parse({ timestamp, guild_id: guildId, member: { nick: "Annie", roles: ["1", "2"] } })).toEqual({
      messageId: "1200000000000000001",
      peer: { kind: "channel", id: room },
      guildId,
      memberRoleIds: ["1", "2"],
      sender: { id: ana.id, name: "Annie", isBot: false },
      selfId: self.id,
      wasMentioned: false,
      repliesToBot: false,
      text: "hello",
      tsMs: 1_700_000_000_000,
    });
    const inThread = parse({}, { id: thread, guildId, parentId: room, isDirect: false });
    expect(inThread).toMatchObject({ peer: { id: thread }, parentPeer: { kind: "channel", id: room } });
    expect(parse({}, { id: room, isDirect: false })).toMatchObject({ peer: { kind: "group", id: room } });
  });

  test("of a direct chat is the person's, and tells of no mention", () => {
    const event = parse({ content: `<@${self.id}> hi` }, direct);
    expect(event).toMatchObject({ peer: { kind: "direct", id: ana.id }, sender: { name: "Ana Lee" }, text: "hi" });
    for (const fact of ["wasMentioned", "repliesToBot", "guildId", "memberRoleIds"])
      expect(event).not.toHaveProperty(fact);
  });

  test.each([
    [`<@${self.id}> /status`, true, "/status"],
    [`<@!${self.id}>, what now`, true, "what now"],
    [`<@&${ownRole}> what now`, true, "what now"],
    [`so, <@${self.id}>, what now`, true, "so, @helper, what now"],
    [`<@${self.id}>`, true, "@helper"],
    [`<@100000000000000099> come`, false, "@Bob come"],
    [`<@100000000000000098> come`, false, "<@100000000000000098> come"],
    [`<@&600000000000000009> come`, false, "<@&600000000000000009> come"],
    ["fine <:party:123456789012345678>", false, "fine :party:"],
  ])("%j mentions the account: %j", (content, wasMentioned, text) => {
    const bob = { id: "100000000000000099", username: "bob", global_name: null, member: { nick: "Bob" } };
    const [, role] = /<@&(\d+)>/.exec(content) ?? [];
    const told = parse({ content, mentions: [bob], mention_roles: role === undefined ? [] : [role] });
    expect(told).toMatchObject({ wasMentioned, text });
  });

  test("that answers the account is a reply, and no mention because Discord tells its receiver", () => {
    const answered = { referenced_message: { author: { id: self.id } }, mentions: [{ ...ana, id: self.id }] };
    expect(parse({ type: 19, message_reference: { message_id: "77" }, ...answered })).toMatchObject({
      wasMentioned: false,
      repliesToBot: true,
      replyTo: "77",
    });
    const other = { referenced_message: { author: { id: "5" } } };
    expect(parse({ type: 19, message_reference: { message_id: "77" }, ...other })).toMatchObject({
      repliesToBot: false,
    });
  });

  test("names what is no text", () => {
    const attachments = [
      { filename: "a.png", content_type: "image/png" },
      { filename: "v.ogg", content_type: "audio/ogg", duration_secs: 3.6 },
      { filename: "n.pdf" },
    ];
    const changes = { attachments, sticker_items: [{ name: "Wave" }], poll: { question: { text: "Tea?" } } };
    expect(parse(changes)?.text).toBe(
      "[photo: a.png]\n[voice message, 4 s]\n[document: n.pdf]\n[sticker Wave]\n[poll: Tea?]\nhello",
    );
    const forwarded = {
      content: "",
      message_reference: { type: 1, message_id: "5" },
      message_snapshots: [{ message: { content: "seen?", attachments: [] } }],
    };
    expect(parse(forwarded)?.text).toBe("[forwarded]\nseen?");
    expect(parse(forwarded)).not.toHaveProperty("replyTo");
  });

  test("is nobody's when nobody said anything, and a webhook is a bot", () => {
    expect(parse({ author: { ...ana, id: self.id } })).toBeUndefined();
    expect(parse({ type: 7 })).toBeUndefined();
    expect(parse({ content: " " })).toBeUndefined();
    expect(parse({ webhook_id: "5" })).toMatchObject({ sender: { isBot: true } });
    expect(parse({ author: { ...ana, bot: true } })).toMatchObject({ sender: { isBot: true } });
  });
});

describe("what the account knows of guilds", () => {
  const hear = (directory: ReturnType<typeof makeDirectory>, t: string, d: object): void => {
    const payload: unknown = { op: 0, s: 1, t, d };
    directory.hear(payload as GatewayDispatchPayload);
  };
  const open = () => {
    const directory = makeDirectory(() => self.id, 2);
    hear(directory, "GUILD_CREATE", {
      id: guildId,
      channels: [
        { id: room, type: 0, parent_id: "400000000000000009" },
        { id: "400000000000000009", type: 4 },
      ],
      threads: [{ id: thread, type: 11, parent_id: room }],
      roles: [{ id: ownRole, tags: { bot_id: self.id } }, { id: "6", tags: { bot_id: "7" } }, { id: "8" }],
    });
    return directory;
  };

  test("a thread hangs from its channel; a channel's category is nobody's parent", () => {
    const directory = open();
    expect(directory.find(thread)).toEqual({ id: thread, guildId, parentId: room, isDirect: false });
    expect(directory.find(room)).toEqual(inRoom);
    expect([...directory.ownRoles(guildId)]).toEqual([ownRole]);
    expect([...directory.ownRoles("5")]).toEqual([]);
  });

  test("follows what becomes of channels, threads and the guild", () => {
    const directory = open();
    hear(directory, "THREAD_CREATE", { id: "5", type: 11, guild_id: guildId, parent_id: room });
    hear(directory, "THREAD_LIST_SYNC", { guild_id: guildId, threads: [{ id: "6", type: 12, parent_id: room }] });
    hear(directory, "CHANNEL_CREATE", { id: "7", type: 0, guild_id: guildId });
    expect(["5", "6", "7"].map((id) => directory.find(id)?.parentId)).toEqual([room, room, undefined]);
    hear(directory, "THREAD_DELETE", { id: "5", guild_id: guildId });
    hear(directory, "CHANNEL_DELETE", { id: "7", guild_id: guildId });
    expect([directory.find("5"), directory.find("7")]).toEqual([undefined, undefined]);
    // An outage of Discord tells the guild again when it is over.
    hear(directory, "GUILD_DELETE", { id: guildId, unavailable: true });
    expect(["6", room, thread].map((id) => directory.find(id))).toEqual([undefined, undefined, undefined]);
  });

  test("of direct chats it keeps the last ones alone", () => {
    const directory = open();
    const learn = (id: string): void => {
      const told: unknown = { id, type: 1 };
      directory.learn(told as ToldChannel);
    };
    for (const id of ["1", "2", "1", "3"]) learn(id);
    expect(["1", "2", "3"].map((id) => directory.find(id)?.isDirect)).toEqual([true, undefined, true]);
    expect(directory.find(room)).toBeDefined();
  });
});

describe("what may be written", () => {
  test.each([
    ["direct", ana.id, undefined, { userId: ana.id }],
    ["direct", ana.id, thread, { userId: ana.id }],
    ["channel", ` ${room} `, undefined, { channelId: room }],
    ["group", room, thread, { channelId: thread }],
    ["channel", "general", undefined, undefined],
    ["channel", `${room}/messages`, undefined, undefined],
    ["channel", room, "../5", undefined],
    ["direct", "-5", undefined, undefined],
  ] as const)("%s %s in thread %s", (kind, id, threadId, wanted) => {
    expect(parseTarget({ kind, id }, threadId)).toEqual(wanted);
  });

  test("a text has a nonce of its key, the same for the same", () => {
    const nonce = (idempotencyKey: string) => makeBody(outbound({ idempotencyKey })).nonce;
    expect(nonce("a")).toBe(nonce("a"));
    expect(new Set([nonce("a"), nonce("b"), nonce(`a${"x".repeat(300)}`)]).size).toBe(3);
    expect(String(nonce("a")).length).toBeLessThanOrEqual(25);
  });

  test("a fault of Discord's may pass, a refusal does not", () => {
    expect(judgeFault({ status: 502, code: 0, message: "Bad Gateway" })).toMatchObject({
      retry: true,
      mayHaveArrived: true,
    });
    expect(judgeFault({ status: 403, code: 50_013, message: "Missing Permissions" })).toEqual({
      status: "failed",
      reason: "Discord answered 403: Missing Permissions (50013)",
      retry: false,
    });
    expect(judgeFault({ status: 401, code: 0, message: "401: Unauthorized" })).toMatchObject({
      retry: true,
      credential: true,
    });
  });
});

test("a file leaves as the memory that it is in, without a copy", async () => {
  const content = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  const posted: { readonly data: Buffer }[] = [];
  const rest = {
    post: async (_: string, { files = [] }: { readonly files?: readonly { readonly data: Buffer }[] }) => {
      posted.push(...files);
      return { id: "1" };
    },
  } as unknown as REST;
  const file = { kind: "document", name: "a.txt", mimeType: "text/plain", content } as const;
  expect(await sendPart(rest, "5", { ...outbound({ text: "" }), file })).toMatchObject({ status: "sent" });
  expect([...(posted[0]?.data ?? [])]).toEqual([2, 3]);
  expect(posted[0]?.data.buffer).toBe(content.buffer);
});
