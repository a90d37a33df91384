import { describe, expect, it } from "vitest";
import {
  type Client,
  type ClientSettings,
  type ConnectionStatus,
  makeClient,
  type Reply,
} from "../../../channels/web/page/client.ts";
import { countingIds, FakeGateway, FakeTimers, settled } from "./fakes.ts";

function start(
  options: { readonly key?: string; readonly random?: number; readonly more?: Partial<ClientSettings> } = {},
) {
  const gateway = new FakeGateway();
  const timers = new FakeTimers();
  const statuses: ConnectionStatus[] = [];
  const events: { readonly event: string; readonly payload: unknown }[] = [];
  let gaps = 0;
  let key = options.key;
  const client: Client = makeClient({
    openSocket: gateway.open,
    key: () => key,
    version: "1.2.3",
    timers,
    random: () => options.random ?? 0,
    newId: countingIds(),
    onStatus: (status) => statuses.push(status),
    onEvent: (event, payload) => events.push({ event, payload }),
    onGap: () => {
      gaps += 1;
    },
    ...options.more,
  });
  client.start();
  return {
    client,
    gateway,
    timers,
    events,
    gaps: () => gaps,
    status: () => statuses.at(-1),
    setKey: (next: string) => {
      key = next;
    },
    ready: () => {
      gateway.link.challenge();
      gateway.link.hello();
    },
  };
}

describe("handshake", () => {
  it("signs the challenge with the browser's own key, and comes with the device's token when it has one", async () => {
    const signed: string[] = [];
    const kept: string[] = [];
    const ready = ({ key, deviceToken }: { readonly key?: string; readonly deviceToken?: string }) =>
      start({
        ...(key === undefined ? {} : { key }),
        more: {
          deviceToken: () => deviceToken,
          keepDeviceToken: (token) => kept.push(token),
          proveDevice: async (textFor) => {
            signed.push(textFor("dev-1"));
            return { id: "dev-1", publicKey: "pub", signature: "sig" };
          },
        },
      });
    const connectOf = async ({ gateway }: ReturnType<typeof start>) => {
      gateway.link.challenge(1_234);
      await settled();
      return gateway.link.take("connect");
    };
    const first = ready({ key: "beef", deviceToken: "mine" });
    const { id, params } = await connectOf(first);
    const device = { id: "dev-1", publicKey: "pub", signature: "sig", signedAt: 1_234, nonce: "n" };
    expect(params).toMatchObject({ auth: { token: "beef" }, device });
    const scopes = "operator.read,operator.write,operator.admin";
    expect(signed).toEqual([`v3|dev-1|cloister-page|webchat|operator|${scopes}|1234|beef|n|web|`]);
    first.gateway.link.deliver({ type: "res", id, ok: true, payload: { auth: { deviceToken: "issued" } } });
    expect(kept).toEqual(["issued"]);

    expect((await connectOf(ready({ deviceToken: "mine" }))).params).toMatchObject({
      auth: { deviceToken: "mine" },
      device,
    });
    expect(signed.at(-1)).toContain("|1234|mine|n|");
    const bare = (await connectOf(ready({}))).params;
    expect([bare["auth"], bare["device"]]).toEqual([undefined, undefined]);
  });

  it("comes without a device where the browser has none, and sends nothing on a connection that is gone", async () => {
    const proof = Promise.withResolvers<undefined>();
    const { gateway, timers } = start({ key: "beef", more: { proveDevice: () => proof.promise } });
    const lost = gateway.link;
    lost.challenge();
    lost.drop();
    proof.resolve(undefined);
    await settled();
    expect(lost.sent).toEqual([]);
    timers.advance(1_000);
    gateway.link.challenge();
    await settled();
    expect(gateway.link.take("connect").params).not.toHaveProperty("device");
  });

  it("waits for the challenge, then asks for the operator's read and write scopes with the key", () => {
    const { gateway, status } = start({ key: "beef" });
    expect(gateway.link.sent).toEqual([]);
    gateway.link.challenge();
    const { params } = gateway.link.take("connect");
    expect(params).toEqual({
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "cloister-page", version: "1.2.3", platform: "web", mode: "webchat" },
      role: "operator",
      scopes: ["operator.read", "operator.write", "operator.admin"],
      caps: [],
      auth: { token: "beef" },
    });
    expect(status()).toEqual({ type: "connecting", attempt: 0 });
  });

  it("leaves auth out while there is no key", () => {
    const { gateway } = start();
    gateway.link.challenge();
    expect(gateway.link.take("connect").params).not.toHaveProperty("auth");
  });

  it("is ready after hello-ok and knows the gateway's version", () => {
    const page = start();
    page.ready();
    expect(page.status()).toEqual({ type: "ready", serverVersion: "9.9.9", isAdmin: false, mayWrite: false });
  });

  it.each([
    [["operator.read", "operator.write", "operator.admin"], { isAdmin: true, mayWrite: true }],
    [["operator.read", "operator.write"], { isAdmin: false, mayWrite: true }],
    [["operator.read"], { isAdmin: false, mayWrite: false }],
    ["operator.admin", { isAdmin: false, mayWrite: false }],
  ])("with the scopes %j it may do: %j", (scopes, may) => {
    const page = start();
    page.gateway.link.challenge();
    page.gateway.link.answer("connect", { auth: { scopes } });
    expect(page.status()).toMatchObject({ type: "ready", ...may });
  });

  it("measures the gateway's clock against its own", () => {
    const { gateway, timers, client } = start();
    gateway.link.challenge(timers.nowMs() + 5_000);
    expect(client.clockOffsetMs()).toBe(5_000);
  });

  it("gives up a handshake that is not answered within 10 s", () => {
    const { gateway, timers, status } = start();
    timers.advance(9_999);
    expect(status()?.type).toBe("connecting");
    timers.advance(1);
    expect(status()?.type).toBe("waiting");
    expect(gateway.link.closedWith).toBe(4000);
  });
});

