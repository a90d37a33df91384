import { describe, expect, it } from "vitest";
import { hostName, isForwarded, isLoopback, makeOriginRules } from "../../../runtime/edge/origin.ts";

const rules = makeOriginRules("gateway.lan", [
  "https://panel.example.org",
  "http://[2001:db8::1]:8080",
  "not an origin",
  "*",
]);
const arrival = (host: string | undefined, origin?: string, localAddress = "127.0.0.1") => ({
  host,
  origin,
  localAddress,
});

describe("Host rule", () => {
  it.each([
    ["localhost:18789", true],
    ["LOCALHOST", true],
    ["127.0.0.1:18789", true],
    ["[::1]:18789", true],
    ["gateway.lan:18789", true],
    ["panel.example.org", true],
    ["[2001:db8::1]:8080", true],
    ["rebound.example.com:18789", false],
    ["127.0.0.1.nip.io", false],
    ["localhost.evil.example", false],
    ["localhost@evil.example", false],
    ["", false],
    ["*", false],
    ["192.168.1.5", false],
    [undefined, false],
  ])("%s → %s", (host, allowed) => {
    expect(rules.hostAllowed(arrival(host))).toBe(allowed);
  });

  it("knows the configured host in whatever case it is written", () => {
    expect(makeOriginRules("Gateway.LAN", []).hostAllowed(arrival("gateway.lan:18789"))).toBe(true);
  });

  it("admits the very address that the connection arrived at, and no other address", () => {
    expect(rules.hostAllowed(arrival("192.168.1.5:18789", undefined, "::ffff:192.168.1.5"))).toBe(true);
    expect(rules.hostAllowed(arrival("192.168.1.6:18789", undefined, "192.168.1.5"))).toBe(false);
  });
});

describe("Origin rule", () => {
  it.each([
    [undefined, "none"],
    ["http://localhost:18789", "same-host"],
    ["HTTP://LOCALHOST:18789", "same-host"],
    ["https://panel.example.org", "listed"],
    ["http://panel.example.org", "foreign"],
    ["https://panel.example.org:8443", "foreign"],
    ["http://localhost:3000", "foreign"],
    ["http://127.0.0.1:18789", "foreign"],
    ["https://evil.example", "foreign"],
    ["null", "foreign"],
    ["file://", "foreign"],
    ["", "foreign"],
  ])("%s → %s", (origin, verdict) => {
    expect(rules.judgeOrigin(arrival("localhost:18789", origin))).toBe(verdict);
  });

  it("takes a default port for the same host", () => {
    expect(rules.judgeOrigin(arrival("gateway.lan:80", "http://gateway.lan"))).toBe("same-host");
  });
});

describe("the other end", () => {
  it.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["10.0.0.1", false],
    ["127.evil", false],
    [undefined, false],
  ])("loopback %s → %s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });

  it("is behind a proxy when a header of one is there", () => {
    expect(isForwarded({ host: "localhost" })).toBe(false);
    for (const name of ["forwarded", "x-forwarded-for", "x-real-ip", "via"])
      expect(isForwarded({ [name]: "10.0.0.9" })).toBe(true);
  });

  it("has the name of its Host header without port", () => {
    expect(hostName("[FE80::1]:80")).toBe("fe80::1");
    expect(hostName("a b")).toBeUndefined();
  });
});
