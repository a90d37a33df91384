/**
 * Who may connect, as one decision over facts: no socket, no state but the count of failed attempts.
 *
 *     protocol → role → lockout → shared secret → device proof → scopes, or what the device was approved for
 *
 * The lockout is asked before any credential is looked at and is told of every wrong one, whatever its kind, so that no
 * combination of fields goes round it. What a client may do follows from what was verified, never from what it says.
 * Source: behaviour §4.2, §4.3, §4.7, §4.10.
 */
import type { Attempts } from "./attempts.ts";
import type { Secret } from "./credential.ts";
import { findDeviceFault } from "./device-proof.ts";
import { limits } from "../kernel/limits.ts";
import { type ConnectParams, type DeviceBlock, protocolVersion } from "./frames.ts";
import type { DeviceAnswer, DeviceAttempt } from "./port.ts";
import type { EdgeSettings } from "./settings.ts";
import { narrowScopes, operatorScopes } from "../../auth/scopes.ts";
import type { ProxyIdentity } from "./trusted-proxy.ts";
import type { WireError } from "./wire-error.ts";

/** What opens the gateway. `shared` is absent when no token or password is configured. */
export interface Door {
  readonly mode: EdgeSettings["auth"]["mode"];
  readonly operatorKey: Secret;
  readonly shared?: Secret;
}

export interface Caller {
  readonly connId: string;
  readonly remoteIp: string | undefined;
  /** It came with an Origin. */
  readonly browser: boolean;
  /** The other end is on this machine and no proxy stands between. */
  readonly local: boolean;
  /** In mode `trusted-proxy`: whom the proxy has identified. */
  readonly proxy?: ProxyIdentity;
  /** It came through the local operator's own socket. */
  readonly operator: boolean;
  /** Under which failed attempts are counted; undefined: not counted. */
  readonly attemptsKey: string | undefined;
  readonly nonce: string;
  readonly nowMs: number;
  readonly deviceSkewMs: number;
}

export type Admission =
  | {
      readonly type: "admitted";
      readonly role: "operator" | "node";
      readonly scopes: readonly string[];
      readonly by: AdmittedBy | "device";
      /** Whom a proxy has identified. */
      readonly user?: string;
      readonly deviceId?: string;
      readonly upgradeRequestId?: string;
      /** Further fields of `auth` in `hello-ok`. */
      readonly told?: object;
    }
  /** The credentials hold, and a device has proved its key: what it was approved for is asked of the kernel's side. */
  | { readonly type: "device"; readonly attempt: DeviceAttempt; readonly wrongToken: Refused }
  | {
      readonly type: "refused";
      readonly error: WireError;
      readonly close: { readonly code: number; readonly reason: string };
    };

type AdmittedBy = "local-socket" | "operator-key" | "shared-secret" | "trusted-proxy" | "mode-none";

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
  if (role !== undefined && role !== "operator" && role !== "node") {
    const message = `invalid role: the client asks for ${JSON.stringify(role.slice(0, 32))}, wanted "operator" or "node"`;
    return refuse(1008, "invalid role", { code: "INVALID_REQUEST", message, details: { code: "INVALID_ROLE" } });
  }

  const lockedMs = caller.attemptsKey === undefined ? 0 : attempts.lockedMs(caller.attemptsKey);
  if (lockedMs > 0) return lockedOut(lockedMs);

  const verdict = checkSecret(params, caller, door);
  const shut = (fault: Fault): Refused => {
    if (fault.wrong && caller.attemptsKey !== undefined) attempts.failed(caller.attemptsKey);
    return unauthorized(fault);
  };
  // The proxy has identified who sits at the page; of a program it knows a user, and the operator wants to know the program.
  const isPerson = verdict.type === "open" && verdict.by === "trusted-proxy" && caller.browser;
  const isNode = role === "node";
  if (verdict.type === "open" && params.device === undefined && (isNode || needsDevice(verdict.by, caller)))
    return shut(identityFault);
  // The operator is nobody's device: no approval stands in their way.
  const credential =
    verdict.type === "shut"
      ? deviceCredential(params, door)
      : isNode
        ? "shared-secret"
        : isPerson
          ? undefined
          : credentials[verdict.by];
  const deviceFault = checkDevice(params, caller);
  if (deviceFault !== undefined && (verdict.type === "open" || credential !== undefined)) return shut(deviceFault);
  if (params.device !== undefined && credential !== undefined) {
    const attempt = makeAttempt(params, params.device, caller, credential);
    return { type: "device", attempt, wrongToken: unauthorized(tokenFault(params, verdict)) };
  }
  if (verdict.type === "shut") return shut(verdict.fault);
  const user = caller.proxy?.type === "user" ? { user: caller.proxy.user } : {};
  const scopes = narrowScopes(operatorScopes, params.scopes);
  return { type: "admitted", role: "operator", scopes, by: verdict.by, ...user };
}

/** A secret that others share says nothing of who has it now: only programs of this machine need not show a key of their own. */
function needsDevice(by: AdmittedBy, { local, browser }: Caller): boolean {
  if (by === "trusted-proxy") return !browser;
  return by === "shared-secret" && (browser || !local);
}

