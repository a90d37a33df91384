/** Users whom a proxy has identified: only its own word counts, only from its own address, and it changes nothing elsewhere. */
import { expect, describe, it } from "vitest";
import type { EdgeSettings, ProxyRule } from "../../runtime/edge/settings.ts";
import { connectAs, makeDevice, openDeviceGateway } from "./device-kit.ts";
import {
  bizToken,
  gatewayToken,
  openClient,
  openEdge,
  operatorKey,
  postJson,
  type Running,
  tryUpgrade,
} from "./edge-kit.ts";

const page = "https://panel.example.org";
const user = { "x-user": "ada", "x-forwarded-for": "198.51.100.7" };

const open = (rule: Partial<ProxyRule> = {}, settings: Partial<EdgeSettings> = {}): Promise<Running> =>
  openEdge({
    settings: {
      auth: {
        mode: "trusted-proxy",
        proxy: { userHeader: "x-user", requiredHeaders: [], allowUsers: [], ...rule },
      },
      trustedProxies: ["127.0.0.1"],
      ...settings,
    },
  });

const come = async (
  { port }: Pick<Running, "port">,
  options: Parameters<typeof openClient>[2] = {},
  auth: Record<string, string> = {},
) => openClient(port, "/", options).connect({ auth, scopes: ["operator.read"] });

/** From an address of this machine that no proxy has. */
const elsewhere = { localAddress: "127.0.0.2" };

describe("gateway.auth.mode trusted-proxy", () => {
  it("admits the person at the page whom the proxy names, with no token and no device", async () => {
    const here = await open();
    expect(await come(here, { origin: page, headers: user })).toMatchObject({
      ok: true,
      payload: { auth: { role: "operator", scopes: ["operator.read"] } },
    });
    expect(here.logs.find(({ message }) => message === "client connected")?.fields).toMatchObject({
      by: "trusted-proxy",
      user: "ada",
    });
  });

  it.each([
    ["another address", { ...elsewhere, headers: user }, {}, "AUTH_UNAUTHORIZED"],
    ["no header", {}, {}, "AUTH_IDENTITY_HEADER_REQUIRED"],
    ["a blank header", { headers: { "x-user": " " } }, {}, "AUTH_IDENTITY_HEADER_REQUIRED"],
    ["a token instead", {}, { token: gatewayToken }, "AUTH_IDENTITY_HEADER_REQUIRED"],
    ["a token from elsewhere", elsewhere, { token: gatewayToken }, "AUTH_UNAUTHORIZED"],
  ])("refuses who comes with %s", async (_name, options, auth, code) => {
    const here = await open();
    const answer = await come(here, { origin: page, ...options }, auth);
    expect(answer).toMatchObject({ ok: false, error: { code: "UNAUTHORIZED", details: { code } } });
    expect(answer.error.details.remedy).not.toBe("");
  });

  it("believes no header that is there twice: one of them is the client's", async () => {
    const here = await open();
    const twice = { "x-user": ["admin", "ada"] } as unknown as Record<string, string>;
    expect((await come(here, { origin: page, headers: twice })).error.details.code).toBe(
      "AUTH_IDENTITY_HEADER_REQUIRED",
    );
  });

  it("wants each required header, and a user of the list", async () => {
    const here = await open({ requiredHeaders: ["x-groups"], allowUsers: ["ada"] });
    expect((await come(here, { origin: page, headers: user })).error.message).toContain("no header x-groups");
    const groups = { "x-groups": "staff" };
    expect((await come(here, { origin: page, headers: { ...user, ...groups } })).ok).toBe(true);
    const other = await come(here, { origin: page, headers: { ...groups, "x-user": "eve" } });
    expect(other.error.message).toContain("allowUsers");
    expect(JSON.stringify(other)).not.toContain("eve");
  });

  it("still asks a page's origin: a browser sends the proxy's cookies for whatever page asks it to", async () => {
    const here = await open();
    expect(
      (
        await tryUpgrade(here.port, "/", {
          host: `127.0.0.1:${here.port}`,
          origin: "https://evil.example.org",
          ...user,
        })
      ).status,
    ).toBe(403);
  });

  it("admits programs with a device of their own only, and only when it was approved", async () => {
    const rule = { userHeader: "x-user", requiredHeaders: [], allowUsers: [] };
    const settings = { trustedProxies: ["127.0.0.1"] };
    const here = await openDeviceGateway({ auth: { mode: "trusted-proxy", proxy: rule }, settings });
    const bare = await come(here, { headers: user });
    expect(bare.error.details.code).toBe("DEVICE_IDENTITY_REQUIRED");
    const device = makeDevice();
    // Without a forwarding header, as some proxies are: who is behind a proxy is never of this machine.
    const proxied = { auth: {}, headers: { "x-user": "ada" } };
    const asking = await connectAs(here.port, device, proxied);
    expect(asking.answer.error.details.code).toBe("PAIRING_REQUIRED");
    const operator = openClient(here.port);
    await operator.connect({ auth: { token: operatorKey } });
    const { requestId } = asking.answer.error.details;
    await operator.call("device.pair.list", {});
    expect((await operator.call("device.pair.approve", { requestId })).ok).toBe(true);
    expect((await connectAs(here.port, device, proxied)).answer.ok).toBe(true);
  });
});

