/**
 * The browser's own key (Ed25519), with which the page is a device that an operator approves. It is made once, cannot be read out,
 * not even by the page, and stays in this browser's database. A browser that has no such keys (an old one, or a page over plain HTTP
 * from another machine) has no device, and says so by sending none.
 */
import type { ProveDevice } from "./client.ts";

interface StoredKey {
  readonly privateKey: CryptoKey;
  /** base64url, 32 bytes. */
  readonly publicKey: string;
  /** Its SHA-256, hex. */
  readonly id: string;
}

const database = "cloister";
const keys = "keys";
const name = "device";

let found: Promise<StoredKey | undefined> | undefined;

/** Undefined: this browser has no key of its own. */
export const proveDevice: ProveDevice = async (textFor) => {
  found ??= findKey().catch(() => undefined);
  const key = await found;
  if (key === undefined) return undefined;
  const text = new TextEncoder().encode(textFor(key.id));
  const signature = await crypto.subtle.sign("Ed25519", key.privateKey, text);
  return { id: key.id, publicKey: key.publicKey, signature: base64url(new Uint8Array(signature)) };
};

async function findKey(): Promise<StoredKey> {
  const opened = await open();
  try {
    const known = await read(opened);
    if (known !== undefined) return known;
    const made = await makeKey();
    // Another tab may have been first: then its key is everybody's.
    await request(opened.transaction(keys, "readwrite").objectStore(keys).add(made, name)).catch(() => undefined);
    return (await read(opened)) ?? made;
  } finally {
    opened.close();
  }
}

async function makeKey(): Promise<StoredKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const raw = await crypto.subtle.exportKey("raw", pair.publicKey);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", raw));
  const id = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { privateKey: pair.privateKey, publicKey: base64url(new Uint8Array(raw)), id };
}

function open(): Promise<IDBDatabase> {
  const opening = indexedDB.open(database, 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(keys));
  return request(opening);
}

const read = (opened: IDBDatabase): Promise<StoredKey | undefined> =>
  request<StoredKey | undefined>(opened.transaction(keys).objectStore(keys).get(name));

function request<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.addEventListener("success", () => resolve(asked.result));
    asked.addEventListener("error", () => reject(asked.error ?? new Error("the browser's database failed")));
  });
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
