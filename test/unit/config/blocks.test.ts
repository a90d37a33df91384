/** What a file says about answers that go out in pieces. */
import { describe, expect, it } from "vitest";
import { loadText } from "./load-text.ts";

const blocksOf = async (defaults: object) => (await loadText({ agents: { defaults } })).resolved.blocks;

describe("blockStreaming", () => {
  it.each<[object, object]>([
    [{}, { byDefault: false, wholeTexts: false, charsMin: 800, charsMax: 1_200, idleMs: 1_000, prefers: "paragraph" }],
    [
      { blockStreamingDefault: "on", blockStreamingBreak: "message_end" },
      { byDefault: true, wholeTexts: true },
    ],
    [
      { blockStreamingChunk: { minChars: 10, maxChars: 300, breakPreference: "sentence" } },
      { charsMin: 10, charsMax: 300, prefers: "sentence" },
    ],
    [
      {
        blockStreamingChunk: { minChars: 10, maxChars: 300 },
        blockStreamingCoalesce: { minChars: 20, maxChars: 400, idleMs: 0 },
      },
      { charsMin: 20, charsMax: 400, idleMs: 0 },
    ],
    [{ blockStreamingChunk: { maxChars: 300 } }, { charsMin: 300, charsMax: 300 }],
  ])("%j is %j", async (written, resolved) => {
    expect(await blocksOf(written)).toMatchObject(resolved);
  });

  it.each([
    [{ blockStreamingDefault: "yes" }, "agents.defaults.blockStreamingDefault"],
    [{ blockStreamingBreak: "word" }, "agents.defaults.blockStreamingBreak"],
    [{ blockStreamingChunk: { minChars: 900, maxChars: 300 } }, "agents.defaults.blockStreamingChunk.minChars"],
    [{ blockStreamingCoalesce: { idleMs: -1 } }, "agents.defaults.blockStreamingCoalesce.idleMs"],
    [{ humanDelay: { mode: "custom", minMs: 900, maxMs: 300 } }, "agents.defaults.humanDelay.minMs"],
  ])("%j is refused by its key", async (written, path) => {
    await expect(blocksOf(written)).rejects.toThrow(path);
  });

  it("is said by accounts, before their channel", async () => {
    const telegram = {
      botToken: "1:A",
      blockStreaming: true,
      accounts: { one: {}, two: { botToken: "2:A", blockStreaming: false } },
    };
    const { resolved } = await loadText({ channels: { telegram } });
    expect(resolved.channels.telegram?.["one"]?.inBlocks).toBe(true);
    expect(resolved.channels.telegram?.["two"]?.inBlocks).toBe(false);
  });
});

it("humanDelay is an agent's own, key by key, before what all inherit", async () => {
  const agents = {
    defaults: { humanDelay: { mode: "custom", minMs: 100, maxMs: 200 } },
    list: [
      { id: "a" },
      { id: "b", humanDelay: { mode: "natural" } },
      { id: "c", humanDelay: { minMs: 150 } },
      { id: "d", humanDelay: { mode: "off" } },
    ],
  };
  const { resolved } = await loadText({ agents });
  expect(resolved.agents.map(({ blockPause }) => blockPause)).toEqual([
    { minMs: 100, maxMs: 200 },
    { minMs: 800, maxMs: 2_500 },
    { minMs: 150, maxMs: 200 },
    undefined,
  ]);
});
