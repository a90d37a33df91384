import { describe, expect, test } from "vitest";
import { failure } from "../../../../runtime/kernel/errors.ts";
import type { ReplyRoute } from "../../../../runtime/kernel/envelope.ts";
import { makeMessageTool, type MessageDeps } from "../../../../runtime/supervisor/tools/message.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";
import { sessionSettings } from "../../../support/session-settings.ts";

const here: ReplyRoute = {
  type: "channel",
  channel: "webhook",
  accountId: "biz",
  peerKind: "group",
  peerId: "team",
  threadId: "t1",
  inReplyTo: "m1",
};

function open(changes: Partial<MessageDeps> = {}) {
  const posted: { readonly id: string; readonly route: ReplyRoute; readonly text: string }[] = [];
  const told: unknown[] = [];
  const acted: unknown[] = [];
  const tool = makeMessageTool({
    config: { ownChannels: {}, channelDefaults: {}, accountsOn: {}, bindings: [], session: sessionSettings },
    store: { session: async () => undefined, chosenSending: async () => undefined },
    pairings: () => ({ find: () => undefined }),
    carriesAnswers: () => true,
    post: async ({ id }, route, text) => {
      posted.push({ id, route, text });
      return `p${posted.length}`;
    },
    channels: {
      act: async (_channel, _accountId, action) => {
        acted.push(action);
        return { status: "sent" };
      },
    },
    sent: (...said) => void told.push(said),
    note: () => undefined,
    nowMs: () => 0,
    ...changes,
  });
  const call = (params: object, key: number, replyRoute: ReplyRoute = here) => {
    const header = { id: "e1", agentId: "main", sessionKey: "agent:main:main", trace: "e1", replyRoute };
    return tool.run({ tool: "message", header, key, body: JSON.stringify(params) } as unknown as ToolCall);
  };
  return { posted, told, acted, call };
}

describe("a message that an agent sends", () => {
  test("has the key of its call, so that a turn that runs again sends it under the same one", async () => {
    const { posted, call } = open();
    await call({ text: "a" }, 4);
    await call({ text: "a" }, 4);
    await call({ text: "b" }, 5);
    expect(posted.map(({ id }) => id)).toEqual(["e1.4", "e1.4", "e1.5"]);
  });

  test("stays in its thread, answers no message, and may go to another thread of its conversation", async () => {
    const { posted, told, call } = open();
    expect(await call({ text: "a" }, 1)).toEqual({ status: "sent", to: "webhook:biz:group:team", messageId: "p1" });
    await call({ text: "b", threadId: "t2" }, 2);
    await call({ text: "c", to: "group:team", channel: "webhook" }, 3);
    expect(posted.map(({ route }) => route)).toMatchObject([
      { threadId: "t1" },
      { threadId: "t2" },
      { peerId: "team" },
    ]);
    for (const { route } of posted) expect(route).not.toHaveProperty("inReplyTo");
    // Whoever else is in the conversation hears of it.
    expect(told).toHaveLength(3);
  });

  test("does not leave a session whose answers do not, and the refusal says what denies it", async () => {
    const sendPolicy = { default: "allow", rules: [{ action: "deny", match: { chatType: "group" } }] } as const;
    const { posted, call } = open({
      config: {
        ownChannels: {},
        channelDefaults: {},
        accountsOn: {},
        bindings: [],
        session: { ...sessionSettings, sendPolicy },
      },
    });
    expect(await call({ text: "a" }, 1)).toMatchObject({
      status: "forbidden",
      error: expect.stringContaining("session.sendPolicy.rules[0]"),
    });
    expect(posted).toEqual([]);
  });

  test("has no button that decides about an approval: its label could say anything", async () => {
    const { posted, call } = open();
    for (const text of ["/approve x-1 allow-once", "  /APPROVE x-1 deny"])
      expect(await call({ text: "the weather?", buttons: [{ label: "Show it", text }] }, 1)).toMatchObject({
        status: "error",
        error: expect.stringContaining("no button of an agent says /approve"),
      });
    expect(await call({ text: "the weather?", buttons: [{ label: "Yes", text: "/approves" }] }, 1)).toMatchObject({
      status: "sent",
    });
    expect(posted).toHaveLength(1);
  });

  test("to another channel goes through the account that the agent is bound to, and needs the right to deliver there", async () => {
    const bindings = [{ index: 0, agentId: "main", match: { channel: "telegram", accountId: "alerts" } }];
    const config = {
      ownChannels: {},
      channelDefaults: { telegram: "home" },
      accountsOn: {},
      bindings,
      session: sessionSettings,
    };
    const asked: string[] = [];
    const find = (_from: string, verb: string, to: string) => {
      asked.push(`${verb} ${to}`);
      return to === "channel:telegram:alerts:direct:42" ? ({} as never) : undefined;
    };
    const { posted, call } = open({ config, pairings: () => ({ find }) });
    expect(await call({ text: "a", channel: "telegram", to: "42" }, 1)).toMatchObject({ status: "sent" });
    expect(posted[0]?.route).toMatchObject({ channel: "telegram", accountId: "alerts", peerId: "42" });
    expect(await call({ text: "a", channel: "telegram", accountId: "home", to: "42" }, 2)).toMatchObject({
      status: "forbidden",
    });
    expect(asked).toEqual(["deliver channel:telegram:alerts:direct:42", "deliver channel:telegram:home:direct:42"]);
  });

  test("that its channel does not take is told to the agent, and to nobody else", async () => {
    const refuse = () => Promise.reject(failure("CLOISTER_GATEWAY_UNREACHABLE", "the receiver answered 500"));
    const { told, call } = open({ post: refuse });
    expect(await call({ text: "a" }, 1)).toMatchObject({
      status: "error",
      code: "worker_unavailable",
      error: expect.stringContaining("the receiver answered 500"),
    });
    expect(told).toEqual([]);
  });

  test.each([
    ["an account", { accountId: "other" }],
    ["a person", { to: "direct:team" }],
    ["a channel", { channel: "telegram", to: "group:team" }],
  ])("to another one of %s needs a right, whatever else is the same", async (_what, place) => {
    const { posted, call } = open();
    expect(await call({ text: "a", ...place }, 1)).toMatchObject({ status: "forbidden" });
    expect(posted).toEqual([]);
  });
});

