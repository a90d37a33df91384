/** The phone of the account's owner: it scans the code of a device, vouches for its keys, and can end the link again. */
import type { BinaryNode } from "../../channels/whatsapp/library.ts";
import { bytesOf, childOf, type SessionBundle } from "./whatsapp-library.ts";
import type { Device, World } from "./whatsapp-socket.ts";

export interface PhoneDesk {
  /** As a person with the app does: with what the code says. Rejects when no device shows it. */
  scan(text: string): Promise<void>;
  /** The owner ends the link on the phone. */
  unlink(): void;
}

export interface DevicePhone {
  readonly desk: PhoneDesk;
  /** A device asks to be linked, on a connection of its own. */
  offerCodes(asking: Asking, answer: Send): void;
  /** An answer of the device to a question of the server. */
  answered(node: BinaryNode): void;
  /** The device ended the link itself. */
  removed(): void;
  /** With what people begin a session with the device. */
  bundleOf(device: Device): SessionBundle;
}

type Send = (node: BinaryNode) => void;

interface Asking {
  readonly noiseKey: Uint8Array;
  readonly identity: Uint8Array;
}

const accountSignature = Buffer.from([6, 0]);
const deviceSignature = Buffer.from([6, 1]);

export function makeDevicePhone(world: World, send: Send): DevicePhone {
  const { library, owner } = world;
  const { Curve, proto } = library;
  let asking: (Asking & { readonly answer: Send }) | undefined;
  let linking:
    | { readonly device: Device; readonly details: Uint8Array; readonly done: () => void; readonly answer: Send }
    | undefined;
  let lastId = 6;
  const refs = ["ref-one", "ref-two"];

  async function scan(text: string): Promise<void> {
    const [address, data = ""] = text.split("#");
    const [ref = "", noiseKey = "", identity = "", secret = ""] = data.split(",");
    const isShown =
      asking !== undefined &&
      refs.includes(ref) &&
      Buffer.from(asking.noiseKey).toString("base64") === noiseKey &&
      Buffer.from(asking.identity).toString("base64") === identity;
    if (asking === undefined || !isShown) throw new Error(`no device shows ${address}#${data}`);
    const details = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: 1, keyIndex: 1 }).finish();
    const { signedIdentityKey: key } = owner.creds;
    const signed = Buffer.concat([accountSignature, details, asking.identity]);
    const account = proto.ADVSignedDeviceIdentity.encode({
      details,
      accountSignatureKey: key.public,
      accountSignature: Curve.sign(key.private, signed),
    }).finish();
    const hmac = library.hmacSign(account, Buffer.from(secret, "base64"));
    const { answer, ...keys } = asking;
    const device: Device = { id: ++lastId, ...keys, oneTimeKeys: [] };
    const { promise, resolve } = Promise.withResolvers<void>();
    linking = { device, details, done: resolve, answer };
    const [pn, lid] = [owner.jid, owner.lid].map((jid) => jid.replace("@", `:${device.id}@`));
    answer({
      tag: "iq",
      attrs: { from: "s.whatsapp.net", type: "set", id: "pair", t: String(Math.floor(Date.now() / 1000)) },
      content: [
        {
          tag: "pair-success",
          attrs: {},
          content: [
            {
              tag: "device-identity",
              attrs: {},
              content: proto.ADVSignedDeviceIdentityHMAC.encode({ details: account, hmac }).finish(),
            },
            { tag: "platform", attrs: { name: "android" } },
            { tag: "device", attrs: { jid: pn ?? "", lid: lid ?? "" } },
          ],
        },
      ],
    });
    await promise;
  }

  function answered(node: BinaryNode): void {
    const signed = childOf(childOf(node, "pair-device-sign"), "device-identity");
    if (linking === undefined || signed === undefined) return;
    const { device, details, done, answer } = linking;
    const own = owner.creds.signedIdentityKey.public;
    const { deviceSignature: signature } = proto.ADVSignedDeviceIdentity.decode(bytesOf(signed));
    const what = Buffer.concat([deviceSignature, details, device.identity, own]);
    if (!Curve.verify(device.identity, what, signature)) world.violations.push("the device did not sign its identity");
    linking = undefined;
    asking = undefined;
    world.device = device;
    // From now on it is to come with what it was given.
    answer({ tag: "stream:error", attrs: { code: "515" } });
    done();
  }

  return {
    desk: {
      scan,
      unlink() {
        world.device = undefined;
        send({
          tag: "stream:error",
          attrs: { code: "401" },
          content: [{ tag: "conflict", attrs: { type: "device_removed" } }],
        });
      },
    },
    offerCodes(from, answer) {
      asking = { ...from, answer };
      const content = refs.map((ref): BinaryNode => ({ tag: "ref", attrs: {}, content: Buffer.from(ref) }));
      answer({
        tag: "iq",
        attrs: { from: "s.whatsapp.net", type: "set", id: "codes", xmlns: "md" },
        content: [{ tag: "pair-device", attrs: {}, content }],
      });
    },
    answered,
    removed() {
      world.device = undefined;
    },
    bundleOf({ identity, registrationId, signedKey, oneTimeKeys }) {
      const numberOf = (node: BinaryNode | undefined): number => Buffer.from(bytesOf(node)).readUIntBE(0, 3);
      const publicKey = (node: BinaryNode | undefined): Buffer =>
        library.generateSignalPubKey(bytesOf(childOf(node, "value")));
      // Where none is left a session begins without.
      const key = oneTimeKeys.shift();
      if (registrationId === undefined) throw new Error("the device has uploaded no keys");
      return {
        registrationId,
        identityKey: library.generateSignalPubKey(identity),
        signedPreKey: {
          keyId: numberOf(childOf(signedKey, "id")),
          publicKey: publicKey(signedKey),
          signature: bytesOf(childOf(signedKey, "signature")),
        },
        ...(key === undefined ? {} : { preKey: { keyId: numberOf(childOf(key, "id")), publicKey: publicKey(key) } }),
      };
    },
  };
}
