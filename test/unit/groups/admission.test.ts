/** Who may write: the order of the rules, each with the key that decides. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import { judgeAdmission } from "../../../runtime/groups/index.ts";
import { channelRules, inGroup } from "./rules-fixture.ts";

const judge = (written: object, parts: Partial<InboundEvent> = {}) => {
  const judged = judgeAdmission(channelRules("telegram", written), inGroup(parts));
  return judged.admitted ? "admitted" : `${judged.step}: ${judged.rule}`;
};
const direct = (id = "ana"): Partial<InboundEvent> => ({ peer: { kind: "direct", id }, sender: { id } });

describe("a message of a group", () => {
  const listed = { groups: { G1: {} } };
  it.each([
    ["nothing is written: no group is served", {}, {}, "group: channels.telegram.groups"],
    ["the group is listed", listed, {}, "admitted"],
    ["in another case", { groups: { g1: {} } }, {}, "admitted"],
    ["another one is listed", { groups: { G2: {} } }, {}, "group: channels.telegram.groups"],
    ["every group is listed", { groups: { "*": {} } }, {}, "admitted"],
    ["the policy is open", { groupPolicy: "open" }, {}, "admitted"],
    ["groups are disabled", { groupPolicy: "disabled", ...listed }, {}, "groupPolicy: channels.telegram.groupPolicy"],
    ["the group is off", { groups: { G1: { enabled: false } } }, {}, "group: channels.telegram.groups"],
    [
      "the group is off and the policy open",
      { groupPolicy: "open", groups: { G1: { enabled: false }, "*": {} } },
      {},
      "group: channels.telegram.groups",
    ],
    ["a topic of a listed group", listed, { peer: { kind: "group", id: "G1:topic:7" } }, "admitted"],
    [
      "a thread below a listed channel",
      { groups: { C1: {} } },
      { peer: { kind: "channel", id: "T9" }, parentPeer: { kind: "channel", id: "C1" } },
      "admitted",
    ],
    ["the sender is listed", { ...listed, groupAllowFrom: ["ANA"] }, {}, "admitted"],
    ["with the channel's prefix", { ...listed, groupAllowFrom: ["tg:ana"] }, {}, "admitted"],
    ["another sender is", { ...listed, groupAllowFrom: ["bob"] }, {}, "sender: channels.telegram.groupAllowFrom"],
    ["nobody is", { ...listed, groupAllowFrom: [] }, {}, "sender: channels.telegram.groupAllowFrom"],
    ["everybody is", { ...listed, groupAllowFrom: ["*"] }, {}, "admitted"],
    [
      "without a list of its own that of direct messages counts",
      { ...listed, allowFrom: ["bob"] },
      {},
      "sender: channels.telegram.allowFrom",
    ],
    ["and admits", { ...listed, allowFrom: ["ana"] }, {}, "admitted"],
    [
      "a list of its own comes first",
      { ...listed, allowFrom: ["ana"], groupAllowFrom: ["bob"] },
      {},
      "sender: channels.telegram.groupAllowFrom",
    ],
    [
      "the group is judged before the sender",
      { groups: { G2: {} }, groupAllowFrom: ["bob"] },
      {},
      "group: channels.telegram.groups",
    ],
    ["a bot", listed, { sender: { id: "b", isBot: true } }, "allowBots: channels.telegram.allowBots"],
    ["a bot where bots are heard", { ...listed, allowBots: true }, { sender: { id: "b", isBot: true } }, "admitted"],
    ["the account's own message", listed, { selfId: "Ana" }, "self: channels.telegram.allowFrom"],
    ["the own number in allowFrom: self-chat", { ...listed, allowFrom: ["ana"] }, { selfId: "ana" }, "admitted"],
    [
      "and what the account's bot said there is its own",
      { ...listed, allowFrom: ["ana"], allowBots: true },
      { selfId: "ana", sender: { id: "ana", isBot: true } },
      "self: channels.telegram.allowFrom",
    ],
  ])("%s", (_what, written, parts, expected) => {
    expect(judge(written, parts as Partial<InboundEvent>)).toBe(expected);
  });

  it("is known by its id and by no name that it gives itself", () => {
    const called = (name: string): Partial<InboundEvent> => ({ sender: { id: "mallory", name } });
    for (const name of ["ana", "ANA", "tg:ana", "*"])
      expect(judge({ ...listed, groupAllowFrom: ["ana"] }, called(name)), name).toBe(
        "sender: channels.telegram.groupAllowFrom",
      );
    const alone = { dmPolicy: "allowlist", allowFrom: ["ana"] };
    expect(judge(alone, { ...direct("mallory"), ...called("ana") })).not.toBe("admitted");
    expect(judge(alone, direct("ana"))).toBe("admitted");
  });

  it("is judged by its account's rules, and the key says whose they are", () => {
    const account = (own: object) => ({ groups: { G1: {} }, groupPolicy: "disabled", accounts: { default: own } });
    expect(judge(account({}))).toBe("groupPolicy: channels.telegram.groupPolicy");
    expect(judge(account({ groupPolicy: "allowlist" }))).toBe("admitted");
    expect(judge(account({ groupPolicy: "allowlist", groups: {} }))).toBe(
      "group: channels.telegram.accounts.default.groups",
    );
  });

  it("of Signal and Matrix is told apart by the case of its id", () => {
    const rules = channelRules("signal", { groups: { AbC: {} } });
    expect(judgeAdmission(rules, inGroup({ channel: "signal", peer: { kind: "group", id: "AbC" } })).admitted).toBe(
      true,
    );
    expect(judgeAdmission(rules, inGroup({ channel: "signal", peer: { kind: "group", id: "abc" } })).admitted).toBe(
      false,
    );
  });
});

describe("a direct message", () => {
  it.each([
    ["by default nobody who is not listed", {}, "dmPolicy: channels.telegram.dmPolicy"],
    ["pairing admits who is listed", { allowFrom: ["ana"] }, "admitted"],
    ["allowlist", { dmPolicy: "allowlist", allowFrom: ["ana"] }, "admitted"],
    [
      "allowlist without the sender",
      { dmPolicy: "allowlist", allowFrom: ["bob"] },
      "dmPolicy: channels.telegram.allowFrom",
    ],
    ["open", { dmPolicy: "open", allowFrom: ["*"] }, "admitted"],
    ["disabled, whoever is listed", { dmPolicy: "disabled", allowFrom: ["*"] }, "dmPolicy: channels.telegram.dmPolicy"],
    ["groupAllowFrom says nothing about it", { groupAllowFrom: ["ana"] }, "dmPolicy: channels.telegram.dmPolicy"],
    ["nor does the group policy", { groupPolicy: "disabled", allowFrom: ["ana"] }, "admitted"],
  ])("%s", (_what, written, expected) => {
    expect(judge(written, direct())).toBe(expected);
  });

  it("of the webhook is admitted by the token of its account, unless a policy is written", () => {
    const facts = inGroup({ channel: "webhook", ...direct() });
    expect(judgeAdmission(channelRules("webhook", {}), facts).admitted).toBe(true);
    expect(judgeAdmission(channelRules("webhook", { dmPolicy: "allowlist", allowFrom: ["bob"] }), facts).admitted).toBe(
      false,
    );
  });

  it("under pairing asks for an approval, and is admitted by it", () => {
    const rules = channelRules("telegram", {});
    const judged = judgeAdmission(rules, inGroup(direct()));
    expect(judged).toMatchObject({
      asksApproval: true,
      reason: expect.stringContaining("sender approval needed"),
      remedy: expect.stringContaining("cloister pairing list"),
    });
    expect(judgeAdmission(rules, { ...inGroup(direct()), approved: true })).toMatchObject({
      admitted: true,
      passed: [{ step: "dmPolicy", why: "an operator has approved the sender" }],
    });
  });

  it.each([{ dmPolicy: "allowlist", allowFrom: ["bob"] }, { dmPolicy: "disabled" }])(
    "is admitted by no approval under %o, and asks for none",
    (written) => {
      const judged = judgeAdmission(channelRules("telegram", written), { ...inGroup(direct()), approved: true });
      expect(judged).toMatchObject({ admitted: false });
      expect(judged).not.toHaveProperty("asksApproval");
    },
  );

  it("of a bot asks for no approval: two that ask each other would never end", () => {
    const bot = { sender: { id: "ana", isBot: true } };
    const judged = judgeAdmission(channelRules("telegram", { allowBots: true }), inGroup({ ...direct(), ...bot }));
    expect(judged).toMatchObject({ admitted: false, step: "dmPolicy" });
    expect(judged).not.toHaveProperty("asksApproval");
  });

  it("to a group is admitted by no approval of its sender", () => {
    const rules = channelRules("telegram", { groupAllowFrom: ["bob"], groups: { "*": {} } });
    expect(judgeAdmission(rules, { ...inGroup({ sender: { id: "ana" } }), approved: true })).toMatchObject({
      admitted: false,
      step: "sender",
    });
  });
});

describe("for any rules and messages", () => {
  const ids = fc.constantFrom("ana", "bob", "*");
  const lists = fc.option(fc.uniqueArray(ids), { nil: undefined });
  const written = fc
    .record({
      groupPolicy: fc.constantFrom("allowlist", "open", "disabled"),
      dmPolicy: fc.constantFrom("pairing", "allowlist", "disabled"),
      allowFrom: lists,
      groupAllowFrom: lists,
      groups: fc.dictionary(fc.constantFrom("G1", "G2", "*"), fc.record({ enabled: fc.boolean() })),
    })
    .map(
      (rules) =>
        JSON.parse(JSON.stringify(rules)) as Record<string, unknown> & {
          groupAllowFrom?: string[];
          allowFrom?: string[];
        },
    );
  const events = fc.record({
    id: fc.constantFrom("ana", "bob", "eve"),
    kind: fc.constantFrom("group" as const, "channel" as const, "direct" as const),
    room: fc.constantFrom("G1", "G3"),
  });

  it("who is in no list where there is one, and a group that is switched off, is never admitted", () => {
    fc.assert(
      fc.property(written, events, (rules, { id, kind, room }) => {
        const parts = { peer: { kind, id: room }, sender: { id } };
        if (judge(rules, parts) !== "admitted") return;
        const list = kind === "direct" ? (rules.allowFrom ?? []) : (rules.groupAllowFrom ?? rules.allowFrom);
        if (list !== undefined) expect(list.includes(id) || list.includes("*")).toBe(true);
        expect(rules[kind === "direct" ? "dmPolicy" : "groupPolicy"]).not.toBe("disabled");
      }),
      { numRuns: 2_000 },
    );
  });

  it("to add a sender to the list that counts never shuts anybody out, and neither does a wider policy", () => {
    fc.assert(
      fc.property(written, events, ids, (rules, { id, kind, room }, more) => {
        const parts = { peer: { kind, id: room }, sender: { id } };
        if (judge(rules, parts) !== "admitted") return;
        for (const list of ["allowFrom", "groupAllowFrom"] as const) {
          const had = rules[list];
          if (had !== undefined) expect(judge({ ...rules, [list]: [...had, more] }, parts)).toBe("admitted");
        }
        expect(judge({ ...rules, groupPolicy: "open" }, parts)).toBe("admitted");
      }),
      { numRuns: 2_000 },
    );
  });
});
