/** The guide on channels shows the channel that the contract suite runs, file by file. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const guide = await readFile("docs/guides/write-a-channel.md", "utf8");

/** By the name above it: each block of code. */
const shown = new Map(
  [...guide.matchAll(/^`([\w/.-]+\.(?:ts|json))`[^\n]*\n\n```(?:ts|json)\n(.*?)^```$/gms)].map(
    ([, name = "", code = ""]) => [name, code],
  ),
);

const channel = ["lines/inbound.ts", "lines/outbound.ts", "lines/index.ts"];
const files = ["lines/channel.json", ...channel, "lines/rig.ts", "lines/lines.test.ts"];

test("the guide shows these files", () => {
  expect([...shown.keys()]).toEqual(files);
});

test.each(files)("%s is in the guide as it is", async (name) => {
  expect(shown.get(name)).toBe(await readFile(`examples/${name}`, "utf8"));
});

test("A15.1: the channel has at most 150 lines of TypeScript", async () => {
  const texts = await Promise.all(channel.map((name) => readFile(`examples/${name}`, "utf8")));
  expect(texts.join("").split("\n").length - 1).toBeLessThanOrEqual(150);
});
