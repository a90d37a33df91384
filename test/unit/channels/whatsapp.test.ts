/** What is said on WhatsApp, as the gateway is told it; what may be written there; and the login on the disk. */
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseMessage, type Received } from "../../../channels/whatsapp/inbound.ts";
import { loadLibrary, type MessageContent, makeLibraryLogger } from "../../../channels/whatsapp/library.ts";
import { inboxRow, openLogin, readMark } from "../../../channels/whatsapp/login.ts";
import { judgeRefusal, parseTarget } from "../../../channels/whatsapp/outbound.ts";
import { makeRecent } from "../../../channels/recent.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

const self = { id: "15550009999:7@s.whatsapp.net", lid: "90000:7@lid" };
const group = "120363000000000001@g.us";
const ana = "15550001234:2@s.whatsapp.net";

const parse = (content: MessageContent, changes: Partial<Received> = {}) =>
  parseMessage(
    { key: { remoteJid: ana, id: "A1" }, content, atMs: 5, numberOfLid: () => undefined, name: "Ana", ...changes },
    self,
  );

describe("what came", () => {
  test("a person is a number, whatever device and address it comes from", () => {
    expect(parse({ conversation: "hi" })).toEqual({
      messageId: "A1",
      peer: { kind: "direct", id: "+15550001234" },
      sender: { id: "+15550001234", name: "Ana" },
      selfId: "+15550009999",
      text: "hi",
      tsMs: 5,
    });
  });

  test.each<[object, () => string | undefined, string]>([
    [{ remoteJid: "70001:3@lid", remoteJidAlt: ana }, () => undefined, "+15550001234"],
    [{ remoteJid: "70001@lid" }, () => "+15550001234", "+15550001234"],
    [{ remoteJid: "70001:3@lid" }, () => undefined, "70001@lid"],
  ])("a hidden number is used where it is known: %j", (key, numberOfLid, wanted) => {
    expect(parse({ conversation: "hi" }, { key: { ...key, id: "A1" }, numberOfLid })?.peer.id).toBe(wanted);
  });

  test.each([
    [
      "a mention of the number",
      { mentionedJid: ["15550009999@s.whatsapp.net"] },
      { wasMentioned: true, quotesBot: false },
    ],
    ["a mention of the LID", { mentionedJid: ["90000@lid"] }, { wasMentioned: true, quotesBot: false }],
    [
      "a mention of another",
      { mentionedJid: ["15550001234@s.whatsapp.net", "9000@lid"] },
      { wasMentioned: false, quotesBot: false },
    ],
    [
      "a quote of the account",
      { stanzaId: "Q", participant: "90000@lid" },
      { wasMentioned: false, quotesBot: true, replyTo: "Q" },
    ],
    [
      "a quote of another",
      { stanzaId: "Q", participant: ana },
      { wasMentioned: false, quotesBot: false, replyTo: "Q" },
    ],
  ])("in a group it tells %s", (_, contextInfo, wanted) => {
    const key = { remoteJid: group, participant: ana, id: "A1" };
    expect(parse({ extendedTextMessage: { text: "hi", contextInfo } }, { key })).toMatchObject({
      peer: { kind: "group", id: group },
      sender: { id: "+15550001234" },
      ...wanted,
    });
  });

  test.each([
    ["@15550009999 /status", "/status"],
    ["@90000  what now", "what now"],
    ["@15550001234 what now", "@15550001234 what now"],
    ["so @90000 what now", "so @90000 what now"],
  ])("the account's name before a text is no part of it: %s", (text, wanted) => {
    expect(parse({ conversation: text })?.text).toBe(wanted);
  });

  test.each<[string, object]>([
    ["[photo]\nlook", { imageMessage: { caption: "look" } }],
    ["[video, 7 s]", { videoMessage: { seconds: 7 } }],
    ["[voice message, 3 s]", { audioMessage: { seconds: 3, ptt: true } }],
    ["[audio, 3 s]", { audioMessage: { seconds: 3 } }],
    ["[document: plan.pdf]", { documentMessage: { fileName: "plan.pdf" } }],
    ["[sticker]", { stickerMessage: {} }],
    ["[location: 1.5, 2]", { locationMessage: { degreesLatitude: 1.5, degreesLongitude: 2 } }],
    ["[contact: Bob]", { contactMessage: { displayName: "Bob" } }],
    ["[poll: Pizza?]", { pollCreationMessageV3: { name: "Pizza?" } }],
  ])("what is no text is named: %s", (wanted, content) => {
    expect(parse(content)?.text).toBe(wanted);
  });

  test.each<[string, MessageContent, Partial<Received>]>([
    ["a change of keys", {}, {}],
    ["what the owner wrote to another", { conversation: "hi" }, { key: { remoteJid: ana, fromMe: true, id: "A1" } }],
    [
      "what the owner wrote in a group",
      { conversation: "hi" },
      { key: { remoteJid: group, participant: self.id, fromMe: true, id: "A1" } },
    ],
    ["a chat that is neither", { conversation: "hi" }, { key: { remoteJid: "status@broadcast", id: "A1" } }],
  ])("it leaves out %s", (_, content, changes) => {
    expect(parse(content, changes)).toBeUndefined();
  });
});

