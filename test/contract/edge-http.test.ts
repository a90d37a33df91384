import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeEdge } from "../../runtime/edge/edge.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { eventually } from "../support/eventually.ts";
import {
  ask,
  bizToken,
  homeToken,
  hookToken,
  makeFakeKernel,
  openEdge,
  openRaw,
  postJson,
  settingsWith,
} from "./edge-kit.ts";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("probes", () => {
  it("answer under both names, also to HEAD, with the security headers", async () => {
    const { port, clock } = await openEdge();
    clock.ms += 5_000;
    for (const path of ["/health", "/healthz"])
      expect((await ask(port, "GET", path)).json).toEqual({ ok: true, status: "live" });
    for (const path of ["/startup", "/startupz"]) {
      expect((await ask(port, "GET", path)).json).toEqual({
        ok: true,
        status: "started",
        version: "0.1.0",
        uptimeMs: 5_000,
      });
    }
    for (const path of ["/ready", "/readyz?verbose"])
      expect(await ask(port, "GET", path)).toMatchObject({ status: 200, json: { ok: true, failing: [] } });
    const head = await ask(port, "HEAD", "/healthz");
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
  });

  it("say what is failing, and that the kernel is when it cannot be asked", async () => {
    const { port, kernel } = await openEdge();
    kernel.answers.ready = async () => ({ failing: ["store", "agents"] });
    expect(await ask(port, "GET", "/readyz")).toMatchObject({
      status: 503,
      json: { ok: false, failing: ["store", "agents"] },
    });
    kernel.answers.ready = () => Promise.reject(new Error("gone"));
    expect(await ask(port, "GET", "/readyz")).toMatchObject({ status: 503, json: { failing: ["kernel"] } });
    expect((await ask(port, "GET", "/healthz")).status).toBe(200);
  });
});

describe("addresses and methods", () => {
  it.each([
    "/nothing",
    "//healthz",
    "/healthz/",
    "/%68ealthz",
    "/../etc/passwd",
    "/secret.key",
    "/index.html/",
    "/%2e%2e/secret.key",
    "*",
  ])("%s is 404 with a reason", async (path) => {
    const { port } = await openEdge();
    expect(await ask(port, "GET", path)).toMatchObject({
      status: 404,
      json: { ok: false, error: { code: "CLOISTER_EDGE_NOT_FOUND", remedy: expect.any(String) } },
    });
  });

  it.each([
    ["POST", "/healthz", "GET, HEAD"],
    ["DELETE", "/", "GET, HEAD"],
    ["GET", "/hooks/agent", "POST"],
    ["PUT", "/channels/webhook/biz", "POST"],
  ])("%s %s is 405 and says what is allowed", async (method, path, allow) => {
    const { port } = await openEdge();
    const answer = await ask(port, method, path);
    expect(answer).toMatchObject({ status: 405, json: { error: { code: "CLOISTER_EDGE_METHOD" } } });
    expect(answer.headers["allow"]).toBe(allow);
  });

  it("refuses a Host that names no address of this gateway, on every route", async () => {
    const { port, kernel } = await openEdge();
    for (const path of ["/", "/healthz", "/nothing"]) {
      expect(await ask(port, "GET", path, { host: "rebound.example:80" })).toMatchObject({
        status: 421,
        json: { error: { code: "CLOISTER_EDGE_HOST" } },
      });
    }
    const posted = await postJson(
      port,
      "/hooks/agent",
      { host: "rebound.example", ...bearer(hookToken) },
      { message: "x" },
    );
    expect(posted.status).toBe(421);
    expect(kernel.calls).toEqual([]);
    expect((await ask(port, "GET", "/healthz", { host: "panel.example.org" })).status).toBe(200);
  });
});

