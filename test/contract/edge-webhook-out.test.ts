import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { makeWebhookClient } from "../../channels/webhook/index.ts";
import { openEdge, outbound } from "./edge-kit.ts";

interface Receiver {
  readonly url: string;
  readonly requests: {
    headers: IncomingHttpHeaders;
    body: string;
    method: string | undefined;
    url: string | undefined;
  }[];
}

const servers: ReturnType<typeof createServer>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** Answers its n-th request with the n-th answer, and further ones with the last. */
async function openReceiver(...answers: ((response: ServerResponse) => void)[]): Promise<Receiver> {
  const requests: Receiver["requests"] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
    request.on("end", () => {
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push({ headers: request.headers, body, method: request.method, url: request.url });
      answer?.(response);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`, requests };
}

const status =
  (code: number, headers: Record<string, string> = {}, body = "") =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(body);

function clientFor(url: string | undefined, changes: Parameters<typeof makeWebhookClient>[1] = {}) {
  const slept: number[] = [];
  const account = url === undefined ? {} : { outboundUrl: url, outboundToken: "out-token" };
  const client = makeWebhookClient(
    { biz: account },
    { sleep: async (ms) => void slept.push(ms), jitter: () => 0.5, ...changes },
  );
  return { client, slept };
}

describe("webhook channel, outbound", () => {
  it("posts the message with its key and the account's token, and learns the receiver's id", async () => {
    const receiver = await openReceiver(status(200, {}, '{"messageId":"p1"}'));
    const { client, slept } = clientFor(receiver.url);
    expect(await client.send(outbound())).toEqual({ status: "sent", platformMessageId: "p1" });
    expect(receiver.requests).toHaveLength(1);
    expect(receiver.requests[0]).toMatchObject({
      method: "POST",
      headers: { "idempotency-key": "key-1", authorization: "Bearer out-token" },
    });
    expect(JSON.parse(receiver.requests[0]?.body ?? "")).toEqual(outbound());
    expect(slept).toEqual([]);
  });

  it("tries three times with the same key, waiting longer each time", async () => {
    const receiver = await openReceiver(status(503));
    const { client, slept } = clientFor(receiver.url);
    expect(await client.send(outbound())).toEqual({
      status: "failed",
      reason: "the receiver answered 503",
      retry: true,
    });
    expect(receiver.requests.map(({ headers }) => headers["idempotency-key"])).toEqual(["key-1", "key-1", "key-1"]);
    expect(slept).toEqual([400, 800]);
  });

  it("spreads its retries by a tenth", async () => {
    const receiver = await openReceiver(status(500));
    for (const [jitter, expected] of [
      [0, [360, 720]],
      [0.999_999, [440, 880]],
    ] as const) {
      const { client, slept } = clientFor(receiver.url, { jitter: () => jitter });
      await client.send(outbound());
      expect(slept).toEqual(expected);
    }
  });

  it("succeeds when a retry does", async () => {
    const receiver = await openReceiver(
      status(429, { "retry-after": "2" }),
      (response) => void response.destroy(),
      status(204),
    );
    const { client, slept } = clientFor(receiver.url);
    expect(await client.send(outbound())).toEqual({ status: "sent" });
    expect(slept).toEqual([2_000, 800]);
  });

  it("leaves a long pause to its caller", async () => {
    const receiver = await openReceiver(status(429, { "retry-after": "3600" }));
    const { client, slept } = clientFor(receiver.url);
    expect(await client.send(outbound())).toEqual({
      status: "failed",
      reason: "the receiver answered 429",
      retry: true,
      retryAfterMs: 3_600_000,
    });
    expect(slept).toEqual([]);
    expect(receiver.requests).toHaveLength(1);
  });

  it.each([400, 401, 404, 410])("does not repeat what was answered %i", async (code) => {
    const receiver = await openReceiver(status(code));
    expect(await clientFor(receiver.url).client.send(outbound())).toMatchObject({ status: "failed", retry: false });
    expect(receiver.requests).toHaveLength(1);
  });

  it("follows no redirect, so that the token goes nowhere else", async () => {
    const other = await openReceiver(status(200));
    for (const code of [301, 302, 307, 308]) {
      const receiver = await openReceiver(status(code, { location: other.url }));
      expect(await clientFor(receiver.url).client.send(outbound())).toMatchObject({
        status: "failed",
        retry: false,
        reason: expect.stringContaining("redirect"),
      });
    }
    expect(other.requests).toEqual([]);
  });

  it("gives up on a receiver that does not answer, and on one that is not there", async () => {
    const silent = await openReceiver(() => undefined);
    const { client } = clientFor(silent.url, { attemptMs: 300 });
    expect(await client.send(outbound())).toEqual({ status: "failed", reason: "no answer within 300 ms", retry: true });
    expect(silent.requests).toHaveLength(3);
    const gone = await clientFor("http://127.0.0.1:1/?key=url-secret").client.send(outbound());
    expect(gone).toMatchObject({ status: "failed", retry: true });
    expect(JSON.stringify(gone)).not.toContain("url-secret");
  });

  it("reads only the beginning of an endless answer", async () => {
    let written = 0;
    const receiver = await openReceiver((response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384))) written += 16_384;
        response.once("drain", more);
      };
      more();
    });
    expect(await clientFor(receiver.url).client.send(outbound())).toEqual({ status: "sent" });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it("fails without a retry for an account that has no URL", async () => {
    expect(await clientFor(undefined).client.send(outbound())).toMatchObject({
      retry: false,
      reason: expect.stringContaining("channels.webhook.accounts.biz.outboundUrl"),
    });
    expect(await clientFor(undefined).client.send(outbound({ accountId: "__proto__" }))).toMatchObject({
      status: "failed",
      retry: false,
    });
  });

  it("is reached through the edge, which has no other channel", async () => {
    const receiver = await openReceiver(status(200));
    const { edge } = await openEdge({
      settings: { webhook: { accounts: { biz: { token: "t", outboundUrl: receiver.url } }, defaultAccount: "biz" } },
    });
    expect(await edge.send(outbound())).toEqual({ status: "sent" });
    expect(receiver.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(await edge.send(outbound({ channel: "telegram" }))).toMatchObject({ status: "failed", retry: false });
  });
});
