/** Aliases of models from the file of the configuration and a chat to the provider, with the real program: who is asked is seen where the questions arrive. */
import { expect, test } from "vitest";
import { openToAll, type PlatformName } from "../support/chats.ts";
import { eventually } from "../support/eventually.ts";
import { answerWire, openWireServer } from "../support/model-servers.ts";
import { openOnePerson } from "../support/one-person.ts";
import { makeStateDir, startProgram } from "../support/program.ts";

const names: readonly PlatformName[] = ["Telegram, long polling", "IRC"];

test("the model that an alias names is asked: an agent's, the one of /model in a chat, and a fallback", async () => {
  const gone = new Set<unknown>();
  const api = "openai-completions";
  const server = await openWireServer(api, ({ body: { model } }, _count, response) =>
    answerWire(
      api,
      gone.has(model)
        ? { type: "refuse", status: 404, body: { error: { message: "no such model" } } }
        : { type: "say", said: { pieces: [`I am ${String(model)}.`] } },
      response,
    ),
  );
  const scenes = await Promise.all(names.map(openOnePerson));
  const models = { "local/m-1": { alias: "usual" }, "local/m-2": { alias: "Big" }, "local/m-3": { alias: "spare" } };
  const program = await startProgram(
    makeStateDir({
      gateway: { auth: { mode: "none" } },
      commands: { ownerAllowFrom: scenes.map(({ channel, peerOf }) => `${channel}:${peerOf(0)}`) },
      models: { providers: { local: { api, baseUrl: server.baseUrl, apiKey: "key" } } },
      agents: {
        defaults: { models },
        list: scenes.map(({ channel }) => ({ id: channel, model: { primary: "usual", fallbacks: ["SPARE"] } })),
      },
      channels: Object.fromEntries(scenes.map(({ channel, section }) => [channel, { ...section, ...openToAll }])),
      bindings: scenes.map(({ channel }) => ({ agentId: channel, match: { channel } })),
    }),
  );
  for (const { heard, name, say } of scenes) {
    const before = server.received.length;
    const ask = async (text: string, answer: string): Promise<void> => {
      const count = heard.length;
      await say(text);
      await eventually(() => expect([name, heard.slice(count)]).toEqual([name, [answer]]));
    };
    await ask("who are you?", "I am m-1.");
    const lines = [
      "Model: local/m-1, as configured.",
      "Aliases: usual (local/m-1), Big (local/m-2), spare (local/m-3).",
    ];
    const count = heard.length;
    await say("/model");
    // A line is a message of its own where the platform has no longer ones.
    await eventually(() => expect([name, heard.slice(count).join("\n")]).toEqual([name, lines.join("\n")]));
    await ask("/model bIG", "Model: local/m-2 in this session; configured is local/m-1. /model default takes it back.");
    await ask("and now?", "I am m-2.");
    await ask("/model default", "Model: local/m-1, as configured.");
    gone.add("m-1");
    await ask("and now?", "I am m-3.");
    gone.clear();
    expect(server.received.slice(before).map(({ body }) => body["model"])).toEqual(["m-1", "m-2", "m-1", "m-3"]);
  }
  expect(await program.stop()).toBe(0);
  for (const { name, violations } of scenes) expect([name, violations]).toEqual([name, []]);
});
