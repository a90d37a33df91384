/** `web_fetch` against servers of this machine: what it gives, what it refuses, and where it never connects. */
import http from "node:http";
import type { NetworkInterfaceInfo } from "node:os";
import type { AddressInfo, LookupFunction } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { webFetchParams } from "../../../../runtime/tools/params.ts";
import type { WebSettings } from "../../../../runtime/tools/port.ts";
import { makeToolHost } from "../../../../runtime/tools/host.ts";
import { makeWebFetch } from "../../../../runtime/tools/web/fetch-page.ts";
import { type Interfaces, makeJudge } from "../../../../runtime/tools/web/address.ts";
import { request } from "../../../../runtime/tools/web/request.ts";

let server: http.Server;
let asked: string[] = [];
let answer: http.RequestListener = (_, response) => response.end("hello");
let host = "";

beforeEach(async () => {
  asked = [];
  server = http.createServer((incoming, response) => {
    asked.push(`${incoming.headers.host ?? ""}${incoming.url ?? ""}`);
    answer(incoming, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

const settings = (changes: Partial<WebSettings> = {}): WebSettings => ({
  charsMax: 1_000,
  bytesMax: 10_000,
  timeoutMs: 30_000,
  redirectsMax: 2,
  cacheMs: 60_000,
  userAgent: "test",
  allowedHosts: [host],
  ...changes,
});
const html =
  (text: string, status = 200): http.RequestListener =>
  (_, response) => {
    response.writeHead(status, { "content-type": "text/html; charset=utf-8" }).end(text);
  };
/** Of a machine with this address on the internet. */
const interfacesOf = (address: string | undefined): Interfaces | undefined =>
  address === undefined
    ? undefined
    : () => ({
        eth0: [{ address, family: address.includes(":") ? "IPv6" : "IPv4" } as NetworkInterfaceInfo],
        eth1: undefined,
      });
const fetching = (
  options: { readonly nowMs?: () => number; readonly lookup?: LookupFunction; readonly own?: string } = {},
) => {
  const web = makeWebFetch(options.nowMs, (url, given) =>
    request(url, given, options.lookup, interfacesOf(options.own)),
  );
  return (params: object, changes: Partial<WebSettings> = {}, agentId = "main") =>
    web
      .run(webFetchParams.parse(params), { agentId, settings: settings(changes) })
      .catch((error: { readonly result: object }) => error.result) as Promise<Readonly<Record<string, unknown>>>;
};
const url = (path = "/"): string => `http://${host}${path}`;

describe("a page", () => {
  it("is not waited for without end when the server answers with another protocol", async () => {
    answer = ({ socket }) =>
      void socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    expect(await fetching()({ url: url() })).toMatchObject({ status: "error", code: "not_found" });
  });

  it("comes as text, with its title and where it was in the end", async () => {
    answer = (incoming, response) =>
      incoming.url === "/old"
        ? response.writeHead(302, { location: "/new" }).end()
        : html("<title>T</title><h1>Hi</h1>")(incoming, response);
    expect(await fetching()({ url: url("/old#part") })).toMatchObject({
      status: "ok",
      url: url("/new"),
      title: "T",
      text: "# Hi",
      httpStatus: 200,
    });
  });

  it.each([301, 302, 303, 307, 308])("is looked for where the server sends it with %s", async (status) => {
    answer = (incoming, response) =>
      incoming.url === "/old"
        ? response.writeHead(status, { location: "/new" }).end()
        : html("here")(incoming, response);
    expect(await fetching()({ url: url("/old") })).toMatchObject({ url: url("/new"), text: "here" });
    expect(asked).toHaveLength(2);
  });

  it("is unpacked, and read by the charset that it is said to have", async () => {
    answer = (_, response) =>
      void response
        .writeHead(200, { "content-type": "text/plain; charset=iso-8859-1", "content-encoding": "gzip" })
        .end(gzipSync(Buffer.from("h\u00e9llo", "latin1")));
    expect(await fetching()({ url: url() })).toMatchObject({ text: "h\u00e9llo" });
  });

  it("comes in parts that join to the whole, none of which ends inside of a character", async () => {
    const whole = "ab\u{1f600}".repeat(100);
    answer = html(whole);
    const fetch = fetching();
    let text = "";
    for (let offset: unknown = 0; offset !== undefined; ) {
      const part = await fetch({ url: url(), maxChars: 101, offset });
      expect(String(part["text"]).isWellFormed()).toBe(true);
      text += String(part["text"]);
      offset = part["nextOffset"];
    }
    expect(text).toBe(whole);
    expect(asked).toHaveLength(1);
    expect(await fetch({ url: url(), offset: whole.length })).toMatchObject({ code: "invalid" });
  });

  it("has no more characters at a time than the configuration allows, whatever is asked for", async () => {
    answer = (_, response) => void response.writeHead(200, { "content-type": "text/plain" }).end("x".repeat(2_000));
    expect(await fetching()({ url: url(), maxChars: 1_500 })).toMatchObject({
      text: "x".repeat(1_000),
      nextOffset: 1_000,
    });
  });

  it("that is an error of the server is one, with what the server says", async () => {
    answer = html("<p>no such page", 404);
    expect(await fetching()({ url: url() })).toMatchObject({
      status: "error",
      code: "not_found",
      text: "no such page",
    });
  });

  it("that is no text is refused", async () => {
    answer = (_, response) => void response.writeHead(200, { "content-type": "image/png" }).end("x");
    expect(await fetching()({ url: url() })).toMatchObject({
      code: "invalid",
      error: expect.stringContaining("image/png"),
    });
    answer = (_, response) => void response.end(Buffer.from([1, 0, 2]));
    expect(await fetching()({ url: url("/bytes") })).toMatchObject({ code: "invalid" });
  });

  it("is kept by itself in each of its forms, and once for all places in it", async () => {
    answer = html("<h1>Title</h1><p>text</p>");
    const fetch = fetching();
    const { text: asMarkdown } = await fetch({ url: url("/#a") });
    const { text: asText, ...plain } = await fetch({ url: url("/"), extractMode: "text" });
    expect(plain).not.toHaveProperty("cached");
    expect(asText).not.toBe(asMarkdown);
    expect(await fetch({ url: url("/#b") })).toMatchObject({ cached: true, text: asMarkdown });
    expect(asked).toHaveLength(2);
  });

  it("is kept for its time, for the agent that fetched it", async () => {
    let now = 0;
    answer = html("once");
    const fetch = fetching({ nowMs: () => now });
    await fetch({ url: url() });
    expect(await fetch({ url: url() })).toMatchObject({ cached: true, text: "once" });
    expect(await fetch({ url: url() }, {}, "other")).not.toHaveProperty("cached");
    now = 60_000;
    expect(await fetch({ url: url() })).not.toHaveProperty("cached");
    expect(asked).toHaveLength(3);
  });

  it("goes from memory when others need the place", async () => {
    answer = html("once");
    const fetch = fetching();
    for (let page = 0; page <= limits.webCachePagesMax; page++) await fetch({ url: url(`/${page}`) });
    expect(await fetch({ url: url("/1") })).toMatchObject({ cached: true });
    expect(await fetch({ url: url("/0") })).not.toHaveProperty("cached");
  });
});

describe("pages that are kept", () => {
  it("have a bound of characters in all, beyond which the oldest goes", async () => {
    const half = Math.ceil(limits.webCacheCharsMax / 2);
    let fetched = 0;
    const web = makeWebFetch(Date.now, async (page) => {
      fetched++;
      const body = Buffer.alloc(page.pathname === "/small" ? 1 : half, "x");
      return { url: page, status: 200, contentType: "text/plain", body, isCut: false };
    });
    const fetch = (path: string) =>
      web.run(webFetchParams.parse({ url: url(path) }), { agentId: "main", settings: settings() });
    for (const path of ["/a", "/b"]) await fetch(path);
    for (const path of ["/a", "/b"]) expect(await fetch(path)).toMatchObject({ cached: true });
    await fetch("/small");
    expect(await fetch("/b")).toMatchObject({ cached: true });
    expect(fetched).toBe(3);
    expect(await fetch("/a")).not.toHaveProperty("cached");
  });
});

describe("bounds", () => {
  it("cut a page that is too long, also one that was packed small", async () => {
    answer = (_, response) =>
      void response
        .writeHead(200, { "content-type": "text/plain", "content-encoding": "gzip" })
        .end(gzipSync("x".repeat(50_000_000)));
    expect(await fetching()({ url: url() })).toMatchObject({ chars: 10_000, cut: expect.any(String) });
  });

  it("end a fetch whose server says nothing more", async () => {
    answer = (_, response) => void response.writeHead(200, { "content-type": "text/plain" }).write("begin");
    expect(await fetching()({ url: url() }, { timeoutMs: 50 })).toMatchObject({ code: "timeout" });
    answer = () => undefined;
    expect(await fetching()({ url: url() }, { timeoutMs: 50 })).toMatchObject({ code: "timeout" });
    answer = (_, response) =>
      void response
        .writeHead(200, { "content-type": "text/plain", "content-encoding": "gzip" })
        .write(gzipSync("x".repeat(1_000)).subarray(0, 15));
    expect(await fetching()({ url: url() }, { timeoutMs: 50 })).toMatchObject({ code: "timeout" });
  });

  it("end redirects in a circle", async () => {
    answer = (_, response) => void response.writeHead(301, { location: "/" }).end();
    expect(await fetching()({ url: url() })).toMatchObject({
      code: "invalid",
      error: expect.stringContaining("2 times"),
    });
    expect(asked).toHaveLength(3);
  });

  it("refuse a further fetch while too many are at work", async () => {
    const gate = Promise.withResolvers<never>();
    const web = makeWebFetch(Date.now, () => gate.promise);
    const run = () => web.run(webFetchParams.parse({ url: url() }), { agentId: "main", settings: settings() });
    const all = Array.from({ length: limits.webFetchesMax }, () => run().catch(() => "ended"));
    await expect(run()).rejects.toMatchObject({ result: { code: "busy" } });
    gate.reject(new Error("over"));
    expect(new Set(await Promise.all(all))).toEqual(new Set(["ended"]));
    await expect(run()).rejects.toThrow("over");
  });
});

describe("addresses that are not public", () => {
  const lookupOf =
    (...addresses: readonly string[]): LookupFunction =>
    (_, options, done) =>
      options.all === true
        ? done(
            null,
            addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
          )
        : done(null, addresses[0] ?? "", 4);

  it.each([
    "http://127.0.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f.1:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://169.254.169.254/latest/meta-data/",
  ])("are refused when they are written as %s", async (written) => {
    const target = written.replace("PORT", host.split(":")[1] ?? "");
    expect(await fetching()({ url: target }, { allowedHosts: [] })).toMatchObject({
      status: "forbidden",
      code: "forbidden",
      operatorHint: expect.stringContaining("allowedHostnames"),
    });
    expect(asked).toEqual([]);
  });

  it("are refused when a name stands for one, also beside one that is public", async () => {
    const target = { url: `http://inside.example:${host.split(":")[1]}/` };
    for (const addresses of [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"]])
      expect(await fetching({ lookup: lookupOf(...addresses) })(target)).toMatchObject({ code: "forbidden" });
    expect(asked).toEqual([]);
  });

  it.each([
    ["93.184.216.34", "93.184.216.34"],
    ["2606:2800:220:1::1", "2606:2800:0220:0001:0:0:0:1"],
  ])("are refused when they are this machine's own: %s", async (own, written) => {
    const forbidden = { code: "forbidden", error: expect.stringContaining("this machine") };
    const literal = own.includes(":") ? `[${written}]` : written;
    expect(await fetching({ own })({ url: `http://${literal}:9/` })).toMatchObject(forbidden);
    const named = fetching({ own, lookup: lookupOf(own) });
    expect(await named({ url: "http://outside.example:9/" })).toMatchObject(forbidden);
    // Another address is judged as on any machine.
    const isMeant = makeJudge(interfacesOf(own));
    expect([own, "1.1.1.1", "2606:4700::1111", "10.0.0.1"].map(isMeant)).toEqual([false, true, true, false]);
  });

  it("are refused after a redirect from a host that is allowed", async () => {
    for (const location of ["http://127.0.0.2:9/", "http://[::1]:9/", "http://other.example/"]) {
      answer = (_, response) => void response.writeHead(302, { location }).end();
      const fetch = fetching({ lookup: lookupOf("10.0.0.1") });
      expect(await fetch({ url: url() })).toMatchObject({ code: "forbidden" });
    }
    answer = (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end();
    expect(await fetching()({ url: url() })).toMatchObject({
      code: "invalid",
      error: expect.stringContaining("file:"),
    });
  });

  it("are asked where the operator allows the host, by name, and no other name for the same address", async () => {
    const port = host.split(":")[1];
    const fetch = fetching({ lookup: lookupOf("127.0.0.1") });
    answer = html("inside");
    expect(await fetch({ url: `http://wiki.example:${port}/` }, { allowedHosts: ["wiki.example"] })).toMatchObject({
      text: "inside",
    });
    expect(await fetch({ url: `http://other.example:${port}/` }, { allowedHosts: ["wiki.example"] })).toMatchObject({
      code: "forbidden",
    });
  });

  it("are not asked over the connection of a call that was allowed the host, when this one is not", async () => {
    let connections = 0;
    server.on("connection", () => connections++);
    answer = html("inside");
    const fetch = fetching({ lookup: lookupOf("127.0.0.1") });
    const wiki = `http://wiki.example:${host.split(":")[1]}`;
    for (const page of ["/a", "/b"])
      expect(await fetch({ url: wiki + page }, { allowedHosts: ["wiki.example"] })).toMatchObject({ text: "inside" });
    expect(await fetch({ url: `${wiki}/c` }, { allowedHosts: [] })).toMatchObject({ code: "forbidden" });
    expect([connections, asked.length]).toEqual([2, 2]);
  });
});

describe("what is no address of a page", () => {
  it.each(["ftp://example.org/", "javascript:alert(1)", "example.org", "http://user:pass@example.org/"])(
    "%s is refused",
    async (written) => expect(await fetching()({ url: written })).toMatchObject({ code: "invalid" }),
  );

  it("is told as a result by the thread's own side", async () => {
    const call = { agentId: "main", settings: settings() };
    expect(await makeToolHost().fetchPage({ ...call, params: "{" })).toMatchObject({
      status: "error",
      code: "invalid",
    });
    expect(
      await makeToolHost().fetchPage({ ...call, params: JSON.stringify({ url: "http://127.0.0.9:1/" }) }),
    ).toMatchObject({
      code: "forbidden",
    });
  });
});