const credentials = {
  "local-socket": undefined,
  "operator-key": undefined,
  "shared-secret": "shared-secret",
  "trusted-proxy": "trusted-proxy",
  "mode-none": "mode-none",
} as const satisfies Record<AdmittedBy, DeviceAttempt["credential"] | undefined>;

/** Of a client whose secret does not open the door: `none` leaves the device's own approval, a token may be the device's. */
function deviceCredential({ auth }: ConnectParams, door: Door): DeviceAttempt["credential"] | undefined {
  if ((auth?.deviceToken ?? auth?.token ?? "") !== "") return "device-token";
  if ((auth?.bootstrapToken ?? "") !== "") return "bootstrap-token";
  return door.mode === "none" ? "mode-none" : undefined;
}

function makeAttempt(
  { auth, client, role, scopes, commands }: ConnectParams,
  device: DeviceBlock,
  { connId, remoteIp, local, browser }: Caller,
  credential: DeviceAttempt["credential"],
): DeviceAttempt {
  const told = { platform: client.platform, deviceFamily: client.deviceFamily, displayName: client.displayName };
  const facts = Object.entries(told).flatMap(([name, text]) => (text === undefined ? [] : [[name, shownText(text)]]));
  const deviceToken = auth?.deviceToken ?? auth?.token;
  return {
    connId,
    deviceId: device.id,
    publicKey: Buffer.from(device.publicKey, "base64url").toString("base64url"),
    role: role ?? "operator",
    client: { clientId: shownText(client.id), clientMode: shownText(client.mode), ...Object.fromEntries(facts) },
    credential,
    local,
    browser,
    ...(scopes === undefined ? {} : { scopes }),
    ...(role === "node" && commands !== undefined ? { commands } : {}),
    ...(credential === "bootstrap-token" && auth?.bootstrapToken !== undefined
      ? { bootstrapToken: auth.bootstrapToken }
      : {}),
    ...(remoteIp === undefined ? {} : { remoteIp }),
    ...(credential === "device-token" && deviceToken !== undefined ? { deviceToken } : {}),
  };
}

/** What a client says of itself ends up on a terminal: one short line without control characters. */
export const shownText = (text: string): string => printable(text).trim().slice(0, limits.deviceFactCharsMax);

/** Without anything that could move a terminal's cursor or look like another letter. */
export const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?");

const approvals = {
  "not-paired": "device is not approved yet",
  "scope-upgrade": "device is asking for more scopes than currently approved",
  "role-upgrade": "device is asking for a role that is not approved, or was taken back",
  "metadata-upgrade": "device says other things of itself than when it was approved",
} as const;

