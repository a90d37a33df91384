/** What was said on Discord while the account was away: fetched after the next login, in order, within bounds. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { channel as module } from "../../../channels/discord/index.ts";
import type { InboundEvent } from "../../../channels/port.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { ana, directChatOf, idAt, makeDiscordMessage, openDiscordApi } from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { openChannel, type Platform } from "./suite.ts";

const token = "SECRET.TOKEN";
const bot = { id: "200000000000000001", username: "helper" };
const guild = "300000000000000001";
const [room, thread, other] = ["400000000000000001", "500000000000000001", "600000000000000001"];
const chat = directChatOf(ana.id);

async function openScene() {
  const api = await openDiscordApi();
  api.addBot(token, bot);
  api.addChannel({ id: chat, type: 1 });
  api.addGuild({
    id: guild,
    channels: [room, other].map((id) => ({ id, type: 0 })),
    threads: [{ id: thread, type: 11, parent_id: room }],
  });
  api.addMember(guild, ana.id, { roles: ["7"], nick: "Annie" });
  const folder = await mkdtemp(path.join(tmpdir(), "cloister-missed-"));
  const settings = { token, apiRoot: api.root, textChunkLimit: 4_000, heardFile: path.join(folder, "heard.sqlite") };
  let count = 0;
  const say = (content: string, place = chat, agoMs = 0): string => {
    count += 1;
    const id = String(BigInt(idAt(Date.now() - agoMs)) + BigInt(count));
    const timestamp = new Date(Date.now() - agoMs).toISOString();
    const inGuild = place === chat ? {} : { guild_id: guild, member: { roles: ["7"], nick: "Annie" } };
    const said = makeDiscordMessage({ id, channel_id: place, content, timestamp, ...inGuild });
    api.gateway.dispatch(token, "MESSAGE_CREATE", said);
    return id;
  };
  const platform = { close: () => api.close() } as Platform;
  /** A life of the account, on the same file. Nobody hears in `deaf`. */
  const live = (take: (event: InboundEvent) => Promise<void> = async () => undefined, deaf?: string, waits = true) =>
    openChannel(
      { module, idsOfMessages: true, open: async () => ({ platform, settings }) },
      async (event) => (event.peer.id === deaf ? "dropped" : take(event)),
      waits,
    );
  const fetched = () => api.calls.filter(({ method, path: at }) => method === "GET" && at.endsWith("/messages"));
  return { api, say, live, fetched };
}

/** So that the account hears of its channels, and has a place to go on from. */
async function hearAll(
  { say, live, api }: Awaited<ReturnType<typeof openScene>>,
  places: readonly string[],
  agoMs = 0,
): Promise<void> {
  const { channel, received } = await live(undefined, other);
  for (const place of places) say(`first ${place}`, place, agoMs);
  await eventually(() => expect(received).toHaveLength(places.filter((place) => place !== other).length));
  await channel.close();
  api.gateway.forget(token);
}

test("what was said meanwhile is heard in its order and as it is told else, each message once, and before what is said now", async () => {
  const scene = await openScene();
  const { api, say, live } = scene;
  await hearAll(scene, [chat, room]);
  const ids = [say("one"), say("two"), say("in the room", room)];
  const { received, channel, online } = await live();
  await online();
  say("now");
  await eventually(() => expect(received).toHaveLength(4));
  expect(received.filter(({ peer }) => peer.kind === "direct").map(({ text }) => text)).toEqual(["one", "two", "now"]);
  expect(received.find(({ text }) => text === "in the room")).toMatchObject({
    messageId: ids[2],
    guildId: guild,
    peer: { kind: "channel", id: room },
    memberRoleIds: ["7"],
    sender: { id: ana.id, name: "Annie" },
    wasMentioned: false,
  });
  await channel.close();
  const third = await live();
  say("later");
  await eventually(() => expect(third.received.map(({ text }) => text)).toEqual(["later"]));
  expect(api.violations).toEqual([]);
});

test("its own messages are none of them, and of a channel that has nothing new nothing is asked", async () => {
  const scene = await openScene();
  const { api, live, fetched } = scene;
  await hearAll(scene, [chat, room]);
  const { send, channel } = await live();
  await send({ peer: { kind: "direct", id: ana.id }, text: "mine" });
  await channel.close();
  api.gateway.forget(token);
  const before = fetched().length;
  const again = await live();
  await eventually(() => expect(fetched().length).toBeGreaterThan(before));
  expect(fetched().map(({ path: at }) => at)).not.toContain(`/channels/${room}/messages`);
  expect(again.received).toEqual([]);
});

