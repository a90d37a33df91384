/** An answer that goes to Telegram in pieces while the model writes it: real kernel, cells and channel, over a restart in its middle. */
import { expect, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { openGateway } from "../../support/gateway.ts";
import { openTelegramTalk } from "../../support/telegram-talk.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const one = "The first paragraph of it.";
const two = "The second paragraph of it.";

const openWorld = () => openTelegramTalk({}, { preview: "partial", inBlocks: true });

test("pieces go as they are written, nothing is edited, and the last message is what was not said", async () => {
  const { config, said, has, push } = await openWorld();
  const model = makeTellingModel(`${one}\n\n`);
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  push("tell me");
  await has(`sendMessage ${one}`);
  model.tell(two);
  model.answer(`${one}\n\n${two}`);
  await has(`sendMessage ${two}`);
  expect(said()).toHaveLength(2);
  const { rows } = await gateway.store.history("main", "agent:main:main", 10, 0);
  expect(rows.map(({ text }) => text)).toEqual(["tell me", `${one}\n\n${two}`]);
  await gateway.drain(1_000);
});

test("a gateway that ends in the middle of an answer says nothing twice when it goes on", async () => {
  const { config, said, has, push } = await openWorld();
  const start = { config, startChannel: startChannelThread };
  const before = await openGateway([], {}, { ...start, startBroker: makeTellingModel(`${one}\n\n`).startBroker });
  push("tell me");
  await has(`sendMessage ${one}`);
  await before.drain(0);
  const model = makeTellingModel(`${one}\n\n`);
  const after = await openGateway([], {}, { ...start, store: before.store, startBroker: model.startBroker });
  model.answer(`${one}\n\n${two}`);
  await has(`sendMessage ${two}`);
  expect(said()).toEqual([`sendMessage ${one}`, `sendMessage ${two}`]);
  await after.drain(1_000);
});
