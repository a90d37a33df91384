/** What answers on Telegram begin with, however they leave: real kernel, cell and channel; the model answers when the test says so. */
import { expect, test } from "vitest";
import type { AccountSettings } from "../../../channels/port.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { openGateway } from "../../support/gateway.ts";
import { blocksOfTalk, openTelegramTalk } from "../../support/telegram-talk.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const one = "The first paragraph of it.";
const two = "The second paragraph of it.";

async function open(settings: Partial<AccountSettings>) {
  const { config, said, has, push } = await openTelegramTalk(
    { groupChat: { identity: { name: "Ada" } } },
    { textChunkLimit: 100, ...settings },
    {
      responsePrefixes: { usual: "Bot:", byChannel: { telegram: { usual: "auto", byAccount: {} } } },
      blocks: { ...blocksOfTalk, charsMax: 90 },
    },
  );
  const model = makeTellingModel(`${one}\n\n`);
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  const kept = async () => (await gateway.store.history("main", "agent:main:main", 10, 0)).rows.map(({ text }) => text);
  return { model, gateway, said, has, push, kept };
}

test("an answer of several messages begins once, and what is kept begins as it was written", async () => {
  const { model, gateway, said, has, push, kept } = await open({});
  const text = `${"long ".repeat(15)}\n\n${two}`;
  push("tell me");
  model.answer(text);
  await has(`sendMessage ${two}`);
  expect(said()[0]).toMatch(/^sendMessage \[Ada\] long/);
  expect(said()).toHaveLength(2);
  expect(await kept()).toEqual(["tell me", text]);
  await gateway.drain(1_000);
});

test("an answer that is shown while it is written begins so all the time", async () => {
  const { model, gateway, said, has, push } = await open({ preview: "partial" });
  push("tell me");
  await has(`sendMessage [Ada] ${one} …`);
  model.answer(`${one} That is all.`);
  await has(`editMessageText [Ada] ${one} That is all.`);
  expect(said()).toHaveLength(2);
  await gateway.drain(1_000);
});

test("of an answer in pieces the first one begins so", async () => {
  const { model, gateway, said, has, push, kept } = await open({ inBlocks: true });
  push("tell me");
  await has(`sendMessage [Ada] ${one}`);
  model.tell(two);
  model.answer(`${one}\n\n${two}`);
  await has(`sendMessage ${two}`);
  expect(said()).toHaveLength(2);
  expect(await kept()).toEqual(["tell me", `${one}\n\n${two}`]);
  await gateway.drain(1_000);
});