/** The kernel's answer as what happens to the connection. */
export function admissionOfDevice(
  answer: DeviceAnswer,
  { attempt, wrongToken }: Extract<Admission, { type: "device" }>,
  caller: Pick<Caller, "attemptsKey">,
  attempts: Attempts,
): Exclude<Admission, { type: "device" }> {
  const { deviceId, role, scopes = [] } = attempt;
  if (answer.type === "wrong-token") {
    if (caller.attemptsKey !== undefined) attempts.failed(caller.attemptsKey);
    return wrongToken;
  }
  if (answer.type === "admitted") {
    const { token, pendingUpgrade, looksLike } = answer;
    const upgrade = pendingUpgrade === undefined ? {} : { upgradeRequestId: pendingUpgrade.requestId };
    const told = {
      ...(token === undefined ? {} : { deviceToken: token.value, issuedAtMs: token.issuedAtMs }),
      ...(pendingUpgrade === undefined ? {} : { pendingUpgrade }),
      ...(looksLike === undefined ? {} : { looksLike }),
    };
    return {
      type: "admitted",
      role: role === "node" ? "node" : "operator",
      scopes: answer.scopes,
      by: "device",
      deviceId,
      told,
      ...upgrade,
    };
  }
  const { reason, requestId, approvedRoles, approvedScopes, full, looksLike } = answer;
  const approve = requestId === undefined ? "" : ` On its machine: cloister devices approve ${requestId}`;
  const hint = full
    ? "Too many devices wait for a decision; on the gateway's machine: cloister devices list"
    : requestId === undefined
      ? "What only looks asks for no approval: connect with the device's usual client once."
      : `Let the operator of the gateway look at the request and approve it.${approve}`;
  const id = requestId === undefined ? {} : { requestId };
  return refuse(1008, `pairing required: ${reason}${requestId === undefined ? "" : ` (requestId: ${requestId})`}`, {
    code: "NOT_PAIRED",
    message: `pairing required: ${approvals[reason]}`,
    details: {
      code: "PAIRING_REQUIRED",
      reason,
      ...id,
      remediationHint: hint,
      deviceId,
      ...(looksLike === undefined ? {} : { looksLike }),
      requestedRole: role,
      requestedScopes: scopes,
      approvedRoles,
      approvedScopes,
      recommendedNextStep: "wait_then_retry" satisfies NextStep,
      retryable: full,
      pauseReconnect: true,
    },
    retryable: full,
  });
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

function checkSecret({ auth }: ConnectParams, caller: Caller, door: Door): Verdict {
  const offered = [auth?.token, auth?.password].filter((text): text is string => text !== undefined && text !== "");
  // Every comparison is made, so that the time does not tell which one failed.
  const isOperator = offered.map((text) => door.operatorKey.matches(text)).includes(true);
  const isShared = offered.map((text) => door.shared?.matches(text) ?? false).includes(true);
  if (caller.operator) return { type: "open", by: "local-socket" };
  if (isOperator) return { type: "open", by: "operator-key" };
  if (isShared) return { type: "open", by: "shared-secret" };
  if (caller.proxy?.type === "user") return { type: "open", by: "trusted-proxy" };
  if (door.mode === "none" && caller.local) return { type: "open", by: "mode-none" };
  if (door.mode === "trusted-proxy") return { type: "shut", fault: proxyFault(caller, offered.length > 0) };
  return {
    type: "shut",
    fault: secretFault(
      door.mode,
      door.shared !== undefined,
      offered.length > 0,
      auth?.deviceToken ?? auth?.bootstrapToken,
    ),
  };
}

const operatorKeyHint = "on this machine the client can use the operator key in the state directory";

/** A credential in the place of the proxy's word is a wrong one, whatever it is. */
function proxyFault({ proxy }: Caller, offered: boolean): Fault {
  const fault = { next: "review_auth_configuration", wrong: offered } as const;
  if (proxy?.type === "no-header") {
    return {
      ...fault,
      detail: "AUTH_IDENTITY_HEADER_REQUIRED",
      message: `unauthorized: gateway.auth.mode is trusted-proxy, and the proxy sent no header ${proxy.header}, or more than one`,
      remedy: `Let the proxy set ${proxy.header} itself and drop what clients send under this name.`,
    };
  }
  if (proxy?.type === "not-listed") {
    return {
      ...fault,
      detail: "AUTH_UNAUTHORIZED",
      message: "unauthorized: the user that the proxy has identified is not in gateway.auth.trustedProxy.allowUsers",
      remedy: "Add the user there, or empty the list.",
    };
  }
  return {
    ...fault,
    detail: "AUTH_UNAUTHORIZED",
    message: `unauthorized: gateway.auth.mode is trusted-proxy, and the connection comes from ${proxy?.type === "not-a-proxy" ? proxy.address : "nowhere"}, which is not in gateway.trustedProxies`,
    remedy: `Connect through the proxy; ${operatorKeyHint}.`,
  };
}

function secretFault(
  mode: Exclude<Door["mode"], "trusted-proxy">,
  configured: boolean,
  offered: boolean,
  otherToken: string | undefined,
): Fault {
  if (mode === "none") {
    return {
      detail: "AUTH_UNAUTHORIZED",
      message:
        "unauthorized: gateway.auth.mode is none, which admits only clients on this machine without a proxy between",
      remedy: "Set gateway.auth.token and connect with it.",
      next: "update_auth_configuration",
      wrong: offered,
    };
  }
  const kind = mode;
  const prefix = kind === "token" ? "AUTH_TOKEN" : "AUTH_PASSWORD";
  if (!configured) {
    return {
      detail: `${prefix}_NOT_CONFIGURED`,
      message: `unauthorized: the gateway has no gateway.auth.${kind}, so only the operator key opens it`,
      remedy: `Set gateway.auth.${kind} and restart; ${operatorKeyHint}.`,
      next: "update_auth_configuration",
      wrong: offered,
    };
  }
  if (!offered) {
    const device =
      otherToken === undefined ? "" : "; a device's token and a bootstrap token need the proof of the device's key";
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

/** In the place of the device's token may stand a wrong shared one; then that is what is wrong. */
function tokenFault({ auth }: ConnectParams, verdict: Verdict): Fault {
  if ((auth?.deviceToken ?? auth?.token ?? "") === "" && auth?.bootstrapToken !== undefined)
    return {
      detail: "AUTH_BOOTSTRAP_TOKEN_INVALID",
      message: "unauthorized: the bootstrap token is not known, was used, is over, or is for another role",
      remedy: "Let the operator issue another one: cloister devices invite.",
      next: "update_auth_credentials",
      wrong: true,
    };
  if (auth?.deviceToken === undefined && verdict.type === "shut") return verdict.fault;
  return {
    detail: "AUTH_DEVICE_TOKEN_MISMATCH",
    message: "unauthorized: the device's token is not the one that was issued for it, or was taken back",
    remedy: "Connect with the gateway's token once, or let the operator approve the device again.",
    next: "update_auth_credentials",
    wrong: true,
  };
}

const identityFault: Fault = {
  detail: "DEVICE_IDENTITY_REQUIRED",
  message: "device identity required: the client shows no key of its own",
  remedy:
    "Use a client that proves a device key, and let the operator approve it. A page has one over HTTPS and on the gateway's own machine.",
  next: "review_auth_configuration",
  wrong: false,
};

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