describe("a page of another site", () => {
  it("reads what is open to everybody, and is refused where a credential is taken, with or without one", async () => {
    const { port, kernel } = await openEdge();
    const origin = "https://evil.example";
    expect((await ask(port, "GET", "/healthz", { origin })).status).toBe(200);
    for (const token of [{}, bearer(hookToken)]) {
      expect(await postJson(port, "/hooks/agent", { origin, ...token }, { message: "x" })).toMatchObject({
        status: 403,
        json: { error: { code: "CLOISTER_EDGE_FORBIDDEN" } },
      });
    }
    expect(kernel.calls).toEqual([]);
  });
});

describe("the page", () => {
  it("is served from memory with its type and an ETag, and nothing else of the directory is", async () => {
    const { port } = await openEdge();
    const index = await ask(port, "GET", "/");
    expect(index).toMatchObject({
      status: 200,
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" },
    });
    expect(index.text).toContain("page.js");
    const script = await ask(port, "GET", "/page.js?v=1");
    expect(script.headers["content-type"]).toBe("text/javascript; charset=utf-8");
    const etag = String(script.headers["etag"]);
    const again = await ask(port, "GET", "/page.js", { "if-none-match": `"other", W/${etag}` });
    expect(again).toMatchObject({ status: 304, text: "" });
    expect(again.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(await ask(port, "HEAD", "/page.js")).toMatchObject({
      status: 200,
      text: "",
      headers: { "content-length": "10" },
    });
  });

  it("lives under its base path, where a missing slash is added", async () => {
    const dir = (await openEdge()).assetsDir;
    const { port } = await openEdge({ settings: { page: { enabled: true, basePath: "/ui", assetsDir: dir } } });
    expect((await ask(port, "GET", "/ui/")).status).toBe(200);
    expect((await ask(port, "GET", "/ui/page.js")).status).toBe(200);
    expect(await ask(port, "GET", "/ui")).toMatchObject({ status: 308, headers: { location: "/ui/" } });
    expect((await ask(port, "GET", "/")).status).toBe(404);
  });

  it("is absent when it is off or not built, and the log says the latter", async () => {
    const off = await openEdge({ settings: { page: { enabled: false, basePath: "/", assetsDir: "/nowhere" } } });
    expect((await ask(off.port, "GET", "/")).status).toBe(404);
    expect(off.logs).toEqual([]);
    const empty = join(off.assetsDir, "missing");
    const unbuilt = await openEdge({ settings: { page: { enabled: true, basePath: "/", assetsDir: empty } } });
    expect((await ask(unbuilt.port, "GET", "/")).status).toBe(404);
    expect(unbuilt.logs).toContainEqual(
      expect.objectContaining({ level: "warn", message: expect.stringContaining("npm run build") }),
    );
  });
});

describe("hooks", () => {
  it("pass a message on and answer once it is stored", async () => {
    const { port, kernel } = await openEdge();
    const answer = await postJson(
      port,
      "/hooks/agent",
      { ...bearer(hookToken), "idempotency-key": "k1" },
      { message: "hi", name: "ci", agentId: "raul", sessionKey: "hook:ci" },
    );
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json).toEqual({
      ok: true,
      status: "accepted",
      runId: "run-1",
      agentId: "main",
      sessionKey: "agent:main:main",
    });
    expect(kernel.calls).toEqual([
      {
        method: "hook",
        args: [{ name: "ci", message: "hi", agentId: "raul", sessionKey: "hook:ci", idempotencyKey: "k1" }],
      },
    ]);
    kernel.answers.inbound = async () => ({
      status: "duplicate",
      runId: "run-1",
      agentId: "main",
      sessionKey: "s",
      matchedBy: "hook",
    });
    expect((await postJson(port, "/hooks/agent", bearer(hookToken), { message: "hi" })).json).toMatchObject({
      status: "duplicate",
      runId: "run-1",
    });
  });

  it("take the token from either header name", async () => {
    const { port } = await openEdge();
    for (const name of ["x-cloister-token", "x-openclaw-token"]) {
      expect((await postJson(port, "/hooks/agent", { [name]: hookToken }, { message: "x" })).status, name).toBe(200);
    }
  });

  it("wait for the answer when asked to: reply, time over, failure", async () => {
    const { port, kernel } = await openEdge();
    const wait = (extra: object) =>
      postJson(port, "/hooks/agent", bearer(hookToken), { message: "x", waitForCompletion: true, ...extra });
    expect(await wait({})).toMatchObject({ status: 200, json: { ok: true, status: "accepted", reply: "the answer" } });
    expect(kernel.calls.at(-1)).toEqual({ method: "waitRun", args: ["run-1", 30_000] });
    kernel.answers.waitRun = async (runId) => ({ status: "timeout", runId });
    expect(await wait({ timeoutSeconds: 2 })).toMatchObject({
      status: 202,
      json: { ok: true, status: "timeout", runId: "run-1" },
    });
    expect(kernel.calls.at(-1)).toEqual({ method: "waitRun", args: ["run-1", 2_000] });
    kernel.answers.waitRun = async (runId) => ({
      status: "error",
      runId,
      refusal: { code: "CLOISTER_AGENT_CRASHED", message: "the cell ended" },
    });
    expect(await wait({})).toMatchObject({
      status: 503,
      json: { ok: false, status: "error", runId: "run-1", error: { code: "CLOISTER_AGENT_CRASHED" } },
    });
  });

  it("name the fields that they do not act on", async () => {
    const { port } = await openEdge();
    const answer = await postJson(port, "/hooks/agent", bearer(hookToken), {
      message: "x",
      cc: "ana",
      attachments: [],
      wakeMode: "now",
    });
    expect(answer).toMatchObject({ status: 200, json: { ignored: ["cc", "attachments"] } });
  });

  it("turn refusals into the status of their code, with Retry-After", async () => {
    const { port, kernel } = await openEdge();
    kernel.answers.inbound = async () => ({
      status: "refused",
      refusal: { code: "CLOISTER_MAILBOX_FULL", message: "full", remedy: "wait", retryAfterMs: 1_200 },
    });
    const answer = await postJson(port, "/hooks/agent", bearer(hookToken), { message: "x" });
    expect(answer).toMatchObject({ status: 429, headers: { "retry-after": "2" } });
    expect(answer.json).toEqual({
      ok: false,
      error: { code: "CLOISTER_MAILBOX_FULL", message: "full", remedy: "wait" },
    });
  });

  it.each<[what: string, headers: Record<string, string>, query: string, status: number, code: string]>([
    ["no token", {}, "", 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["blank token", { authorization: "Bearer " }, "", 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["wrong scheme", { authorization: `Basic ${hookToken}` }, "", 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["wrong token", { authorization: "Bearer wrong" }, "", 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["another door's token", { authorization: `Bearer ${bizToken}` }, "", 401, "CLOISTER_EDGE_UNAUTHENTICATED"],
    ["token in the query", {}, `?token=${hookToken}`, 400, "CLOISTER_REQUEST_INVALID"],
    ["access_token in the query", {}, `?access_token=${hookToken}`, 400, "CLOISTER_REQUEST_INVALID"],
    ["auth in the query", {}, `?auth=${hookToken}`, 400, "CLOISTER_REQUEST_INVALID"],
    ["key in the query", {}, `?key=${hookToken}`, 400, "CLOISTER_REQUEST_INVALID"],
    ["api_key in the query", {}, `?api_key=${hookToken}`, 400, "CLOISTER_REQUEST_INVALID"],
    [
      "token in the query and in a header",
      { authorization: `Bearer ${hookToken}` },
      "?token=x",
      400,
      "CLOISTER_REQUEST_INVALID",
    ],
  ])("refuse %s before the body is looked at", async (_what, headers, query, status, code) => {
    const { port, kernel, logs } = await openEdge();
    const answer = await ask(port, "POST", `/hooks/agent${query}`, headers, "not json");
    expect(answer).toMatchObject({ status, json: { ok: false, error: { code, remedy: expect.any(String) } } });
    expect(kernel.calls).toEqual([]);
    expect(JSON.stringify([answer.text, logs])).not.toContain(hookToken);
  });

  it.each([
    ["{", /not JSON/],
    ["", /empty/],
    ["[]", /object/],
    ["null", /object/],
    ["{}", /message/],
    ['{"message":""}', /message: .*visible/],
    ['{"message":7}', /message/],
    ['{"message":"x","timeoutSeconds":601}', /timeoutSeconds/],
    ['{"message":"x","waitForCompletion":"yes"}', /waitForCompletion/],
    ['{"message":"x","agentId":""}', /agentId/],
    [`{"message":"x","__proto__":{"agentId":"y"},"name":[]}`, /name/],
  ])("refuse the body %s and name what is wrong", async (body, message) => {
    const { port, kernel } = await openEdge();
    const answer = await ask(
      port,
      "POST",
      "/hooks/agent",
      { ...bearer(hookToken), "content-type": "application/json" },
      body,
    );
    expect(answer).toMatchObject({
      status: 400,
      json: {
        error: {
          code: "CLOISTER_REQUEST_INVALID",
          message: expect.stringMatching(message),
          remedy: expect.any(String),
        },
      },
    });
    expect(kernel.calls).toEqual([]);
  });

  it("refuse a body that is not declared as JSON", async () => {
    const { port } = await openEdge();
    const answer = await ask(
      port,
      "POST",
      "/hooks/agent",
      { ...bearer(hookToken), "content-type": "text/plain" },
      '{"message":"x"}',
    );
    expect(answer).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining("application/json") } },
    });
  });

  it("are not there when they are off", async () => {
    const off = await openEdge({ settings: { hooks: { enabled: false, path: "/hooks", mappings: [] } } });
    expect(await postJson(off.port, "/hooks/agent", bearer(hookToken), { message: "x" })).toMatchObject({
      status: 404,
      json: { error: { message: expect.stringContaining("not enabled") } },
    });
  });

  it("lock an address out after twenty wrong tokens, for a minute, also with the right one", async () => {
    const { port, clock } = await openEdge();
    for (let n = 0; n < 20; n += 1)
      expect(
        (await postJson(port, "/hooks/agent", bearer(`wrong ${n}`.replace(" ", "-")), { message: "x" })).status,
      ).toBe(401);
    const locked = await postJson(port, "/hooks/agent", bearer(hookToken), { message: "x" });
    expect(locked).toMatchObject({
      status: 429,
      headers: { "retry-after": "60" },
      json: { error: { code: "CLOISTER_EDGE_RATE_LIMITED" } },
    });
    clock.ms += 60_000;
    expect((await postJson(port, "/hooks/agent", bearer(hookToken), { message: "x" })).status).toBe(200);
  });

  it("do not count missing tokens", async () => {
    const { port } = await openEdge();
    for (let n = 0; n < 25; n += 1) await postJson(port, "/hooks/agent", {}, { message: "x" });
    expect((await postJson(port, "/hooks/agent", bearer(hookToken), { message: "x" })).status).toBe(200);
  });
});

