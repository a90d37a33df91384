/** WhatsApp over the real library, against a local server that speaks its protocol. */
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import type { Peer } from "../../../channels/port.ts";
import { parseFileRef } from "../../../channels/whatsapp/file-facts.ts";
import { loadLibrary } from "../../../channels/whatsapp/library.ts";
import { openLogin } from "../../../channels/whatsapp/login.ts";
import { eventually } from "../../support/eventually.ts";
import type { FileType } from "../../support/whatsapp-files.ts";
import { libraryDir } from "../../support/whatsapp-library.ts";
import { openWhatsApp, type WhatsAppServer } from "../../support/whatsapp-socket.ts";
import { describeChannel, openChannel } from "./suite.ts";
import { folder, link, noPrepare, open, openScene, rigOf } from "./whatsapp-rig.ts";

describeChannel(rigOf(openScene));

test("the login is the owner's alone", async () => {
  const scene = await openScene();
  await openChannel(rigOf(async () => scene));
  const { authDir } = scene.settings;
  expect(statSync(authDir).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(authDir)) expect(statSync(path.join(authDir, file)).mode & 0o077).toBe(0);
});

test("a login is kept over a restart: nobody scans again, and both sides go on with the keys that they have", async () => {
  const scene = await open();
  const { channel, server, ana, send, platform } = scene;
  await server.say(ana, "before");
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  expect(await send({ peer: platform.person.peer, text: "yes" })).toMatchObject({ status: "sent" });
  await channel.close();
  await server.say(ana, "meanwhile");
  const again = await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["meanwhile"]));
  const later = { peer: platform.person.peer, text: "again", idempotencyKey: "later" };
  expect(await again.send(later)).toMatchObject({ status: "sent" });
  await eventually(() => expect(server.arrived.map(({ text }) => text)).toEqual(["yes", "again"]));
  expect(server.violations).toEqual([]);
});

test("what was read and not stored when the process ended is offered again, though WhatsApp's copy cannot be read any more, and nobody is asked to send it again", async () => {
  const reading = Promise.withResolvers<void>();
  const scene = await open(() => {
    reading.resolve();
    return new Promise(() => undefined);
  });
  const { channel, server, ana } = scene;
  await server.say(ana, "do not lose this");
  await reading.promise;
  await channel.close();
  expect(server.unconfirmed()).toBe(1);
  const again = await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["do not lose this"]));
  await server.say(ana, "and this");
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["do not lose this", "and this"]));
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  expect(server.violations).toEqual([]);
});

test("a message of an earlier session of its keys leaves the session whole that answers are sent by", async () => {
  const scene = await open();
  const { channel, server, ana, send, platform, received } = scene;
  const { peer } = platform.person;
  await server.say(ana, "one");
  await eventually(() => expect(received).toHaveLength(1));
  expect(await send({ peer, text: "to one" })).toMatchObject({ status: "sent" });
  await server.say(ana, "two");
  await eventually(() => expect(received).toHaveLength(2));
  await channel.close();
  const arrive = server.hold();
  await server.say(ana, "three");
  const again = await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  // The library begins another session, of which what is on its way knows nothing.
  expect(await again.send({ peer, text: "to two", idempotencyKey: "2" })).toMatchObject({ status: "sent" });
  arrive();
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["three"]));
  expect(await again.send({ peer, text: "to three", idempotencyKey: "3" })).toMatchObject({ status: "sent" });
  expect(server.arrived.map(({ text }) => text)).toEqual(["to one", "to two", "to three"]);
  expect(server.violations).toEqual([]);
});

test("a text that is sent again has the same id, and the app shows it once", async () => {
  const { server, send, platform } = await open();
  const same = { idempotencyKey: "k", peer: platform.person.peer, text: "once" };
  const [first, second] = [await send(same), await send(same)];
  expect(first).toMatchObject({ status: "sent", platformMessageId: expect.stringMatching(/^3EB0[0-9A-F]{18}$/) });
  expect(second).toEqual(first);
  await eventually(() => expect(server.repeated).toHaveLength(1));
  expect(server.arrived.map(({ text }) => text)).toEqual(["once"]);
});

