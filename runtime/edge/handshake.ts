/**
 * Who may connect, as one decision over facts: no socket, no state but the count of failed attempts.
 *
 *     protocol → role → lockout → shared secret → device proof → scopes
 *
 * The lockout is asked before any credential is looked at and is told of every wrong one, whatever its kind, so that no
 * combination of fields goes round it. What a client may do follows from what was verified, never from what it says.
 * Source: behaviour §4.2, §4.3, §4.7, §4.10.
 */
import type { Attempts } from "./attempts.ts";
import type { Secret } from "./credential.ts";
import { findDeviceFault } from "./device-proof.ts";
import { type ConnectParams, protocolVersion } from "./frames.ts";
import { narrowScopes, operatorScopes } from "../../auth/scopes.ts";
import type { WireError } from "./wire-error.ts";

/** What opens the gateway. `shared` is absent when no token or password is configured. */
export interface Door {
  readonly mode: "none" | "token" | "password";
  readonly operatorKey: Secret;
  readonly shared?: Secret;
}

export interface Caller {
  /** The other end is on this machine and no proxy stands between. */
  readonly local: boolean;
  /** Under which failed attempts are counted; undefined: not counted. */
  readonly attemptsKey: string | undefined;
  readonly nonce: string;
  readonly nowMs: number;
  readonly deviceSkewMs: number;
}

export type Admission =
  | {
      readonly type: "admitted";
      readonly role: "operator";
      readonly scopes: readonly string[];
      readonly by: AdmittedBy;
    }
  | {
      readonly type: "refused";
      readonly error: WireError;
      readonly close: { readonly code: number; readonly reason: string };
    };

type AdmittedBy = "operator-key" | "shared-secret" | "mode-none";

type Refused = Extract<Admission, { type: "refused" }>;

type NextStep =
  | "update_auth_configuration"
  | "update_auth_credentials"
  | "wait_then_retry"
  | "review_auth_configuration";

export function decideAdmission(params: ConnectParams, caller: Caller, door: Door, attempts: Attempts): Admission {
  const { minProtocol, maxProtocol, role } = params;
  if (!(minProtocol <= protocolVersion && protocolVersion <= maxProtocol)) {
    const message = `protocol mismatch: the client speaks ${minProtocol} to ${maxProtocol}, this gateway speaks ${protocolVersion}`;
    return refuse(1002, "protocol mismatch", {
      code: "INVALID_REQUEST",
      message,
      details: {
        code: "PROTOCOL_MISMATCH",
        expectedProtocol: protocolVersion,
        remedy: "Use a client that speaks this version.",
      },
    });
  }
  if (role !== undefined && role !== "operator") {
    const message = `invalid role: the client asks for ${JSON.stringify(role.slice(0, 32))}, this version admits only "operator"`;
    return refuse(1008, "invalid role", { code: "INVALID_REQUEST", message, details: { code: "INVALID_ROLE" } });
  }

  const lockedMs = caller.attemptsKey === undefined ? 0 : attempts.lockedMs(caller.attemptsKey);
  if (lockedMs > 0) return lockedOut(lockedMs);

  const verdict = judgeCredentials(params, caller, door);
  if (verdict.type === "shut") {
    if (verdict.fault.wrong && caller.attemptsKey !== undefined) attempts.failed(caller.attemptsKey);
    return unauthorized(verdict.fault);
  }
  return { type: "admitted", role: "operator", scopes: narrowScopes(operatorScopes, params.scopes), by: verdict.by };
}

interface Fault {
  readonly detail: string;
  readonly message: string;
  readonly remedy: string;
  readonly next: NextStep;
  /** A wrong credential counts as a failed attempt; a missing one does not. */
  readonly wrong: boolean;
}

type Verdict = { readonly type: "open"; readonly by: AdmittedBy } | { readonly type: "shut"; readonly fault: Fault };

function judgeCredentials(params: ConnectParams, caller: Caller, door: Door): Verdict {
  const verdict = checkSecret(params, caller, door);
  const fault = verdict.type === "open" ? checkDevice(params, caller) : undefined;
  return fault === undefined ? verdict : { type: "shut", fault };
}