test("in channels that nobody is heard in nothing is fetched; a thread that began meanwhile is heard from its beginning", async () => {
  const scene = await openScene();
  const { api, say, live, fetched } = scene;
  await hearAll(scene, [room, other]);
  say("nobody hears", other);
  say("in the thread", thread);
  const { received } = await live();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["in the thread"]));
  expect(received[0]).toMatchObject({ parentPeer: { kind: "channel", id: room } });
  expect(fetched().map(({ path: at }) => at)).toEqual([`/channels/${thread}/messages`]);
  expect(api.violations).toEqual([]);
});

test("of more than one request gives the newest are heard, and that is told", async () => {
  const scene = await openScene();
  const { say, live } = scene;
  await hearAll(scene, [chat]);
  for (let n = 0; n < limits.discordMissedMax + 5; n++) say(String(n));
  const { received, logged } = await live();
  await eventually(() => expect(received).toHaveLength(limits.discordMissedMax));
  expect(received.map(({ text }) => text)).toEqual(
    Array.from({ length: limits.discordMissedMax }, (_, n) => String(n + 5)),
  );
  expect(logged.join()).toContain("the oldest is left out");
});

test("what is old is told with its date, and judged as on every channel", async () => {
  const scene = await openScene();
  const { api, say, live } = scene;
  await hearAll(scene, [chat], 3 * limits.channelMessageAgeMs);
  say("old", chat, 2 * limits.channelMessageAgeMs);
  say("now");
  const { received } = await live();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["old", "now"]));
  expect(Date.now() - (received[0]?.tsMs ?? 0)).toBeGreaterThanOrEqual(2 * limits.channelMessageAgeMs);
  expect(api.violations).toEqual([]);
});

test("a session that Discord has forgotten while the process lives is made up for in the same way", async () => {
  const { api, say, live } = await openScene();
  const { received, online } = await live();
  say("one");
  await eventually(() => expect(received).toHaveLength(1));
  api.gateway.drop(token);
  api.gateway.forget(token);
  say("two");
  await online();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["one", "two"]));
});

test("the first message of a chat that was not taken when the process ended is heard by the next one", async () => {
  const { api, say, live } = await openScene();
  const reached = Promise.withResolvers<void>();
  const { channel } = await live(() => {
    reached.resolve();
    return Promise.reject(failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down"));
  });
  say("do not lose this");
  await reached.promise;
  await channel.close();
  api.gateway.forget(token);
  const { received } = await live();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["do not lose this"]));
});

test("a pause that Discord asks for is kept, a fault that passes tried again, and where it refuses the account goes on and says so", async () => {
  const scene = await openScene();
  const { api, say, live } = scene;
  await hearAll(scene, [chat, room]);
  say("missed");
  say("also missed", room);
  api.fail(
    `GET /channels/${chat}/messages`,
    { type: "rate-limit", seconds: 0.01 },
    { type: "error", status: 502, code: 0, message: "Bad Gateway" },
  );
  api.fail(`GET /channels/${room}/messages`, { type: "error", status: 403, code: 50_001, message: "Missing Access" });
  const { received, logged } = await live();
  await eventually(() => expect(logged.join()).toContain("cannot be fetched"));
  say("now", room);
  await eventually(() => expect(received.map(({ text }) => text).toSorted()).toEqual(["missed", "now"]));
});

test("one that has left the guild is heard without roles, and an account that ends while it fetches has lost nothing", async () => {
  const scene = await openScene();
  const { api, say, live } = scene;
  await hearAll(scene, [room]);
  const [gone] = [{ ...ana, id: "100000000000000077" }];
  const id = String(BigInt(idAt(Date.now())) + 500n);
  const place = { channel_id: room, guild_id: guild, member: { roles: ["9"] } };
  api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ id, author: gone, content: "bye", ...place }));
  const reached = Promise.withResolvers<void>();
  const { channel } = await live(() => {
    reached.resolve();
    return Promise.reject(failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down"));
  });
  await reached.promise;
  say("behind", room);
  await channel.close();
  const { received } = await live();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["bye", "behind"]));
  expect(received[0]?.memberRoleIds).toBeUndefined();
});

test("an account ends within its bound, also while the store takes nothing, and hears then what it had in hand at its next start", async () => {
  const scene = await openScene();
  const { say, live } = scene;
  await hearAll(scene, [chat]);
  let asked = 0;
  const { channel } = await live(() => {
    asked++;
    return new Promise(() => undefined);
  });
  say("not stored");
  await eventually(() => expect(asked).toBe(1));
  await channel.close();
  scene.api.gateway.forget(token);
  const { received } = await live();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["not stored"]));
});
