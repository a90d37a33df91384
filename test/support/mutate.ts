/** Makes inputs that nobody meant of inputs that somebody did: of JSON by its structure, of bytes as they are. Seeded. */
import type { Random } from "./random.ts";

/** What parsers, schemas and stores have stumbled over somewhere. */
const oddities: readonly (() => unknown)[] = [
  () => null,
  () => "",
  () => " ",
  () => -1,
  () => 0,
  () => 2 ** 53,
  () => 1e308,
  () => -0.5,
  () => true,
  () => [],
  () => ({}),
  () => [[[[[[[[]]]]]]]],
  () => "a".repeat(5_000),
  () => "\u0000\u001f\u007f\u2028\u202e",
  () => "\ud800",
  () => "%2e%2e%2f..\\..//",
  () => "agent:main:main",
  () => "agent::x",
  () => "operator.admin",
  () => ["operator.admin", "operator.write"],
  () => ({ toString: "x", constructor: {}, length: -1 }),
  () => JSON.parse('{"__proto__": {"scopes": ["operator.admin"], "ok": true}}'),
  () => Array.from({ length: 300 }, (_, index) => index),
  () => "connect",
];

/** A copy of the value with one to four places changed. `donors`: from which parts are taken. */
export function mutateValue(value: unknown, donors: readonly unknown[], random: Random): unknown {
  const root = { value: structuredClone(value) };
  for (let count = 1 + random.below(4); count > 0; count--) {
    const places = placesOf(root);
    const { holder, key } = random.pick(places);
    const act = random.below(5);
    if (act === 0) Reflect.deleteProperty(holder, key);
    else if (act === 1) Reflect.set(holder, key, random.pick(oddities)());
    else if (act === 2) Reflect.set(holder, key, partOf(random.pick(donors), random));
    else if (act === 3)
      Reflect.set(
        holder,
        random.pick(["scopes", "role", "auth", "id", "type", "device", "token", key]),
        random.pick(oddities)(),
      );
    else Reflect.set(holder, key, [Reflect.get(holder, key), Reflect.get(holder, key)]);
  }
  return root.value;
}

interface Place {
  readonly holder: object;
  readonly key: string;
}

function placesOf(root: object): readonly Place[] {
  const places: Place[] = [];
  const open: object[] = [root];
  for (let holder = open.pop(); holder !== undefined && places.length < 500; holder = open.pop()) {
    for (const [key, value] of Object.entries(holder)) {
      places.push({ holder, key });
      if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return places.length === 0 ? [{ holder: root, key: "value" }] : places;
}

function partOf(donor: unknown, random: Random): unknown {
  const { holder, key } = random.pick(placesOf({ value: donor }));
  return structuredClone(Reflect.get(holder, key));
}

/** A copy of the bytes with one to six changes: flipped, cut off, cut out, doubled, put in. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = 1 + random.below(6); count > 0 && changed.length > 0; count--) {
    const at = random.below(changed.length);
    const length = 1 + random.below(Math.min(64, changed.length - at));
    const [head, part, tail] = [
      changed.subarray(0, at),
      changed.subarray(at, at + length),
      changed.subarray(at + length),
    ];
    const act = random.below(6);
    if (act === 0) changed[at] = random.below(256);
    else if (act === 1) changed = Buffer.from(head);
    else if (act === 2) changed = Buffer.concat([head, tail]);
    else if (act === 3) changed = Buffer.concat([head, part, part, tail]);
    else if (act === 4)
      changed = Buffer.concat([
        head,
        Buffer.from(random.pick(["\r\n", "\0", "\r\n\r\n", "%00", "..", " ", "\t", "{", "]", '"'])),
        part,
        tail,
      ]);
    else changed = Buffer.concat([head, Buffer.from(Array.from({ length }, () => random.below(256))), tail]);
  }
  return changed;
}

/** One WebSocket frame of a client: text, masked. */
export function frameOf(text: string | Buffer, random: Random, opcode = 0x1): Buffer {
  const payload = Buffer.from(text);
  const mask = Buffer.from(Array.from({ length: 4 }, () => random.below(256)));
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : payload.length < 65_536
        ? Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff])
        : Buffer.concat([Buffer.from([0x80 | 127, 0, 0, 0, 0]), uint32(payload.length)]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, mask, masked]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
