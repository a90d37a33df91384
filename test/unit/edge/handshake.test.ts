import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeAttempts } from "../../../runtime/edge/attempts.ts";
import { makeSecret } from "../../../runtime/edge/credential.ts";
import { findDeviceFault, proofTexts } from "../../../runtime/edge/device-proof.ts";
import type { ConnectParams } from "../../../runtime/edge/frames.ts";
import { admissionOfDevice, type Caller, type Door, decideAdmission } from "../../../runtime/edge/handshake.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { operatorScopes } from "../../../auth/scopes.ts";

const operatorKey = "0f".repeat(32);
const secret = "the configured secret";
const now = 1_800_000_000_000;

const params = (changes: Partial<ConnectParams> = {}): ConnectParams => ({
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "cli", mode: "cli", platform: " Linux ", deviceFamily: "LINUX" },
  ...changes,
});
const caller = (changes: Partial<Caller> = {}): Caller => ({
  connId: "conn-1",
  remoteIp: "10.0.0.9",
  browser: false,
  local: false,
  operator: false,
  attemptsKey: "10.0.0.9",
  nonce: "nonce-1",
  nowMs: now,
  deviceSkewMs: 120_000,
  ...changes,
});
const door = (mode: Door["mode"], shared?: string): Door => ({
  mode,
  operatorKey: makeSecret(operatorKey, "key file"),
  ...(shared === undefined ? {} : { shared: makeSecret(shared, "gateway.auth") }),
});
const attempts = () =>
  makeAttempts({
    rule: () => ({ failuresMax: 10, windowMs: 60_000, lockoutMs: 300_000 }),
    addressesMax: 100,
    now: () => now,
  });
const decide = (sent: ConnectParams, from = caller(), at = door("token", secret), counted = attempts()) =>
  decideAdmission(sent, from, at, counted);
const code = (admission: ReturnType<typeof decide>): unknown =>
  admission.type === "admitted"
    ? admission.by
    : admission.type === "device"
      ? `device by ${admission.attempt.credential}`
      : admission.error.details?.["code"];

describe("who may connect: mode × credential × place", () => {
  const doors: Record<string, Door> = {
    none: door("none"),
    token: door("token", secret),
    tokenBare: door("token"),
    password: door("password", secret),
    passwordBare: door("password"),
  };
  const auths: Record<string, ConnectParams["auth"]> = {
    nothing: undefined,
    blank: { token: "" },
    key: { token: operatorKey },
    secret: { token: secret },
    secretAsPassword: { password: secret },
    secretAndKey: { token: secret, password: operatorKey },
    wrong: { token: "wrong" },
    device: { deviceToken: secret },
    bootstrap: { bootstrapToken: operatorKey },
  };
  const table: [mode: string, auth: string, local: string, remote: string][] = [
    ["none", "nothing", "mode-none", "AUTH_UNAUTHORIZED"],
    ["none", "blank", "mode-none", "AUTH_UNAUTHORIZED"],
    ["none", "key", "operator-key", "operator-key"],
    ["none", "wrong", "mode-none", "AUTH_UNAUTHORIZED"],
    ["none", "device", "mode-none", "AUTH_UNAUTHORIZED"],
    ["token", "nothing", "AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISSING"],
    ["token", "blank", "AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISSING"],
    ["token", "key", "operator-key", "operator-key"],
    ["token", "secretAndKey", "operator-key", "operator-key"],
    ["token", "secret", "shared-secret", "DEVICE_IDENTITY_REQUIRED"],
    ["token", "secretAsPassword", "shared-secret", "DEVICE_IDENTITY_REQUIRED"],
    ["token", "wrong", "AUTH_TOKEN_MISMATCH", "AUTH_TOKEN_MISMATCH"],
    ["token", "device", "AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISSING"],
    ["token", "bootstrap", "AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISSING"],
    ["tokenBare", "nothing", "AUTH_TOKEN_NOT_CONFIGURED", "AUTH_TOKEN_NOT_CONFIGURED"],
    ["tokenBare", "secret", "AUTH_TOKEN_NOT_CONFIGURED", "AUTH_TOKEN_NOT_CONFIGURED"],
    ["tokenBare", "key", "operator-key", "operator-key"],
    ["password", "nothing", "AUTH_PASSWORD_MISSING", "AUTH_PASSWORD_MISSING"],
    ["password", "secret", "shared-secret", "DEVICE_IDENTITY_REQUIRED"],
    ["password", "secretAsPassword", "shared-secret", "DEVICE_IDENTITY_REQUIRED"],
    ["password", "wrong", "AUTH_PASSWORD_MISMATCH", "AUTH_PASSWORD_MISMATCH"],
    ["password", "key", "operator-key", "operator-key"],
    ["passwordBare", "wrong", "AUTH_PASSWORD_NOT_CONFIGURED", "AUTH_PASSWORD_NOT_CONFIGURED"],
  ];

  it.each(table)("mode %s, credential %s: on this machine %s, elsewhere %s", (mode, auth, local, remote) => {
    const at = doors[mode] as Door;
    const sent = params(auths[auth] === undefined ? {} : { auth: auths[auth] });
    expect(code(decide(sent, caller({ local: true, attemptsKey: undefined }), at))).toBe(local);
    expect(code(decide(sent, caller(), at))).toBe(remote);
  });

  it("says what to do next with every refusal, closes with 1008, and never says just that pairing is required", () => {
    for (const at of Object.values(doors)) {
      for (const auth of Object.values(auths)) {
        const admission = decide(params(auth === undefined ? {} : { auth }), caller(), at);
        if (admission.type !== "refused") continue;
        expect(admission.error).toMatchObject({
          code: "UNAUTHORIZED",
          details: { recommendedNextStep: expect.any(String), remedy: expect.any(String) },
        });
        expect(admission.close.code).toBe(1008);
        expect(JSON.stringify(admission)).not.toMatch(/pairing required/);
        expect(JSON.stringify(admission)).not.toContain(secret);
        expect(JSON.stringify(admission)).not.toContain(operatorKey);
      }
    }
  });
});

