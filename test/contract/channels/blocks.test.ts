/** An answer that goes to Telegram in pieces while the model writes it: real kernel, cells and channel, over a restart in its middle. */
import { expect, onTestFinished, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

const token = "1:A";
const one = "The first paragraph of it.";
const two = "The second paragraph of it.";

async function openWorld() {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m" }], {
    channels: {
      telegram: {
        default: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000, preview: "partial", inBlocks: true },
      },
    },
    blocks: { byDefault: false, charsMin: 10, charsMax: 200, prefers: "paragraph", wholeTexts: false, idleMs: 20 },
    groups: groupsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
  });
  /** What people see, and to which message of theirs it is a reply. */
  const said = () =>
    api.calls
      .filter(({ method }) => ["sendMessage", "editMessageText", "deleteMessage"].includes(method))
      .map(({ method, params }) => `${method} ${String(params["text"])}`);
  const has = (line: string) => api.until(() => said().includes(line));
  const push = (text: string) => api.push(token, { message: makeMessage({ text, message_id: 5 }) });
  return { api, config, said, has, push };
}

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
