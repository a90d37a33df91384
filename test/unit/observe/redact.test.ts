import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cleanText, cleanValue, isSecretName, redactText } from "../../../runtime/observe/redact.ts";
import { quickestMs } from "../../support/quickest.ts";

const form = { charsMax: 1_000, redactSensitive: true };
const key = "4f8a1c0d9e7b";
/** The made-up rest of keys with a recognisable head; heads are put together so that no scanner takes them for real. */
const fill = "a1B2".repeat(8);

describe("names of secrets", () => {
  it.each(
    [
      [
        "token",
        "authToken",
        "auth_token",
        "password",
        "PASSWD",
        "clientSecret",
        "secret",
        "key",
        "apiKey",
        "x-api-key",
      ],
      ["privateKey", "operator_key", "Authorization", "cookie", "Set-Cookie", "botToken", "passphrase", "credentials"],
    ].flat(),
  )("%s is one", (name) => {
    expect(isSecretName(name)).toBe(true);
  });

  it.each([
    "sessionKey",
    "idempotencyKey",
    "mainKey",
    "tokens",
    "maxTokens",
    "tokenCount",
    "author",
    "keyboard",
    "text",
  ])("%s is none", (name) => {
    expect(isSecretName(name)).toBe(false);
  });
});

describe("texts that hold a secret", () => {
  it.each([
    ["bearer", `authorization: Bearer ${key}`, "authorization: Bearer [redacted]"],
    ["basic", "Basic dXNlcjpwYXNz sent", "Basic [redacted] sent"],
    ["password of a URL", "postgres://bob:hunter2@db:5432/x", "postgres://bob:[redacted]@db:5432/x"],
    ["key of a page link", `http://127.0.0.1:18789/#key=${key}`, "http://127.0.0.1:18789/#key=[redacted]"],
    ["token of a query", `GET /x?a=1&token=${key}&b=2`, "GET /x?a=1&token=[redacted]&b=2"],
    ["environment", `DISCORD_BOT_TOKEN=${key} node x`, "DISCORD_BOT_TOKEN=[redacted] node x"],
    ["quoted environment", `export API_KEY="a b c" done`, "export API_KEY=[redacted] done"],
    ["JSON", `{"botToken": "${key}", "a": 1}`, `{"botToken": "[redacted]", "a": 1}`],
    ["private key", "x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y", "x [redacted] y"],
    [
      "private key with headers",
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nabc\n-----END RSA PRIVATE KEY-----",
      "[redacted]",
    ],
    [
      "PGP private key",
      "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nabc=\n=d\n-----END PGP PRIVATE KEY BLOCK----- y",
      "[redacted] y",
    ],
    [
      "cookies",
      `GET / HTTP/1.1\nCookie: sid=${key}; theme=dark\nHost: x`,
      "GET / HTTP/1.1\nCookie: [redacted]\nHost: x",
    ],
    [
      "a cookie that is set",
      `set-cookie: __Host-sid="${key}"; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly\nx: y`,
      "set-cookie: [redacted]\nx: y",
    ],
    ["a cookie in JSON", `{"Set-Cookie": "sid=${key}; Secure", "a": 1}`, `{"Set-Cookie": "[redacted]", "a": 1}`],
    ["a cookie of the page", `document.cookie = 'sid=${key}'`, "document.cookie = '[redacted]'"],
    [
      "a cookie of a command",
      `curl --cookie "sid=${key}" -H 'Cookie: a=${key}' x`,
      "curl --cookie [redacted] -H 'Cookie: [redacted]' x",
    ],
    ["private key without its end", "-----BEGIN PRIVATE KEY-----\nabc", "[redacted]"],
    ["sk- key", ["sk", "ant", fill].join("-"), "[redacted]"],
    ["GitHub", ["ghp", fill].join("_"), "[redacted]"],
    ["Slack", ["xoxb", fill].join("-"), "[redacted]"],
    ["AWS", ["AKIA", "A7".repeat(8)].join(""), "[redacted]"],
    ["Telegram", `${"1".repeat(9)}:${"Aa_-5".repeat(7)}`, "[redacted]"],
    ["JSON web token", ["eyJhbGciOiJI", "eyJzdWIiOiIx", "c2ln"].join("."), "[redacted]"],
  ])("%s", (_name, text, clean) => {
    expect(redactText(text)).toBe(clean);
  });

  it.each([
    "agent:raul:main asked agent:main:main",
    "http://127.0.0.1:18789/?session=agent:main:main",
    "bindings[3] matched at 12:30:59.123",
    "the token is not configured",
    "sessionKey=agent:main:main",
    "Cookie: a sweet biscuit, with chocolate",
    "the cookie is set when you sign in; cookies=off",
    "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----",
  ])("%j holds none", (text) => {
    expect(redactText(text)).toBe(text);
  });

  it.each(["abcd ", "a-b--"])("the head of a key before 32 MB of %j takes all of it, and does not throw", (part) => {
    const text = `-----BEGIN PRIVATE KEY-----\n${part.repeat((32 * 1_048_576) / part.length)}`;
    expect(redactText(text)).toBe("[redacted]");
  });

  it("cookies are taken out, many more than anybody sends, and a text of millions does not throw", () => {
    const cookies = (count: number): string => `Cookie: a=b${"; a=b".repeat(count)}`;
    expect(redactText(cookies(10_000))).toBe("Cookie: [redacted]");
    expect(redactText(cookies(6_000_000))).toMatch(/^Cookie: \[redacted\]; a=b/);
  });

  it("any text is cleaned in time linear in its length", () => {
    const hostile = [
      "bearer ",
      "a://",
      '"token":"',
      "eyJ".repeat(2),
      "-----BEGIN ",
      "A_",
      "1:",
      "sk-",
      "?key=",
      "cookie: a=",
      "cookie:a;",
      "a=b; ",
      "-----BEGIN PRIVATE KEY-----",
    ];
    for (const part of hostile) {
      const text = part.repeat(200_000 / part.length);
      expect(
        quickestMs(() => void redactText(text)),
        part,
      ).toBeLessThan(2_000);
    }
  });
});

