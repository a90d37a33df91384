import { expect, it } from "vitest";
import { partsOfModel } from "../../../runtime/kernel/model-name.ts";

it.each([
  ["anthropic/claude", "anthropic", "claude"],
  ["openrouter/meta/llama", "openrouter", "meta/llama"],
  ["claude", "", "claude"],
  ["/claude", "", "claude"],
  ["anthropic/", "anthropic", ""],
])("%s", (name, provider, id) => {
  expect(partsOfModel(name)).toEqual({ provider, id });
});
