/** What is wrong with a reference to a secret is said of the reference, and nothing of it is quoted. */
import { expect, it } from "vitest";
import { loadText } from "./load-text.ts";

it.each<[string, object, RegExp]>([
  ["no id", { source: "env" }, /gateway\.auth\.token\.id: is missing; must be a text/],
  [
    "no such source",
    { source: "vault-canary", id: "X" },
    /gateway\.auth\.token\.source: must be one of "env", "file", "exec", "store"/,
  ],
  [
    "a key that it does not have",
    { source: "env", id: "X", name: "canary" },
    /gateway\.auth\.token\.name: is not a known key/,
  ],
  ["an empty id", { source: "env", id: "" }, /gateway\.auth\.token\.id: must /],
])("%s", async (_what, token, wanted) => {
  const refused = loadText({ gateway: { auth: { token } } });
  await expect(refused).rejects.toThrow(wanted);
  await expect(refused).rejects.not.toThrow(/canary|found an object/);
});

it("what is neither is told as before", async () => {
  await expect(loadText({ gateway: { auth: { token: 7 } } })).rejects.toThrow(/must be a string or a reference/);
  await expect(loadText({ agents: { defaults: { model: { primry: "p/m" } } } })).rejects.toThrow(/model\.primry/);
});