test("a text that WhatsApp refuses, one to nobody and one without an answer are told apart", async () => {
  const { server, send, platform, online } = await open();
  const { peer } = platform.person;
  server.refusals.push(463);
  expect(await send({ peer })).toMatchObject({
    status: "failed",
    retry: false,
    reason: expect.stringMatching(/463.*restricted/),
  });
  server.refusals.push(503);
  expect(await send({ peer })).toMatchObject({ status: "failed", retry: true });
  expect(await send({ peer: { kind: "direct", id: "+15557654321" } })).toMatchObject({
    retry: false,
    reason: "+15557654321 is not on WhatsApp",
  });
  expect(await send({ peer: { kind: "group", id: "120363000000000404@g.us" } })).toMatchObject({
    retry: false,
    reason: expect.stringMatching(/404.*no such chat/),
  });
  server.refusals.push(0);
  const unanswered = send({ peer, text: "is anybody there" });
  await eventually(() => expect(server.arrived.map(({ text }) => text)).toContain("is anybody there"));
  server.drop();
  expect(await unanswered).toMatchObject({ status: "failed", retry: true, mayHaveArrived: true });
  await online();
});

test("pictures, voice messages, videos and documents leave as what they are, and come in with their kinds", async () => {
  const { channel, server, ana, send, platform, received } = await open();
  const { peer } = platform.person;
  const workspace = mkdtempSync(path.join(folder, "workspace-"));
  const voice = Buffer.concat([
    Buffer.from("OggS\0\x02"),
    Buffer.alloc(22),
    Buffer.from("OpusHead\x01"),
    Buffer.alloc(64),
  ]);
  const outgoing = {
    "photo.png": Buffer.from("a picture"),
    "word.ogg": voice,
    "song.ogg": Buffer.from("OggS vorbis"),
    "clip.mp4": Buffer.from("moving"),
    "plan.pdf": Buffer.from("%PDF"),
  };
  for (const [name, content] of Object.entries(outgoing)) writeFileSync(path.join(workspace, name), content);
  const files = Object.keys(outgoing).map((name) => ({ workspace, path: name }));
  expect(await send({ peer, text: "", files })).toMatchObject({ status: "sent" });
  await eventually(() =>
    expect(server.arrivedFiles).toMatchObject([
      { type: "image", mimeType: "image/png", content: outgoing["photo.png"] },
      { type: "audio", mimeType: "audio/ogg; codecs=opus", isVoice: true, content: voice },
      { type: "audio", mimeType: "audio/ogg", isVoice: false },
      { type: "video", mimeType: "video/mp4" },
      { type: "document", mimeType: "application/pdf", name: "plan.pdf" },
    ]),
  );
  const said = (type: FileType, text: string, part: object) =>
    server.say(ana, text, { file: { type, content: Buffer.from(`${type} of Ana`), part: { ...part } } });
  await said("image", "look", { mimetype: "image/jpeg" });
  await said("audio", "", { mimetype: "audio/ogg; codecs=opus", ptt: true, seconds: 3 });
  await said("video", "", { mimetype: "video/mp4", seconds: 2 });
  await said("document", "", { mimetype: "application/pdf", fileName: "bill.pdf" });
  await eventually(() => expect(received).toHaveLength(4));
  expect(received.map(({ text, media }) => [text, media?.[0]?.kind, media?.[0]?.bytes])).toEqual([
    ["[photo]\nlook", "image", 12],
    ["[voice message, 3 s]", "audio", 12],
    ["[video, 2 s]", "video", 12],
    ["[document: bill.pdf]", "document", 15],
  ]);
  const [photo] = received[0]?.media ?? [];
  if (photo === undefined) throw new Error("the message has no file");
  const to = { workspace, folder: "inbox/1", name: "in.jpg", bytesMax: 12 };
  expect(await channel.fetch("default", photo, to)).toEqual({ status: "saved", bytes: 12 });
  expect(readFileSync(path.join(workspace, "inbox/1/in.jpg"), "utf8")).toBe("image of Ana");
  expect(server.violations).toEqual([]);
});

test("a file that is another one on the server, or not there any more, is not taken", async () => {
  const { channel, server, ana, received } = await open();
  const workspace = mkdtempSync(path.join(folder, "workspace-"));
  const file = { type: "document", content: Buffer.from("mine"), part: { mimetype: "text/plain" } } as const;
  await server.say(ana, "", { file });
  await eventually(() => expect(received).toHaveLength(1));
  const [media] = received[0]?.media ?? [];
  if (media === undefined) throw new Error("the message has no file");
  const { directPath } = parseFileRef(media.ref);
  const to = { workspace, folder: "inbox/1", name: "in.txt", bytesMax: 1_000 };
  const gone = { ...media, ref: media.ref.replace(directPath, "/v/404.enc") };
  expect(await channel.fetch("default", gone, to)).toMatchObject({ reason: expect.stringContaining("404") });
  server.files.spoil(directPath);
  expect(await channel.fetch("default", media, to)).toMatchObject({
    status: "failed",
    reason: "what WhatsApp keeps is not the file of the message",
  });
});

