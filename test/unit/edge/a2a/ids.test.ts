/** Ids of contexts and tasks, and the versions that a client may name. */
import { expect, test } from "vitest";
import { versionOf } from "../../../../runtime/edge/programs/a2a/card.ts";
import { contextOf, conversationOf, parseTaskId, taskIdOf } from "../../../../runtime/edge/programs/a2a/ids.ts";

test.each(["trip", "Trip", "a^B^^C", "^", "x.y-0-0", "a/b?c=%20&d:e", "3F2504E0-4F89-41D3-9A0C-0305E82C3301"])(
  "the context %s is a conversation of its own, whose name has no upper case, and is found again",
  (contextId) => {
    const conversation = conversationOf(contextId);
    expect(conversation.type).toBe("user");
    const { user } = conversation as { readonly user: string };
    expect(user).toBe(user.toLowerCase());
    expect(contextOf(conversation)).toBe(contextId);
    const id = taskIdOf(contextId, "0mwtsm1bz-0000-21dec87e");
    expect(id).toMatch(/^[^\s/?#]+$/);
    expect(parseTaskId(id)).toEqual({ contextId, envelopeId: "0mwtsm1bz-0000-21dec87e" });
  },
);

test("contexts that differ in case alone are two", () => {
  expect(conversationOf("trip")).not.toEqual(conversationOf("Trip"));
  expect(conversationOf("^trip")).not.toEqual(conversationOf("Trip"));
});

test("one that the gateway has named is one of those that retention removes", () => {
  const id = "0123456789abcdef0123456789abcdef";
  expect(conversationOf(id)).toEqual({ type: "new", id });
  expect(contextOf({ type: "new", id })).toBe(id);
});

test.each([
  "",
  "x",
  "x.",
  ".0-0-0",
  "%.0-0-0",
  "a b.0-0-0",
  "%41.0-0-0",
  "x.0-0-0\n",
  `x.${"0".repeat(80)}-0-0`,
  "x.A-0-0",
])("no task is called %j", (id) => expect(parseTaskId(id)).toBeUndefined());

test.each([
  [undefined, "0.3"],
  ["", "0.3"],
  ["0.3", "0.3"],
  ["0.3.0", "0.3"],
  ["1.0", "1.0"],
  [" 1.0.9 ", "1.0"],
  ["1.1", undefined],
  ["1", undefined],
  ["0.2.6", undefined],
  ["1.0, 0.3", undefined],
])("A2A-Version %j is the version %j", (header, version) => expect(versionOf(header)).toBe(version));
