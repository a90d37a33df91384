/** Answers that go out in pieces while they are written: `agents.*.blockStreaming*` and `humanDelay`. Source: behaviour §5.4. */
import { limits } from "../kernel/limits.ts";
import type { Config } from "./schema.ts";
import type { ResolvedAgent, ResolvedConfig } from "./resolved.ts";

export function resolveBlocks({
  blockStreamingDefault,
  blockStreamingBreak,
  blockStreamingChunk: chunk = {},
  blockStreamingCoalesce: joined = {},
}: Config["agents"]["defaults"]): ResolvedConfig["blocks"] {
  const charsMax = joined.maxChars ?? chunk.maxChars ?? limits.blockCharsMax;
  return {
    byDefault: blockStreamingDefault === "on",
    charsMin: Math.min(joined.minChars ?? chunk.minChars ?? limits.blockCharsMin, charsMax),
    charsMax,
    prefers: chunk.breakPreference ?? "paragraph",
    wholeTexts: blockStreamingBreak === "message_end",
    idleMs: joined.idleMs ?? limits.blockIdleMs,
  };
}

type HumanDelay = Config["agents"]["defaults"]["humanDelay"];

/** What the agent says of it replaces what all inherit, key by key. */
export function resolvePause(inherited: HumanDelay, own: HumanDelay): ResolvedAgent["blockPause"] {
  const { mode = "off", minMs, maxMs } = { ...inherited, ...own };
  if (mode === "off") return undefined;
  const isCustom = mode === "custom";
  const longest = (isCustom ? maxMs : undefined) ?? limits.blockPauseMsMax;
  return { minMs: Math.min((isCustom ? minMs : undefined) ?? limits.blockPauseMsMin, longest), maxMs: longest };
}
