import { describe, expect, it } from "vitest";
import {
  isThreadKey,
  mainSessionKey,
  parentSessionKey,
  resolveSessionReference,
  type SessionCaller,
  sessionChannel,
  sessionKind,
} from "../../../runtime/routing/session-reference.ts";

const caller: SessionCaller = {
  agentId: "raul",
  sessionKey: "agent:raul:slack:channel:c1",
  mainKey: "home",
  scope: "per-sender",
};

function keyOf(reference: string | undefined, from: SessionCaller = caller): string {
  const resolved = resolveSessionReference(reference, from);
  return resolved.status === "key" ? resolved.key : resolved.refusal.code;
}

describe("session references", () => {
  it.each([
    [undefined, "agent:raul:home"],
    ["", "agent:raul:home"],
    ["main", "agent:raul:home"],
    ["MAIN ", "agent:raul:home"],
    ["current", "agent:raul:slack:channel:c1"],
    ["agent:alex:main", "agent:alex:home"],
    ["agent:alex:home", "agent:alex:home"],
    ["agent:alex:main:thread:5", "agent:alex:home:thread:5"],
    ["Slack:Channel:C2", "agent:raul:slack:channel:c2"],
    ["node-phone", "agent:raul:node-phone"],
    ["global", "agent:raul:global"],
    ["agent:alex", "CLOISTER_REQUEST_INVALID"],
    ["agent:no such id:main", "CLOISTER_REQUEST_INVALID"],
  ])("%j means %s", (reference, key) => {
    expect(keyOf(reference)).toBe(key);
  });

  it("with one session per agent, main is the global session of the agent that is meant", () => {
    const global: SessionCaller = { ...caller, scope: "global" };
    expect([keyOf("main", global), keyOf("agent:alex:main", global)]).toEqual([
      "agent:raul:global",
      "agent:alex:global",
    ]);
    expect(mainSessionKey("raul", global)).toBe("agent:raul:global");
  });

  it("a malformed key tells what was found and what to do", () => {
    const resolved = resolveSessionReference("agent:alex", caller);
    expect(resolved).toMatchObject({
      status: "malformed",
      refusal: { message: expect.stringMatching(/found "agent:alex".*wanted agent:<agentId>.*sessions_list/) },
    });
  });
});

describe("what the session tools say of a key", () => {
  it.each([
    ["agent:a:home", "main", "unknown"],
    ["agent:a:global", "main", "unknown"],
    ["agent:a:home:thread:1", "other", "unknown"],
    ["agent:a:elsewhere", "other", "unknown"],
    ["agent:a:telegram:group:-1:topic:2", "group", "telegram"],
    ["agent:a:slack:channel:c:thread:1", "group", "slack"],
    ["agent:a:slack:direct:u", "other", "slack"],
    ["agent:a:direct:u", "other", "unknown"],
    ["agent:a:cron:j:run:1", "cron", "internal"],
    ["agent:a:hook:h", "hook", "internal"],
    ["agent:a:node-n", "node", "internal"],
    ["agent:a:subagent:s", "other", "unknown"],
    ["nonsense", "other", "unknown"],
  ])("%s is of kind %s, on channel %s", (key, kind, channel) => {
    expect([sessionKind(key, "home"), sessionChannel(key)]).toEqual([kind, channel]);
  });

  it("a main session is on the channel that it last spoke through", () => {
    expect(sessionChannel("agent:a:home", "slack")).toBe("slack");
    expect(sessionChannel("agent:a:cron:j", "slack")).toBe("internal");
  });

  it.each([
    ["agent:a:slack:channel:c:thread:1", "agent:a:slack:channel:c"],
    ["agent:a:telegram:group:-1:topic:2:thread:3", "agent:a:telegram:group:-1:topic:2"],
    ["agent:a:slack:direct:u:thread:1", "agent:a:slack:direct:u"],
    ["agent:a:main:thread:1", "agent:a:main"],
    ["agent:a:telegram:group:-1:topic:2", undefined],
    ["agent:a:subagent:x:thread:1", undefined],
    ["agent:a:main", undefined],
  ])("the parent of %s is %s", (key, parent) => {
    expect(parentSessionKey(key)).toBe(parent);
    expect(isThreadKey(key)).toBe(parent !== undefined);
  });
});
