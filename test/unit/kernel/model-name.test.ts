import { expect, it } from "vitest";
import { partsOfModel, wholeModelName } from "../../../runtime/kernel/model-name.ts";

it.each([
  ["anthropic/claude", "anthropic", "claude"],
  ["openrouter/meta/llama", "openrouter", "meta/llama"],
  ["claude", "", "claude"],
  ["/claude", "", "claude"],
  ["anthropic/", "anthropic", ""],
])("%s", (name, provider, id) => {
  expect(partsOfModel(name)).toEqual({ provider, id });
});

it.each([
  ["opus", "a/opus-4"],
  [" OPUS@work ", "a/opus-4@work"],
  ["opus/x", "opus/x"],
  ["a/opus", "a/opus"],
  ["@opus", "@opus"],
  ["toString", "toString"],
  ["", ""],
])("%j is the whole name %j", (asked, whole) => {
  expect(wholeModelName({ haiku: "a/haiku-4", Opus: "a/opus-4" }, asked)).toBe(whole);
});
