/** What people see of an answer while it is written, and what becomes of it. */
import { describe, expect, test } from "vitest";
import type { AccountSettings, OutboundMessage, SendResult } from "../../../../channels/port.ts";
import type { EnvelopeHeader, Outcome } from "../../../../runtime/kernel/envelope.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import type { ChannelRoute } from "../../../../runtime/supervisor/answers.ts";
import { findManifest } from "../../../../runtime/config/manifests.ts";
import { makePreviews } from "../../../../runtime/supervisor/channels/previews.ts";
import { makeMessageOf } from "../../../../runtime/supervisor/post.ts";
import type { RunFollower } from "../../../../runtime/supervisor/runs.ts";
import { makeVirtualClock, settle } from "../../../support/virtual-clock.ts";

const second = limits.channelPreviewMs;
const route: ChannelRoute = {
  type: "channel",
  channel: "telegram",
  accountId: "default",
  peerKind: "direct",
  peerId: "7",
};

interface World {
  readonly settings?: Partial<AccountSettings>;
  readonly channel?: string;
  readonly withheld?: boolean;
  readonly prefix?: string;
  /** What the platform says to each call in turn; then that it is done. */
  readonly platform?: readonly SendResult[];
}

function open({
  settings = { preview: "partial" },
  channel = "telegram",
  withheld = false,
  prefix = "",
  platform = [],
}: World = {}) {
  const clock = makeVirtualClock();
  const seen: string[] = [];
  const answers = [...platform];
  let follower: RunFollower = {};
  let asked = 0;
  const done = (what: string): SendResult => {
    seen.push(what);
    return answers.shift() ?? { status: "sent", platformMessageId: "m1" };
  };
  const messageOf = makeMessageOf({ ownChannels: {} }, () => "/workspace");
  const previews = makePreviews({
    channels: {
      manifest: (name) => findManifest({ ownChannels: {} }, name),
      settings: (_channel, accountId) => (accountId === "default" ? { textChunkLimit: 4_000, ...settings } : undefined),
      sendOnce: async ({ text }) => done(`send ${text}`),
      act: async (_channel, _account, { messageId, change }) =>
        done(change.type === "edit" ? `edit ${messageId} ${change.text}` : `${change.type} ${messageId}`),
    },
    runs: { follow: (hears) => void (follower = hears) },
    whyNoSending: async () => {
      asked++;
      return withheld ? { code: "CLOISTER_CAPABILITY_DENIED", message: "no" } : undefined;
    },
    messageOf,
    asBegun: (_about, _route, text) => prefix + text,
    clock,
  });
  const replyRoute = { ...route, channel };
  const header = {
    id: "e1",
    runId: "e1",
    agentId: "main",
    sessionKey: "agent:main:main",
    from: { type: "channel" },
    replyRoute,
  } as EnvelopeHeader;
  return {
    clock,
    seen,
    asked: () => asked,
    begins: () => follower.began?.(header),
    calls: (tool: string, given: Partial<EnvelopeHeader> = {}) => follower.called?.({ ...header, ...given }, tool),
    writes: (text: string, given: Partial<EnvelopeHeader> = {}) => follower.streamed?.({ ...header, ...given }, text),
    ends: (outcome: Outcome) => follower.ended?.(header, outcome),
    passes: (changes: Partial<OutboundMessage> = {}) =>
      previews.passed({ ...messageOf(header, replyRoute, "x"), ...changes }),
    answers: (text: string) =>
      previews.answer(messageOf(header, replyRoute, text), async () => {
        done(`answer ${text}`);
        return "m2";
      }),
  };
}

