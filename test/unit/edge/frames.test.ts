import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closeReason, connectParams, formatEvent, formatPayload, parseFrame } from "../../../runtime/edge/frames.ts";
import { findMethod, methods } from "../../../runtime/edge/methods.ts";

describe("frames", () => {
  it("are requests, nameable mistakes, or nothing", () => {
    expect(parseFrame('{"type":"req","id":"1","method":"health"}')).toMatchObject({
      type: "request",
      frame: { id: "1", method: "health" },
    });
    expect(parseFrame('{"type":"req","id":"1","method":7}')).toMatchObject({ type: "malformed", id: "1" });
    for (const raw of [
      "",
      "{",
      "null",
      "[]",
      '"req"',
      '{"type":"res","id":"1"}',
      '{"type":"req","id":7,"method":"x"}',
    ]) {
      expect(parseFrame(raw).type, raw).toBe("not-a-frame");
    }
  });

  it("answer with nothing where nothing is the answer, such as the last of none, and with no facts where there is no answer", () => {
    expect([formatPayload("1", null), formatPayload("1", undefined)].map((text) => JSON.parse(text).payload)).toEqual([
      null,
      {},
    ]);
  });

  it("never throw, whatever arrives", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json({ maxDepth: 1 }).map((json) => `{"type":"req","id":"a","method":${json}}`),
        ),
        (raw) => {
          expect(["request", "malformed", "not-a-frame"]).toContain(parseFrame(raw).type);
        },
      ),
    );
  });

  it("number an event only when asked to", () => {
    expect(JSON.parse(formatEvent("tick", '{"ts":1}'))).toEqual({ type: "event", event: "tick", payload: { ts: 1 } });
    expect(JSON.parse(formatEvent("chat", "{}", 3))).toEqual({ type: "event", event: "chat", payload: {}, seq: 3 });
  });

  it("accept what the existing client sends on connect", () => {
    const params = {
      minProtocol: 4,
      maxProtocol: 4,
      client: {
        id: "cli",
        version: "2026.9.6",
        platform: "linux",
        deviceFamily: "Linux",
        mode: "cli",
        instanceId: "i",
      },
      caps: ["tool-events"],
      auth: { token: "t" },
      role: "operator",
      scopes: ["operator.admin"],
      locale: "en",
      userAgent: "x",
    };
    expect(connectParams.parse(params).client.id).toBe("cli");
  });
});

describe("close reasons", () => {
  it("hold at most 123 bytes of whole characters and are a beginning of the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
        const reason = closeReason(text);
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
        const flat = Buffer.from(text.replaceAll(/[\r\n]+/g, " "), "utf8").toString("utf8");
        expect(flat.startsWith(reason)).toBe(true);
        if (Buffer.byteLength(flat) <= 123) expect(reason).toBe(flat);
        else expect(Buffer.byteLength(reason)).toBeGreaterThan(119);
      }),
    );
  });
});

describe("methods", () => {
  it("are found by their own names only", () => {
    expect(findMethod("agent")?.scope).toBe("operator.write");
    for (const name of ["toString", "constructor", "__proto__", "Agent", "wizard.start", ""])
      expect(findMethod(name)).toBeUndefined();
  });

  it("drop keys that they do not know", () => {
    const sent = {
      sessionKey: "agent:main:main",
      message: "hi",
      idempotencyKey: "k",
      sessionId: "s",
      deliver: false,
      agentId: "raul",
    };
    expect(methods["chat.send"].params.parse(sent)).toEqual({
      sessionKey: "agent:main:main",
      message: "hi",
      idempotencyKey: "k",
      deliver: false,
    });
  });

  it("refuse what has the wrong form", () => {
    const wrong: [keyof typeof methods, unknown][] = [
      ["chat.send", { sessionKey: "x", message: "   " }],
      ["chat.send", { message: "hi" }],
      ["chat.history", { sessionKey: "x", limit: 0 }],
      ["sessions.resolve", { agentId: "a" }],
      ["sessions.list", { limit: "all" }],
      ["agent", { message: "hi", timeout: -1 }],
      ["route.explain", { channel: "webhook", peer: { kind: "user", id: "1" } }],
      ["agent.wait", {}],
    ];
    for (const [name, params] of wrong) expect(methods[name].params.safeParse(params).success, name).toBe(false);
  });
});
