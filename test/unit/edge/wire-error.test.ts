import { describe, expect, it } from "vitest";
import { httpStatus, toWireError, wireCode } from "../../../runtime/edge/wire-error.ts";
import { type ErrorCode, errorRegister } from "../../../runtime/kernel/errors.ts";

const codes = Object.keys(errorRegister) as ErrorCode[];

/** Written by hand: what a client of the protocol is told for the failures that it meets most. */
const expected: Partial<Record<ErrorCode, string>> = {
  CLOISTER_REQUEST_INVALID: "INVALID_REQUEST",
  CLOISTER_MESSAGE_TOO_LARGE: "INVALID_REQUEST",
  CLOISTER_ASK_DEADLOCK: "INVALID_REQUEST",
  CLOISTER_MAILBOX_HOPS: "INVALID_REQUEST",
  CLOISTER_CHAIN_SPENT: "INVALID_REQUEST",
  CLOISTER_EDGE_UNAUTHENTICATED: "UNAUTHORIZED",
  CLOISTER_CAPABILITY_DENIED: "FORBIDDEN",
  CLOISTER_CAPABILITY_REVOKED: "FORBIDDEN",
  CLOISTER_EDGE_HOST: "FORBIDDEN",
  CLOISTER_AGENT_UNKNOWN: "NOT_FOUND",
  CLOISTER_SESSION_UNKNOWN: "NOT_FOUND",
  CLOISTER_MAILBOX_FULL: "UNAVAILABLE",
  CLOISTER_AGENT_PARKED: "UNAVAILABLE",
  CLOISTER_GATEWAY_DRAINING: "UNAVAILABLE",
  CLOISTER_INTERNAL: "UNAVAILABLE",
  CLOISTER_ASK_TIMEOUT: "TIMEOUT",
};

/** Which wire codes a status may become: a status outside of this table has no wire code of its own yet. */
const byStatus: Record<number, string> = {
  400: "INVALID_REQUEST",
  401: "UNAUTHORIZED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  405: "INVALID_REQUEST",
  408: "TIMEOUT",
  409: "INVALID_REQUEST",
  413: "INVALID_REQUEST",
  421: "FORBIDDEN",
  422: "INVALID_REQUEST",
  429: "UNAVAILABLE",
  500: "UNAVAILABLE",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "TIMEOUT",
  507: "UNAVAILABLE",
  508: "INVALID_REQUEST",
};

describe("wire errors", () => {
  it.each(codes)("%s has a wire code that follows from its status", (code) => {
    const row = errorRegister[code];
    expect(byStatus[row.http], `status ${row.http} of ${code} is not in the table`).toBeDefined();
    expect(wireCode(code)).toBe(byStatus[row.http]);
    expect(httpStatus(code)).toBe(row.http);
  });

  it.each(Object.entries(expected))("%s is %s", (code, wire) => {
    expect(wireCode(code)).toBe(wire);
  });

  it.each(codes)("%s keeps code, message, remedy and the time to wait", (code) => {
    const error = toWireError({ code, message: "m", remedy: "r", retryAfterMs: 7 }, { code: "mine", runId: "x" });
    expect(error).toEqual({
      code: wireCode(code),
      message: "m",
      details: { code, remedy: "r", runId: "x" },
      retryable: errorRegister[code].retry === "later",
      retryAfterMs: 7,
    });
  });

  it("treats a code that the register does not have as a fault of the gateway", () => {
    expect(httpStatus("CLOISTER_FROM_THE_FUTURE")).toBe(500);
    expect(httpStatus("toString")).toBe(500);
    expect(wireCode("constructor")).toBe("UNAVAILABLE");
  });
});
