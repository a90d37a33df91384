/** What a file says about what answers begin with. */
import { expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { loadText } from "./load-text.ts";

it("responsePrefix is kept for channels and their accounts beside the usual one, and nothing of it is told as not active", async () => {
  const { resolved } = await loadText({
    messages: { responsePrefix: "auto" },
    channels: {
      telegram: { responsePrefix: "Bot:", accounts: { One: { botToken: "1:A", responsePrefix: "" }, two: {} } },
      webhook: { accounts: { home: { token: "t".repeat(32) } } },
      irc: { enabled: false, responsePrefix: "off" },
    },
  });
  expect(resolved.responsePrefixes).toEqual({
    usual: "auto",
    byChannel: { telegram: { usual: "Bot:", byAccount: { one: "" } } },
  });
  expect(resolved.notActive).not.toContain("response prefix");
});

it("messages.responsePrefix has a bound", async () => {
  const messages = { responsePrefix: "x".repeat(limits.responsePrefixCharsMax + 1) };
  await expect(loadText({ messages })).rejects.toThrow("messages.responsePrefix");
});