function checkSecret({ auth }: ConnectParams, caller: Caller, door: Door): Verdict {
  const offered = [auth?.token, auth?.password].filter((text): text is string => text !== undefined && text !== "");
  // Every comparison is made, so that the time does not tell which one failed.
  const isOperator = offered.map((text) => door.operatorKey.matches(text)).includes(true);
  const isShared = offered.map((text) => door.shared?.matches(text) ?? false).includes(true);
  if (isOperator) return { type: "open", by: "operator-key" };
  if (isShared) return { type: "open", by: "shared-secret" };
  if (door.mode === "none" && caller.local) return { type: "open", by: "mode-none" };
  return { type: "shut", fault: secretFault(door, offered.length > 0, auth?.deviceToken ?? auth?.bootstrapToken) };
}

const operatorKeyHint = "on this machine the client can use the operator key in the state directory";

function secretFault(door: Door, offered: boolean, otherToken: string | undefined): Fault {
  if (door.mode === "none") {
    return {
      detail: "AUTH_UNAUTHORIZED",
      message:
        "unauthorized: gateway.auth.mode is none, which admits only clients on this machine without a proxy between",
      remedy: "Set gateway.auth.token and connect with it.",
      next: "update_auth_configuration",
      wrong: offered,
    };
  }
  const kind = door.mode;
  const prefix = kind === "token" ? "AUTH_TOKEN" : "AUTH_PASSWORD";
  if (door.shared === undefined) {
    return {
      detail: `${prefix}_NOT_CONFIGURED`,
      message: `unauthorized: the gateway has no gateway.auth.${kind}, so only the operator key opens it`,
      remedy: `Set gateway.auth.${kind} and restart; ${operatorKeyHint}.`,
      next: "update_auth_configuration",
      wrong: offered,
    };
  }
  if (!offered) {
    const device = otherToken === undefined ? "" : "; device and bootstrap tokens are not active in this version";
    return {
      detail: `${prefix}_MISSING`,
      message: `unauthorized: the client sent no gateway ${kind}${device}`,
      remedy: `Give the client the value of gateway.auth.${kind}; ${operatorKeyHint}.`,
      next: "update_auth_configuration",
      wrong: false,
    };
  }
  return {
    detail: `${prefix}_MISMATCH`,
    message: `unauthorized: the gateway ${kind} that the client sent is not the configured one`,
    remedy: `Give the client the value of gateway.auth.${kind}; ${operatorKeyHint}.`,
    next: "update_auth_credentials",
    wrong: true,
  };
}

function checkDevice(params: ConnectParams, caller: Caller): Fault | undefined {
  if (params.device === undefined) return undefined;
  const challenge = { nonce: caller.nonce, nowMs: caller.nowMs, skewMs: caller.deviceSkewMs };
  const detail = findDeviceFault(params.device, params, challenge);
  if (detail === undefined) return undefined;
  return {
    detail,
    message: `unauthorized: the device proof does not hold (${detail})`,
    remedy:
      "Let the client sign the nonce of this connection with its own key, check its clock, or leave the device out.",
    next: "review_auth_configuration",
    wrong: true,
  };
}

function unauthorized({ detail, message, remedy, next }: Fault): Refused {
  return refuse(1008, message, {
    code: "UNAUTHORIZED",
    message,
    details: { code: detail, recommendedNextStep: next, remedy },
    retryable: false,
  });
}

function lockedOut(retryAfterMs: number): Refused {
  const message = `unauthorized: too many failed attempts; try again in ${Math.ceil(retryAfterMs / 1000)} s`;
  return refuse(1008, message, {
    code: "UNAUTHORIZED",
    message,
    details: { code: "AUTH_RATE_LIMITED", recommendedNextStep: "wait_then_retry" satisfies NextStep },
    retryable: true,
    retryAfterMs,
  });
}

function refuse(code: number, reason: string, error: WireError): Refused {
  return { type: "refused", error, close: { code, reason } };
}
