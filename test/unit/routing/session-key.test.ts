import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatGroupHistoryKey,
  formatSessionKey,
  parseSessionKey,
  type Session,
} from "../../../runtime/routing/session-key.ts";

const forms: readonly [string, Session][] = [
  ["agent:a:main", { type: "main", mainKey: "main" }],
  ["agent:a:main:thread:77", { type: "main", mainKey: "main", threadId: "77" }],
  ["agent:a:direct:alice", { type: "dm", scope: "per-peer", peerId: "alice" }],
  ["agent:a:slack:direct:u1", { type: "dm", scope: "per-channel-peer", channel: "slack", peerId: "u1" }],
  [
    "agent:a:slack:direct:u1:thread:1.5",
    { type: "dm", scope: "per-channel-peer", channel: "slack", peerId: "u1", threadId: "1.5" },
  ],
  [
    "agent:a:discord:x:direct:u1",
    { type: "dm", scope: "per-account-channel-peer", channel: "discord", accountId: "x", peerId: "u1" },
  ],
  ["agent:a:whatsapp:group:12@g.us", { type: "room", channel: "whatsapp", kind: "group", roomId: "12@g.us" }],
  ["agent:a:discord:channel:5", { type: "room", channel: "discord", kind: "channel", roomId: "5" }],
  [
    "agent:a:telegram:group:-100:topic:7",
    { type: "room", channel: "telegram", kind: "group", roomId: "-100", topicId: "7" },
  ],
  [
    "agent:a:slack:channel:c1:thread:1.5",
    { type: "room", channel: "slack", kind: "channel", roomId: "c1", threadId: "1.5" },
  ],
  [
    "agent:a:matrix:channel:!AbC:Srv.org:thread:$EvT",
    { type: "room", channel: "matrix", kind: "channel", roomId: "!AbC:Srv.org", threadId: "$EvT" },
  ],
  ["agent:a:signal:group:AbC=", { type: "room", channel: "signal", kind: "group", roomId: "AbC=" }],
  ["agent:a:cron:nightly", { type: "cron", jobId: "nightly" }],
  ["agent:a:cron:nightly:run:9", { type: "cron", jobId: "nightly", runId: "9" }],
  ["agent:a:hook:h1", { type: "hook", id: "h1" }],
  ["agent:a:subagent:u-1", { type: "subagent", id: "u-1" }],
  ["agent:a:acp:x", { type: "acp", id: "x" }],
  ["agent:a:node-phone", { type: "node", id: "phone" }],
  ["agent:a:boot:1", { type: "boot", id: "1" }],
  ["agent:a:dashboard:1", { type: "dashboard", id: "1" }],
  ["agent:a:explicit:1", { type: "explicit", id: "1" }],
  ["agent:a:voice:1", { type: "voice", id: "1" }],
  ["agent:a:discord:slash:u1", { type: "slash", channel: "discord", userId: "u1" }],
  ["agent:a:global", { type: "global" }],
  ["agent:a:unknown", { type: "unknown" }],
];