test("a reaction names who wrote the message; one whose author is not known is refused", async () => {
  const { channel, server, ana, family, received, send, platform } = await open();
  const asked = await server.say(ana, "shall we", { group: family });
  await eventually(() => expect(received).toHaveLength(1));
  const group = { kind: "group", id: family.id } as const;
  const react = (peer: Peer, messageId: string, emoji = "👍") =>
    channel.act("default", { peer, messageId, change: { type: "react", emoji } });
  expect(await react(group, asked)).toMatchObject({ status: "sent" });
  const own = await send({ peer: platform.person.peer, text: "yes" });
  const ownId = own.status === "sent" ? (own.platformMessageId ?? "") : "";
  expect(await react(platform.person.peer, ownId)).toMatchObject({ status: "sent" });
  expect(await react(platform.person.peer, ownId, "")).toMatchObject({ status: "sent" });
  await eventually(() => expect(server.changes).toHaveLength(3));
  expect(server.changes).toMatchObject([
    { messageId: asked, key: { remoteJid: family.id, fromMe: false, participant: ana.jid } },
    { messageId: ownId, key: { remoteJid: ana.jid, fromMe: true } },
    { messageId: ownId, change: { type: "react", emoji: "" } },
  ]);
  expect(await react(group, "3A0000000000000000FF")).toMatchObject({
    status: "failed",
    retry: false,
    reason: expect.stringContaining("3A0000000000000000FF"),
  });
  expect(server.violations).toEqual([]);
});

test("a message whose agent has no room holds up no other chat, and is offered again when the process ends before", async () => {
  const scene = await open(({ peer }) => (peer.kind === "group" ? new Promise(() => undefined) : Promise.resolve()));
  const { channel, server, ana, family, received } = scene;
  for (const text of ["one", "two", "three"]) await server.say(ana, text, { group: family });
  await server.say(ana, "and here");
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["and here"]));
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  await channel.close();
  const again = await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["one", "two", "three"]));
  expect(server.violations).toEqual([]);
});

test("what the owner wrote on his phone is not changed: the account's own messages are those that were sent here", async () => {
  const { channel, server, platform, send } = await open();
  const { peer } = platform.person;
  const edit = (messageId: string) =>
    channel.act("default", { peer, messageId, change: { type: "edit", text: "other words" } });
  expect(await edit("3A0000000000000000FF")).toMatchObject({
    status: "failed",
    retry: false,
    reason: expect.stringContaining("3A0000000000000000FF"),
  });
  const own = await send({ peer, text: "words" });
  expect(await edit(own.status === "sent" ? (own.platformMessageId ?? "") : "")).toMatchObject({ status: "sent" });
  await eventually(() => expect(server.changes).toHaveLength(1));
  expect(server.violations).toEqual([]);
});

test("a message that waits for its agent over a lost connection is handed on once, and is done with on the next one", async () => {
  const hasRoom = Promise.withResolvers<void>();
  const offered: string[] = [];
  const scene = await open(({ text }) => {
    offered.push(text);
    return text === "for the full one" ? hasRoom.promise : Promise.resolve();
  });
  const { channel, server, ana, family, received, states } = scene;
  await server.say(ana, "for the full one", { group: family });
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  const onlineBefore = states.filter(({ type }) => type === "online").length;
  server.drop();
  await eventually(() => expect(states.filter(({ type }) => type === "online").length).toBe(onlineBefore + 1));
  await server.say(ana, "and here");
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["and here"]));
  hasRoom.resolve();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["and here", "for the full one"]));
  expect(offered).toEqual(["for the full one", "and here"]);
  await channel.close();
  const again = await openChannel(rigOf(async () => ({ ...scene, prepare: noPrepare })));
  await server.say(ana, "later");
  await eventually(() => expect(again.received.map(({ text }) => text)).toEqual(["later"]));
});

test("quotes go both ways, and a quote of the account is told", async () => {
  const { server, ana, family, received, send } = await open();
  const asked = await server.say(ana, "who was it", { group: family });
  await eventually(() => expect(received).toHaveLength(1));
  const peer = { kind: "group", id: family.id } as const;
  const sent = await send({ peer, text: "me", inReplyTo: asked });
  await eventually(() => expect(server.arrived).toMatchObject([{ text: "me", quotes: asked }]));
  const own = sent.status === "sent" ? (sent.platformMessageId ?? "") : "";
  await server.say(ana, "really", { group: family, quotes: { id: own, author: server.owner } });
  await server.say(ana, "i see", { group: family, quotes: { id: asked, author: ana } });
  await eventually(() => expect(received).toHaveLength(3));
  expect(received.map(({ quotesBot, replyTo }) => ({ quotesBot, replyTo }))).toEqual([
    { quotesBot: false, replyTo: undefined },
    { quotesBot: true, replyTo: own },
    { quotesBot: false, replyTo: asked },
  ]);
});

