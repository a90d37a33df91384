/** The guide on channels shows the channel that the contract suite runs, file by file. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const guide = await readFile("docs/guides/write-a-channel.md", "utf8");

/** By the name above it: each block of code, as it stands in a folder below `channels/`. */
const shown = new Map(
  [...guide.matchAll(/^`([\w/.-]+\.ts)`[^\n]*\n\n```ts\n(.*?)^```$/gms)].map(([, name = "", code = ""]) => [
    name,
    code,
  ]),
);

const files = {
  "channels/lines/manifest.ts": "examples/lines/manifest.ts",
  "channels/lines/inbound.ts": "examples/lines/inbound.ts",
  "channels/lines/outbound.ts": "examples/lines/outbound.ts",
  "channels/lines/index.ts": "examples/lines/index.ts",
  "test/contract/channels/lines.test.ts": "test/contract/channels/lines.test.ts",
};

test("the guide shows these files", () => {
  expect([...shown.keys()]).toEqual(Object.keys(files));
});

test.each(Object.entries(files))("%s is in the guide as it is", async (name, file) => {
  const code = await readFile(file, "utf8");
  const moved = code
    .replaceAll('"../../channels/port.ts"', '"../port.ts"')
    .replaceAll("../../../examples/lines/", "../../../channels/lines/");
  expect(shown.get(name)).toBe(moved);
});
