/** What agents call the tools of MCP servers, and what they are told of a result. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { nameTools } from "../../../runtime/mcp/names.ts";
import { resultOf } from "../../../runtime/mcp/results.ts";

test("names are in the form that every provider takes, and no two are alike", () => {
  expect(nameTools("notes", ["add", "create.Issue", "créer"])).toEqual([
    "mcp__notes__add",
    "mcp__notes__create_Issue",
    "mcp__notes__cr_er",
  ]);
  const [first, second, third] = nameTools("notes", ["a.b", "a/b", "A_B"]);
  for (const name of [first, second, third]) expect(name).toMatch(/^mcp__notes__[aA]_[bB]_[0-9a-f]{8}$/);
  const longest = "s".repeat(limits.mcpServerNameCharsMax);
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 200 }), { maxLength: 30 }), (tools) => {
      const names = nameTools(longest, tools);
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(tools.length);
      for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    }),
  );
});

test("a tool keeps its name whatever others the server has, unless they would be alike", () => {
  expect(nameTools("notes", ["x", "add"])[1]).toBe(nameTools("notes", ["add", "y"])[0]);
});

test("a result is text; what is none is named; what a tool calls a failure is one", () => {
  expect(
    resultOf({
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    }),
  ).toEqual({
    status: "ok",
    text: "a\n\nb",
  });
  expect(resultOf({ content: [], structuredContent: { pages: 42 } })).toEqual({ status: "ok", text: '{"pages":42}' });
  expect(resultOf({ content: [{ type: "image", data: "AAAA", mimeType: "image/png" }] })).toEqual({
    status: "ok",
    text: "[image: image/png, 3 bytes, not shown]",
  });
  expect(
    resultOf({
      content: [
        { type: "resource", resource: { uri: "file:///a", text: "inside" } },
        { type: "resource", resource: { uri: "file:///b", blob: "AAAA" } },
        { type: "resource_link", uri: "file:///c", name: "c" },
      ],
    }),
  ).toEqual({
    status: "ok",
    text: "inside\n\n[resource file:///b: unknown type, 3 bytes, not shown]\n\n[resource file:///c c]",
  });
  expect(resultOf({ content: [{ type: "text", text: "no paper" }], isError: true })).toEqual({
    status: "error",
    code: "tool_error",
    error: "no paper",
  });
});

test("a result beyond its bound is cut, and says by how much", () => {
  const text = "x".repeat(limits.mcpResultCharsMax + 5);
  expect(resultOf({ content: [{ type: "text", text }] })).toEqual({
    status: "ok",
    text: text.slice(5),
    cut: "5 characters are left out",
  });
});
