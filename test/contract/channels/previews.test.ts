/** An answer that Telegram shows while the model writes it: real kernel, cell and channel; the model answers when the test says so. */
import type { PreviewMode } from "../../../channels/port.ts";
import { expect, onTestFinished, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const token = "1:A";

async function open(preview: PreviewMode) {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m" }], {
    channels: {
      telegram: { default: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000, preview } },
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
  return { api, model, gateway, changes, has };
}

test("an answer grows in one message, which is the answer in the end; what follows it is another one", async () => {
  const { api, model, gateway, changes, has } = await open("partial");
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

test("its progress is one message that names the tools which are called, and is the answer in the end", async () => {
  const { api, model, gateway, has, changes } = await open("progress");
  api.push(token, { message: makeMessage({ text: "tell me", message_id: 5 }) });
  await has("sendMessage Working …");
  model.answer({ text: "Let me look.", toolCalls: [{ id: "c1", name: "session_status", input: {} }] });
  // The model is asked again, and writes as it is read.
  await has("editMessageText Working: session_status …");
  model.answer("All of it.");
  await has("editMessageText All of it.");
  expect(changes()).toHaveLength(3);
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});