describe("an answer that takes its time", () => {
  test("is shown after a second, edited once a second at the most, and becomes the answer", async () => {
    const { clock, seen, writes, ends, answers } = open();
    for (const word of ["One", " two", " three"]) writes(word);
    await clock.advance(second - 1);
    expect(seen).toEqual([]);
    await clock.advance(1);
    for (let number = 0; number < 20; number++) {
      writes(` ${number}`);
      await clock.advance(second / 10);
    }
    expect(seen.map((line) => line.split(" ")[0])).toEqual(["send", "edit", "edit"]);
    expect(seen[0]).toBe("send One two three …");
    ends({ status: "ok", text: "All of it." });
    expect(await answers("All of it.")).toBe("m1");
    await clock.advance(60_000);
    expect(seen.slice(3)).toEqual(["edit m1 All of it."]);
  });

  test("is shown as it begins, and its progress is not", async () => {
    const written = open({ prefix: "[Ada] " });
    written.writes("One");
    await written.clock.advance(second);
    expect(written.seen).toEqual(["send [Ada] One …"]);
    const progress = open({ prefix: "[Ada] ", settings: { preview: "progress" } });
    progress.calls("read");
    await progress.clock.advance(second);
    expect(progress.seen).toEqual(["send Working: `read` …"]);
  });

  test("is not shown when it is there within the second", async () => {
    const { clock, seen, writes, ends, answers } = open();
    writes("Quick");
    ends({ status: "ok", text: "Quick." });
    expect(await answers("Quick.")).toBe("m2");
    await clock.advance(60_000);
    expect(seen).toEqual(["answer Quick."]);
  });

  test("by paragraphs is shown up to the last one that is whole", async () => {
    const { clock, seen, writes } = open({ settings: { preview: "block" } });
    writes("The first paragr");
    await clock.advance(2 * second);
    expect(seen).toEqual([]);
    writes("aph.\n\nThe sec");
    await clock.advance(2 * second);
    writes("ond.");
    await clock.advance(2 * second);
    expect(seen).toEqual(["send The first paragraph. …"]);
  });

  test("by its progress is shown by the tools that its turn has called, and by none of its words", async () => {
    const { clock, seen, writes, calls, begins, ends, answers } = open({ settings: { preview: "progress" } });
    writes("Let me look.");
    await clock.advance(second);
    calls("read");
    calls("exec");
    calls("read");
    await clock.advance(second);
    writes("A secret.");
    await clock.advance(5 * second);
    // Its cell ended, and the turn begins anew.
    begins();
    calls("sessions_list");
    await clock.advance(second);
    ends({ status: "ok", text: "All of it." });
    expect(await answers("All of it.")).toBe("m1");
    expect(seen).toEqual([
      "send Working …",
      "edit m1 Working: `exec`, `read` (2 times) …",
      "edit m1 Working: `sessions_list` …",
      "edit m1 All of it.",
    ]);
  });

  test("by its progress begins with a call, names the last tools, and goes when there is no answer", async () => {
    const { clock, seen, calls, ends } = open({ settings: { preview: "progress" } });
    for (let number = 0; number < 2 * limits.channelPreviewToolsMax; number++) calls(`tool_${number}`);
    await clock.advance(second);
    expect(seen[0]?.match(/tool_\d+/g)).toHaveLength(limits.channelPreviewToolsMax);
    expect(seen[0]).toMatch(/`tool_19` …$/);
    ends({ status: "no_reply" });
    await settle();
    expect(seen.at(-1)).toBe("remove m1");
  });

  test.each(["partial", "block"] as const)("by its words (%s) does not tell of calls", async (preview) => {
    const { clock, seen, calls, asked } = open({ settings: { preview } });
    calls("read");
    await clock.advance(5 * second);
    expect([seen, asked()]).toEqual([[], 0]);
  });

  test("shows no more than one message takes, and no lines that name files", async () => {
    const { clock, seen, writes } = open({ settings: { preview: "partial", textChunkLimit: 100 } });
    writes(`MEDIA: chart.png\n${"word ".repeat(50)}`);
    await clock.advance(second);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^send word .* …$/);
    expect(seen[0]?.length).toBeLessThanOrEqual("send ".length + 100);
    writes("more ");
    await clock.advance(5 * second);
    expect(seen).toHaveLength(1);
  });

  test("begins anew with a turn that begins anew, in the same message", async () => {
    const { clock, seen, writes, begins } = open();
    begins();
    writes("Half an ans");
    await clock.advance(second);
    begins();
    writes("Half");
    await clock.advance(second);
    expect(seen).toEqual(["send Half an ans …", "edit m1 Half …"]);
  });
});

