/** `mediaMaxMb` of channels that carry files. What comes of it: `test/unit/channels/media.test.ts`. */
import { expect, test } from "vitest";
import type { BuiltChannel } from "../../../channels/built.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { loadText } from "./load-text.ts";

const channels: readonly (readonly [BuiltChannel, object])[] = [
  ["telegram", { botToken: "t" }],
  ["discord", { token: "t" }],
  ["slack", { botToken: "t", appToken: "a" }],
  ["whatsapp", {}],
];

test.each(channels)(
  "of %s is that of the account, else of the channel, and never more than one file may have",
  async (channel, login) => {
    const read = async (section: object) => {
      const { resolved } = await loadText(JSON.stringify({ channels: { [channel]: section } }));
      expect(resolved.notActive).toEqual([]);
      const accounts: Readonly<Record<string, { readonly mediaBytesMax?: number }>> = resolved.channels[channel] ?? {};
      return Object.values(accounts).map(({ mediaBytesMax }) => mediaBytesMax);
    };
    const accounts = { a: { ...login, mediaMaxMb: 0.5 }, b: login };
    expect(await read({ mediaMaxMb: 8, accounts })).toEqual([524_288, 8_388_608]);
    expect(await read({ mediaMaxMb: 100, accounts: { b: login } })).toEqual([limits.channelMediaBytesMax]);
    expect(await read({ accounts: { b: login } })).toEqual([undefined]);
    for (const mediaMaxMb of [0, -1, 101, "8"])
      await expect(read({ mediaMaxMb })).rejects.toMatchObject({ code: "CLOISTER_CONFIG_INVALID" });
  },
);
