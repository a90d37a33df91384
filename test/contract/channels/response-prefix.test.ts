/** What answers on Telegram begin with, however they leave: real kernel, cell and channel; the model answers when the test says so. */
import { expect, onTestFinished, test } from "vitest";
import type { AccountSettings } from "../../../channels/port.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const token = "1:A";
const one = "The first paragraph of it.";
const two = "The second paragraph of it.";

async function open(settings: Partial<AccountSettings>) {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  const config = makeConfig(
    [{ id: "main", module: "assistant", model: "fake/m", groupChat: { identity: { name: "Ada" } } }],
    {
      channels: { telegram: { default: { botToken: token, apiRoot: api.root, textChunkLimit: 100, ...settings } } },
      responsePrefixes: { usual: "Bot:", byChannel: { telegram: { usual: "auto", byAccount: {} } } },
      blocks: { byDefault: false, charsMin: 10, charsMax: 90, prefers: "paragraph", wholeTexts: false, idleMs: 20 },
      groups: groupsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }),
      bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
    },
  );
  const model = makeTellingModel(`${one}\n\n`);
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  const said = () =>
    api.calls
      .filter(({ method }) => ["sendMessage", "editMessageText", "deleteMessage"].includes(method))
      .map(({ method, params }) => `${method} ${String(params["text"])}`);
  const has = (line: string) => api.until(() => said().includes(line));
  const push = (text: string) => api.push(token, { message: makeMessage({ text, message_id: 5 }) });
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