describe("session keys", () => {
  it.each(forms)("%s is built from its tuple and read back", (key, session) => {
    expect(formatSessionKey("a", session)).toBe(key);
    expect(parseSessionKey(key)).toEqual({ shape: "agent", key, agentId: "a", session });
  });

  it.each([
    [undefined, "missing"],
    ["  ", "missing"],
    ["main", "legacy_or_alias"],
    ["discord:channel:5", "legacy_or_alias"],
    ["agent", "legacy_or_alias"],
    ["agent:", "malformed_agent"],
    ["agent:a", "malformed_agent"],
    ["agent:a:", "malformed_agent"],
    ["agent::main", "malformed_agent"],
    ["agent:not an id:main", "malformed_agent"],
    ["AGENT:A:Main", "agent"],
  ])("%j has the shape %s", (text, shape) => {
    expect(parseSessionKey(text).shape).toBe(shape);
  });

  it("is lower case, except where the platform's ids are case-sensitive", () => {
    expect(parseSessionKey("agent:A:WhatsApp:Group:G1@G.US")).toMatchObject({ key: "agent:a:whatsapp:group:g1@g.us" });
    expect(parseSessionKey("agent:A:Signal:Group:AbC=")).toMatchObject({ key: "agent:a:signal:group:AbC=" });
    expect(parseSessionKey("agent:A:Matrix:Channel:!AbC:s:Thread:$EvT")).toMatchObject({
      key: "agent:a:matrix:channel:!AbC:s:thread:$EvT",
    });
    expect(parseSessionKey("agent:a:main:thread:$EvT")).toMatchObject({ key: "agent:a:main:thread:$EvT" });
    expect(parseSessionKey("agent:a:signal:direct:ABC")).toMatchObject({ key: "agent:a:signal:direct:abc" });
  });

  it("a key that follows no form is kept and not guessed at", () => {
    expect(parseSessionKey("agent:a:Foo:Bar")).toEqual({
      shape: "agent",
      key: "agent:a:foo:bar",
      agentId: "a",
      session: { type: "other", rest: "foo:bar" },
    });
    expect(parseSessionKey("agent:a:cron")).toMatchObject({ session: { type: "other", rest: "cron" } });
  });

  it("ids that look like structure do not make two conversations one", () => {
    const room = { type: "room", channel: "slack", kind: "channel" } as const;
    const pairs: readonly [Session, Session][] = [
      [
        { ...room, roomId: "c", threadId: "1" },
        { ...room, roomId: "c:thread:1" },
      ],
      [
        { ...room, roomId: "c", topicId: "1" },
        { ...room, roomId: "c:topic:1" },
      ],
      [
        { type: "dm", scope: "per-account-channel-peer", channel: "slack", accountId: "direct", peerId: "u" },
        { type: "dm", scope: "per-channel-peer", channel: "slack", peerId: "direct:u" },
      ],
      [
        { type: "dm", scope: "per-account-channel-peer", channel: "slack", accountId: "group", peerId: "u" },
        { type: "room", channel: "slack", kind: "group", roomId: "direct:u" },
      ],
      [
        { type: "dm", scope: "per-channel-peer", channel: "cron", peerId: "x" },
        { type: "cron", jobId: "direct:x" },
      ],
      [
        { type: "cron", jobId: "j", runId: "1" },
        { type: "cron", jobId: "j:run:1" },
      ],
      [
        { type: "main", mainKey: "node-1" },
        { type: "node", id: "1" },
      ],
      [{ type: "main", mainKey: "global" }, { type: "global" }],
      [
        { type: "hook", id: "%68" },
        { type: "hook", id: "h" },
      ],
    ];
    for (const [one, other] of pairs) expect(formatSessionKey("a", one)).not.toBe(formatSessionKey("a", other));
  });

  it("refuses to build a key with an empty part", () => {
    expect(() => formatSessionKey("a", { type: "dm", scope: "per-peer", peerId: " " })).toThrow(
      expect.objectContaining({
        code: "CLOISTER_REQUEST_INVALID",
        message: expect.stringContaining("peerId is empty"),
      }),
    );
  });

  it("the pending context of a group has its own key", () => {
    expect(formatGroupHistoryKey("WhatsApp", "Biz", "group", "G1")).toBe("whatsapp:biz:group:g1");
    expect(formatGroupHistoryKey("matrix", "default", "channel", "!AbC:s")).toBe("matrix:default:channel:!AbC:s");
  });
});