describe("what goes out", () => {
  test.each([
    [{ kind: "direct", id: "+15550001234" }, "15550001234@s.whatsapp.net"],
    [{ kind: "direct", id: "+1 (555) 000-1234" }, "15550001234@s.whatsapp.net"],
    [{ kind: "direct", id: "70001@lid" }, "70001@lid"],
    [{ kind: "group", id: group }, group],
    [{ kind: "direct", id: group }, undefined],
    [{ kind: "group", id: "+15550001234" }, undefined],
    [{ kind: "direct", id: "ana" }, undefined],
    [{ kind: "group", id: "a b@g.us" }, undefined],
  ] as const)("%j is %s", (peer, wanted) => {
    expect(parseTarget(peer)).toBe(wanted);
  });

  test("what may pass is tried again, what was refused is not", () => {
    expect([404, 429, 463, 500, 503].map((code) => Reflect.get(judgeRefusal(code, "x"), "retry"))).toEqual([
      false,
      true,
      false,
      true,
      true,
    ]);
  });
});

test("the last few are remembered, and what was used again is one of them", () => {
  const recent = makeRecent<number>(2);
  recent.set("a", 1);
  recent.set("b", 2);
  recent.set("a", 3);
  recent.set("c", 4);
  expect(["a", "b", "c"].map((key) => recent.get(key))).toEqual([3, undefined, 4]);
});