test("people of a group that hides numbers have theirs, mentions by LID count, and answers reach them", async () => {
  const { server, ana, received, send } = await open();
  const hidden = server.group("120363000000000002@g.us", [ana], true);
  await server.say(ana, "hello", { group: hidden, mentions: [server.owner] });
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({ sender: { id: "+15550001234" }, wasMentioned: true, text: "hello" });
  expect(await send({ peer: { kind: "group", id: hidden.id }, text: "hello Ana" })).toMatchObject({ status: "sent" });
  await eventually(() => expect(server.arrived).toMatchObject([{ to: ana.number, text: "hello Ana" }]));
  expect(server.violations).toEqual([]);
});

test("the owner's chat with himself is heard, his chats with others are not, and what was written a week ago is told with its time", async () => {
  const { server, ana, received } = await open();
  const sentAtS = Math.floor(Date.now() / 1000) - 7 * 86_400;
  await server.say(ana, "from last week", { sentAtS });
  await eventually(() => expect(received).toHaveLength(1));
  await server.say(server.owner, "remember the milk");
  await eventually(() => expect(received).toHaveLength(2));
  expect(received[0]).toMatchObject({ text: "from last week", tsMs: sentAtS * 1_000 });
  expect(received[1]).toMatchObject({
    peer: { kind: "direct", id: "+15550009999" },
    sender: { id: "+15550009999" },
    selfId: "+15550009999",
    text: "remember the milk",
  });
  await eventually(() => expect(server.unconfirmed()).toBe(0));
});

test("a message is marked as read when an agent is at work on it, and not before", async () => {
  const { channel, server, ana, platform } = await open();
  const id = await server.say(ana, "are you there");
  await eventually(() => expect(server.unconfirmed()).toBe(0));
  expect(server.read).toEqual([]);
  await channel.typing("default", platform.person.peer, undefined);
  await eventually(() => expect(server.read).toEqual([id]));
});

test.each([
  ["the phone ends the link", (server: WhatsAppServer) => server.unlink(), /link with the phone was ended/, true],
  [
    "another program uses the login",
    (server: WhatsAppServer) => server.fault("440", "conflict"),
    /another program/,
    false,
  ],
  ["the number is blocked", (server: WhatsAppServer) => server.fault("403", "blocked"), /blocked/, false],
])("an account whose connection cannot come back says so and rests: %s", async (_, act, wanted, forgets) => {
  const { server, states, settings } = await open();
  act(server);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  const last = states.at(-1);
  expect(last).toMatchObject({
    refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL", message: expect.stringMatching(wanted) },
  });
  expect(last).toMatchObject({
    refusal: { remedy: expect.stringContaining("cloister channels login --channel whatsapp") },
  });
  const login = openLogin(settings.authDir, await loadLibrary(libraryDir));
  expect(login.isLinked()).toBe(!forgets);
  login.close();
});

test("logout ends the link on the phone and here, and another login has keys of its own", async () => {
  const { channel, server, states, online } = await open();
  await channel.unlink("default");
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(await channel.link("default", false)).toMatchObject({ type: "failed" });
  await link({ channel, states }, server);
  await online();
  expect(server.violations).toEqual([]);
});

test("a code that nobody scans is given up, and another login begins anew", async () => {
  const scene = await openScene();
  const { channel, states } = await openChannel(
    rigOf(async () => ({ ...scene, prepare: noPrepare })),
    undefined,
    false,
  );
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(await channel.link("default", true)).toEqual({ type: "connecting" });
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "linking" }));
  scene.server.drop();
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({ refusal: { message: expect.stringMatching(/nobody scanned/) } });
  await link({ channel, states }, scene.server);
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "online" }));
});

test("a server that WhatsApp's root does not vouch for hears nothing of the account", async () => {
  const scene = await openScene();
  const impostor = await openWhatsApp({ trusted: false });
  const settings = { ...scene.settings, socketUrl: impostor.url };
  const { channel, states } = await openChannel(
    rigOf(async () => ({ ...scene, settings, prepare: noPrepare })),
    undefined,
    false,
  );
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  await channel.link("default", true);
  await eventually(() => expect(JSON.stringify(states.at(-1))).toMatch(/certificate|signature/));
  expect(impostor.wasToldWho()).toBe(false);
  await impostor.close();
});
