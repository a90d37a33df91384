/** What a change of the gateway's token ends, and what its own end lets in. */
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { connectAs, makeDevice } from "./device-kit.ts";
import { openClient, openEdge, openRaw, operatorKey, settingsWith } from "./edge-kit.ts";

describe("another token of the gateway", () => {
  it("ends who came in with the old one alone, with 4001, and nobody else", async () => {
    const { edge, port, assetsDir } = await openEdge();
    const shared = openClient(port);
    expect((await shared.connect()).ok).toBe(true);
    const waiting = openClient(port);
    await waiting.next(({ event }) => event === "connect.challenge");
    const operator = openClient(port);
    expect((await operator.connect({ auth: { token: operatorKey } })).ok).toBe(true);
    const { client: device, answer } = await connectAs(port, makeDevice());
    expect(answer.ok).toBe(true);

    const settings = settingsWith(assetsDir);
    await edge.configure(settings);
    expect((await shared.call("health")).ok).toBe(true);
    await edge.configure({ ...settings, auth: { mode: "token", secret: "another-secret" } });
    expect(await shared.closed).toMatchObject({ code: 4001, reason: expect.stringContaining("token or password") });
    for (const client of [operator, device]) expect((await client.call("health")).ok).toBe(true);
    expect(waiting.ws.readyState).toBe(waiting.ws.OPEN);
    expect((await openClient(port).connect()).error.details.code).toBe("AUTH_TOKEN_MISMATCH");
  });
});

describe("the end of the gateway", () => {
  it("lets in no socket whose upgrade had begun before", async () => {
    const { edge, port } = await openEdge({ bounds: { socketCloseGraceMs: 20_000 } });
    const raw = openRaw(port);
    // The beginning of the second request comes with the first, so that it is there when that is answered.
    raw.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/1.1\r\nhost: localhost\r\n");
    await eventually(() => expect(raw.received().toString()).toContain('"live"'));
    const closed = edge.close("SIGTERM");
    raw.write(
      "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const [, second] = (await raw.ended).toString().split(/(?=HTTP\/1\.1 )/);
    expect(second).toMatch(/^HTTP\/1\.1 503 [^]*CLOISTER_GATEWAY_DRAINING[^]*SIGTERM/);
    await closed;
  });
});