describe("files, buttons and changes of messages", () => {
  const chat: ReplyRoute = { ...here, channel: "telegram", peerKind: "direct", peerId: "42", inReplyTo: "m1" };

  test("files are named in lines of the text, which its channel takes apart, and a channel that carries none refuses them", async () => {
    const { posted, call } = open();
    await call({ text: "look", files: ["out/a b.png"] }, 1, chat);
    await call({ files: ["x.pdf"] }, 2, chat);
    expect(posted.map(({ text }) => text)).toEqual(["MEDIA: out/a b.png\nlook", "MEDIA: x.pdf"]);
    expect(await call({ text: "look", files: ["a.png"] }, 3)).toMatchObject({
      status: "error",
      error: expect.stringContaining("the channel webhook carries none"),
    });
    expect(await call({ files: ["a\nMEDIA: b"] }, 4, chat)).toMatchObject({ status: "error", code: "invalid" });
    // Buttons stand below a text, and below nothing else.
    const buttons = [{ label: "Yes", text: "/yes" }];
    expect(await call({ files: ["x.pdf"], buttons }, 5, chat)).toMatchObject({ status: "error", code: "invalid" });
    expect(posted).toHaveLength(2);
  });

  test("a reaction is to the message that is answered, unless another is named; an edit needs one", async () => {
    const { acted, posted, call } = open();
    const peer = { kind: "direct", id: "42" };
    expect(await call({ action: "react", emoji: "👍" }, 1, chat)).toMatchObject({ status: "done", messageId: "m1" });
    await call({ action: "edit", text: "better", messageId: "p1" }, 2, chat);
    await call({ action: "delete", messageId: "p1" }, 3, chat);
    expect(acted).toEqual([
      { agentId: "main", peer, threadId: "t1", messageId: "m1", change: { type: "react", emoji: "👍" } },
      { agentId: "main", peer, threadId: "t1", messageId: "p1", change: { type: "edit", text: "better" } },
      { agentId: "main", peer, threadId: "t1", messageId: "p1", change: { type: "remove" } },
    ]);
    for (const wrong of [{ action: "edit", text: "x" }, { action: "delete" }, { action: "react" }, { text: " " }])
      expect(await call(wrong, 4, chat)).toMatchObject({ status: "error", code: "invalid" });
    expect([acted.length, posted.length]).toEqual([3, 0]);
  });

  test("a change elsewhere needs the right to deliver there, as a message does", async () => {
    const { acted, call } = open();
    expect(await call({ action: "delete", messageId: "1", to: "group:other" }, 1, chat)).toMatchObject({
      status: "forbidden",
    });
    expect(acted).toEqual([]);
  });
});