/** Ids full of the grammar's own words, separators and escapes. */
const nasty = fc
  .tuple(
    fc.constantFrom(":", ""),
    fc.array(
      fc.oneof(
        fc.constantFrom(
          "thread",
          "topic",
          "direct",
          "group",
          "channel",
          "run",
          "cron",
          "slash",
          "node-",
          "main",
          "global",
        ),
        fc.constantFrom(":", "::", "%", "%25", "%3a", "%74", "$", "Σ", "\u212A", "İ", "A", " "),
        fc.string({ maxLength: 4 }),
      ),
      { minLength: 1, maxLength: 7 },
    ),
  )
  .map(([between, parts]) => parts.join(between).trim())
  .filter((text) => text !== "");
const lower = nasty.map((text) => text.toLowerCase());
const channel = fc.oneof(fc.constantFrom("slack", "telegram", "matrix", "signal", "cron", "direct", "node-x"), lower);
function optional<T>(value: fc.Arbitrary<string>, make: (id: string) => T): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined }).map((id) => (id === undefined ? undefined : make(id)));
}
const inThread = (threadId: string) => ({ threadId });
const inTopic = (topicId: string) => ({ topicId });
const inRun = (runId: string) => ({ runId });

const session: fc.Arbitrary<Session> = fc.oneof(
  fc
    .tuple(lower, optional(lower, inThread))
    .map(([mainKey, thread]) => ({ type: "main", mainKey, ...thread }) as const),
  fc
    .tuple(lower, optional(lower, inThread))
    .map(([peerId, thread]) => ({ type: "dm", scope: "per-peer", peerId, ...thread }) as const),
  fc
    .tuple(channel, lower, optional(lower, inThread))
    .map(
      ([name, peerId, thread]) =>
        ({ type: "dm", scope: "per-channel-peer", channel: name, peerId, ...thread }) as const,
    ),
  fc
    .tuple(channel, lower, lower, optional(lower, inThread))
    .map(
      ([name, accountId, peerId, thread]) =>
        ({ type: "dm", scope: "per-account-channel-peer", channel: name, accountId, peerId, ...thread }) as const,
    ),
  fc
    .tuple(
      channel,
      fc.constantFrom("group" as const, "channel" as const),
      lower,
      optional(lower, inTopic),
      optional(lower, inThread),
    )
    .map(
      ([name, kind, roomId, topic, thread]) =>
        ({ type: "room", channel: name, kind, roomId, ...topic, ...thread }) as const,
    ),
  // Case is kept here.
  fc
    .tuple(nasty, optional(nasty, inTopic), optional(nasty, inThread))
    .map(
      ([roomId, topic, thread]) =>
        ({ type: "room", channel: "matrix", kind: "channel", roomId, ...topic, ...thread }) as const,
    ),
  nasty.map((roomId) => ({ type: "room", channel: "signal", kind: "group", roomId }) as const),
  fc.tuple(lower, optional(lower, inRun)).map(([jobId, run]) => ({ type: "cron", jobId, ...run }) as const),
  fc
    .tuple(fc.constantFrom("hook", "subagent", "acp", "node", "boot", "dashboard", "explicit", "voice"), lower)
    .map(([type, id]) => ({ type, id }) as const),
  fc.tuple(channel, lower).map(([name, userId]) => ({ type: "slash", channel: name, userId }) as const),
  fc.constantFrom({ type: "global" } as const, { type: "unknown" } as const),
);

describe("session key properties", () => {
  it("parse(format(x)) is x, whatever the ids hold", () => {
    fc.assert(
      fc.property(session, (x) => {
        const key = formatSessionKey("a", x);
        expect(parseSessionKey(key)).toEqual({ shape: "agent", key, agentId: "a", session: x });
      }),
      { numRuns: 10_000, seed: 1 },
    );
  });

  it("any text parses without throwing, and a canonical key is its own canonical key", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      nasty.map((rest) => `agent:a:${rest}`),
      fc.tuple(nasty, nasty).map(([id, rest]) => `Agent:${id}:${rest}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        const parsed = parseSessionKey(given);
        if (parsed.shape === "agent") expect(parseSessionKey(parsed.key)).toEqual(parsed);
      }),
      { numRuns: 10_000, seed: 1 },
    );
  });
});
