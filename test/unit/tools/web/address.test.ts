/** Which addresses `web_fetch` may connect to. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPublic } from "../../../../runtime/tools/web/address.ts";

describe("addresses that are routed for everybody", () => {
  it.each(["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255", "192.0.1.0"])(
    "%s is one",
    (address) => expect(isPublic(address)).toBe(true),
  );
  it.each(["2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:80b::200e"])("%s is one", (address) =>
    expect(isPublic(address)).toBe(true),
  );
});

describe("addresses of this machine, of private and of special networks", () => {
  it.each([
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%lo",
    "2606:2800::1%lo",
    "ff02::1",
    "localhost",
    "",
    "1.1.1",
  ])("%s is none", (address) => expect(isPublic(address)).toBe(false));

  it("however one of them is put into an address of IPv6", () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.constantFrom("::ffff:", "::", "64:ff9b::"), byte, byte, byte, byte, (head, a, b, c, d) => {
        expect(isPublic(`${head}${a}.${b}.${c}.${d}`)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});
