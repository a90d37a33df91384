import { afterEach, describe, expect, it } from "vitest";
import { connectGateway, type GatewayClient } from "../../../runtime/cli/gateway-client.ts";
import { helloOk, type Script, type ScriptedGateway, startGateway } from "./scripted-gateway.ts";

const identity = { version: "1.2.3", platform: "test", scopes: ["operator.read"] } as const;
const remedy = "start it";

let gateway: ScriptedGateway;
let client: GatewayClient | undefined;
afterEach(async () => {
  await client?.close();
  client = undefined;
  await gateway.close();
});

async function open(script?: Script, token?: string): Promise<GatewayClient> {
  gateway = await startGateway(script);
  client = await connectGateway({ url: gateway.url, remedy, ...(token === undefined ? {} : { token }) }, identity);
  return client;
}

describe("the handshake", () => {
  it("says who it is, what it needs and its token, and no more", async () => {
    const { hello } = await open(undefined, "abc");
    expect(hello).toEqual({
      version: "9.9.9",
      role: "operator",
      scopes: ["operator.read"],
      uptimeMs: 125_000,
      tickMs: 15_000,
    });
    expect(gateway.requests.map(({ method, params }) => ({ method, params }))).toEqual([
      {
        method: "connect",
        params: {
          minProtocol: 4,
          maxProtocol: 4,
          client: { id: "cli", version: "1.2.3", platform: "test", mode: "cli" },
          role: "operator",
          scopes: ["operator.read"],
          caps: [],
          auth: { token: "abc" },
        },
      },
    ]);
  });

  it("without a token sends no credential", async () => {
    await open();
    expect(gateway.requests[0]?.params).not.toHaveProperty("auth");
  });

  it("refused: the gateway's reason and remedy come out, not the close that follows", async () => {
    gateway = await startGateway(
      (request, { refuse, socket }) => {
        const details = { code: "AUTH_TOKEN_MISMATCH", remedy: "use the right one" };
        refuse(request, { code: "UNAUTHORIZED", message: "unauthorized: wrong token", details });
        socket.close(1008, "unauthorized");
      },
      { raw: true },
    );
    await expect(connectGateway({ url: gateway.url, remedy }, identity)).rejects.toMatchObject({
      code: "CLOISTER_EDGE_UNAUTHENTICATED",
      message: "connect: unauthorized: wrong token (AUTH_TOKEN_MISMATCH)",
      remedy: "use the right one",
    });
  });

  it("nobody listens: it says so and how to start one", async () => {
    gateway = await startGateway();
    await gateway.close();
    const url = gateway.url;
    gateway = await startGateway();
    await expect(connectGateway({ url, remedy }, identity)).rejects.toMatchObject({
      code: "CLOISTER_GATEWAY_UNREACHABLE",
      message: `Talking to the gateway at ${url}: nothing listens there.`,
      remedy,
    });
  });

  it("a server that never greets is given up", async () => {
    gateway = await startGateway(undefined, { greet: false });
    await expect(connectGateway({ url: gateway.url, remedy }, identity, { timeoutMs: 20 })).rejects.toMatchObject({
      code: "CLOISTER_GATEWAY_UNREACHABLE",
      message: expect.stringContaining("did not greet within 0.02 s"),
    });
  });

  it("a server that greets and then says nothing is given up", async () => {
    gateway = await startGateway(() => undefined, { raw: true });
    await expect(connectGateway({ url: gateway.url, remedy }, identity, { timeoutMs: 20 })).rejects.toThrow(
      /did not (?:greet|answer)/,
    );
  });

  it("a server that speaks something else is given up", async () => {
    gateway = await startGateway((_request, { socket }) => socket.send("hello there"), { raw: true });
    await expect(connectGateway({ url: gateway.url, remedy }, identity)).rejects.toMatchObject({
      code: "CLOISTER_GATEWAY_UNREACHABLE",
      message: expect.stringContaining("no frame of the protocol"),
    });
  });
});

