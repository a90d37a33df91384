import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { clientAddress, clientScheme, identify, makeProxies } from "../../../runtime/edge/trusted-proxy.ts";

const proxies = makeProxies(["10.0.0.0/8", "2001:db8::1"]);

/** As Node tells it: names in lower case, and every line of a header. */
const from = (remoteAddress: string, headersDistinct: NodeJS.Dict<string[]> = {}): IncomingMessage =>
  ({ socket: { remoteAddress }, headersDistinct }) as unknown as IncomingMessage;

describe("the address of a client behind trusted proxies", () => {
  it.each([
    ["the last one that is no proxy's", ["198.51.100.7"], "198.51.100.7"],
    ["not what the client says of itself in front of it", ["203.0.113.5, 198.51.100.7, 10.0.0.9"], "198.51.100.7"],
    ["in the last of several lines", ["203.0.113.5", "198.51.100.7"], "198.51.100.7"],
    ["the proxy's, where all are proxies", ["10.0.0.8, 10.0.0.9"], "10.0.0.1"],
    ["the proxy's, where what it says is no address", ["nonsense"], "10.0.0.1"],
    ["the proxy's, where it says nothing", [""], "10.0.0.1"],
  ])("is %s", (_what, lines, expected) => {
    expect(clientAddress(from("10.0.0.1", { "x-forwarded-for": lines }), proxies)).toBe(expected);
  });

  it("is the socket's for whoever is no proxy", () => {
    expect(clientAddress(from("198.51.100.9", { "x-forwarded-for": ["203.0.113.5"] }), proxies)).toBe("198.51.100.9");
  });

  it("is found also where the proxy's own comes in the form of IPv6", () => {
    const lines = { "x-forwarded-for": ["203.0.113.5"] };
    expect(clientAddress(from("::ffff:10.0.0.1", lines), proxies)).toBe("203.0.113.5");
    expect(clientAddress(from("2001:db8::1", lines), proxies)).toBe("203.0.113.5");
    expect(clientAddress(from("2001:db8::2", lines), proxies)).toBe("2001:db8::2");
  });
});

describe("what a client behind trusted proxies spoke", () => {
  it.each([
    ["https", ["https"], "https"],
    ["what the first of them says", ["HTTPS, http"], "https"],
    ["http, where none says a word", [], "http"],
    ["http, where it is no such word", ["gopher"], "http"],
  ])("is %s", (_what, lines, expected) => {
    expect(clientScheme(from("10.0.0.1", { "x-forwarded-proto": lines }), proxies)).toBe(expected);
    expect(clientScheme(from("198.51.100.9", { "x-forwarded-proto": lines }), proxies)).toBe("http");
  });
});

describe("the user whom a proxy names", () => {
  const rule = { userHeader: "X-User", requiredHeaders: ["X-Realm"], allowUsers: [] };

  it("is found under the header's name in whatever case the configuration has it", () => {
    const told = from("10.0.0.1", { "x-user": [" ada "], "x-realm": ["staff"] });
    expect(identify(told, rule, proxies)).toEqual({ type: "user", user: "ada" });
  });

  it.each([
    ["is missing", { "x-realm": ["staff"] }, "X-User"],
    ["is blank", { "x-user": [" "], "x-realm": ["staff"] }, "X-User"],
    ["is there twice", { "x-user": ["ada", "eve"], "x-realm": ["staff"] }, "X-User"],
    ["is there without a required one", { "x-user": ["ada"] }, "X-Realm"],
  ])("is nobody when it %s", (_what, headers, header) => {
    expect(identify(from("10.0.0.1", headers), rule, proxies)).toEqual({ type: "no-header", header });
  });
});
