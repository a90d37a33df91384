/** What a device asks WhatsApp beside its messages (`iq`), and the answers. A question that is not known here is a violation. */
import type { BinaryNode } from "../../channels/whatsapp/library.ts";
import { bytesOf, childOf, childrenOf } from "./whatsapp-library.ts";
import type { Person } from "./whatsapp-people.ts";
import type { World } from "./whatsapp-socket.ts";

const leaf = (tag: string, content?: Uint8Array): BinaryNode => ({
  tag,
  attrs: {},
  ...(content === undefined ? {} : { content }),
});

export async function answerQuestion(
  world: World,
  node: BinaryNode,
  send: (node: BinaryNode) => void,
  onRemoved: () => void,
): Promise<void> {
  const { id = "", xmlns = "", type = "", to = "" } = node.attrs;
  const result = (...content: readonly BinaryNode[]): void =>
    send({ tag: "iq", attrs: { id, type: "result", from: to }, content });
  const [first] = childrenOf(node);
  const asked = [xmlns, type, first?.tag].filter(Boolean).join(" ");
  switch (asked) {
    case "encrypt get count":
      // Where none is left the library makes 812, which takes a second; where few are left, five.
      return result({ tag: "count", attrs: { value: String(Math.max(1, world.device?.oneTimeKeys.length ?? 0)) } });
    case "encrypt set registration":
      keepKeys(world, node);
      return result();
    case "encrypt get digest":
      return result(leaf("digest"));
    case "encrypt get key":
      return result({ tag: "list", attrs: {}, content: await bundlesOf(world, childrenOf(first)) });
    case "passive set active":
    case "privacy set tokens":
    case "w:p get ping":
      return result();
    case "abt get props":
      return result(leaf("props"));
    case "w:m set media_conn":
      return result({
        tag: "media_conn",
        attrs: { auth: world.files.auth, ttl: "300", auth_ttl: "300", max_buckets: "1" },
        content: [{ tag: "host", attrs: { hostname: world.files.host } }],
      });
    case "blocklist get":
      return result(leaf("list"));
    case "privacy get privacy":
      return result({
        tag: "privacy",
        attrs: {},
        content: [{ tag: "category", attrs: { name: "readreceipts", value: "all" } }],
      });
    case "usync get usync":
      return result({ tag: "usync", attrs: {}, content: [directory(world, first)] });
    case "w:g2 get query":
      return answerGroup(world, to, result, () => refuseQuestion(node, 404, send));
    case "md set remove-companion-device":
      onRemoved();
      return result();
    default:
      world.violations.push(`the question ${asked} is not known here`);
      return refuseQuestion(node, 501, send);
  }
}

const words: Readonly<Record<number, string>> = {
  404: "item-not-found",
  429: "rate-overlimit",
  501: "feature-not-implemented",
};

/** 0: nobody answers. */
export function refuseQuestion({ attrs }: BinaryNode, code: number, send: (node: BinaryNode) => void): void {
  const { id = "", to = "" } = attrs;
  const error: BinaryNode = { tag: "error", attrs: { code: String(code), text: words[code] ?? "refused" } };
  if (code !== 0) send({ tag: "iq", attrs: { id, type: "error", from: to }, content: [error] });
}

function keepKeys({ device, violations }: World, node: BinaryNode): void {
  if (device === undefined) return void violations.push("keys of a device that is not linked");
  if (Buffer.compare(bytesOf(childOf(node, "identity")), device.identity) !== 0)
    violations.push("the device uploads another identity than it was linked with");
  device.registrationId = Buffer.from(bytesOf(childOf(node, "registration"))).readUInt32BE(0);
  const signedKey = childOf(node, "skey");
  if (signedKey !== undefined) device.signedKey = signedKey;
  device.oneTimeKeys.push(...childrenOf(childOf(node, "list")));
}

const findPerson = ({ people }: World, jid: string): Person | undefined => {
  const user = jid.split(/[:@]/)[0] ?? "";
  return [...people.values()].find(({ number, lid }) => number === user || lid === `${user}@lid`);
};

async function bundlesOf(world: World, users: readonly BinaryNode[]): Promise<readonly BinaryNode[]> {
  const { encodeBigEndian } = world.library;
  return Promise.all(
    users.map(async ({ attrs: { jid = "" } }): Promise<BinaryNode> => {
      const person = findPerson(world, jid);
      if (person === undefined)
        return { tag: "user", attrs: { jid }, content: [{ tag: "error", attrs: { code: "404" } }] };
      const { registrationId, identityKey, signedPreKey, preKey } = await person.newBundle();
      const key = (id: number, value: Uint8Array, signature?: Uint8Array): readonly BinaryNode[] => [
        leaf("id", encodeBigEndian(id, 3)),
        leaf("value", value),
        ...(signature === undefined ? [] : [leaf("signature", signature)]),
      ];
      return {
        tag: "user",
        attrs: { jid },
        content: [
          leaf("registration", encodeBigEndian(registrationId)),
          leaf("type", Buffer.from([5])),
          leaf("identity", identityKey),
          {
            tag: "skey",
            attrs: {},
            content: key(signedPreKey.keyId, signedPreKey.publicKey, signedPreKey.signature),
          },
          ...(preKey === undefined ? [] : [{ tag: "key", attrs: {}, content: key(preKey.keyId, preKey.publicKey) }]),
        ],
      };
    }),
  );
}

/** Who is there, with which devices and which LID: what was asked for. */
function directory(world: World, usync: BinaryNode | undefined): BinaryNode {
  const wanted = new Set(childrenOf(childOf(usync, "query")).map(({ tag }) => tag));
  const users = childrenOf(childOf(usync, "list")).map((user): BinaryNode => {
    const contact = childOf(user, "contact")?.content;
    const phone =
      contact === undefined
        ? undefined
        : Buffer.from(contact as Uint8Array)
            .toString()
            .replace("+", "");
    const jid = user.attrs["jid"] ?? `${phone}@s.whatsapp.net`;
    const person = findPerson(world, jid);
    const content: BinaryNode[] = [];
    if (wanted.has("contact")) content.push({ tag: "contact", attrs: { type: person === undefined ? "out" : "in" } });
    if (wanted.has("devices") && person !== undefined) {
      const devices: BinaryNode[] = [{ tag: "device", attrs: { id: "0" } }];
      if (person === world.owner && world.device !== undefined)
        devices.push({ tag: "device", attrs: { id: String(world.device.id), "key-index": "1" } });
      content.push({ tag: "devices", attrs: {}, content: [{ tag: "device-list", attrs: {}, content: devices }] });
    }
    if (wanted.has("lid") && person !== undefined && !jid.endsWith("@lid"))
      content.push({ tag: "lid", attrs: { val: person.lid } });
    return { tag: "user", attrs: { jid }, content };
  });
  return { tag: "list", attrs: {}, content: users };
}

function answerGroup(
  { groups }: World,
  jid: string,
  result: (...content: readonly BinaryNode[]) => void,
  refuse: () => void,
): void {
  const group = groups.get(jid);
  if (group === undefined) return refuse();
  const { members, hidesNumbers } = group;
  result({
    tag: "group",
    attrs: {
      id: jid.replace("@g.us", ""),
      subject: "Family",
      creation: "1700000000",
      s_t: "1700000000",
      creator: members[0]?.jid ?? "",
      addressing_mode: hidesNumbers ? "lid" : "pn",
    },
    content: members.map(
      (one): BinaryNode => ({
        tag: "participant",
        attrs: hidesNumbers ? { jid: one.lid, phone_number: one.jid } : { jid: one.jid, lid: one.lid },
      }),
    ),
  });
}
