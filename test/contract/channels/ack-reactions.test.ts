/** `messages.ackReaction` on Telegram: real kernel, cell and channel; the model answers when the test says so. */
import { expect, onTestFinished, test } from "vitest";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { makeMessage, openBotApi } from "../../support/bot-api.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { makeTellingModel } from "../../support/telling-model.ts";

async function open(removed: boolean) {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot("1:A", "main_bot");
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m" }], {
    channels: { telegram: { default: { botToken: "1:A", apiRoot: api.root, textChunkLimit: 4_000 } } },
    ackReactions: { removed, usual: { emoji: "👀", direct: true, rooms: "mentions" }, byChannel: {} },
    groups: groupsOf({
      channels: {
        telegram: {
          dmPolicy: "open",
          allowFrom: ["*"],
          groupPolicy: "open",
          groups: { "*": { requireMention: false } },
        },
      },
    }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
  });
  const model = makeTellingModel();
  const { startBroker } = model;
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread, startBroker });
  const done = () =>
    api.calls.flatMap(({ method, params }) => {
      if (method === "sendMessage") return [`says ${String(params["text"])}`];
      const [reaction] = (params["reaction"] as { emoji: string }[] | undefined) ?? [];
      return method === "setMessageReaction"
        ? [`reacts ${String(params["message_id"])} ${reaction?.emoji ?? "-"}`]
        : [];
    });
  const until = (isIt: (line: string) => boolean) => api.until(() => done().some(isIt));
  const has = (wanted: string) => until((line) => line === wanted);
  const push = (message: Parameters<typeof makeMessage>[0]) => api.push("1:A", { message: makeMessage(message) });
  return { model, gateway, done, has, until, push };
}

test("a message is acknowledged while its turn runs, a command is not, and it is taken back with the answer", async () => {
  const { model, gateway, done, has, until, push } = await open(true);
  push({ text: "/queue", message_id: 4 });
  await until((line) => line.startsWith("says Queue"));
  push({ text: "tell me", message_id: 5 });
  await has("reacts 5 👀");
  model.answer("one");
  await has("reacts 5 -");
  await has("says one");
  expect(done().filter((line) => line.startsWith("reacts"))).toEqual(["reacts 5 👀", "reacts 5 -"]);
  await gateway.drain(1_000);
});

test("of the messages of a group that an agent gets the mention is", async () => {
  const { model, gateway, done, has, push } = await open(false);
  const chat = { id: -7, type: "group", title: "g" } as const;
  push({ text: "among us", message_id: 6, chat });
  model.answer("one");
  await has("says one");
  const text = "@main_bot tell me";
  push({ text, message_id: 7, chat, entities: [{ type: "mention", offset: 0, length: 9 }] });
  await has("reacts 7 👀");
  model.answer("two");
  await has("says two");
  expect(done()).not.toContain("reacts 6 👀");
  await gateway.drain(1_000);
});
