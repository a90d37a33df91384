/**
 * The server's side of WhatsApp's handshake (Noise XX, X25519, AES-GCM, SHA-256), and its frames. Its certificate is signed by a root of the
 * tests, which takes the place of WhatsApp's in the copy of the library that they load: the check itself is the library's.
 */
import type { BinaryNode } from "../../channels/whatsapp/library.ts";
import type { KeyPair, TestLibrary } from "./whatsapp-library.ts";

export interface Certified {
  readonly key: KeyPair;
  readonly chain: Uint8Array;
}

/** Of each copy of the library: several servers may be there at once. */
const roots = new WeakMap<object, KeyPair>();

function rootOf({ Curve, WA_CERT_DETAILS }: TestLibrary): KeyPair {
  const root = roots.get(WA_CERT_DETAILS) ?? Curve.generateKeyPair();
  roots.set(WA_CERT_DETAILS, root);
  WA_CERT_DETAILS.PUBLIC_KEY = root.public;
  return root;
}

/** A key that the root vouches for. `trusted: false`: a root that the library does not know. */
export function certify(library: TestLibrary, trusted = true): Certified {
  const { Curve, proto } = library;
  const root = trusted ? rootOf(library) : Curve.generateKeyPair();
  const [intermediate, key] = [Curve.generateKeyPair(), Curve.generateKeyPair()];
  const { Details } = proto.CertChain.NoiseCertificate;
  const signed = (details: object, by: KeyPair) => {
    const bytes = Details.encode(details).finish();
    return { details: bytes, signature: Curve.sign(by.private, bytes) };
  };
  const chain = proto.CertChain.encode({
    intermediate: signed({ serial: 1, issuerSerial: 0, key: intermediate.public }, root),
    leaf: signed({ serial: 2, issuerSerial: 1, key: key.public }, intermediate),
  }).finish();
  return { key, chain };
}

export interface Handshaken {
  /** Of the client: by it a device is known again. */
  readonly noiseKey: Uint8Array;
  readonly payload: Uint8Array;
}

export interface NoiseServer {
  /** What came. Returns whole frames: those of the handshake are answered here. */
  receive(bytes: Buffer): Promise<readonly (Handshaken | BinaryNode)[]>;
  /** A node as it goes over the wire. */
  encode(node: BinaryNode): Buffer;
}

const header = Buffer.from([87, 65, 6, 3]);
const none = Buffer.alloc(0);

export function makeNoiseServer(
  library: TestLibrary,
  { key, chain }: Certified,
  write: (bytes: Buffer) => void,
): NoiseServer {
  const { Curve, aesDecryptGCM, aesEncryptGCM, hkdf, proto, sha256 } = library;
  let hash: Uint8Array = Buffer.from(library.NOISE_MODE);
  let salt: Uint8Array = hash;
  let secret: Uint8Array = hash;
  let counter = 0;
  let buffered: Buffer = none;
  let state: "header" | "hello" | "finish" | "open" = "header";
  const ephemeral = Curve.generateKeyPair();
  const transport = { encrypt: none as Uint8Array, decrypt: none as Uint8Array, sent: 0, received: 0 };

  const ivOf = (count: number): Buffer => {
    const iv = Buffer.alloc(12);
    iv.writeUInt32BE(count, 8);
    return iv;
  };
  const authenticate = (bytes: Uint8Array): void => {
    hash = sha256(Buffer.concat([hash, bytes]));
  };
  const mix = (bytes: Uint8Array): void => {
    const both = hkdf(bytes, 64, { salt, info: "" });
    salt = both.subarray(0, 32);
    secret = both.subarray(32);
    counter = 0;
  };
  const seal = (bytes: Uint8Array): Buffer => {
    const sealed = aesEncryptGCM(bytes, secret, ivOf(counter++), hash);
    authenticate(sealed);
    return sealed;
  };
  const open = (bytes: Uint8Array): Buffer => {
    const opened = aesDecryptGCM(bytes, secret, ivOf(counter++), hash);
    authenticate(bytes);
    return opened;
  };
  const frame = (bytes: Uint8Array): Buffer => {
    const length = Buffer.alloc(3);
    length.writeUIntBE(bytes.length, 0, 3);
    return Buffer.concat([length, bytes]);
  };

  function greet(bytes: Uint8Array): void {
    const hello = proto.HandshakeMessage.decode(bytes).clientHello;
    if (hello === undefined || hello === null) throw new Error("the first message of the handshake is no hello");
    authenticate(hello.ephemeral);
    authenticate(ephemeral.public);
    mix(Curve.sharedKey(ephemeral.private, hello.ephemeral));
    const sealedKey = seal(key.public);
    mix(Curve.sharedKey(key.private, hello.ephemeral));
    const serverHello = { ephemeral: ephemeral.public, static: sealedKey, payload: seal(chain) };
    write(frame(proto.HandshakeMessage.encode({ serverHello }).finish()));
  }

  function finish(bytes: Uint8Array): Handshaken {
    const end = proto.HandshakeMessage.decode(bytes).clientFinish;
    if (end === undefined || end === null) throw new Error("the second message of the handshake does not finish it");
    const noiseKey = open(end.static);
    mix(Curve.sharedKey(ephemeral.private, noiseKey));
    const payload = open(end.payload);
    const both = hkdf(none, 64, { salt, info: "" });
    transport.decrypt = both.subarray(0, 32);
    transport.encrypt = both.subarray(32);
    return { noiseKey, payload };
  }

  function takeFrame(): Buffer | undefined {
    if (state === "header") {
      if (buffered.length < header.length) return undefined;
      if (!buffered.subarray(0, header.length).equals(header)) throw new Error("it does not speak WhatsApp");
      buffered = buffered.subarray(header.length);
      authenticate(header);
      state = "hello";
    }
    if (buffered.length < 3) return undefined;
    const end = 3 + buffered.readUIntBE(0, 3);
    if (buffered.length < end) return undefined;
    const bytes = buffered.subarray(3, end);
    buffered = buffered.subarray(end);
    return bytes;
  }

  return {
    async receive(bytes) {
      buffered = Buffer.concat([buffered, bytes]);
      const found: (Handshaken | BinaryNode)[] = [];
      for (let next = takeFrame(); next !== undefined; next = takeFrame()) {
        if (state === "hello") {
          greet(next);
          state = "finish";
        } else if (state === "finish") {
          found.push(finish(next));
          state = "open";
        } else {
          const plain = aesDecryptGCM(next, transport.decrypt, ivOf(transport.received++), none);
          found.push(await library.decodeBinaryNode(plain));
        }
      }
      return found;
    },
    encode: (node) =>
      frame(aesEncryptGCM(library.encodeBinaryNode(node), transport.encrypt, ivOf(transport.sent++), none)),
  };
}