describe("webhook channel, inbound", () => {
  it("is opened for an account by that account's token only", async () => {
    const { port, kernel } = await openEdge();
    const body = { text: "hi", sender: { id: "u1" } };
    const answer = await postJson(port, "/channels/webhook/biz", bearer(bizToken), body);
    expect(answer.json).toEqual({
      ok: true,
      status: "accepted",
      runId: "run-1",
      agentId: "main",
      sessionKey: "agent:main:main",
      matchedBy: "default",
    });
    expect((await postJson(port, "/channels/webhook/home", { "x-webhook-token": homeToken }, body)).status).toBe(200);
    expect(kernel.calls.map(({ args }) => (args[0] as { accountId: string }).accountId)).toEqual(["biz", "home"]);
    expect((await postJson(port, "/channels/webhook/home", bearer(bizToken), body)).status).toBe(401);
    expect((await postJson(port, "/channels/webhook/biz", {}, body)).status).toBe(401);
    expect(kernel.calls).toHaveLength(2);
  });

  it.each(["nobody", "", "biz/", "BIZ", "%62iz", "__proto__", "toString"])("has no account %s", async (account) => {
    const { port, kernel } = await openEdge();
    expect(
      (await postJson(port, `/channels/webhook/${account}`, bearer(bizToken), { text: "x", sender: { id: "u" } }))
        .status,
    ).toBe(404);
    expect(kernel.calls).toEqual([]);
  });

  it("counts tokens that are tried on unknown accounts", async () => {
    const { port } = await openEdge();
    for (let n = 0; n < 20; n += 1) await postJson(port, `/channels/webhook/guess-${n}`, bearer("x"), {});
    expect(
      (await postJson(port, "/channels/webhook/biz", bearer(bizToken), { text: "x", sender: { id: "u" } })).status,
    ).toBe(429);
  });

  it("knows a repeated message by the header, else by its id", async () => {
    const { port, kernel } = await openEdge();
    const body = { text: "hi", sender: { id: "u1" }, messageId: "m1" };
    await postJson(port, "/channels/webhook/biz", bearer(bizToken), body);
    await postJson(port, "/channels/webhook/biz", { ...bearer(bizToken), "idempotency-key": "k1" }, body);
    expect(kernel.calls.map(({ args }) => args[1])).toEqual(["m1", "k1"]);
    expect(
      await postJson(port, "/channels/webhook/biz", { ...bearer(bizToken), "idempotency-key": "k".repeat(257) }, body),
    ).toMatchObject({ status: 400 });
  });

  it("waits when asked to", async () => {
    const { port, kernel } = await openEdge();
    const answer = await postJson(port, "/channels/webhook/biz", bearer(bizToken), {
      text: "hi",
      sender: { id: "u" },
      wait: true,
      timeoutSeconds: 3,
    });
    expect(answer).toMatchObject({ status: 200, json: { reply: "the answer" } });
    expect(kernel.calls.at(-1)).toEqual({ method: "waitRun", args: ["run-1", 3_000] });
  });

  it("names the field that is wrong", async () => {
    const { port } = await openEdge();
    const answer = await postJson(port, "/channels/webhook/biz", bearer(bizToken), { text: "hi" });
    expect(answer).toMatchObject({
      status: 400,
      json: { error: { code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining("peer") } },
    });
  });

  it("answers 500 and no internals when the kernel's side fails unexpectedly", async () => {
    const { port, kernel, logs } = await openEdge();
    kernel.answers.inbound = () => Promise.reject(new Error("ENOENT /home/someone/secret-path"));
    const answer = await postJson(port, "/channels/webhook/biz", bearer(bizToken), { text: "hi", sender: { id: "u" } });
    expect(answer).toMatchObject({ status: 500, json: { error: { code: "CLOISTER_INTERNAL" } } });
    expect(answer.text).not.toContain("secret-path");
    expect(logs).toContainEqual(
      expect.objectContaining({
        level: "error",
        fields: {
          method: "POST",
          path: "/channels/webhook/biz",
          error: expect.stringContaining("ENOENT /home/someone/secret-path"),
        },
      }),
    );
  });
});