describe("refusal", () => {
  const missing = { code: "UNAUTHORIZED", message: "no credential", details: { code: "AUTH_TOKEN_MISSING" } };

  it("shows the gateway's words and does not try again by itself", () => {
    const { gateway, timers, status } = start();
    gateway.link.challenge();
    gateway.link.refuse("connect", missing);
    gateway.link.drop(1008, "unauthorized");
    expect(status()).toEqual({
      type: "refused",
      error: { code: "UNAUTHORIZED", message: "no credential", detailCode: "AUTH_TOKEN_MISSING" },
    });
    timers.advance(10 * 60_000);
    expect(gateway.links).toHaveLength(1);
  });

  it("connects with the new key when it is started again, but not when it is only woken", () => {
    const page = start();
    page.gateway.link.challenge();
    page.gateway.link.refuse("connect", missing);
    page.client.wake();
    expect(page.gateway.links).toHaveLength(1);
    page.setKey("cafe");
    page.client.start();
    page.gateway.link.challenge();
    expect(page.gateway.link.take("connect").params["auth"]).toEqual({ token: "cafe" });
  });

  it("waits as long as the gateway says when the refusal is retryable", () => {
    const { gateway, timers, status } = start();
    gateway.link.challenge();
    const error = { code: "UNAVAILABLE", message: "starting", retryable: true, retryAfterMs: 2_500 };
    gateway.link.refuse("connect", error);
    expect(status()).toMatchObject({ type: "waiting", retryAtMs: timers.nowMs() + 2_500 });
    timers.advance(2_500);
    expect(gateway.links).toHaveLength(2);
  });

  it("does not try a wrong credential again, even when the refusal is called retryable", () => {
    const { gateway, status } = start({ key: "wrong" });
    gateway.link.challenge();
    const details = { code: "AUTH_RATE_LIMITED" };
    gateway.link.refuse("connect", { code: "UNAVAILABLE", message: "too many attempts", retryable: true, details });
    expect(status()?.type).toBe("refused");
  });

  it("takes a policy close before the handshake for a refusal", () => {
    const { gateway, status } = start();
    gateway.link.drop(1008, "origin not allowed");
    expect(status()).toEqual({ type: "refused", error: { code: "REFUSED", message: "origin not allowed" } });
  });
});

