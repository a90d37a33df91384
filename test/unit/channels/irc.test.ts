/** What is said on IRC, as the gateway is told it; and what may be written there. */
import { expect, test } from "vitest";
import { parseMessage } from "../../../channels/irc/inbound.ts";
import { parseTarget, toLines } from "../../../channels/irc/outbound.ts";

const fold = (text: string): string => text.toLowerCase().replaceAll("[", "{").replaceAll("]", "}");
const self = { nick: "Helper", fold };
const parse = (message: string, changes: object = {}) =>
  parseMessage({ nick: "Ana[x]", target: "#Room", message, isAction: false, tags: {}, atMs: 5, ...changes }, self);

test("a room and a query are known as the network compares names", () => {
  expect(parse("hi")).toEqual({
    peer: { kind: "group", id: "#room" },
    sender: { id: "ana{x}", name: "Ana[x]" },
    selfId: "helper",
    wasMentioned: false,
    text: "hi",
    tsMs: 5,
  });
  const query = parse("hi", { target: "Helper" });
  expect(query).toMatchObject({ peer: { kind: "direct", id: "ana{x}" } });
  expect(query).not.toHaveProperty("wasMentioned");
});

test.each([
  ["helper: what now", true, "what now"],
  ["HELPER, /status", true, "/status"],
  ["so, Helper, what now", true, "so, Helper, what now"],
  ["helpers are here", false, "helpers are here"],
  ["ask helper_2", false, "ask helper_2"],
  ["ask helper", true, "ask helper"],
  ["helper:", true, "helper:"],
])("%j mentions it: %j", (message, wasMentioned, text) => {
  expect(parse(message)).toMatchObject({ wasMentioned, text });
});

test("an action says who acts, colours are no text, and an id is told where the network has one", () => {
  expect(parse("waves", { isAction: true })).toMatchObject({ text: "* Ana[x] waves" });
  expect(parse("\u000304,12red\u0003 and \u0002bold\u000f")).toMatchObject({ text: "red and bold" });
  expect(parse("hi", { tags: { msgid: "m1" } })).toMatchObject({ messageId: "m1" });
});

test("its own words and empty ones are nothing", () => {
  expect(parse("hi", { nick: "HELPER" })).toBeUndefined();
  expect(parse(" \u0002 ")).toBeUndefined();
});

test.each([
  ["direct", "ana", "ana"],
  ["group", "#room", "#room"],
  ["direct", "ana,bob", undefined],
  ["direct", "ana bob", undefined],
  ["direct", "ana\r\nQUIT", undefined],
  ["direct", ":ana", undefined],
  ["direct", "", undefined],
  ["direct", "a".repeat(201), undefined],
  // A right to write to persons opens no room, and one to write in rooms no person.
  ["direct", "#room", undefined],
  ["direct", "@#room", undefined],
  ["direct", "$*.example.org", undefined],
  ["group", "ana", undefined],
] as const)("the %s peer %j is the target %j", (kind, id, wanted) => {
  expect(parseTarget({ kind, id })).toBe(wanted);
});

test("a text is lines without anything that a server or a client would take for more than text", () => {
  expect(toLines("a\r\nb\n\n  \nc  \rd")).toEqual(["a", "b", "c", "d"]);
  expect(toLines("\u0001VERSION\u0001")).toEqual([" VERSION"]);
  expect(toLines("a\u0000b")).toEqual(["a b"]);
});
