/** What waits for an operator, told to owners in their chats and decided there. */
import { beforeEach, describe, expect, test } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import type { RpcResult } from "../../../runtime/edge/port.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeApprovalNotices } from "../../../runtime/supervisor/approval-notices.ts";
import { makeApproveCommand } from "../../../runtime/supervisor/commands/approve-command.ts";
import { type CommandCall, findCommand, runCommand } from "../../../runtime/supervisor/commands/table.ts";
import type { Post } from "../../../runtime/supervisor/post.ts";
import { eventually } from "../../support/eventually.ts";

const shown = { words: '["rm","-r","```x"]', folder: '"/ws"', variables: ['PATH="/bin"'] };
const command = {
  id: "x-1",
  agentId: "kim",
  sessionKey: "agent:kim:main",
  shown,
  place: "host",
  input: false,
  allowed: false,
};
const right = {
  id: "r-1",
  from: "kim",
  to: "raul",
  verb: "send",
  revision: 2,
  messages: [
    {
      fromSession: "agent:kim:main",
      toSession: "agent:raul:main",
      bodyChars: 5,
      preview: "[a](http://b)\u202e",
      atMs: 1,
    },
  ],
  releasing: false,
  consequences: { once: [], grant: ["From now on kim may."] },
};
const sender = {
  channel: "telegram",
  accountId: "home",
  senderId: "77",
  senderName: "**Ana**\nid: 42",
  code: "K7PQ2MXA",
};

let waiting: { commands: object[]; rights: object[]; senders: object[] };
let decided: { readonly by: string; readonly method: string; readonly params: unknown }[];
let answer: RpcResult;

beforeEach(() => {
  waiting = { commands: [command], rights: [right], senders: [sender] };
  decided = [];
  answer = { ok: true, payload: {} };
});

const rpc = async (
  { clientId: by }: { readonly clientId: string },
  method: string,
  params: unknown,
): Promise<RpcResult> => {
  const lists: Readonly<Record<string, readonly object[]>> = {
    "exec.approval.list": waiting.commands,
    "grants.requests": waiting.rights,
    "channels.pairing.list": waiting.senders,
  };
  const requests = lists[method];
  if (requests !== undefined) return { ok: true, payload: { requests } };
  decided.push({ by, method, params });
  return answer;
};

const commands: ResolvedConfig["commands"] = {
  text: true,
  native: true,
  owners: ["telegram:42", "43", "*", "irc:ana", "webhook:ana", "slack:U1"],
  allowFrom: undefined,
  resetTriggers: [],
};

const approve = makeApproveCommand({ config: { commands, ownChannels: {} }, rpc });
const call: CommandCall = {
  agentId: "main",
  sessionKey: "agent:main:main",
  channel: "telegram",
  isGroup: false,
  isOwner: true,
  by: "telegram:42",
};

async function say(text: string): Promise<string> {
  const found = findCommand([approve], text);
  if (found === undefined) throw new Error(`${text} is no command`);
  return (await runCommand(found.command, call, found.rest)).reply;
}

