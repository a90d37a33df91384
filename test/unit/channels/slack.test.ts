/** What Slack says, as the gateway is told it; where a text may go, and in which form. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromMrkdwn, toMrkdwn } from "../../../channels/slack/format.ts";
import { makeEvent, readCallback, type Self } from "../../../channels/slack/inbound.ts";
import { judgeFault, makePost, parsePlace, threadOf } from "../../../channels/slack/outbound.ts";
import { callback, makeSaid } from "../../support/slack-api.ts";
import { normalizeSender } from "../../../runtime/groups/index.ts";
import { outbound } from "../../support/channels.ts";

const self: Self = { userId: "UBOT", botId: "BBOT", name: "helper" };
const settings = { commandName: "cloister", replyToMode: "off" } as const;
const place = { kind: "channel", name: undefined, isInThread: false } as const;
const read = (payload: unknown) => readCallback(payload, self, settings, 5);
const said = (changes: object = {}) => read(callback(makeSaid({ channel: "C1", channel_type: "channel", ...changes })));

describe("what an agent writes", () => {
  test.each([
    ["**bold** and __bold__", "*bold* and *bold*"],
    ["*slanted* and _slanted_", "_slanted_ and _slanted_"],
    ["**both *at once***", "*both _at once_*"],
    ["~~gone~~", "~gone~"],
    ["# Title\n## Sub **title** ##", "*Title*\n*Sub title*"],
    ["- one\n  * two\n1. three", "• one\n  • two\n1. three"],
    ["see [the page](https://example.org/a?b=1&c=2)", "see <https://example.org/a?b=1&amp;c=2|the page>"],
    ["![picture](https://example.org/x.png)", "<https://example.org/x.png|picture>"],
    ["2 * 3 * 4 and a_b_c and snake__case__name", "2 * 3 * 4 and a_b_c and snake__case__name"],
    ["`**raw** <b>`", "`**raw** &lt;b&gt;`"],
    [
      "```ts\nconst a = b && c;\n# no title\n```\nafter **it**",
      "```\nconst a = b &amp;&amp; c;\n# no title\n```\nafter *it*",
    ],
    ["```\nnever closed **", "```\nnever closed **"],
    ["ask <@U42> about it", "ask <@U42> about it"],
  ])("%j is %j in Slack's form", (markdown, mrkdwn) => {
    expect(toMrkdwn(markdown)).toBe(mrkdwn);
  });

  test.each([
    "<!channel>",
    "<!here|here>",
    "<!subteam^S1>",
    "<https://evil.example|your bank>",
    "<#C1>",
    "&lt;!here&gt;",
  ])("%j calls nobody and hides no address", (text) => expect(toMrkdwn(text)).not.toMatch(/<[!h#]/));

  test("nothing in it is read as Slack's own but a person and a link with its label", () => {
    const piece = fc.constantFrom(
      "<",
      ">",
      "&",
      "*",
      "**",
      "_",
      "~~",
      "`",
      "```\n",
      "\n",
      "# ",
      "- ",
      "a",
      "b c",
      "[x](https://e.org)",
      "<!here>",
      "<@U1>",
      "|",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const plain = toMrkdwn(pieces.join("")).replaceAll(/<@U1>|<https:\/\/e\.org\|[^<>]*>/g, "");
        expect(plain).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
      }),
    );
  });
});

describe("what people write", () => {
  test.each([
    ["hi <@UBOT>, ask <@U42|ana>", "hi @helper, ask <@U42>"],
    ["in <#C1|general> and <#C2>", "in #general and <#C2>"],
    ["<!here> <!channel|@channel> <!subteam^S1|@team>", "@here @channel @team"],
    ["<https://example.org/a?b=1&amp;c=2>", "https://example.org/a?b=1&c=2"],
    ["<https://example.org|the page>", "the page (https://example.org)"],
    ["<mailto:a@example.org|a@example.org> <http://example.org|example.org>", "a@example.org http://example.org"],
    ["1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt;", "1 < 2 && 3 > 2, &lt;"],
  ])("%j is %j", (mrkdwn, text) => {
    expect(fromMrkdwn(mrkdwn, self)).toBe(text);
  });

  test("a command behind the account's name is a command", () => {
    expect(said({ text: "<@UBOT> /status" })).toMatchObject({ text: "/status", isMention: true });
    expect(said({ text: "<@UBOT> hello" })).toMatchObject({ text: "@helper hello" });
  });

  test("files are named above the text, and what another service keeps has the address alone", () => {
    const file = {
      id: "F1",
      name: "map.png",
      mimetype: "image/png",
      size: 9,
      url_private: "https://files.slack.com/map",
    };
    expect(said({ subtype: "file_share", text: "here", files: [file, { mode: "tombstone" }] })).toMatchObject({
      text: "[image: map.png]\nhere",
      media: [{ kind: "image", name: "map.png", bytes: 9, ref: "https://files.slack.com/map" }],
    });
    expect(said({ text: "", attachments: [{ fallback: "disk full" }] })?.text).toBe("[attached: disk full]");
  });
});

describe("what is nothing that somebody said", () => {
  test.each([
    ["a topic", { subtype: "channel_topic" }],
    ["a changed message", { subtype: "message_changed" }],
    ["an own message", { user: "UBOT" }],
    ["an own message of the older form", { user: undefined, subtype: "bot_message", bot_id: "BBOT" }],
    ["nothing", { text: "  " }],
  ])("%s", (_, changes) => expect(said(changes)).toBeUndefined());

  test.each([
    [{ type: "url_verification" }],
    [{ type: "view_submission" }],
    ["text"],
    [null],
    [{ command: "/cloister", text: " ", channel_id: "D1" }],
  ])("%j", (payload) => expect(read(payload)).toBeUndefined());

  test("a message without an id is a fault, and not one that is guessed", () => {
    expect(() => said({ ts: undefined })).toThrow(/no ts/);
  });
});

test("who wrote from where is told, and what Slack does not tell stays out", () => {
  const found = said({ user: "U42", ts: "1700000000.000100" });
  if (found === undefined) throw new Error("it was not read");
  expect(makeEvent(found, place, self, settings)).toEqual({
    messageId: "1700000000.000100",
    peer: { kind: "channel", id: "C1" },
    teamId: "T1",
    sender: { id: "U42" },
    selfId: "UBOT",
    wasMentioned: false,
    text: "hello",
    tsMs: 1_700_000_000_000,
  });
});

describe("where a text goes", () => {
  test.each([
    ["direct", "U42", { type: "person", id: "U42" }],
    ["direct", "w1a", { type: "person", id: "W1A" }],
    // As an owner of another workspace is named.
    ["direct", "t2:u42", { type: "person", id: "U42" }],
    ["direct", "E1:W1A", { type: "person", id: "W1A" }],
    ["direct", "U1:U42", undefined],
    ["direct", "T2:C1", undefined],
    ["channel", "T2:C1", undefined],
    ["channel", "c1", { type: "conversation", id: "C1" }],
    ["group", "G1", { type: "conversation", id: "G1" }],
    ["direct", "C1", undefined],
    ["channel", "U42", undefined],
    ["channel", "D42", undefined],
    ["channel", "#general", undefined],
    ["channel", "C1,C2", undefined],
  ] as const)("%s %s", (kind, id, wanted) => expect(parsePlace({ kind, id })).toEqual(wanted));

  test("a thread is the time of a message and nothing else", () => {
    const to = (changes: object) => threadOf(outbound({ peer: { kind: "channel", id: "C1" }, ...changes }), settings);
    expect(to({ threadId: "1700000000.000100" })).toBe("1700000000.000100");
    expect(to({ threadId: "C1", inReplyTo: "1.2" })).toBeUndefined();
  });

  test("no address in a text makes Slack fetch it", () => {
    expect(makePost("C1", outbound({ text: "https://example.org" }), undefined)).toEqual({
      channel: "C1",
      text: "https://example.org",
      unfurl_links: false,
      unfurl_media: false,
    });
  });

  test.each([
    ["ratelimited", { retry: true }],
    ["internal_error", { retry: true, mayHaveArrived: true }],
    ["is_archived", { retry: false }],
    ["token_revoked", { retry: true, credential: true }],
    ["missing_scope", { retry: false }],
  ])("%s", (fault, wanted) => expect(judgeFault(fault)).toMatchObject(wanted));
});

describe("a person of another workspace", () => {
  const own: typeof self = { ...self, teamId: "T1", enterpriseId: "E1" };
  /** `told`: by users.info. */
  const senderOf = (payload: object, me = own, told?: string) => {
    const found = readCallback(payload, me, settings, 1);
    if (found === undefined) throw new Error("it was not read");
    return makeEvent(found, { ...place, senderTeamId: told }, me, settings).sender.id;
  };
  const message = (event: object, isShared?: boolean) => ({
    type: "event_callback",
    team_id: "T1",
    is_ext_shared_channel: isShared,
    event: { type: "message", channel: "C1", user: "U42", ts: "1.1", text: "hello", ...event },
  });
  const press = (team: string) => ({
    type: "block_actions",
    team: { id: "T1" },
    user: { id: "U42", team_id: team },
    container: { channel_id: "C1" },
    actions: [{ value: "/approve" }],
    trigger_id: "1",
  });
  const command = (team: string) => ({
    command: "/cloister",
    text: "hello",
    channel_id: "C1",
    user_id: "U42",
    team_id: team,
    trigger_id: "1",
  });
  test.each([
    ["says so in a message of a shared channel", message({ team: "T2" }), "T2:U42"],
    ["is told by user_team before team", message({ team: "T1", user_team: "T2" }), "T2:U42"],
    ["presses a button", press("T2"), "T2:U42"],
    ["gives a command", command("T2"), "T2:U42"],
    ["is none in a message of the account's own", message({ team: "T1" }), "U42"],
    ["is none where the organisation is told", message({ team: "E1" }), "U42"],
    ["may be one where nothing is told", message({}), "?:U42"],
    ["is none who presses a button here", press("T1"), "U42"],
    ["is none who gives a command here", command("T1"), "U42"],
  ])("%s", (_name, payload, wanted) => expect(senderOf(payload)).toBe(wanted));

  test.each([
    ["in a channel of this workspace alone", false, undefined, undefined, "U42"],
    [
      "in a channel that others share, when Slack says at a question that it is one of this workspace",
      true,
      undefined,
      "T1",
      "U42",
    ],
    ["in a channel that others share, when it is one of another", true, undefined, "T2", "T2:U42"],
    ["in a channel that others share, when Slack does not answer", true, undefined, undefined, "?:U42"],
    ["in an organisation, whose workspaces share channels as well", false, "E1", undefined, "?:U42"],
  ])("who does not say so is judged %s", (_name, isShared, enterpriseId, told, wanted) => {
    expect(senderOf(message({}, isShared), { ...self, teamId: "T1", enterpriseId }, told)).toBe(wanted);
  });

  test("is no owner and on no list by the id alone, and is by the id with the workspace", () => {
    const rules = (entry: string) => normalizeSender("slack", entry);
    expect(rules("slack:U42")).not.toBe(rules("T2:U42"));
    expect(rules("slack:T2:U42")).toBe(rules("T2:U42"));
    expect(rules("?:U42")).not.toBe(rules("U42"));
  });

  test("is answered in the direct chat by the id that Slack has", () => {
    const found = readCallback(message({ channel: "D9", team: "T2" }), own, settings, 1);
    if (found === undefined) throw new Error("it was not read");
    expect(makeEvent(found, { ...place, kind: "direct" }, own, settings)).toMatchObject({
      peer: { kind: "direct", id: "U42" },
      sender: { id: "T2:U42" },
    });
  });
});
