import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatOutbound, parseInbound } from "../../../channels/webhook/index.ts";
import { parseRetryAfter } from "../../../channels/webhook/client.ts";
import type { OutboundMessage } from "../../../channels/port.ts";

const context = { accountId: "biz", nowMs: 42, waitMs: { default: 30_000, max: 600_000 } };

describe("webhook inbound", () => {
  it("makes an event of every fact that came and guesses none", () => {
    const body = {
      text: "hello",
      peer: { kind: "group", id: "g1" },
      sender: { id: "u1", name: "Ann" },
      messageId: "m1",
      parentPeer: { kind: "channel", id: "c1" },
      guildId: "gu",
      teamId: "te",
      roles: ["admin"],
      threadId: "t1",
      replyTo: "m0",
      accountId: "other",
      channel: "telegram",
      isOwner: true,
    };
    expect(parseInbound(body, context)).toEqual({
      ok: true,
      waitMs: undefined,
      event: {
        channel: "webhook",
        accountId: "biz",
        text: "hello",
        peer: { kind: "group", id: "g1" },
        sender: { id: "u1", name: "Ann" },
        messageId: "m1",
        parentPeer: { kind: "channel", id: "c1" },
        guildId: "gu",
        teamId: "te",
        memberRoleIds: ["admin"],
        threadId: "t1",
        replyTo: "m0",
        tsMs: 42,
      },
    });
    expect(parseInbound({ text: "x", peer: { kind: "direct", id: "u" } }, context)).toEqual({
      ok: true,
      waitMs: undefined,
      event: {
        channel: "webhook",
        accountId: "biz",
        text: "x",
        peer: { kind: "direct", id: "u" },
        sender: { id: "u" },
        tsMs: 42,
      },
    });
  });

  it("takes the sender for the peer of a direct message", () => {
    expect(parseInbound({ text: "x", sender: { id: "u1" } }, context)).toMatchObject({
      event: { peer: { kind: "direct", id: "u1" }, sender: { id: "u1" } },
    });
  });

  it.each([
    [{ wait: true }, 30_000],
    [{ wait: true, timeoutSeconds: 5 }, 5_000],
    [{ timeoutSeconds: 5 }, undefined],
    [{ wait: false }, undefined],
  ])("waits %j → %s ms", (extra, waitMs) => {
    expect(parseInbound({ text: "x", sender: { id: "u" }, ...extra }, context)).toMatchObject({ ok: true, waitMs });
  });

  it.each([
    [{ sender: { id: "u" } }, /^text: /],
    [{ text: " \n", sender: { id: "u" } }, /^text: .*visible/],
    [{ text: "x" }, /^peer: expected peer or sender/],
    [{ text: "x", peer: { kind: "user", id: "1" } }, /^peer\.kind: /],
    [{ text: "x", peer: { kind: "direct", id: "" } }, /^peer\.id: /],
    [{ text: "x", sender: { id: 7 } }, /^sender\.id: /],
    [{ text: "x", sender: { id: "u" }, roles: "admin" }, /^roles: /],
    [{ text: "x", sender: { id: "u" }, timeoutSeconds: 601 }, /^timeoutSeconds: expected at most 600/],
    [null, /expected object/],
    [[], /expected object/],
    ["text", /expected object/],
  ])("refuses %j and names the field", (body, issue) => {
    const parsed = parseInbound(body, context);
    expect(parsed).toMatchObject({ ok: false, issues: [expect.stringMatching(issue)] });
  });

  it("never throws and never lets a body choose account or channel", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.dictionary(fc.constantFrom("accountId", "channel", "wait", "guildId", "peer"), fc.jsonValue()),
        (value, extra) => {
          parseInbound(value, context);
          const parsed = parseInbound({ text: "x", sender: { id: "u" }, ...extra }, context);
          if (parsed.ok) expect(parsed.event).toMatchObject({ accountId: "biz", channel: "webhook" });
        },
      ),
    );
  });
});

const message: OutboundMessage = {
  idempotencyKey: "env 1/ü%",
  channel: "webhook",
  accountId: "biz",
  peer: { kind: "direct", id: "u1" },
  agentId: "main",
  sessionKey: "agent:main:main",
  text: "hi",
};

const header = (idempotencyKey: string) =>
  formatOutbound({ ...message, idempotencyKey }, { url: "x" }).headers["idempotency-key"];

describe("webhook outbound", () => {
  it("carries the message, the account's token and a key that a header can hold", () => {
    const request = formatOutbound(message, { url: "https://example.org/in", token: "t" });
    expect(request.url).toBe("https://example.org/in");
    expect(request.headers).toEqual({
      "content-type": "application/json; charset=utf-8",
      "idempotency-key": "env%201/%C3%BC%25",
      authorization: "Bearer t",
    });
    expect(JSON.parse(request.body)).toEqual(message);
    expect(formatOutbound(message, { url: "https://example.org/in" }).headers).not.toHaveProperty("authorization");
  });

  it("keeps different keys different and every key in visible ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        expect(header(a)).toMatch(/^[\x21-\x7e]*$/);
        if (a !== b) expect(header(a)).not.toBe(header(b));
      }),
    );
    expect(header("\ud800")).toMatch(/^[\x21-\x7e]+$/);
  });
});

describe("Retry-After", () => {
  it.each([
    ["3", 3_000],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 5_000],
    ["Thu, 01 Jan 1970 00:00:01 GMT", 0],
    ["soon", undefined],
    [null, undefined],
  ])("%s → %s ms", (value, ms) => {
    expect(parseRetryAfter(value, 5_000)).toBe(ms);
  });
});
