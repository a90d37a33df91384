/** How providers are asked: what is sent, what is taken, and what a failure looks like to the packages that ask. */
import { getEventListeners, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterEach, expect, it, vi } from "vitest";
import { makeBoundedFetch } from "../../../runtime/broker/bounded-fetch.ts";

const closings: (() => void)[] = [];
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

type Serve = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function open(serve: Serve) {
  const sockets = new Set<Socket>();
  const seen: { readonly method: string; readonly headers: IncomingMessage["headers"]; readonly body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      seen.push({ method: request.method ?? "", headers: request.headers, body });
      serve(request, response, body);
    });
  });
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closings.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen, sockets };
}

const bounds = { bytesMax: 1_000, silenceMs: 60_000 };

it("sends a text with its length, and gives status, headers and body", async () => {
  const { url, seen } = await open((_, response, body) => {
    response.writeHead(404, "Not There", { "x-of": ["a", "b"] });
    response.end(`heard ${body}`);
  });
  const headers = { authorization: "Bearer k", "Content-Type": "application/json" };
  const response = await makeBoundedFetch(bounds)(url, { method: "POST", headers, body: '"ü"' });
  expect(response).toMatchObject({ status: 404, statusText: "Not There", ok: false });
  expect(response.headers.get("x-of")).toBe("a, b");
  expect(await response.text()).toBe('heard "ü"');
  expect(seen).toMatchObject([
    {
      method: "POST",
      body: '"ü"',
      headers: { authorization: "Bearer k", "content-type": "application/json", "content-length": "4" },
    },
  ]);
});

it("sends a form as one", async () => {
  const { url, seen } = await open((_, response) => response.end());
  await makeBoundedFetch(bounds)(url, { method: "POST", body: new URLSearchParams({ a: "1 2" }) });
  expect(seen).toMatchObject([
    { body: "a=1+2", headers: { "content-type": expect.stringContaining("application/x-www-form-urlencoded") } },
  ]);
});

