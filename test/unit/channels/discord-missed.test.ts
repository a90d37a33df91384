/** What was missed on Discord, on its way from Discord to agents. */
import type { APIMessage } from "discord-api-types/v10";
import { expect, test } from "vitest";
import type { HeardBook } from "../../../channels/discord/heard.ts";
import { makeMissed } from "../../../channels/discord/missed.ts";
import { settle } from "../../support/virtual-clock.ts";

const idOf = (chat: string, n: number): string => `${chat}${n}`;

test("an agent that has no room holds up what was missed of its own chat alone, and one request is made at a time", async () => {
  const chats = ["500", "600", "700"];
  let underWay = 0;
  let most = 0;
  const rest = {
    async get(route: string): Promise<unknown> {
      most = Math.max(most, ++underWay);
      await settle();
      underWay--;
      const chat = /channels\/(\d+)/.exec(route)?.[1] ?? "";
      return [1, 2].map((n): Partial<APIMessage> => ({ id: idOf(chat, n), channel_id: chat }));
    },
  };
  const room = Promise.withResolvers<void>();
  const taken: string[] = [];
  const letGo: string[] = [];
  const missed = makeMissed({
    rest,
    book: {
      places: () => chats.map((id) => ({ id, isDirect: true })),
      upTo: (id: string) => `${id}0`,
      letGo: (id: string) => void letGo.push(id),
    } as unknown as HeardBook,
    host: { log: () => undefined, nowMs: () => 0, pause: async () => undefined },
    async handOn({ id, channel_id: chat }) {
      if (chat === "500") await room.promise;
      taken.push(id);
    },
    signal: new AbortController().signal,
  });
  missed.loggedIn();
  const [full, second, third] = chats.map((chat) => missed.of(chat));
  expect([...((await second) ?? [])]).toEqual([idOf("600", 1), idOf("600", 2)]);
  expect([...((await third) ?? [])]).toEqual([idOf("700", 1), idOf("700", 2)]);
  expect([most, taken.some((id) => id.startsWith("500")), letGo]).toEqual([1, false, ["600", "700"]]);
  room.resolve();
  expect([...((await full) ?? [])]).toEqual([idOf("500", 1), idOf("500", 2)]);
  expect(taken.slice(-2)).toEqual([idOf("500", 1), idOf("500", 2)]);
});
