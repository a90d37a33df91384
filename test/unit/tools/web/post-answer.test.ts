/** Answers of jobs to a URL, with a server on loopback that the configuration allows, and with names that are looked up here. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { OutboundMessage } from "../../../../channels/port.ts";
import { postAnswer, type PostTools } from "../../../../runtime/tools/web/post-answer.ts";

interface Got {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function serve(answer: (response: ServerResponse, count: number) => void) {
  const got: Got[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (piece: string) => (body += piece));
    request.on("end", () => {
      got.push({ headers: request.headers, body });
      answer(response, got.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { got, host, url: `http://${host}/jobs` };
}

const message: OutboundMessage = {
  idempotencyKey: "e1",
  channel: "url",
  accountId: "j-1",
  peer: { kind: "direct", id: "http://x/" },
  agentId: "main",
  sessionKey: "agent:main:cron:j-1:run:1",
  text: "The report.",
};

const sleeps: number[] = [];
const tools: PostTools = { sleep: async (ms) => void sleeps.push(ms), jitter: () => 0.5 };

test("goes with the token, the key and the answer, and the receiver's id comes back", async () => {
  const { got, host, url } = await serve((response) => response.end(JSON.stringify({ id: "r-7" })));
  expect(
    await postAnswer({ message, url, token: "t-secret", stateDir: "/nowhere", allowedHosts: [host] }, tools),
  ).toEqual({
    status: "sent",
    platformMessageId: "r-7",
  });
  expect(got).toHaveLength(1);
  expect(got[0]?.headers).toMatchObject({ authorization: "Bearer t-secret", "idempotency-key": "e1" });
  expect(JSON.parse(got[0]?.body ?? "")).toMatchObject({ accountId: "j-1", agentId: "main", text: "The report." });
});

test("a token that is referred to is read for each answer, and without it nothing goes out", async () => {
  const { got, host, url } = await serve((response) => response.end("{}"));
  const dir = await mkdtemp(path.join(os.tmpdir(), "cloister-posts-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const [stateDir, file] = [path.join(dir, "state"), path.join(dir, "token")];
  await mkdir(stateDir);
  const token = { key: "cron.webhookToken", ref: { source: "file", id: file } } as const;
  const post = () => postAnswer({ message, url, token, stateDir, allowedHosts: [host] }, tools);
  expect(await post()).toEqual({
    status: "failed",
    reason: expect.stringMatching(
      /^CLOISTER_SECRET_MISSING: cron\.webhookToken refers to .*token: .*; let the file be there/,
    ),
    retry: true,
  });
  expect(got).toEqual([]);
  for (const secret of ["t-1", "t-2"]) {
    await writeFile(file, `${secret}\n`, { mode: 0o600 });
    expect(await post()).toMatchObject({ status: "sent" });
    expect(got.at(-1)?.headers.authorization).toBe(`Bearer ${secret}`);
  }
});

test("is tried again under its key when the receiver is busy, and not more than three times", async () => {
  const { got, host, url } = await serve((response, count) => {
    response.statusCode = count === 1 ? 503 : 204;
    response.setHeader("retry-after", "2");
    response.end();
  });
  sleeps.length = 0;
  expect(await postAnswer({ message, url, stateDir: "/nowhere", allowedHosts: [host] }, tools)).toEqual({
    status: "sent",
  });
  expect(got.map(({ headers }) => [headers["idempotency-key"], headers.authorization])).toEqual([
    ["e1", undefined],
    ["e1", undefined],
  ]);
  expect(sleeps).toEqual([2_000]);
  const down = await serve((response) => {
    response.statusCode = 500;
    response.end();
  });
  expect(
    await postAnswer({ message, url: down.url, stateDir: "/nowhere", allowedHosts: [down.host] }, tools),
  ).toMatchObject({
    status: "failed",
    retry: true,
  });
  expect(down.got).toHaveLength(3);
});

test("follows no redirect: the token would go along", async () => {
  const { got, host, url } = await serve((response) => {
    response.statusCode = 302;
    response.setHeader("location", "/elsewhere");
    response.end();
  });
  expect(
    await postAnswer({ message, url, token: "t", stateDir: "/nowhere", allowedHosts: [host] }, tools),
  ).toMatchObject({
    status: "failed",
    reason: expect.stringContaining("redirect"),
    retry: false,
  });
  expect(got).toHaveLength(1);
});

describe("an address of this machine or of a private network", () => {
  test.each([
    ["as it is written", "127.0.0.1"],
    ["that a name stands for", "jobs.example"],
  ])("%s is refused, nothing is connected to, and nothing is tried again", async (_how, name) => {
    const { got, host, url } = await serve((response) => response.end());
    const lookup = ((_name: string, _options: object, done: (error: null, address: string, family: number) => void) =>
      done(null, "127.0.0.1", 4)) as NonNullable<PostTools["lookup"]>;
    const given = url.replace("127.0.0.1", name);
    const other = host.replace("127.0.0.1", "other.example");
    const posted = { message, url: given, token: "t", stateDir: "/nowhere", allowedHosts: [other] };
    expect(await postAnswer(posted, { ...tools, lookup })).toEqual({
      status: "failed",
      reason: expect.stringMatching(/is an address of this machine.*answers of jobs go only to what is public/),
      retry: false,
    });
    expect(got).toEqual([]);
  });
});