describe("/approve", () => {
  test.each([
    ["telegram", "telegram:42", true],
    ["slack", "slack:U1", true],
    ["telegram", "telegram:43", false],
    ["telegram", "telegram:44", false],
    ["irc", "irc:ana", false],
    ["webhook", "webhook:ana", false],
  ])("is for owners that are named with a channel which proves who speaks: %s, %s", (channel, by, may) => {
    expect(approve.mayGive?.({ ...call, channel, by })).toBe(may);
  });

  test("needs an operator who may do everything, where it comes from one", () => {
    expect(approve.needs?.("")).toBe("operator.admin");
  });

  test.each([
    ["x-1 allow-once", "exec.approval.resolve", { id: "x-1", decision: "allow-once" }, /Allowed: x-1\..*kim/],
    ["x-1 deny", "exec.approval.resolve", { id: "x-1", decision: "deny" }, /Denied/],
    ["r-1@2 allow-once", "grants.approve", { id: "r-1", mode: "once", revision: 2 }, /Approved: r-1@2/],
    ["r-1@2 allow-always", "grants.approve", { id: "r-1", mode: "grant", revision: 2 }, /Approved/],
    ["r-1@2 deny", "grants.deny", { id: "r-1" }, /Denied/],
    [
      "k7pq2mxa Allow-Always",
      "channels.pairing.approve",
      { code: "K7PQ2MXA", channel: "telegram", accountId: "home", notify: true },
      /Approved: K7PQ2MXA/,
    ],
    [
      "K7PQ2MXA deny",
      "channels.pairing.dismiss",
      { code: "K7PQ2MXA", channel: "telegram", accountId: "home" },
      /Denied/,
    ],
  ])("decides by the operator's own method, in the owner's name: %s", async (words, method, params, reply) => {
    expect(await say(`/approve ${words}`)).toMatch(reply);
    expect(decided).toEqual([{ by: "telegram:42", method, params }]);
  });

  test.each([
    ["x-1 allow-always", /tools\.exec\.allow/],
    ["K7PQ2MXA allow-once", /allow-always/],
    ["x-9 deny", /nothing waits with the id "x-9"/],
    // It was shown with one message, and has another one since.
    ["r-1@1 allow-always", /r-1 is not as it was shown[^]*\/approve r-1@2 allow-always/],
    ["x-1", /Usage/],
    ["x-1 maybe", /Usage/],
  ])("decides nothing that it does not know, and says what there is: %s", async (words, reply) => {
    expect(await say(`/approve ${words}`)).toMatch(reply);
    expect(decided).toEqual([]);
  });

  test("neither lists nor decides in a group, where others read it", async () => {
    for (const rest of ["", "x-1 allow-once"]) {
      const { reply } = await runCommand(approve, { ...call, isGroup: true }, rest);
      expect(reply).toMatch(/^Nothing was decided: .*direct chat alone/);
    }
    expect(decided).toEqual([]);
  });

  test("a command that is too long to be shown is decided elsewhere", async () => {
    const words = JSON.stringify(["x".repeat(limits.approvalTextCharsMax)]);
    waiting.commands = [{ ...command, shown: { ...shown, words } }];
    expect(await say("/approve x-1 allow-once")).toMatch(/too long.*cloister approvals/);
    expect(decided).toEqual([]);
  });

  test("tells what a decision is refused with", async () => {
    answer = {
      ok: false,
      refusal: { code: "CLOISTER_CAPABILITY_DENIED", message: "a sandboxed session", remedy: "deny it" },
    };
    expect(await say("/approve r-1@2 allow-always")).toBe("Nothing was decided: a sandboxed session (deny it)");
  });

  test("without an id it lists what waits, with the words that decide, and what comes from outside as it is", async () => {
    const told = await say("/approve");
    // No platform takes what the command says for the end of the block: not all know longer fences.
    const argv = '["rm","-r","\\u{60}\\u{60}\\u{60}x"]';
    expect(told).toContain(
      `\`\`\`\nsession: ${command.sessionKey}\nwords: ${argv}\nfolder: "/ws"\nPATH="/bin"\n\`\`\`\n`,
    );
    expect(told).toContain("```\nfrom: agent:kim:main\nto: agent:raul:main\n[a](http://b)\\u{202e}\n```");
    expect(told).toContain("```\nid: 77\ncalls itself: **Ana**\\u{a}id: 42\n```");
    for (const words of ["x-1 allow-once", "r-1@2 allow-always", "K7PQ2MXA deny"])
      expect(told).toContain(`/approve ${words}`);
    waiting = { commands: [{ ...command, allowed: true }], rights: [{ ...right, releasing: true }], senders: [] };
    expect(await say("/approve")).toBe("Nothing waits for a decision.");
  });
});

