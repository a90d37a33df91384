import { describe, expect, it } from "vitest";
import { errorRegister } from "../../../runtime/kernel/errors.ts";
import { acceptedResult, sendResult, toolErrorCode } from "../../../runtime/kernel/tool-results.ts";

const allowed = [
  "forbidden",
  "not_found",
  "archived",
  "busy",
  "timeout",
  "would_deadlock",
  "worker_unavailable",
  "invalid",
];

describe("AC-08.2: what an agent is told of a failed send", () => {
  it("is one of eight codes, for every code of the register", () => {
    const codes = Object.keys(errorRegister);
    expect(codes.length).toBeGreaterThan(30);
    for (const code of codes) expect(allowed, code).toContain(toolErrorCode(code));
  });

  const expected: Readonly<Record<string, string>> = {
    CLOISTER_CAPABILITY_DENIED: "forbidden",
    CLOISTER_CAPABILITY_REVOKED: "forbidden",
    CLOISTER_CAPABILITY_FORGED: "forbidden",
    CLOISTER_AGENT_UNKNOWN: "not_found",
    CLOISTER_SESSION_UNKNOWN: "not_found",
    CLOISTER_MAILBOX_FULL: "busy",
    CLOISTER_GATEWAY_DRAINING: "busy",
    CLOISTER_ASK_TIMEOUT: "timeout",
    CLOISTER_ASK_DEADLOCK: "would_deadlock",
    CLOISTER_REQUEST_INVALID: "invalid",
    CLOISTER_MESSAGE_TOO_LARGE: "invalid",
    CLOISTER_MAILBOX_HOPS: "invalid",
    CLOISTER_CHAIN_SPENT: "invalid",
    CLOISTER_AGENT_CRASHED: "worker_unavailable",
    CLOISTER_AGENT_PARKED: "worker_unavailable",
    CLOISTER_AGENT_DISABLED: "worker_unavailable",
    CLOISTER_MAILBOX_POISON: "worker_unavailable",
    CLOISTER_STORE_FAILED: "worker_unavailable",
    NOT_A_CODE: "worker_unavailable",
  };
  for (const [code, told] of Object.entries(expected)) {
    it(`says ${told} for ${code}`, () => expect(toolErrorCode(code)).toBe(told));
  }

  it("carries the reason, the operator's hint and when to try again", () => {
    expect(
      sendResult(
        { status: "error", code: "CLOISTER_MAILBOX_FULL", message: "full" },
        { code: "CLOISTER_MAILBOX_FULL", message: "full", remedy: "wait", retryAfterMs: 100 },
      ),
    ).toEqual({ status: "error", code: "busy", error: "full", operatorHint: "wait", retryAfterMs: 100 });
    expect(sendResult({ status: "error", code: "CLOISTER_CAPABILITY_DENIED", message: "no" })).toEqual({
      status: "forbidden",
      code: "forbidden",
      error: "no",
    });
    expect(sendResult({ status: "error", code: "CLOISTER_ASK_TIMEOUT", message: "late" })).toEqual({
      status: "timeout",
      code: "timeout",
      error: "late",
    });
  });
});

describe("the result of a send that went well", () => {
  it("is the reply, the lack of one, or the receipt", () => {
    expect(sendResult({ status: "ok", text: "yes" })).toEqual({ status: "ok", reply: "yes" });
    expect(sendResult({ status: "no_reply" })).toEqual({ status: "no_reply" });
    expect(acceptedResult({ runId: "r", sessionKey: "agent:raul:main" })).toEqual({
      runId: "r",
      status: "accepted",
      sessionKey: "agent:raul:main",
      delivery: { status: "skipped", mode: "none" },
    });
  });
});
