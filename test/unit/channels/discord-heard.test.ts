/** Up to which message each channel of Discord was heard, over restarts. */
import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { openHeardBook } from "../../../channels/discord/heard.ts";
import type { Place } from "../../../channels/discord/places.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeKeptLog } from "../../support/channels.ts";

const place = (id: string, guildId?: string): Place =>
  guildId === undefined ? { id, isDirect: true } : { id, guildId, isDirect: false };
const chat = place("500");

function openScene() {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "cloister-heard-")), "account", "heard.sqlite");
  const { log, lines } = makeKeptLog();
  let nowMs = 1_000;
  const host = {
    nowMs: () => ++nowMs,
    log: (level: "debug" | "info" | "warn" | "error", message: string, fields = {}) => log[level](fields, message),
  };
  const open = (botId = "1") => openHeardBook(file, botId, host);
  return { file, open, lines };
}

test("a channel is heard up to the last message before which all are stored, whatever was stored first", () => {
  const { open } = openScene();
  const book = open();
  expect(book.upTo("500")).toBeUndefined();
  for (const id of ["10", "11", "12"]) book.begin(chat, id);
  expect(book.upTo("500")).toBe("9");
  book.end(chat, "11", "taken");
  book.end(chat, "12", "dropped");
  expect(book.upTo("500")).toBe("9");
  book.end(chat, "10", "taken");
  expect(book.upTo("500")).toBe("12");
});

test("what was not taken keeps its place, also over a restart, until it is taken or cannot be had", () => {
  const { open } = openScene();
  const book = open();
  book.begin(chat, "10");
  book.begin(chat, "11");
  book.end(chat, "10", undefined);
  book.end(chat, "11", "taken");
  expect(book.upTo("500")).toBe("9");
  book.close();
  const again = open();
  expect(again.upTo("500")).toBe("9");
  again.begin(chat, "10");
  again.end(chat, "10", "taken");
  expect(again.upTo("500")).toBe("10");
  again.begin(chat, "12");
  again.end(chat, "12", undefined);
  again.letGo("500");
  again.begin(chat, "13");
  again.end(chat, "13", "taken");
  expect(again.upTo("500")).toBe("13");
});

test("a message that is offered again moves nothing back", () => {
  const { open } = openScene();
  const book = open();
  book.begin(chat, "20");
  book.end(chat, "20", "taken");
  book.begin(chat, "15");
  book.end(chat, "15", "taken");
  expect(book.upTo("500")).toBe("20");
});

test("a channel in which nobody is heard has no place, and one that was heard keeps it when a message is for nobody", () => {
  const { open } = openScene();
  const book = open();
  const room = place("600", "7");
  for (const id of ["10", "11"]) {
    book.begin(room, id);
    book.end(room, id, "dropped");
    expect(book.places()).toEqual([]);
  }
  book.begin(room, "12");
  book.end(room, "12", undefined);
  expect(book.upTo("600")).toBe("11");
  book.begin(room, "12");
  book.end(room, "12", "taken");
  book.begin(room, "13");
  book.end(room, "13", "dropped");
  book.close();
  expect(open().upTo("600")).toBe("13");
});

test("the last heard are kept, first, and of another bot nothing", () => {
  const { open } = openScene();
  const book = open();
  const places = Array.from({ length: limits.discordHeardMax + 2 }, (_, at) => place(String(1_000 + at)));
  for (const one of places) {
    book.begin(one, "10");
    book.end(one, "10", "taken");
  }
  book.close();
  const again = open();
  expect(again.places()).toEqual(places.slice(2).toReversed());
  again.close();
  expect(open("2").places()).toEqual([]);
});

test("when as many are kept as may be, the first message of another channel has its place until it is taken, and takes none away before", () => {
  const { open } = openScene();
  const book = open();
  const places = Array.from({ length: limits.discordHeardMax }, (_, at) => place(String(1_000 + at)));
  for (const one of places) {
    book.begin(one, "10");
    book.end(one, "10", "taken");
  }
  book.begin(place("600", "7"), "20");
  book.end(place("600", "7"), "20", "dropped");
  book.begin(chat, "20");
  book.end(chat, "20", undefined);
  book.close();
  const again = open();
  expect(again.upTo("500")).toBe("19");
  expect(again.upTo("1000")).toBe("10");
  again.begin(chat, "20");
  again.end(chat, "20", "taken");
  expect(again.upTo("500")).toBe("20");
  expect(again.upTo("1000")).toBeUndefined();
  expect(again.places()).toHaveLength(limits.discordHeardMax);
});

test("the file is the owner's alone; one that cannot be opened is told, and the account goes on without it", () => {
  const { file, open, lines } = openScene();
  const book = open();
  book.close();
  // What settles later has nothing to write to.
  book.begin(chat, "10");
  book.end(chat, "10", "taken");
  expect(statSync(file).mode & 0o077).toBe(0);
  writeFileSync(file, "no database, though it is as long as the head of one would be".repeat(20));
  const without = open();
  expect(lines).toMatchObject([{ level: "error", message: expect.stringContaining(file) }]);
  without.begin(chat, "11");
  without.end(chat, "11", "taken");
  expect(without.upTo("500")).toBe("11");
});

test("a disk that takes nothing for a while ends nothing: it is told once, and all of it is written when the disk takes it again", () => {
  const { open, lines } = openScene();
  const book = open();
  book.begin(chat, "10");
  const disk = vi.spyOn(StatementSync.prototype, "run").mockImplementation(() => {
    throw new Error("database or disk is full");
  });
  book.end(chat, "10", "taken");
  book.begin(place("600"), "20");
  book.end(place("600"), "20", "taken");
  expect([book.upTo("500"), book.upTo("600")]).toEqual(["10", "20"]);
  expect(lines.filter(({ message }) => message.includes("cannot be written"))).toHaveLength(1);
  disk.mockRestore();
  book.begin(chat, "11");
  book.end(chat, "11", "taken");
  expect(lines.filter(({ message }) => message.includes("is kept in"))).toHaveLength(1);
  book.close();
  const again = open();
  expect([again.upTo("500"), again.upTo("600")]).toEqual(["11", "20"]);
});

test("while the disk takes nothing, places that come and go leave nothing to be written", () => {
  const { open } = openScene();
  const book = open();
  book.begin(chat, "10");
  book.end(chat, "10", "taken");
  const run = vi.spyOn(StatementSync.prototype, "run").mockImplementation(() => {
    throw new Error("database or disk is full");
  });
  for (let at = 0; at < 3 * limits.discordHeardMax; at++) {
    const one = place(String(10_000 + at));
    book.begin(one, "20");
    book.end(one, "20", "taken");
  }
  run.mockClear();
  run.mockReturnValue({ changes: 1, lastInsertRowid: 1 });
  book.begin(chat, "30");
  // The rows that are kept, that of the chat among them, and no more.
  expect(run.mock.calls.length).toBeLessThanOrEqual(limits.discordHeardMax + 1);
  book.close();
});

test("a file whose rows cannot be read is no memory, and the account goes on", () => {
  const { file, open, lines } = openScene();
  open().close();
  const disk = new DatabaseSync(file);
  disk.exec("DROP TABLE heard; CREATE TABLE heard (other TEXT)");
  disk.close();
  const book = open();
  book.begin(chat, "10");
  expect(book.upTo("500")).toBe("9");
  expect(lines.map(({ message }) => message).join()).toContain("cannot be opened");
});
