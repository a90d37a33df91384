/** `channels.modelByChannel` on Telegram: real kernel, cell and channel; the model is the test's. */
import { expect, onTestFinished, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

test("a conversation is answered by the model that is written for it, and says so, until another one is chosen", async () => {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot("1:A", "main_bot");
  const person = makeMessage({ text: "", message_id: 1 }).chat.id;
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m" }], {
    channels: { telegram: { default: { botToken: "1:A", apiRoot: api.root, textChunkLimit: 4000 } } },
    channelModels: { telegram: { [String(person)]: "fake/here" } },
    groups: groupsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
  });
  const model = makeTellingModel();
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  const said = () =>
    api.calls.filter(({ method }) => method === "sendMessage").map(({ params }) => String(params["text"]));
  let id = 10;
  const ask = async (text: string, answer: string | RegExp) => {
    api.push("1:A", { message: makeMessage({ text, message_id: id++ }) });
    await api.until(() => said().some((line) => line.match(answer) !== null));
  };
  model.answer("one");
  await ask("tell me", /^one$/);
  await ask("/status", /^Model: fake\/here, thinking/m);
  await ask("/model", /^Model: fake\/here, as configured for this conversation; the agent's is fake\/m\.$/);
  await gateway.store.setChoices("agent:main:main", "main", { model: "fake/chosen" }, Date.now());
  model.answer("two");
  await ask("tell me", /^two$/);
  expect(model.asked).toEqual(["fake/here", "fake/chosen"]);
  await gateway.drain(1_000);
});
