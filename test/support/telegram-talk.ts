/** One person who writes to the assistant of a gateway on Telegram: its configuration, and what came of it there. */
import { onTestFinished } from "vitest";
import type { AccountSettings } from "../../channels/port.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { makeMessage, openBotApi } from "./bot-api.ts";
import { groupsOf, makeConfig, type TestAgent } from "./gateway.ts";

const token = "1:A";

export const blocksOfTalk: ResolvedConfig["blocks"] = {
  byDefault: false,
  charsMin: 10,
  charsMax: 200,
  prefers: "paragraph",
  wholeTexts: false,
  idleMs: 20,
};

export async function openTelegramTalk(
  agent: Partial<TestAgent>,
  account: Partial<AccountSettings>,
  changes: Partial<ResolvedConfig> = {},
) {
  const api = await openBotApi();
  onTestFinished(() => api.close());
  api.addBot(token, "main_bot");
  const config = makeConfig([{ id: "main", module: "assistant", model: "fake/m", ...agent }], {
    channels: { telegram: { default: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000, ...account } } },
    blocks: blocksOfTalk,
    groups: groupsOf({ channels: { telegram: { dmPolicy: "open", allowFrom: ["*"] } } }),
    bindings: [{ index: 0, agentId: "main", match: { channel: "telegram" } }],
    ...changes,
  });
  /** What people see, in order. */
  const said = () =>
    api.calls
      .filter(({ method }) => ["sendMessage", "editMessageText", "deleteMessage"].includes(method))
      .map(({ method, params }) => `${method} ${String(params["text"])}`);
  const has = (line: string) => api.until(() => said().includes(line));
  const push = (text: string) => api.push(token, { message: makeMessage({ text, message_id: 5 }) });
  return { config, said, has, push };
}