const continueHead = (token: string, length: number) =>
  `POST /hooks/agent HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`;

describe("bounds of a request", () => {
  const headers = { ...bearer(hookToken), "content-type": "application/json" };

  it("refuse a body that declares too much before it is sent, and one that turns out too long", async () => {
    const { port, kernel } = await openEdge({ bounds: { httpBodyBytesMax: 1_000 } });
    const raw = openRaw(port);
    raw.write(
      `POST /hooks/agent HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${hookToken}\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n\r\n`,
    );
    expect((await raw.ended).toString()).toMatch(/^HTTP\/1\.1 413 [^]*connection: close[^]*CLOISTER_EDGE_TOO_LARGE/i);
    const chunked = openRaw(port);
    chunked.write(
      `POST /hooks/agent HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${hookToken}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1_001)}\r\n`,
    );
    expect((await chunked.ended).toString()).toMatch(/^HTTP\/1\.1 413 /);
    expect(
      (await ask(port, "POST", "/hooks/agent", headers, JSON.stringify({ message: "x".repeat(980) }))).status,
    ).toBe(200);
    expect(kernel.calls).toHaveLength(1);
  });

  it("take a body of as many bytes as they allow, whole or in chunks", async () => {
    const body = JSON.stringify({ message: "x" });
    const { port } = await openEdge({ bounds: { httpBodyBytesMax: body.length } });
    expect((await ask(port, "POST", "/hooks/agent", headers, body)).status).toBe(200);
    expect((await ask(port, "POST", "/hooks/agent", { ...headers, "transfer-encoding": "chunked" }, body)).status).toBe(
      200,
    );
    expect((await ask(port, "POST", "/hooks/agent", headers, `${body} `)).status).toBe(413);
  });

  it("refuse a body that nests deeper than they allow", async () => {
    const { port, kernel } = await openEdge();
    const nested = (levels: number): string => `{"message":"x","more":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    expect((await ask(port, "POST", "/hooks/agent", headers, nested(1))).status).toBe(200);
    expect(await ask(port, "POST", "/hooks/agent", headers, nested(limits.jsonDepthMax + 1))).toMatchObject({
      status: 400,
      json: { error: { code: "CLOISTER_REQUEST_INVALID", message: expect.stringContaining("nests deeper") } },
    });
    expect(kernel.calls).toHaveLength(1);
  });

  it("tell a client that waits for it that its body is wanted", async () => {
    const { port } = await openEdge();
    const body = '{"message":"x"}';
    const raw = openRaw(port);
    raw.write(continueHead(hookToken, body.length));
    await eventually(() => expect(raw.received().toString()).toMatch(/^HTTP\/1\.1 100 /));
    raw.write(body);
    await eventually(() => expect(raw.received().toString()).toMatch(/HTTP\/1\.1 200 /));
  });

  it("ask a client that expects 100-continue for its body only when it is wanted", async () => {
    const { port } = await openEdge();
    for (const [token, length, status] of [
      ["wrong", 10, 401],
      [hookToken, 2_000_000, 413],
    ] as const) {
      const raw = openRaw(port);
      raw.write(continueHead(token, length));
      expect((await raw.ended).toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
    expect(
      (await ask(port, "POST", "/hooks/agent", { ...headers, expect: "100-continue" }, '{"message":"x"}')).status,
    ).toBe(200);
  });

  it("end a body that does not come and a head that does not end", async () => {
    const { port, kernel } = await openEdge({ bounds: { httpBodyMs: 200, httpHeadMs: 1_000 } });
    const body = openRaw(port);
    body.write(
      `POST /hooks/agent HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${hookToken}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"mess`,
    );
    expect((await body.ended).toString()).toMatch(/^HTTP\/1\.1 408 [^]*CLOISTER_EDGE_TIMEOUT/);
    const head = openRaw(port);
    head.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    expect((await head.ended).toString()).toMatch(/^HTTP\/1\.1 408 /);
    expect(kernel.calls).toEqual([]);
    expect((await ask(port, "GET", "/healthz")).status).toBe(200);
  });

  it("keep a connection longer than the minute of common proxies, and end one that lies idle", async () => {
    const wanted = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const usual = openRaw((await openEdge()).port);
    usual.write(wanted);
    await expect.poll(() => usual.received().toString()).toMatch(/\r\nkeep-alive: timeout=65\r\n/i);
    const short = openRaw((await openEdge({ bounds: { httpIdleMs: 20 } })).port);
    short.write(wanted);
    expect((await short.ended).toString()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("are bounded together: a connection too many is closed as soon as it is there", async () => {
    const { port } = await openEdge({ bounds: { httpConnectionsMax: 1 } });
    const first = openRaw(port);
    first.write("GET /healthz HTTP/1.1\r\n");
    expect((await openRaw(port).ended).toString()).toBe("");
    first.write("host: localhost\r\nconnection: close\r\n\r\n");
    expect((await first.ended).toString()).toMatch(/^HTTP\/1\.1 200 /);
    // Its place is free when the gateway has seen its end as well.
    await expect
      .poll(() =>
        ask(port, "GET", "/healthz").then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
  });

  it("survive noise on the port", async () => {
    const { port } = await openEdge();
    for (const noise of [
      "\0\0\0\0\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "POST /hooks/agent HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
      `GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
    ]) {
      const raw = openRaw(port);
      raw.write(noise);
      expect((await raw.ended).toString(), JSON.stringify(noise.slice(0, 40))).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect((await ask(port, "GET", "/healthz", { upgrade: "h2c", connection: "upgrade" })).status).toBe(200);
  });
});

describe("life of the edge", () => {
  it("says which port is taken and what to do", async () => {
    const taken = createServer();
    const port = await new Promise<number>((resolve) =>
      taken.listen(0, "127.0.0.1", () => resolve((taken.address() as { port: number }).port)),
    );
    const edge = makeEdge(makeFakeKernel(), () => undefined);
    const settings = { ...settingsWith("/nowhere"), port };
    await expect(edge.listen(settings)).rejects.toMatchObject({
      code: "CLOISTER_EDGE_BIND",
      message: expect.stringContaining(String(port)),
      remedy: expect.stringMatching(/--port.*gateway\.port/),
    });
    await new Promise((resolve) => taken.close(resolve));
    expect(await edge.listen(settings)).toEqual({ port, host: "127.0.0.1" });
    await expect(edge.listen(settings)).rejects.toMatchObject({ code: "CLOISTER_INTERNAL" });
    await edge.close("done");
    await edge.close("again");
  });

  it.each([
    ["hooks without a token", { hooks: { enabled: true, path: "/hooks", mappings: [] } }, "hooks.token"],
    ["hooks with a blank token", { hooks: { enabled: true, path: "/hooks", token: " ", mappings: [] } }, "hooks.token"],
    [
      "an account without a token",
      { webhook: { accounts: { biz: { token: "" } }, defaultAccount: "biz" } },
      "channels.webhook.accounts.biz.token",
    ],
    ["a blank operator key", { operatorKey: "" }, "operator key"],
  ])("refuses to start with %s", async (_what, settings, named) => {
    const edge = makeEdge(makeFakeKernel(), () => undefined);
    await expect(edge.listen({ ...settingsWith("/nowhere"), ...settings })).rejects.toMatchObject({
      code: "CLOISTER_CONFIG_INVALID",
      message: expect.stringContaining(named),
    });
    await edge.close("done");
  });

  it("takes nothing new on an open connection while it closes, and lets a request in flight end", async () => {
    const { edge, port, kernel } = await openEdge({ bounds: { socketCloseGraceMs: 5_000 } });
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    kernel.answers.waitRun = async (runId) => {
      asked.resolve();
      await answer.promise;
      return { status: "ok", runId, reply: "in time" };
    };
    const waiting = postJson(port, "/hooks/agent", bearer(hookToken), { message: "x", waitForCompletion: true });
    await asked.promise;
    const closed = edge.close("SIGTERM");
    answer.resolve();
    expect((await waiting).json).toMatchObject({ reply: "in time" });
    await closed;
    await expect(ask(port, "GET", "/healthz")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("answers a request that had begun when it closed, and says that it takes nothing new", async () => {
    const { edge, port } = await openEdge({ bounds: { socketCloseGraceMs: 20_000 } });
    const raw = openRaw(port);
    const head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    // The beginning of the second comes with the first, so that it is there when that is answered.
    raw.write(`${head}\r\n${head}`);
    await eventually(() => expect(raw.received().toString()).toContain('"live"'));
    const closed = edge.close("SIGTERM");
    raw.write("\r\n");
    const [, second] = (await raw.ended).toString().split(/(?=HTTP\/1\.1 )/);
    expect(second).toMatch(/^HTTP\/1\.1 503 [^]*CLOISTER_GATEWAY_DRAINING[^]*SIGTERM/);
    await closed;
  });
});