describe("the address of a client", () => {
  const wrong = { auth: { token: "wrong" } };
  const lockOut = async ({ port }: Running, headers: Record<string, string>, localAddress?: string): Promise<void> => {
    for (let attempt = 0; attempt < 10; attempt += 1)
      await openClient(port, "/", { headers, ...(localAddress === undefined ? {} : { localAddress }) }).connect(wrong);
  };
  const codeOf = async ({ port }: Running, headers: Record<string, string>, localAddress?: string): Promise<unknown> =>
    (await openClient(port, "/", { headers, ...(localAddress === undefined ? {} : { localAddress }) }).connect(wrong))
      .error.details.code;

  it("is what a trusted proxy saw, so that one client does not lock out the others behind the same proxy", async () => {
    const here = await openEdge({ settings: { trustedProxies: ["127.0.0.1", "10.0.0.0/24"] } });
    await lockOut(here, { "x-forwarded-for": "203.0.113.5, 198.51.100.7, 10.0.0.9" });
    expect(await codeOf(here, { "x-forwarded-for": "198.51.100.7" })).toBe("AUTH_RATE_LIMITED");
    // What the client wrote in front is not believed.
    expect(await codeOf(here, { "x-forwarded-for": "203.0.113.5" })).toBe("AUTH_TOKEN_MISMATCH");
    expect(await codeOf(here, { "x-forwarded-for": "nonsense" })).toBe("AUTH_TOKEN_MISMATCH");
  });

  it("is the socket's for everybody else, whatever the headers say", async () => {
    const here = await openEdge({ settings: { trustedProxies: ["127.0.0.1"] } });
    for (let attempt = 0; attempt < 10; attempt += 1)
      await codeOf(here, { "x-forwarded-for": `198.51.100.${attempt}` }, "127.0.0.2");
    expect(await codeOf(here, { "x-forwarded-for": "198.51.100.99" }, "127.0.0.2")).toBe("AUTH_RATE_LIMITED");
    expect(await codeOf(here, { "x-forwarded-for": "198.51.100.1" }, "127.0.0.1")).toBe("AUTH_TOKEN_MISMATCH");
  });

  it("counts for HTTP as well", async () => {
    const here = await openEdge({ settings: { trustedProxies: ["127.0.0.1"] } });
    const send = (from: string, token: string) =>
      postJson(
        here.port,
        "/channels/webhook/biz",
        { authorization: `Bearer ${token}`, "x-forwarded-for": from },
        { text: "x", sender: { id: "u" } },
      );
    for (let attempt = 0; attempt < 20; attempt += 1) await send("198.51.100.7", "wrong");
    expect((await send("198.51.100.7", bizToken)).status).toBe(429);
    expect((await send("198.51.100.8", bizToken)).status).toBe(200);
  });
});
