import { describe, expect, it } from "vitest";
import { judgeSending, type SendFacts, type SendPolicy } from "../../../auth/send-policy.ts";

const policy: SendPolicy = {
  default: "allow",
  rules: [
    { action: "allow", match: { keyPrefix: "telegram:group:" } },
    { action: "deny", match: { channel: "Telegram", chatType: "group" } },
    { action: "deny", match: { rawKeyPrefix: "agent:raul:" } },
    { action: "allow", match: { rawKeyPrefix: "agent:raul:main" } },
  ],
};
const group: SendFacts = { sessionKey: "agent:main:telegram:group:-1", channel: "telegram", chatType: "group" };

describe("session.sendPolicy", () => {
  it.each<[string, SendFacts, string, string]>([
    ["a denial wins over an allowance before it", group, "deny", "session.sendPolicy.rules[1]"],
    ["all of a match must hold", { ...group, chatType: "channel" }, "allow", "session.sendPolicy.rules[0]"],
    ["and over one behind it", { sessionKey: "agent:raul:main" }, "deny", "session.sendPolicy.rules[2]"],
    [
      "a session of no channel is in no rule by channel",
      { sessionKey: "agent:main:x" },
      "allow",
      "session.sendPolicy.default",
    ],
    ["what was chosen for the session wins", { ...group, chosen: "allow" }, "allow", "/send in the session"],
    ["also against an allowance", { sessionKey: "agent:main:x", chosen: "deny" }, "deny", "/send in the session"],
  ])("%s", (_name, facts, action, by) => {
    expect(judgeSending(policy, facts)).toEqual({ action, by });
  });

  it("denies everything that no rule allows by a default of deny", () => {
    const closed: SendPolicy = { default: "deny", rules: [{ action: "allow", match: { chatType: "direct" } }] };
    expect(judgeSending(closed, group).action).toBe("deny");
    expect(judgeSending(closed, { ...group, chatType: "direct" }).action).toBe("allow");
  });
});
