/** An answer that Telegram shows while the model writes it: real kernel, cell and channel; the model answers when the test says so. */
import { expect, onTestFinished, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const token = "1:A";

test("an answer grows in one message, which is the answer in the end; what follows it is another one", async () => {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m" }], {
    channels: {
      telegram: { default: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000, preview: "partial" } },
    },
    groups: groupsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
  });
  const model = makeTellingModel("The first half");
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  const changes = () =>
    api.calls
      .filter(({ method }) => ["sendMessage", "editMessageText", "deleteMessage"].includes(method))
      .map(({ method, params }) => `${method} ${String(params["text"])}`);
  const has = (line: string) => api.until(() => changes().includes(line));

  api.push(token, { message: makeMessage({ text: "tell me", message_id: 5 }) });
  await has("sendMessage The first half …");
  model.tell(" and the second");
  await has("editMessageText The first half and the second …");
  model.answer("The first half and the second half.");
  await has("editMessageText The first half and the second half.");
  expect(changes()).toHaveLength(3);

  api.push(token, { message: makeMessage({ text: "and now?", message_id: 6 }) });
  await api.until(() => changes().length === 4);
  model.answer("NO_REPLY");
  await api.until(() => changes().length === 5);
  expect(changes().slice(3)).toEqual(["sendMessage The first half …", "deleteMessage undefined"]);
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});
