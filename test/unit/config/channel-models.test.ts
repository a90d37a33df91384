/** What a file says about models of conversations. */
import { expect, it } from "vitest";
import { allowedModels } from "../../../runtime/broker/allowed-models.ts";
import { modelSettingsOf } from "../../../runtime/supervisor/model-settings.ts";
import { loadText } from "./load-text.ts";

const models = { providers: { p: { api: "openai-completions", baseUrl: "http://127.0.0.1:1/v1" } } };

it("channels.modelByChannel is kept in compared form, is allowed with the agent's fallbacks, and is not told as not active", async () => {
  const { resolved } = await loadText({
    models,
    agents: { defaults: { model: { primary: "p/usual", fallbacks: ["p/spare"] } } },
    channels: { modelByChannel: { Telegram: { "tg:-1": " p/room ", "*": "p/rest" }, slack: { C1: "p/usual" } } },
  });
  expect(resolved.channelModels).toEqual({ telegram: { "-1": "p/room", "*": "p/rest" }, slack: { c1: "p/usual" } });
  expect([resolved.notActive, resolved.warnings]).toEqual([[], []]);
  const settings = modelSettingsOf(resolved);
  expect(allowedModels(settings, "main", "p/room")).toEqual(["p/room", "p/spare"]);
  expect(allowedModels(settings, "main", "p/usual")).toEqual(["p/usual"]);
  expect(() => allowedModels(settings, "main", "p/other")).toThrow("may not use the model");
});

it("a model there that no provider has is told", async () => {
  const { resolved } = await loadText({ models, channels: { modelByChannel: { slack: { C1: "nowhere/m" } } } });
  expect(resolved.warnings).toMatchObject([{ path: "channels.modelByChannel.slack.C1" }]);
});
