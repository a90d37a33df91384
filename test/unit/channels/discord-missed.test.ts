/** What was missed on Discord, on its way from Discord to agents. */
import type { APIMessage } from "discord-api-types/v10";
import { expect, test } from "vitest";
import type { HeardBook } from "../../../channels/discord/heard.ts";
import { makeMissed } from "../../../channels/discord/missed.ts";
import { settle } from "../../support/virtual-clock.ts";

const idOf = (chat: string, n: number): string => `${chat}${n}`;

/** Two messages were missed in each chat; the agent of the first one has no room before it is given some. */
function openScene(chats: readonly string[]) {
  const asked: string[] = [];
  let underWay = 0;
  let most = 0;
  const rest = {
    async get(route: string, { query }: { readonly query?: URLSearchParams } = {}): Promise<unknown> {
      most = Math.max(most, ++underWay);
      await settle();
      underWay--;
      const chat = /channels\/(\d+)/.exec(route)?.[1] ?? "";
      asked.push(chat);
      const after = BigInt(query?.get("after") ?? "0");
      return [1, 2]
        .map((n): Partial<APIMessage> => ({ id: idOf(chat, n), channel_id: chat }))
        .filter(({ id = "0" }) => BigInt(id) > after);
    },
  };
  const room = Promise.withResolvers<void>();
  const taken: string[] = [];
  const letGo: string[] = [];
  const missed = makeMissed({
    rest,
    book: {
      places: () => chats.map((id) => ({ id, isDirect: true })),
      upTo: (chat: string) => taken.findLast((id) => id.startsWith(chat)) ?? idOf(chat, 0),
      letGo: (id: string) => void letGo.push(id),
    } as unknown as HeardBook,
    host: { log: () => undefined, nowMs: () => 0, pause: async () => undefined },
    async handOn({ id, channel_id: chat }) {
      if (chat === chats[0]) await room.promise;
      taken.push(id);
    },
    signal: new AbortController().signal,
  });
  return { missed, room, taken, letGo, asked, mostRequests: () => most };
}

test("an agent that has no room holds up what was missed of its own chat alone, and one request is made at a time", async () => {
  const chats = ["500", "600", "700"];
  const { missed, room, taken, letGo, mostRequests } = openScene(chats);
  missed.loggedIn();
  const [full, second, third] = chats.map((chat) => missed.of(chat));
  expect([...((await second) ?? [])]).toEqual([idOf("600", 1), idOf("600", 2)]);
  expect([...((await third) ?? [])]).toEqual([idOf("700", 1), idOf("700", 2)]);
  expect([mostRequests(), taken.some((id) => id.startsWith("500")), letGo]).toEqual([1, false, ["600", "700"]]);
  room.resolve();
  expect([...((await full) ?? [])]).toEqual([idOf("500", 1), idOf("500", 2)]);
  expect(taken.slice(-2)).toEqual([idOf("500", 1), idOf("500", 2)]);
});

test("what waits for its agent is not fetched again by other logins, which look once more behind it", async () => {
  const { missed, room, taken, asked } = openScene(["500", "600"]);
  missed.loggedIn();
  await missed.of("600");
  for (let login = 0; login < 3; login++) missed.loggedIn();
  await missed.of("600");
  expect(asked).toEqual(["500", "600", "600"]);
  const again = missed.of("500");
  room.resolve();
  expect([...((await again) ?? ["undefined"])]).toEqual([]);
  expect(taken.filter((id) => id.startsWith("500"))).toEqual([idOf("500", 1), idOf("500", 2)]);
  expect(asked).toEqual(["500", "600", "600", "500"]);
});
