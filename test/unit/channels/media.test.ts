/** Files, buttons and changes of messages, as the accounts of a channel handle them for every platform. */
import { link, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import {
  fileNameOf,
  mediaKindOf,
  mimeTypeOf,
  takeMediaLines,
  withButtonWords,
  withMedia,
} from "../../../channels/media.ts";
import type {
  AccountSettings,
  ChannelAction,
  ChannelAdapter,
  ChannelCapabilities,
  ChannelHost,
  ChannelManifest,
  OutboundPart,
} from "../../../channels/port.ts";
import { serveAccounts } from "../../../runtime/channels/accounts.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeInbox } from "../../../runtime/supervisor/channels/inbox.ts";
import { makeKeptLog, outbound } from "../../support/channels.ts";
import { eventually } from "../../support/eventually.ts";
import { makeVirtualClock, settle } from "../../support/virtual-clock.ts";

const none: ChannelCapabilities = {
  threads: false,
  edit: false,
  reactions: false,
  deletes: false,
  buttons: false,
  typing: false,
  nativeCommands: false,
  mentions: false,
  media: false,
};
const all: ChannelCapabilities = { ...none, edit: true, reactions: true, deletes: true, buttons: true, media: true };

async function serve(
  capabilities: ChannelCapabilities,
  fetched: ChannelAdapter["fetch"] = async () => new Uint8Array(3),
  more: Partial<AccountSettings> = {},
) {
  const manifest: ChannelManifest = {
    id: "test",
    capabilities,
    text: { max: 100, unit: "utf16" },
    dedupesSendsMs: 0,
    typingMs: 0,
  };
  const sent: OutboundPart[] = [];
  const acted: ChannelAction[] = [];
  const open = (_: unknown, host: ChannelHost): ChannelAdapter => ({
    async run(signal) {
      host.online({ id: "1", name: "bot" });
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
    probe: async () => ({ id: "1", name: "bot" }),
    async send(part) {
      sent.push(part);
      return { status: "sent", platformMessageId: `m${sent.length}` };
    },
    async act(action) {
      acted.push(action);
      return { status: "sent" };
    },
    fetch: fetched,
  });
  const nothing = async () => undefined;
  const remote = {
    receive: async () => "taken" as const,
    refused: nothing,
    state: nothing,
    partSent: nothing,
    log: nothing,
  };
  const channel = serveAccounts(
    { manifest, open },
    { default: { textChunkLimit: 100, ...more } },
    remote,
    makeVirtualClock(),
  );
  await settle();
  return { channel, sent, acted };
}

const makeTemporaryFolder = (): Promise<string> => mkdtemp(path.join(os.tmpdir(), "media-"));

async function makeWorkspace(): Promise<string> {
  const workspace = await makeTemporaryFolder();
  await writeFile(path.join(workspace, "chart.png"), "png");
  return workspace;
}

const photo = { kind: "image", mimeType: "image/jpeg", name: "sea.jpg", ref: "f1" } as const;
const peer = { kind: "direct", id: "7" } as const;

test("files follow the text as messages of their own, each with a key, and the buttons are below the text", async () => {
  const workspace = await makeWorkspace();
  const { channel, sent } = await serve(all);
  const files = [{ workspace, path: "chart.png" }];
  const buttons = [{ label: "Yes", text: "/yes" }];
  expect(await channel.send(outbound({ text: "look", files, buttons }), 0)).toMatchObject({ status: "sent" });
  expect(
    sent.map(({ text, file, idempotencyKey, buttons: below }) => [text, file?.name, idempotencyKey, below]),
  ).toEqual([
    ["look", undefined, "e1:1", buttons],
    ["", "chart.png", "e1:2", undefined],
  ]);
  expect(sent[1]?.file).toMatchObject({ kind: "image", mimeType: "image/png" });
  expect(Buffer.from(sent[1]?.file?.content ?? []).toString()).toBe("png");
  // What has arrived is not sent again.
  sent.length = 0;
  await channel.send(outbound({ text: "look", files }), 1);
  expect(sent.map(({ file }) => file?.name)).toEqual(["chart.png"]);
  await channel.close();
});

test("a file that is not the agent's, not there or too large is told in its place, and nothing of it leaves", async () => {
  const workspace = await makeWorkspace();
  const outside = await makeTemporaryFolder();
  await writeFile(path.join(outside, "secret"), "secret");
  await symlink(path.join(outside, "secret"), path.join(workspace, "link"));
  await symlink(outside, path.join(workspace, "folder"));
  await link(path.join(outside, "secret"), path.join(workspace, "second-name"));
  await mkdir(path.join(workspace, "sub"));
  const { channel, sent } = await serve(all);
  const paths = ["link", "folder/secret", "second-name", "../secret", path.join(outside, "secret"), "none", "sub", "."];
  await channel.send(outbound({ text: "", files: paths.map((file) => ({ workspace, path: file })) }), 0);
  expect(sent).toHaveLength(paths.length);
  for (const { file, text } of sent) {
    expect(file).toBeUndefined();
    expect(text).toMatch(/^\[A file was not sent: /);
  }
  await channel.close();
});

test("what a channel does not declare is refused, and its adapter is not asked", async () => {
  const workspace = await makeWorkspace();
  const { channel, sent, acted } = await serve(none);
  const files = [{ workspace, path: "chart.png" }];
  expect(await channel.send(outbound({ files }), 0)).toMatchObject({
    status: "failed",
    retry: false,
    reason: "the channel test cannot carry files",
  });
  const changes: ChannelAction["change"][] = [
    { type: "edit", text: "x" },
    { type: "react", emoji: "👍" },
    { type: "remove" },
  ];
  for (const change of changes)
    expect(await channel.act("default", { peer, messageId: "5", change })).toMatchObject({
      status: "failed",
      retry: false,
    });
  expect([sent, acted]).toEqual([[], []]);
  // Buttons are words there.
  await channel.send(outbound({ text: "sure?", buttons: [{ label: "Yes", text: "/yes" }] }), 0);
  expect(sent.map(({ text, buttons }) => [text, buttons])).toEqual([
    ["sure?\n\nAnswer with one of:\n/yes (Yes)", undefined],
  ]);
  await channel.close();
});

test("only a message that the account has sent in that chat is removed, whatever its rights on the platform", async () => {
  const { channel, acted } = await serve(all);
  const sent = await channel.send(outbound({ text: "mine" }), 0);
  const messageId = (sent.status === "sent" ? sent.platformMessageId : undefined) ?? "none";
  const remove = { type: "remove" } as const;
  const elsewhere = { kind: "group", id: peer.id } as const;
  for (const action of [
    { peer, messageId: "somebody's", change: remove },
    { peer: elsewhere, messageId, change: remove },
  ])
    expect(await channel.act("default", action)).toMatchObject({
      status: "failed",
      retry: false,
      reason: expect.stringContaining("others are not removed"),
    });
  expect(await channel.act("default", { peer, messageId, change: remove })).toEqual({ status: "sent" });
  expect(acted).toEqual([{ peer, messageId, change: remove }]);
  await channel.close();
});

test("a change of a message is made once, and an edit is within the platform's bound", async () => {
  const { channel, acted } = await serve(all);
  const edit = (text: string): ChannelAction => ({ peer, messageId: "5", change: { type: "edit", text } });
  expect(await channel.act("default", edit("x".repeat(101)))).toMatchObject({ status: "failed", retry: false });
  expect(await channel.act("default", edit("better"))).toEqual({ status: "sent" });
  expect(acted).toEqual([edit("better")]);
  await channel.close();
});

test("a file that came is put whole below the workspace, once, and never through a link", async () => {
  const workspace = await makeTemporaryFolder();
  let fetches = 0;
  const { channel } = await serve(all, async () => {
    fetches++;
    return Buffer.from("jpeg");
  });
  const to = { workspace, folder: "inbox/1", name: "sea.jpg", bytesMax: 100 };
  for (let n = 0; n < 2; n++) expect(await channel.fetch("default", photo, to)).toEqual({ status: "saved", bytes: 4 });
  expect(fetches).toBe(1);
  expect(await readFile(path.join(workspace, "inbox/1/sea.jpg"), "utf8")).toBe("jpeg");
  expect(await readdir(path.join(workspace, "inbox/1"))).toEqual(["sea.jpg"]);

  const outside = await makeTemporaryFolder();
  await symlink(outside, path.join(workspace, "elsewhere"));
  expect(await channel.fetch("default", photo, { ...to, folder: "elsewhere/1" })).toMatchObject({ status: "failed" });
  expect(await readdir(outside)).toEqual([]);
  const unnamable = { ...to, folder: "inbox/2", name: "x".repeat(300) };
  expect(await channel.fetch("default", photo, unnamable)).toMatchObject({ status: "failed" });
  expect(await readdir(path.join(workspace, "inbox/2"))).toEqual([]);
  expect(await channel.fetch("default", { ...photo, bytes: 101 }, to)).toMatchObject({
    status: "failed",
    reason: "it has 101 bytes, and 100 are fetched at most (channels.modules.test.mediaMaxMb)",
  });
  await channel.close();
});

test("an account has a bound of its own for files, both ways, and what is beyond it is told with the key that says so", async () => {
  const workspace = await makeWorkspace();
  await writeFile(path.join(workspace, "long.txt"), "12345");
  const bounds: number[] = [];
  const fetched: ChannelAdapter["fetch"] = async (_media, bytesMax) => (bounds.push(bytesMax), new Uint8Array(4));
  const { channel, sent } = await serve(all, fetched, { mediaBytesMax: 4 });
  const to = { workspace, folder: "inbox/1", name: "sea.jpg", bytesMax: 2 };
  // Above what is fetched of all, too.
  expect(await channel.fetch("default", photo, to)).toEqual({ status: "saved", bytes: 4 });
  expect(bounds).toEqual([4]);
  expect(await channel.fetch("default", { ...photo, bytes: 5 }, { ...to, name: "b.jpg" })).toEqual({
    status: "failed",
    reason: "it has 5 bytes, and 4 are fetched at most (channels.modules.test.mediaMaxMb)",
  });
  const files = ["chart.png", "long.txt"].map((file) => ({ workspace, path: file }));
  await channel.send(outbound({ text: "", files }), 0);
  expect(sent.map(({ file, text }) => file?.name ?? text)).toEqual([
    "chart.png",
    '[A file was not sent: "long.txt" has 5 bytes; at most 4 are sent (channels.modules.test.mediaMaxMb)]',
  ]);
  await channel.close();
});

const messageFolder = (n: number): string => `2020-01-01T000000-${String(n).padStart(12, "0")}`;

test("few files are in memory at once: further ones are fetched when one of them is there", async () => {
  const workspace = await makeTemporaryFolder();
  const over = Promise.withResolvers<void>();
  let atWork = 0;
  let most = 0;
  const { channel } = await serve(all, async () => {
    most = Math.max(most, ++atWork);
    await over.promise;
    atWork--;
    return new Uint8Array(1);
  });
  const names = Array.from({ length: limits.channelFilesAtOnce + 3 }, (_, n) => `${n}`);
  const fetched = names.map((name) =>
    channel.fetch("default", photo, { workspace, folder: "inbox/1", name, bytesMax: 9 }),
  );
  await eventually(() => expect(atWork).toBe(limits.channelFilesAtOnce));
  over.resolve();
  expect(new Set((await Promise.all(fetched)).map(({ status }) => status))).toEqual(new Set(["saved"]));
  expect(most).toBe(limits.channelFilesAtOnce);
  await channel.close();
});

test("an inbox keeps the files of the newest messages", async () => {
  const workspace = await makeTemporaryFolder();
  for (let n = 0; n < limits.channelInboxMessagesMax; n++)
    await mkdir(path.join(workspace, "inbox", messageFolder(n)), { recursive: true });
  const oldest = path.join(workspace, "inbox", messageFolder(0));
  await writeFile(path.join(oldest, "1-old.txt"), "old");
  // What the agent keeps there is its own, whatever it is called, and so is where a link leads.
  await mkdir(path.join(workspace, "inbox", "0-notes"));
  await writeFile(path.join(workspace, "inbox", "0-notes", "todo.md"), "keep");
  const outside = await makeTemporaryFolder();
  await writeFile(path.join(outside, "secret"), "secret");
  await symlink(outside, path.join(workspace, "inbox", "2019-01-01T000000-000000000000"));
  const { channel } = await serve(all);
  const bring = makeInbox({
    channels: { fetch: (_, media, to) => channel.fetch("default", media, to) },
    workspaceOf: () => workspace,
    newId: () => "id",
    log: makeKeptLog().log,
  });
  const event = { channel: "test", accountId: "default", peer, sender: { id: "7" }, text: "", tsMs: 1_800_000_000_000 };
  const told = await bring({ ...event, messageId: "5", media: [photo] }, "main");
  const [, brought = ""] = /- inbox\/(\S+)\/1-sea\.jpg \(image, image\/jpeg, 3 bytes\)/.exec(told) ?? [];
  const kept = await readdir(path.join(workspace, "inbox"));
  expect(kept).toEqual(expect.arrayContaining([brought, "0-notes", messageFolder(limits.channelInboxMessagesMax - 1)]));
  // The link is the oldest of them, and stays.
  expect(kept).not.toContain(messageFolder(0));
  expect(kept).toContain(messageFolder(1));
  expect(await readFile(path.join(workspace, "inbox", "0-notes", "todo.md"), "utf8")).toBe("keep");
  expect(await readdir(outside)).toEqual(["secret"]);
  await channel.close();
});

test("files are named after what they are, and no name is a way elsewhere", () => {
  expect(fileNameOf(photo)).toBe("sea.jpg");
  expect(fileNameOf({ ...photo, name: "../../etc/passwd" })).toBe("_.._etc_passwd");
  expect(fileNameOf({ ...photo, name: "..." })).toBe("image.jpg");
  expect(fileNameOf({ kind: "document", ref: "f" })).toBe("document");
  expect(fileNameOf({ ...photo, name: `a\u202eb\n${"x".repeat(300)}.pdf` })).toHaveLength(60);
  // A name has 255 bytes at most, with its number in front.
  expect(Buffer.byteLength(`10-${fileNameOf({ ...photo, name: "👍".repeat(100) })}`)).toBeLessThanOrEqual(255);
  expect([mimeTypeOf("A.PNG"), mimeTypeOf("noend"), mediaKindOf("audio/ogg"), mediaKindOf("text/plain")]).toEqual([
    "image/png",
    "application/octet-stream",
    "audio",
    "document",
  ]);
  expect(withMedia("look", [photo, { kind: "document", ref: "f" }])).toBe("[image: sea.jpg]\n[document]\nlook");
  expect(withButtonWords("text", [])).toBe("text");
});

test("lines of an answer that name files are taken out of it, but for those in code and beyond the bound", () => {
  const answer = "Here.\nMEDIA: a b.png\n```\nMEDIA: code\n```\nMEDIA:c.pdf \nMEDIA: too many\nsee MEDIA: inline";
  expect(takeMediaLines(answer, 2)).toEqual({
    text: "Here.\n```\nMEDIA: code\n```\nMEDIA: too many\nsee MEDIA: inline",
    paths: ["a b.png", "c.pdf"],
  });
  // A line is read once, however long it is: this one would take minutes.
  const long = `MEDIA: a${" ".repeat(200_000)}b`;
  expect(takeMediaLines(long, 2).paths).toEqual([long.slice("MEDIA: ".length)]);
  expect(takeMediaLines("  nothing\n", 2)).toEqual({ text: "  nothing\n", paths: [] });
});