describe("a holder of the shared secret without a device", () => {
  it.each([
    ["a program of this machine", { local: true }, "shared-secret"],
    ["a page on this machine", { local: true, browser: true }, "DEVICE_IDENTITY_REQUIRED"],
    ["a page from elsewhere", { browser: true }, "DEVICE_IDENTITY_REQUIRED"],
    ["a program from elsewhere", {}, "DEVICE_IDENTITY_REQUIRED"],
  ])("%s", (_who, from, expected) => {
    const counted = attempts();
    for (let n = 0; n < 20; n += 1)
      expect(code(decide(params({ auth: { token: secret } }), caller(from), door("token", secret), counted))).toBe(
        expected,
      );
    expect(code(decide(params({ auth: { token: operatorKey } }), caller(from)))).toBe("operator-key");
  });
});

describe("protocol and role", () => {
  it.each([
    [4, 4, true],
    [3, 4, true],
    [3, 5, true],
    [5, 6, false],
    [1, 3, false],
    [5, 3, false],
  ])("range %i to %i → %s", (minProtocol, maxProtocol, ok) => {
    const admission = decide(params({ minProtocol, maxProtocol, auth: { token: operatorKey } }));
    expect(admission.type).toBe(ok ? "admitted" : "refused");
    if (admission.type === "refused") expect(admission.close).toEqual({ code: 1002, reason: "protocol mismatch" });
  });

  it("admits operators and nodes, and nodes with a device only", () => {
    const admission = decide(params({ role: "worker", auth: { token: secret } }));
    expect(admission).toMatchObject({ type: "refused", close: { code: 1008, reason: "invalid role" } });
    for (const token of [secret, operatorKey])
      expect(code(decide(params({ role: "node", auth: { token } }), caller({ local: true })))).toBe(
        "DEVICE_IDENTITY_REQUIRED",
      );
  });
});

const granted = (scopes?: string[]) => {
  const admission = decide(params({ auth: { token: operatorKey }, ...(scopes === undefined ? {} : { scopes }) }));
  return admission.type === "admitted" ? admission.scopes : undefined;
};

describe("scopes", () => {
  it("are those asked for as far as they are granted", () => {
    expect(granted()).toEqual(operatorScopes);
    expect(granted([])).toEqual([]);
    expect(granted(["operator.read", "operator.read", "root", "operator.everything"])).toEqual(["operator.read"]);
  });
  it("are not found among what every object has", () => {
    expect(granted(["valueOf", "__proto__", "constructor", "operator.read"])).toEqual(["operator.read"]);
  });
  it("are never more than the granted set, whatever is asked", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom(...operatorScopes))), (asked) => {
        for (const scope of granted(asked) ?? []) expect(operatorScopes).toContain(scope);
      }),
    );
  });
});