describe("owners are told", () => {
  type Posted = Parameters<Post>;

  function open(
    changes: Partial<ResolvedConfig["commands"]> = {},
    post?: Post,
    carriesAnswers: (channel: string, accountId: string) => boolean = (channel) => channel === "telegram",
  ) {
    const posted: Posted[] = [];
    const warned: object[] = [];
    const log = { debug: () => undefined, info: () => undefined, error: () => undefined };
    const notices = makeApprovalNotices({
      config: {
        commands: { ...commands, ...changes },
        ownChannels: {},
        channelDefaults: {},
        accountsOn: {},
        bindings: [{ index: 0, agentId: "kim", match: { channel: "telegram", accountId: "kims" } }],
      },
      rpc,
      post: async (...said) => {
        posted.push(said);
        return post?.(...said);
      },
      carriesAnswers,
      newId: () => `n-${posted.length}`,
      log: { ...log, warn: (fields) => void warned.push(fields) },
    });
    const texts = () => posted.map(([, { accountId }, text]) => `${accountId} ${text.split("\n")[0]}`);
    return { notices, posted, texts, warned };
  }

  test("once of each, by the account of its agent, with a button for each decision", async () => {
    const { notices, posted, texts } = open();
    notices.heard({ event: "exec.approvals" });
    await eventually(() => expect(posted).toHaveLength(3));
    expect(texts()).toEqual([
      expect.stringMatching(/^kims The agent kim wants to run a command/),
      expect.stringMatching(/^kims The agent kim lacks a right/),
      expect.stringMatching(/^default Somebody whom the account home/),
    ]);
    const [about, route, , leftAtMs, buttons] = posted[1] ?? [];
    // Of no agent, so that no line of the text names a file of a workspace.
    expect(about).toMatchObject({ agentId: "" });
    expect(route).toMatchObject({ channel: "telegram", peerKind: "direct", peerId: "42" });
    expect(leftAtMs).toBeUndefined();
    expect(buttons).toEqual([
      { label: "Approve once", text: "/approve r-1@2 allow-once" },
      { label: "Approve for good", text: "/approve r-1@2 allow-always" },
      { label: "Deny", text: "/approve r-1@2 deny" },
    ]);
    // A further message of the same request, one that is new, and one that is decided.
    waiting = { commands: [{ ...command, id: "x-2" }], rights: [{ ...right, revision: 3 }], senders: [sender] };
    notices.heard({ event: "grants.requests" });
    await eventually(() => expect(posted).toHaveLength(4));
    expect(posted[3]?.[4]?.[0]?.text).toBe("/approve x-2 allow-once");
  });

  test("of what waits when the gateway starts, and of nothing else that happens", async () => {
    const { notices, posted } = open();
    notices.heard({ event: "agents" });
    notices.start();
    await eventually(() => expect(posted).toHaveLength(3));
    expect(new Set(posted.map(([{ id }]) => id)).size).toBe(3);
  });

  test("by the account of the agent also where the channel's default one is switched off, and then of nothing else", async () => {
    const { notices, posted, texts } = open({}, undefined, (_, accountId) => accountId === "kims");
    notices.start();
    await eventually(() => expect(posted).toHaveLength(2));
    expect(texts()).toEqual([expect.stringMatching(/^kims .*run a command/), expect.stringMatching(/^kims .*a right/)]);
  });

  test("nowhere where a command of theirs would be none, or their place takes no answers", async () => {
    for (const changes of [{ text: false }, { owners: ["43", "*", "irc:ana", "webhook:ana", "slack:U1"] }]) {
      const { notices, posted } = open(changes);
      notices.start();
      // All that the fakes answer is answered by then.
      await new Promise(setImmediate);
      expect(posted).toEqual([]);
    }
  });

  test("and one that cannot be told is in the log", async () => {
    const { notices, warned } = open({}, () => Promise.reject(new Error("the person has shut the bot out")));
    waiting = { commands: [command], rights: [], senders: [] };
    notices.start();
    await eventually(() => expect(warned).toMatchObject([{ channel: "telegram", account: "kims", request: "x-1" }]));
  });
});