it("asks one server over one connection, request after request", async () => {
  const { url, seen, sockets } = await open((_, response) => response.end("yes"));
  const fetch = makeBoundedFetch(bounds);
  for (let at = 0; at < 3; at++) {
    expect(await (await fetch(url)).text()).toBe("yes");
    // A connection is free one event after the answer's end.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(seen).toHaveLength(3);
  expect(sockets.size).toBe(1);
});

/** A server that answers the first request, and ends the connection of the second as it is told. */
async function openKept(end: (socket: Socket) => void) {
  let requests = 0;
  const server = createServer((request, response) => {
    if (++requests === 2) end(request.socket);
    else request.resume().on("end", () => response.end(String(requests)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closings.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const fetch = makeBoundedFetch(bounds);
  expect(await (await fetch(url)).text()).toBe("1");
  // A connection is free one event after the answer's end.
  await new Promise((resolve) => setImmediate(resolve));
  return { ask: (body: string) => fetch(url, { method: "POST", body }), requests: () => requests };
}
/** More than what the system takes from a process before somebody reads it. */
const long = "x".repeat(64 * 1_048_576);

it("asks once more when the connection that was kept ends before the request has left as a whole", async () => {
  const { ask, requests } = await openKept((socket) => socket.resetAndDestroy());
  expect(await (await ask(long)).text()).toBe("3");
  expect(requests()).toBe(3);
});

it.each([
  ["the request has left, and may have been taken", "short", (socket: Socket) => void socket.resetAndDestroy()],
  [
    "the first byte of an answer has come",
    long,
    // What is written here is there, at the other end of the loopback, one round of the loop later.
    (socket: Socket) => void socket.write("H", () => setImmediate(() => setImmediate(() => socket.resetAndDestroy()))),
  ],
])("does not ask again over a connection that was kept when %s", async (_what, body, end) => {
  const { ask, requests } = await openKept(end);
  await expect(ask(body)).rejects.toMatchObject({ name: "TypeError", message: "fetch failed" });
  expect(requests()).toBe(2);
});

it.each([
  ["the request has left", "short"],
  ["it has not left as a whole", long],
])("does not ask again over a connection of its own, when %s", async (_what, body) => {
  let requests = 0;
  const server = createServer((request) => {
    requests++;
    request.socket.resetAndDestroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closings.push(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await expect(makeBoundedFetch(bounds)(url, { method: "POST", body })).rejects.toMatchObject({
    name: "TypeError",
    message: "fetch failed",
  });
  expect(requests).toBe(1);
});

it.each([301, 302, 303, 307, 308])("takes a redirect (%i) for a failure, and asks nobody for it", async (status) => {
  const other = await open((_, response) => response.end("elsewhere"));
  const { url, seen } = await open((_, response) => response.writeHead(status, { location: other.url }).end());
  await expect(makeBoundedFetch(bounds)(url, { headers: { "x-key": "k" } })).rejects.toMatchObject({
    name: "TypeError",
    cause: { message: `unexpected redirect (${status})` },
  });
  expect([seen.length, other.seen.length]).toEqual([1, 0]);
});

it("gives an answer of as many bytes as it may have, and not one more", async () => {
  const { url } = await open((_, response, body) => response.end("x".repeat(Number(body))));
  const ask = async (length: number): Promise<string> =>
    (await makeBoundedFetch(bounds)(url, { method: "POST", body: String(length) })).text();
  expect(await ask(1_000)).toHaveLength(1_000);
  await expect(ask(1_001)).rejects.toMatchObject({ kind: "output" });
});

it("counts the silence of a provider from the last that it said", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  closings.push(() => vi.useRealTimers());
  const answers: ServerResponse[] = [];
  const { url } = await open((_, response) => {
    answers.push(response);
    response.writeHead(200).write("a");
  });
  const response = await makeBoundedFetch({ bytesMax: 1_000, silenceMs: 1_000 })(url);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const next = async (): Promise<string> => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await next()).toBe("a");
  for (const piece of ["b", "c"]) {
    vi.advanceTimersByTime(999);
    answers[0]?.write(piece);
    expect(await next()).toBe(piece);
  }
  vi.advanceTimersByTime(1_000);
  await expect(reader.read()).rejects.toMatchObject({ kind: "transient" });
});

it("leaves no timer and no listener of its signal behind", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  closings.push(() => vi.useRealTimers());
  const { url } = await open((_, response) => response.end("yes"));
  const { signal } = new AbortController();
  expect(await (await makeBoundedFetch(bounds)(url, { signal })).text()).toBe("yes");
  expect([vi.getTimerCount(), getEventListeners(signal, "abort").length]).toEqual([0, 0]);
});

it("ends a request whose answer nobody reads any more", async () => {
  const { url, sockets } = await open((_, response) => void response.writeHead(200).write("a beginning"));
  const response = await makeBoundedFetch(bounds)(url);
  const [socket] = sockets;
  const closed = once(socket as Socket, "close");
  await response.body?.cancel();
  await closed;
});

it("takes a server that accepts a connection and says nothing on it for one that is not there", async () => {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => void sockets.push(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const fetch = makeBoundedFetch({ ...bounds, connectMs: 50 });
  await expect(fetch(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)).rejects.toMatchObject({
    message: "fetch failed",
    cause: { message: "no connection within 50 ms" },
  });
});

it("gives an answer all its time once the connection is there", async () => {
  const { url } = await open((_, response) => void setTimeout(() => response.end("late"), 100));
  expect(await (await makeBoundedFetch({ ...bounds, connectMs: 50 })(url)).text()).toBe("late");
});

it("fails as fetch does where nobody listens, and for a header that cannot be sent", async () => {
  const { url } = await open(() => undefined);
  for (const close of closings.splice(0)) close();
  const fetch = makeBoundedFetch(bounds);
  await expect(fetch(url)).rejects.toMatchObject({ message: "fetch failed", cause: { code: "ECONNREFUSED" } });
  await expect(fetch(url, { headers: { "x-key": "a\u0000b" } })).rejects.toBeInstanceOf(TypeError);
});

it.each([
  ["gzip", gzipSync("packed")],
  ["deflate", deflateSync("packed")],
  ["br", brotliCompressSync("packed")],
])("reads an answer in %s", async (encoding, bytes) => {
  const { url } = await open((_, response) => {
    response.writeHead(200, { "content-encoding": encoding });
    response.end(bytes);
  });
  expect(await (await makeBoundedFetch(bounds)(url)).text()).toBe("packed");
});

/** A server that says these bytes to whatever it is asked. */
async function say(bytes: string): Promise<string> {
  const server = createTcpServer((socket) =>
    socket.once("data", () => socket.end(bytes, "latin1")).on("error", () => undefined),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closings.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

it.each([
  ["a status that is none", "HTTP/1.1 999 No\r\ncontent-length: 2\r\n\r\nno"],
  ["a reason with control characters", "HTTP/1.1 200 O\u0001K\r\ncontent-length: 2\r\n\r\nno"],
  ["the same of an answer without a body", "HTTP/1.1 204 O\u0001K\r\n\r\n"],
])("takes %s for a failure of its call alone", async (_, bytes) => {
  const url = await say(bytes);
  await expect(makeBoundedFetch(bounds)(url)).rejects.toMatchObject({ name: "TypeError", message: "fetch failed" });
});

it.each([204, 304])("gives an answer with %i, which has no body, also when it names an encoding", async (status) => {
  const { url, sockets } = await open((_, response) => {
    response.writeHead(status, { "content-encoding": "gzip" });
    response.end();
  });
  const fetch = makeBoundedFetch(bounds);
  for (let at = 0; at < 2; at++) {
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([status, ""]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(sockets.size).toBe(1);
});

it("takes no Request, whose method, headers and body it would lose", async () => {
  const { url, seen } = await open((_, response) => response.end());
  const request = new Request(url, { method: "POST", body: "asked" });
  await expect(makeBoundedFetch(bounds)(request)).rejects.toBeInstanceOf(TypeError);
  expect(seen).toEqual([]);
});

it("bounds what was packed by what it becomes", async () => {
  const { url } = await open((_, response) => {
    response.writeHead(200, { "content-encoding": "gzip" });
    response.end(gzipSync("x".repeat(1_001)));
  });
  const response = await makeBoundedFetch(bounds)(url);
  await expect(response.text()).rejects.toMatchObject({ kind: "output" });
});

it("takes an answer that breaks off after its head for a failure", async () => {
  const { url } = await open((_, response) => {
    response.writeHead(200);
    response.write("a beginning", () => response.destroy());
  });
  const response = await makeBoundedFetch(bounds)(url);
  await expect(response.text()).rejects.toMatchObject({ message: "terminated" });
});

it.each(["before its head", "in its body"])("ends an answer that is wanted no more, %s", async (when) => {
  const { url, sockets } = await open((_, response) => {
    if (when === "in its body") response.writeHead(200).write("a beginning");
  });
  const abort = new AbortController();
  const reason = new Error("stopped");
  const asked = makeBoundedFetch(bounds)(url, { signal: abort.signal }).then((response) => response.text());
  asked.catch(() => undefined);
  await expect.poll(() => sockets.size).toBe(1);
  const [socket] = sockets;
  const closed = once(socket as Socket, "close");
  abort.abort(reason);
  await expect(asked).rejects.toBe(reason);
  await closed;
  await expect(makeBoundedFetch(bounds)(url, { signal: abort.signal })).rejects.toBe(reason);
});

it("lets a provider wait that is faster than whoever reads", async () => {
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  const { url } = await open((_, response) => {
    const more = (): void => {
      while (sent < 512) {
        sent++;
        if (!response.write(chunk)) {
          response.once("drain", more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  const response = await makeBoundedFetch({ bytesMax: 2 ** 30, silenceMs: 60_000 })(url);
  let before = -1;
  await expect
    .poll(() => {
      const isStill = sent === before;
      before = sent;
      return isStill;
    })
    .toBe(true);
  expect(sent).toBeLessThan(512);
  expect((await response.bytes()).byteLength).toBe(512 * chunk.byteLength);
});