describe("on the disk", () => {
  let folder = "";
  beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "cloister-whatsapp-"))));
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const codec = {
    BufferJSON: {
      replacer: (_: string, value: unknown): unknown => value,
      reviver: (_: string, value: unknown): unknown => value,
    },
    initAuthCreds: () => ({}),
    proto: {
      Message: { decode: () => ({}), AppStateSyncKeyData: { fromObject: (value: object) => ({ made: value }) } },
    },
  };
  const event = {
    messageId: "A1",
    peer: { kind: "direct", id: "+1555" },
    sender: { id: "+1555" },
    text: "hi",
    tsMs: 1,
  } as const;

  test("what belongs together is written at once or not at all, and is there again", async () => {
    const login = openLogin(folder, codec);
    await login.keys.set({ session: { a: "one", b: "two" }, ...inboxRow("2", event) });
    await login.keys.set({
      session: { a: null },
      "app-state-sync-key": { k: { fingerprint: 1 } },
      ...inboxRow("1", event),
    });
    const circle: { self?: unknown } = {};
    circle.self = circle;
    await expect(login.keys.set({ session: { b: "other", c: circle } })).rejects.toThrow(/circular/i);
    Object.assign(login.creds, { me: { id: self.id } });
    login.saveCreds();
    login.close();
    const again = openLogin(folder, codec);
    expect(await again.keys.get("session", ["a", "b", "c"])).toEqual({ b: "two" });
    expect(await again.keys.get("app-state-sync-key", ["k"])).toEqual({ k: { made: { fingerprint: 1 } } });
    expect(again.isLinked()).toBe(true);
    expect(again.inbox().map(({ id }) => id)).toEqual(["1", "2"]);
    again.taken("1");
    expect(again.inbox()).toEqual([{ id: "2", event }]);
    again.clear();
    again.close();
    const empty = openLogin(folder, codec);
    expect([empty.isLinked(), empty.inbox()]).toEqual([false, []]);
    empty.close();
  });

  test("the last messages that were read are known by their marks, over a restart, and earlier ones are forgotten", async () => {
    const max = limits.whatsappReadMax;
    const login = openLogin(folder, codec);
    const marks = Array.from({ length: 2 * max }, (_, at) => readMark(`mark ${at}`, String(at).padStart(20, "0")));
    for (let at = 0; at < marks.length; at += 10)
      await login.keys.set({ read: Object.assign({}, ...marks.slice(at, at + 10).map(({ read }) => read)) });
    expect([login.wasRead("mark 0"), login.wasRead(`mark ${max}`)]).toEqual([false, true]);
    login.close();
    expect(login.wasRead(`mark ${max}`)).toBe(false);
    const again = openLogin(folder, codec);
    expect([max - 1, max, 2 * max - 1].map((at) => again.wasRead(`mark ${at}`))).toEqual([false, true, true]);
    again.close();
  });

  test("marks of messages that were read are forgotten by gateways that read few each, too", async () => {
    const each = limits.whatsappReadMax * 0.6;
    const lives = 5;
    for (let life = 0; life < lives; life++) {
      const login = openLogin(folder, codec);
      const marks = Array.from({ length: each }, (_, n) => life * each + n);
      for (let at = 0; at < each; at += 50)
        await login.keys.set({
          read: Object.fromEntries(marks.slice(at, at + 50).map((n) => [`mark ${n}`, String(n).padStart(20, "0")])),
        });
      login.close();
    }
    const again = openLogin(folder, codec);
    const kept = Array.from({ length: lives * each }, (_, n) => again.wasRead(`mark ${n}`)).filter(Boolean);
    expect(kept.length).toBeGreaterThanOrEqual(limits.whatsappReadMax);
    expect(kept.length).toBeLessThan(2 * limits.whatsappReadMax);
    expect(again.wasRead(`mark ${lives * each - 1}`)).toBe(true);
    again.close();
  });

  test("two cannot have it open, a broken one says what to do, and neither harms it", async () => {
    const login = openLogin(folder, codec);
    expect((await stat(path.join(folder, "login.sqlite"))).mode & 0o777).toBe(0o600);
    const refusal = { code: "CLOISTER_CHANNEL_CREDENTIAL" };
    expect(() => openLogin(folder, codec)).toThrow(
      expect.objectContaining({ ...refusal, remedy: expect.stringContaining("other gateway") }),
    );
    login.close();
    const broken = path.join(folder, "broken");
    await mkdir(broken);
    await writeFile(
      path.join(broken, "login.sqlite"),
      "this is no database, and is longer than its header has to be".repeat(20),
    );
    expect(() => openLogin(broken, codec)).toThrow(
      expect.objectContaining({ ...refusal, remedy: expect.stringContaining("remove the file") }),
    );
    openLogin(folder, codec).close();
  });

  test("what is set after the end is not written, and nothing fails by it", async () => {
    const login = openLogin(folder, codec);
    login.close();
    await login.keys.set({ session: { a: "late" } });
    login.saveCreds();
    login.taken("1");
    expect(await login.keys.get("session", ["a"])).toEqual({});
  });

  test("a library that is missing, or another version, is said with the command that installs the right one", async () => {
    await expect(loadLibrary(folder)).rejects.toMatchObject({
      code: "CLOISTER_CHANNEL_CREDENTIAL",
      message: expect.stringContaining(`is not installed in ${folder}`),
      remedy: expect.stringMatching(/^npm install --prefix .*--ignore-scripts --omit=peer baileys@7\.0\.0-rc14/),
    });
    await mkdir(path.join(folder, "node_modules", "baileys"), { recursive: true });
    await writeFile(path.join(folder, "node_modules", "baileys", "package.json"), '{"version":"6.7.21"}');
    await expect(loadLibrary(folder)).rejects.toMatchObject({
      message: expect.stringMatching(/baileys 6\.7\.21;.*7\.0\.0-rc14/),
    });
  });
});

test("of what the library logs its fixed words are passed on, and nothing that somebody wrote", () => {
  const told: string[] = [];
  const logger = makeLibraryLogger((words) => told.push(words)).child();
  logger.error({ text: "private" }, "failed to decrypt message");
  logger.warn("not this");
  logger.info({ text: "private" }, "nor this");
  expect(told).toEqual(["failed to decrypt message"]);
});