describe("the message is removed, and the answer sent whole", () => {
  const shown = async (world: World = {}) => {
    const opened = open(world);
    opened.writes("Half");
    await opened.clock.advance(second);
    return opened;
  };

  test.each([
    ["the answer is longer than one message", "x".repeat(4_001)],
    ["the answer has files", "See it.\nMEDIA: chart.png"],
  ])("when %s", async (_why, text) => {
    const { seen, answers, ends } = await shown();
    ends({ status: "ok", text });
    expect(await answers(text)).toBe("m2");
    expect(seen).toEqual(["send Half …", `answer ${text}`, "remove m1"]);
  });

  test("when the agent has said something behind it in the same place, and in no other", async () => {
    const { seen, answers, passes } = await shown();
    passes({ peer: { kind: "direct", id: "8" } });
    passes();
    expect(await answers("All.")).toBe("m2");
    expect(seen).toEqual(["send Half …", "answer All.", "remove m1"]);
    const elsewhere = await shown();
    elsewhere.passes({ peer: { kind: "direct", id: "8" } });
    expect(await elsewhere.answers("All.")).toBe("m1");
  });

  test("when the platform does not take the last edit", async () => {
    const platform: SendResult[] = [
      { status: "sent", platformMessageId: "m1" },
      { status: "failed", reason: "gone", retry: false },
    ];
    const { seen, answers } = await shown({ platform });
    expect(await answers("All.")).toBe("m2");
    expect(seen).toEqual(["send Half …", "edit m1 All.", "answer All.", "remove m1"]);
  });

  test.each<Outcome>([{ status: "no_reply" }, { status: "error", code: "CLOISTER_AGENT_FAILED", message: "no" }])(
    "and none is sent when there is none: %j",
    async (outcome) => {
      const { seen, ends } = await shown();
      ends(outcome);
      await settle();
      expect(seen).toEqual(["send Half …", "remove m1"]);
    },
  );

  test("also when the turn ends while the message is on its way", async () => {
    const { clock, seen, writes, ends } = open();
    writes("Half");
    const passing = clock.advance(second);
    ends({ status: "no_reply" });
    await passing;
    await settle();
    expect(seen.filter((line) => line.startsWith("send"))).toHaveLength(
      seen.filter((line) => line.startsWith("remove")).length,
    );
  });
});

describe("nothing is shown", () => {
  test.each<[string, World, Partial<EnvelopeHeader>]>([
    ["where it is not configured", { settings: {} }, {}],
    ["on a channel that edits nothing", { channel: "irc" }, {}],
    ["on the webhook", { channel: "webhook" }, {}],
    ["of what no person wrote for", {}, { from: { type: "operator", client: "cli" } }],
    ["of what leaves by no channel", {}, { replyRoute: { type: "none" } }],
  ])("%s", async (_where, world, given) => {
    const { clock, seen, writes } = open(world);
    writes("Text", given);
    await clock.advance(10 * second);
    expect(seen).toEqual([]);
  });

  test("of a session whose answers stay where they are, and that is asked once", async () => {
    const { clock, seen, writes, asked } = open({ withheld: true });
    for (let number = 0; number < 5; number++) {
      writes("Text");
      await clock.advance(second);
    }
    expect(seen).toEqual([]);
    expect(asked()).toBe(1);
  });

  test("any more after three refusals, and a pause that the platform asks for is kept", async () => {
    const busy: SendResult = { status: "failed", reason: "429", retry: true, retryAfterMs: 20 * second };
    const { clock, seen, writes, answers } = open({ platform: [busy, busy, busy] });
    writes("Text");
    await clock.advance(20 * second);
    expect(seen).toHaveLength(1);
    await clock.advance(200 * second);
    writes("Text");
    await clock.advance(200 * second);
    expect(seen).toHaveLength(limits.channelAttemptsMax);
    expect(await answers("All.")).toBe("m2");
    expect(seen.at(-1)).toBe("answer All.");
  });

  test("a second time when nobody knows whether the first message arrived", async () => {
    const lost: SendResult = { status: "failed", reason: "lost", retry: true, mayHaveArrived: true };
    const { clock, seen, writes } = open({ platform: [lost] });
    writes("Text");
    await clock.advance(10 * second);
    writes("More");
    await clock.advance(10 * second);
    expect(seen).toEqual(["send Text …"]);
  });
});