describe("lockout", () => {
  it("comes after ten wrong credentials and then holds for the right one too", () => {
    const counted = attempts();
    for (let n = 0; n < 10; n += 1)
      expect(code(decide(params({ auth: { token: `wrong ${n}` } }), caller(), door("token", secret), counted))).toBe(
        "AUTH_TOKEN_MISMATCH",
      );
    const locked = decide(params({ auth: { token: operatorKey } }), caller(), door("token", secret), counted);
    expect(locked).toMatchObject({
      error: { details: { code: "AUTH_RATE_LIMITED", recommendedNextStep: "wait_then_retry" }, retryAfterMs: 300_000 },
    });
    expect(
      code(
        decide(
          params({ auth: { token: operatorKey } }),
          caller({ attemptsKey: "10.0.0.10" }),
          door("token", secret),
          counted,
        ),
      ),
    ).toBe("operator-key");
  });

  it("is not brought nearer by missing credentials", () => {
    const counted = attempts();
    for (let n = 0; n < 50; n += 1) decide(params(), caller(), door("token", secret), counted);
    expect(code(decide(params({ auth: { token: operatorKey } }), caller(), door("token", secret), counted))).toBe(
      "operator-key",
    );
  });

  it("is switched off by no input", () => {
    const block = fc.record({
      id: fc.string(),
      publicKey: fc.string(),
      signature: fc.string(),
      signedAt: fc.double(),
      nonce: fc.string(),
    });
    const token = fc.constantFrom("wrong", "", secret, operatorKey);
    const sent = fc.record(
      {
        auth: fc.record({ token, password: token, deviceToken: token, bootstrapToken: token }, { requiredKeys: [] }),
        device: block,
        scopes: fc.array(fc.string()),
        role: fc.constant("operator"),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(sent, fc.constantFrom<Door["mode"]>("none", "token", "password"), (changes, mode) => {
        const counted = attempts();
        for (let n = 0; n < 10; n += 1) counted.failed("10.0.0.9");
        expect(code(decide(params(changes as Partial<ConnectParams>), caller(), door(mode, secret), counted))).toBe(
          "AUTH_RATE_LIMITED",
        );
      }),
    );
  });

  it("counts a wrong token whatever else is sent with it", () => {
    for (const extra of [{}, { deviceToken: "d" }, { bootstrapToken: "b" }, { password: "p" }]) {
      const counted = attempts();
      for (let n = 0; n < 10; n += 1)
        decide(params({ auth: { token: "wrong", ...extra } }), caller(), door("token", secret), counted);
      expect(counted.lockedMs("10.0.0.9")).toBe(300_000);
    }
  });

  it.each([
    ["none", door("none"), {}],
    ["token, with none configured", door("token"), {}],
    ["trusted-proxy", door("trusted-proxy"), { proxy: { type: "not-a-proxy", address: "10.0.0.9" } as const }],
    [
      "trusted-proxy, whose proxy names nobody",
      door("trusted-proxy"),
      { proxy: { type: "no-header", header: "x" } as const },
    ],
  ])("counts a wrong token where no token opens (mode %s), and none that is missing", (_mode, at, from) => {
    const counted = attempts();
    for (let n = 0; n < 20; n += 1) decide(params(), caller(from), at, counted);
    expect(counted.lockedMs("10.0.0.9")).toBe(0);
    for (let n = 0; n < 10; n += 1) decide(params({ auth: { token: "wrong" } }), caller(from), at, counted);
    expect(counted.lockedMs("10.0.0.9")).toBe(300_000);
  });
});

describe("device proof", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const rawKey = publicKey.export({ format: "der", type: "spki" }).subarray(12);
  const blank = {
    id: createHash("sha256").update(rawKey).digest("hex"),
    publicKey: rawKey.toString("base64url"),
    signature: "",
    signedAt: now - 1_000,
    nonce: "nonce-1",
  };
  const base = params({ auth: { token: secret }, role: "operator", scopes: ["operator.read", "operator.write"] });
  const signed = (
    form: 0 | 1,
    device = blank,
    key: KeyObject = privateKey,
    encoding: "base64url" | "base64" = "base64url",
  ) => ({
    ...device,
    signature: sign(null, Buffer.from(proofTexts(device, base)[form]), key).toString(encoding),
  });
  const proofOf = (sent: ConnectParams): string =>
    sign(null, Buffer.from(proofTexts(blank, sent)[0]), privateKey).toString("base64url");
  const fault = (device: typeof blank) =>
    findDeviceFault(device, base, { nonce: "nonce-1", nowMs: now, skewMs: 120_000 });

  it("covers the fields in the documented order", () => {
    const fields = `${blank.id}|cli|cli|operator|operator.read,operator.write|${now - 1_000}|${secret}|nonce-1`;
    expect(proofTexts(blank, base)).toEqual([`v3|${fields}|linux|linux`, `v2|${fields}`]);
  });

  it("holds in both forms and both encodings", () => {
    expect(fault(signed(0))).toBeUndefined();
    expect(fault(signed(1))).toBeUndefined();
    expect(fault({ ...signed(0, blank, privateKey, "base64"), publicKey: rawKey.toString("base64") })).toBeUndefined();
  });

  it("names the first thing that is wrong", () => {
    const other = generateKeyPairSync("ed25519").privateKey;
    expect(fault({ ...signed(0), publicKey: "AAAA" })).toBe("DEVICE_AUTH_PUBLIC_KEY_INVALID");
    expect(fault({ ...signed(0), id: "00".repeat(32) })).toBe("DEVICE_AUTH_DEVICE_ID_MISMATCH");
    expect(fault(signed(0, { ...blank, nonce: "of another connection" }))).toBe("DEVICE_AUTH_NONCE_MISMATCH");
    expect(fault(signed(0, { ...blank, signedAt: now - 120_001 }))).toBe("DEVICE_AUTH_SIGNATURE_EXPIRED");
    expect(fault(signed(0, { ...blank, signedAt: now + 120_001 }))).toBe("DEVICE_AUTH_SIGNATURE_EXPIRED");
    expect(fault(signed(0, { ...blank, signedAt: Number.NaN }))).toBe("DEVICE_AUTH_SIGNATURE_EXPIRED");
    for (const signedAt of [now - 120_000, now + 120_000])
      expect(fault(signed(0, { ...blank, signedAt }))).toBeUndefined();
    expect(fault(signed(0, blank, other))).toBe("DEVICE_AUTH_SIGNATURE_INVALID");
    expect(fault({ ...signed(0), signature: "" })).toBe("DEVICE_AUTH_SIGNATURE_INVALID");
  });

  it("that fails refuses a client whose token is right, and counts; a proof that holds grants nothing by itself", () => {
    const counted = attempts();
    expect(
      code(decide({ ...base, device: { ...signed(0), signature: "AAAA" } }, caller(), door("token", secret), counted)),
    ).toBe("DEVICE_AUTH_SIGNATURE_INVALID");
    for (let n = 0; n < 9; n += 1) decide({ ...base, device: blank }, caller(), door("token", secret), counted);
    expect(counted.lockedMs("10.0.0.9")).toBe(300_000);
    expect(code(decide({ ...base, device: signed(0) }))).toBe("device by shared-secret");
    const { auth: _auth, ...without } = base;
    const bare = { ...without, device: { ...blank, signature: proofOf(without) } };
    expect(code(decide(bare))).toBe("AUTH_TOKEN_MISSING");
    expect(code(decide(bare, caller(), door("none")))).toBe("device by mode-none");
  });

  it.each([
    ["the operator's key", { token: operatorKey }, door("token", secret)],
    ["the device's own token", { deviceToken: "its own" }, door("token", secret)],
    ["a bootstrap token", { bootstrapToken: "an invitation" }, door("token", secret)],
    ["nothing, where nothing is wanted", undefined, door("none")],
  ])("that fails refuses a client with %s as well, and asks nobody about the device", (_what, auth, at) => {
    const { auth: _auth, ...without } = base;
    const sent = { ...without, ...(auth === undefined ? {} : { auth }), device: { ...blank, signature: "AAAA" } };
    const counted = attempts();
    for (let n = 0; n < 10; n += 1)
      expect(code(decide(sent, caller(), at, counted))).toBe("DEVICE_AUTH_SIGNATURE_INVALID");
    expect(counted.lockedMs("10.0.0.9")).toBe(300_000);
  });

  it("that holds brings the commands of a node to the kernel's side, and of nobody else", () => {
    const commandsOf = (role: string): unknown => {
      const sent = { ...base, role, commands: ["camera.snap"] };
      const asked = decide({ ...sent, device: { ...blank, signature: proofOf(sent) } });
      if (asked.type !== "device") throw new Error("wanted a question about the device");
      expect(asked.attempt.role).toBe(role);
      return asked.attempt.commands;
    };
    expect(commandsOf("node")).toEqual(["camera.snap"]);
    expect(commandsOf("operator")).toBeUndefined();
  });

  it("that holds brings what the client says of itself as one short line that moves no cursor", () => {
    const client = { id: "cli", mode: "cli", platform: `\u001b[2J ${"x".repeat(1_000)}` };
    const sent = { ...base, client };
    const asked = decide({ ...sent, device: { ...blank, signature: proofOf(sent) } });
    if (asked.type !== "device") throw new Error("wanted a question about the device");
    const { platform = "" } = asked.attempt.client;
    expect(platform).toHaveLength(limits.deviceFactCharsMax);
    expect(platform).toMatch(/^\?\[2J x+$/);
  });

  it("leaves it to the kernel's side what a device may do, unless the operator's key opens anyway", () => {
    const by = (auth: NonNullable<ConnectParams["auth"]>, at = door("token", secret)): unknown => {
      const sent = { ...base, auth };
      return code(decide({ ...sent, device: { ...blank, signature: proofOf(sent) } }, caller(), at));
    };
    expect(by({ token: operatorKey })).toBe("operator-key");
    expect(by({ password: secret })).toBe("device by shared-secret");
    expect(by({ deviceToken: "its own" })).toBe("device by device-token");
    expect(by({ token: "its own, in the older place" })).toBe("device by device-token");
    expect(by({ deviceToken: "its own" }, door("none"))).toBe("device by device-token");
    expect(by({ password: "wrong" })).toBe("AUTH_TOKEN_MISMATCH");
  });

  it("that is judged by the kernel's side: a wrong token counts, whichever it was taken for", () => {
    for (const [auth, detail] of [
      [{ deviceToken: "wrong" }, "AUTH_DEVICE_TOKEN_MISMATCH"],
      [{ token: "wrong" }, "AUTH_TOKEN_MISMATCH"],
    ] as const) {
      const counted = attempts();
      const sent = { ...base, auth };
      for (let n = 0; n < 10; n += 1) {
        const asked = decide(
          { ...sent, device: { ...blank, signature: proofOf(sent) } },
          caller(),
          door("token", secret),
        );
        if (asked.type !== "device") throw new Error("wanted a question about the device");
        expect(code(admissionOfDevice({ type: "wrong-token" }, asked, caller(), counted))).toBe(detail);
      }
      expect(counted.lockedMs("10.0.0.9")).toBe(300_000);
    }
  });

  it.each([
    ["a request that waits for a decision", false],
    ["no request, for too many wait", true],
  ])("that is not approved yet is answered with %s, as clients read it (behaviour §4.7)", (_what, full) => {
    const sent = { ...base, auth: { deviceToken: "its own" } };
    const asked = decide({ ...sent, device: { ...blank, signature: proofOf(sent) } });
    if (asked.type !== "device") throw new Error("wanted a question about the device");
    const answer = { type: "unapproved", reason: "not-paired", approvedRoles: [], approvedScopes: [], full } as const;
    const told = full ? answer : { ...answer, requestId: "request-1" };
    const admission = admissionOfDevice(told, asked, caller(), attempts());
    expect(admission).toMatchObject({
      type: "refused",
      close: { code: 1008 },
      error: {
        code: "NOT_PAIRED",
        retryable: full,
        details: {
          code: "PAIRING_REQUIRED",
          reason: "not-paired",
          ...(full ? {} : { requestId: "request-1" }),
          deviceId: blank.id,
          requestedRole: "operator",
          requestedScopes: ["operator.read", "operator.write"],
          approvedScopes: [],
          remediationHint: expect.any(String),
          recommendedNextStep: "wait_then_retry",
          retryable: full,
          pauseReconnect: true,
        },
      },
    });
  });

  it("never throws, whatever is in it", () => {
    fc.assert(
      fc.property(
        fc.record({
          id: fc.string(),
          publicKey: fc.string(),
          signature: fc.string(),
          signedAt: fc.double(),
          nonce: fc.string(),
        }),
        (device) => {
          expect(findDeviceFault(device, base, { nonce: "nonce-1", nowMs: now, skewMs: 120_000 })).toMatch(
            /^DEVICE_AUTH_/,
          );
        },
      ),
    );
    const anyKey = { ...blank, publicKey: Buffer.alloc(32, 0xff).toString("base64url") };
    const id = createHash("sha256").update(Buffer.alloc(32, 0xff)).digest("hex");
    expect(fault({ ...anyKey, id })).toBe("DEVICE_AUTH_SIGNATURE_INVALID");
  });
});

describe("secrets", () => {
  it("cannot be blank", () => {
    for (const value of [undefined, "", "  ", "\n"]) {
      expect(() => makeSecret(value, "hooks.token")).toThrow(
        expect.objectContaining({ code: "CLOISTER_CONFIG_INVALID", message: expect.stringContaining("hooks.token") }),
      );
    }
  });
});