describe("values", () => {
  it("secrets by name go at any depth, a yes or no stays", () => {
    const value = { a: [{ token: "x", hasToken: true, password: null }], sessionKey: "agent:main:main", key: 5 };
    expect(cleanValue(value, form)).toEqual({
      a: [{ token: "[redacted]", hasToken: true, password: null }],
      sessionKey: "agent:main:main",
      key: "[redacted]",
    });
  });

  it("names are respected even when texts are not searched", () => {
    const open = { charsMax: 100, redactSensitive: false };
    expect(cleanValue({ token: "x", text: `Bearer ${key}` }, open)).toEqual({
      token: "[redacted]",
      text: `Bearer ${key}`,
    });
  });

  it("an error becomes plain, with its code, its cause and no secret", () => {
    const error = Object.assign(new Error(`bad TOKEN=${key}`, { cause: new TypeError("inner") }), {
      code: "E_X",
      token: key,
    });
    const clean = cleanValue(error, form) as Record<string, unknown>;
    expect(clean).toMatchObject({ type: "Error", message: "bad TOKEN=[redacted]", code: "E_X", token: "[redacted]" });
    expect(clean["cause"]).toMatchObject({ type: "TypeError", message: "inner" });
    expect(JSON.stringify(clean)).not.toContain(key);
  });

  it("a value that holds itself ends at the depth bound", () => {
    const loop: Record<string, unknown> = {};
    loop["self"] = loop;
    expect(JSON.stringify(cleanValue(loop, form))).toContain("[deeper]");
  });

  it("wide values are cut and say by how much", () => {
    expect(
      cleanValue(
        Array.from({ length: 103 }, (_, index) => index),
        form,
      ),
    ).toHaveLength(101);
    const wide = Object.fromEntries(Array.from({ length: 103 }, (_, index) => [`f${index}`, index]));
    expect(cleanValue(wide, form)).toMatchObject({ "…": "3 more" });
  });
});

describe("long texts", () => {
  it("say how much was cut", () => {
    expect(cleanText("x".repeat(1_500), form)).toBe(`${"x".repeat(1_000)}… (500 more characters)`);
  });

  it("are never cut inside a secret so that its head stays", () => {
    const text = `${"x".repeat(980)} Bearer ${key.repeat(4)}`;
    expect(cleanText(text, form)).not.toContain(key.slice(0, 4));
  });

  it("are no longer than the bound and its note", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5_000 }), fc.nat(2_000), (text, charsMax) => {
        expect(cleanText(text, { charsMax, redactSensitive: true }).length).toBeLessThanOrEqual(charsMax + 40);
      }),
      { numRuns: 200 },
    );
  });
});
