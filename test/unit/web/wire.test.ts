import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  agentOfSession,
  parseAgents,
  parseChat,
  parseFlow,
  parseFlows,
  parseFrame,
  parseHistory,
  parseRunId,
  parseSessions,
  parseSource,
} from "../../../channels/web/page/wire.ts";

describe("frames", () => {
  it("keep an error's finer code, and its remedy in words", () => {
    const error = {
      code: "INVALID",
      message: "No.",
      retryable: false,
      details: { code: "AUTH_TOKEN_MISMATCH", remedy: "Run `cloister dashboard`." },
    };
    expect(parseFrame(JSON.stringify({ type: "res", id: "1", ok: false, error }))).toEqual({
      type: "res",
      id: "1",
      ok: false,
      error: {
        code: "INVALID",
        message: "No. Run `cloister dashboard`.",
        retryable: false,
        detailCode: "AUTH_TOKEN_MISMATCH",
      },
    });
  });

  it("are never a reason to throw", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        parseFrame(JSON.stringify(value) ?? "");
        for (const read of [parseAgents, parseSessions, parseHistory, parseChat, parseFlow, parseFlows, parseRunId]) {
          expect(() => read(value)).not.toThrow();
        }
      }),
    );
  });
});

/** Provenance of what an operator's client sent. */
const said = (senderName: string) => ({ kind: "external_user", sourceChannel: "webchat", senderName });

describe("rows", () => {
  it("of agents are kept without optional fields and skipped without an id", () => {
    expect(parseAgents({ agents: [{ id: "raul", phase: "on fire" }, { name: "nobody" }, null] })).toEqual([
      {
        agentId: "raul",
        name: "raul",
        isDefault: false,
        module: "",
        workspace: "",
        phase: "dormant",
        activeRuns: 0,
        queueDepth: 0,
        restarts: 0,
        mainSessionKey: "agent:raul:main",
      },
    ]);
  });

  it("of sessions come newest first", () => {
    const sessions = [{ key: "agent:a:x", updatedAt: 1 }, { key: "agent:b:y", updatedAt: 2, label: "desk" }, {}];
    expect(parseSessions({ sessions })).toEqual([
      { key: "agent:b:y", agentId: "b", label: "desk", kind: "other", channel: "", updatedAtMs: 2 },
      { key: "agent:a:x", agentId: "a", kind: "other", channel: "", updatedAtMs: 1 },
    ]);
  });

  it("of the history say who wrote them", () => {
    const provenance = { kind: "inter_session", sourceSessionKey: "agent:raul:main" };
    const fromChannel = { kind: "external_user", sourceChannel: "webhook", senderId: "+1555" };
    const messages = [
      { role: "user", content: [{ type: "text", text: "a" }], timestamp: 1, provenance },
      { role: "user", content: "b", timestamp: 2, provenance: fromChannel },
      { role: "toolResult", content: [{ type: "text", text: "c" }, { type: "image" }], timestamp: 3 },
      { role: "assistant", content: [], timestamp: 4 },
    ];
    expect(parseHistory({ messages })).toEqual([
      {
        role: "user",
        text: "a",
        atMs: 1,
        source: { type: "agent", agentId: "raul", sessionKey: "agent:raul:main" },
      },
      { role: "user", text: "b", atMs: 2, source: { type: "channel", channel: "webhook", sender: "+1555" } },
      { role: "tool", text: "c", atMs: 3 },
    ]);
  });

  it("of the history that an operator's client sent are this page's own, or name the other client", () => {
    expect(parseSource(said("cloister-page"))).toBeUndefined();
    expect(parseSource(said("cli"))).toEqual({ type: "operator", client: "cli" });
  });

  it("of chat events in states that the page does not show are left out", () => {
    const event = { runId: "r", sessionKey: "s", agentId: "a", seq: 1, state: "delta" };
    expect(parseChat(event)).toBe(event);
    expect(parseChat({ ...event, state: "status" })).toBeUndefined();
    expect(parseChat({ ...event, runId: "" })).toBeUndefined();
  });

  it("name their agent by the session key", () => {
    expect(agentOfSession("agent:raul:main")).toBe("raul");
    expect(agentOfSession("global")).toBe("global");
  });
});