describe("requests", () => {
  it("get their own answers in whatever order they come", async () => {
    const held: (() => void)[] = [];
    const { request } = await open((req, { answer }) => {
      held.push(() => answer(req, req.params));
      if (held.length === 2) for (const send of held.toReversed()) send();
    });
    expect(await Promise.all([request("a", { n: 1 }), request("b", { n: 2 })])).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it.each([
    [
      { code: "FORBIDDEN", message: "no", details: { code: "CLOISTER_CAPABILITY_DENIED", remedy: "ask" } },
      "CLOISTER_CAPABILITY_DENIED",
      "m: no",
      "ask",
    ],
    [
      { code: "FORBIDDEN", message: "no", details: { code: "MISSING_SCOPE" } },
      "CLOISTER_EDGE_FORBIDDEN",
      "m: no (MISSING_SCOPE)",
      expect.stringContaining("credential"),
    ],
    [
      { code: "INVALID_REQUEST", message: "unknown method: m" },
      "CLOISTER_REQUEST_INVALID",
      "m: unknown method: m",
      undefined,
    ],
    [
      { code: "SOMETHING_NEW" },
      "CLOISTER_INTERNAL",
      "m: the gateway refused without a reason (SOMETHING_NEW)",
      undefined,
    ],
    [{}, "CLOISTER_INTERNAL", "m: the gateway refused without a reason (no code)", undefined],
  ])("refused with %j fail with %s", async (error, code, message, wantedRemedy) => {
    const { request } = await open((req, { refuse }) => refuse(req, error));
    const thrown = await request("m", {}).catch((caught: unknown) => caught);
    expect(thrown).toMatchObject({ code, message });
    expect((thrown as { remedy?: string }).remedy).toEqual(wantedRemedy);
  });

  it("without an answer fail after their time, and a late answer is dropped", async () => {
    const { request } = await open((req, { answer }) => {
      if (req.method === "late") return;
      for (const earlier of gateway.requests.slice(1)) answer(earlier, { of: earlier.method });
    });
    await expect(request("late", {}, { timeoutMs: 10 })).rejects.toMatchObject({
      code: "CLOISTER_ASK_TIMEOUT",
      message: `late: the gateway at ${gateway.url} did not answer within 0.01 s.`,
    });
    expect(await request("next", {})).toEqual({ of: "next" });
  });

  it("that answer twice give the first to onAccepted and the second as their result", async () => {
    const { request } = await open((req, { answer }) => {
      answer(req, { status: "accepted", runId: "r" });
      answer(req, { status: "ok", runId: "r" });
    });
    const accepted: unknown[] = [];
    const last = await request("agent", {}, { onAccepted: (payload) => accepted.push(payload) });
    expect([accepted, last]).toEqual([[{ status: "accepted", runId: "r" }], { status: "ok", runId: "r" }]);
  });
});

describe("a lost connection", () => {
  it("fails what waits and what is asked later; nothing connects again", async () => {
    const { request } = await open((_req, { socket }) => socket.close(1012, "restart"));
    const wanted = {
      code: "CLOISTER_GATEWAY_UNREACHABLE",
      message: expect.stringContaining("closed (1012 restart)"),
      remedy,
    };
    await expect(request("one", {})).rejects.toMatchObject(wanted);
    await expect(request("two", {})).rejects.toMatchObject(wanted);
    expect(gateway.requests.map(({ method }) => method)).toEqual(["connect", "one"]);
  });

  it("is noticed by silence of two ticks", async () => {
    gateway = await startGateway(
      (request, { answer }) => {
        if (request.method === "connect") answer(request, { ...helloOk, policy: { tickIntervalMs: 5 } });
      },
      { raw: true },
    );
    client = await connectGateway({ url: gateway.url, remedy }, identity);
    await expect(client.request("never", {})).rejects.toMatchObject({
      message: expect.stringContaining("it was silent for"),
    });
  });
});

describe("events", () => {
  it("come in order, and end with this side's close", async () => {
    const opened = await open((req, { event, answer }) => {
      event("chat", { n: 1 });
      event("agents", { n: 2 });
      answer(req, {});
    });
    const events = opened.events();
    await opened.request("go", {});
    await opened.close();
    client = undefined;
    const seen: unknown[] = [];
    for await (const event of events) seen.push(event);
    expect(seen).toEqual([
      { event: "chat", payload: { n: 1 } },
      { event: "agents", payload: { n: 2 } },
    ]);
  });

  it("throw when the connection is lost, after those that came before", async () => {
    const opened = await open((_req, { event, socket }) => {
      event("chat", { n: 1 });
      socket.close(1011, "fault");
    });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { payload } of opened.events()) seen.push(payload);
    })();
    const [asked, read] = await Promise.allSettled([opened.request("go", {}), reading]);
    expect(seen).toEqual([{ n: 1 }]);
    expect([asked, read]).toMatchObject([
      { status: "rejected", reason: { code: "CLOISTER_GATEWAY_UNREACHABLE" } },
      { status: "rejected", reason: { code: "CLOISTER_GATEWAY_UNREACHABLE" } },
    ]);
  });
});