describe("reconnect", () => {
  it("backs off from 1 s to 30 s and starts over after a success", () => {
    const page = start();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 7; attempt++) {
      page.gateway.link.drop();
      const status = page.status();
      if (status?.type !== "waiting") throw new Error(`expected to wait, found ${status?.type}`);
      waits.push(status.retryAtMs - page.timers.nowMs());
      page.timers.advance(status.retryAtMs - page.timers.nowMs());
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    page.ready();
    page.gateway.link.drop();
    expect(page.status()).toMatchObject({ type: "waiting", retryAtMs: page.timers.nowMs() + 1_000 });
  });

  it("shortens each wait by up to a half at random", () => {
    const page = start({ random: 0.999_999 });
    page.gateway.link.drop();
    expect(page.status()).toMatchObject({ retryAtMs: page.timers.nowMs() + 500 });
  });

  it("tries at once when it is woken, and ignores the timer that it had set", () => {
    const page = start();
    page.gateway.link.drop();
    page.client.wake();
    expect(page.gateway.links).toHaveLength(2);
    page.timers.advance(5_000);
    expect(page.gateway.links).toHaveLength(2);
  });

  it("leaves a gateway that is silent for two ticks", () => {
    const page = start();
    page.ready();
    page.timers.advance(29_000);
    page.gateway.link.event("tick", {}, 1);
    page.timers.advance(29_999);
    expect(page.status()?.type).toBe("ready");
    page.timers.advance(1);
    expect(page.status()).toMatchObject({ type: "waiting", reason: "the gateway fell silent" });
    expect(page.gateway.link.closedWith).toBe(4000);
  });

  it("hears nothing more from a link that it left", () => {
    const page = start();
    page.ready();
    const old = page.gateway.link;
    old.drop();
    page.client.wake();
    page.ready();
    old.event("chat", {}, 1);
    old.drop();
    expect(page.events).toEqual([]);
    expect(page.status()?.type).toBe("ready");
  });

  it("leaves no timer behind when it is stopped", () => {
    const page = start();
    page.ready();
    void page.client.request("health", {});
    page.client.stop();
    expect(page.timers.waiting).toBe(0);
    expect(page.gateway.link.closedWith).toBe(1000);
    expect(page.status()).toEqual({ type: "stopped" });
  });
});

describe("requests", () => {
  it("settle with the answer that carries their id, in any order", async () => {
    const page = start();
    page.ready();
    const first = page.client.request("chat.history", { sessionKey: "a" });
    const second = page.client.request("agents.list", {});
    page.gateway.link.answer("agents.list", { agents: [] });
    page.gateway.link.refuse("chat.history", { code: "INVALID_REQUEST", message: "no such session" });
    expect(await second).toEqual({ ok: true, payload: { agents: [] } });
    expect(await first).toEqual({ ok: false, error: { code: "INVALID_REQUEST", message: "no such session" } });
  });

  it("settle as disconnected when the socket goes, and at once while there is none", async () => {
    const page = start();
    page.ready();
    const pending = page.client.request("chat.send", {});
    page.gateway.link.drop();
    const late = page.client.request("chat.send", {});
    expect(await pending).toMatchObject({ ok: false, error: { code: "DISCONNECTED", retryable: true } });
    expect(await late).toMatchObject({ ok: false, error: { code: "DISCONNECTED" } });
  });

  it("settle with TIMEOUT after 30 s while the gateway still ticks", async () => {
    const page = start();
    page.ready();
    let reply: Reply | undefined;
    void page.client.request("chat.send", {}).then((value) => {
      reply = value;
    });
    page.timers.advance(20_000);
    page.gateway.link.event("tick", {}, 1);
    page.timers.advance(9_999);
    await settled();
    expect(reply).toBeUndefined();
    page.timers.advance(1);
    await settled();
    expect(reply).toMatchObject({ ok: false, error: { code: "TIMEOUT" } });
  });
});

describe("events", () => {
  it("arrive after the handshake only, without ticks and frames that are not ours", () => {
    const page = start();
    page.gateway.link.event("agents", { early: true });
    page.ready();
    page.gateway.link.event("tick", {}, 1);
    page.gateway.link.event("agents", { agents: [] }, 2);
    page.gateway.link.handlers.message("not json");
    page.gateway.link.handlers.message('{"type":"event"}');
    expect(page.events).toEqual([{ event: "agents", payload: { agents: [] } }]);
  });

  it("report a gap when a number is missing, also before a tick, and not for the first or the next one", () => {
    const page = start();
    page.ready();
    page.gateway.link.event("agents", {}, 7);
    page.gateway.link.event("agents", {}, 8);
    expect(page.gaps()).toBe(0);
    page.gateway.link.event("tick", {}, 10);
    expect(page.gaps()).toBe(1);
    expect(page.events).toHaveLength(2);
  });
});
