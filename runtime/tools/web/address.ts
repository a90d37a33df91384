/**
 * Which addresses of the internet a tool may connect to: those that are routed for everybody. Loopback, private networks, link-local
 * addresses (where clouds keep credentials), multicast and what carries another address inside are not.
 * Source: IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890), as of 2025.
 */
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

const special: readonly (readonly [network: string, bits: number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

/** Inside of what is routed for everybody: protocol assignments with Teredo, documentation, 6to4. */
const special6: typeof special = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["2620:4f:8000::", 48],
  ["3fff::", 20],
];

const refused = new BlockList();
for (const [network, bits] of special) refused.addSubnet(network, bits, "ipv4");
for (const [network, bits] of special6) refused.addSubnet(network, bits, "ipv6");

/** Of IPv6 only this part is given to anybody; `::1`, `fc00::/7`, `fe80::/10`, `::ffff:0:0/96` and `64:ff9b::/96` are outside of it. */
const given = new BlockList();
given.addSubnet("2000::", 3, "ipv6");

/** @param address - as `dns.lookup` gives it. What is no address is not public. */
export function isPublic(address: string): boolean {
  // A zone (`%eth0`) names an interface of this machine.
  const family = address.includes("%") ? 0 : isIP(address);
  if (family === 4) return !refused.check(address, "ipv4");
  return family === 6 && given.check(address, "ipv6") && !refused.check(address, "ipv6");
}

export type Interfaces = typeof networkInterfaces;

/**
 * Whether an address is public and not this machine's: what listens here would take the connection for one of its own. An address that a router in
 * front of the machine has, and passes on to it, is not known here. Interfaces come and go: made for each page.
 */
export function makeJudge(interfaces: Interfaces = networkInterfaces): (address: string) => boolean {
  const own = new BlockList();
  for (const { address, family } of Object.values(interfaces()).flatMap((all) => all ?? []))
    own.addAddress(address, family === "IPv6" ? "ipv6" : "ipv4");
  return (address) => isPublic(address) && !own.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
