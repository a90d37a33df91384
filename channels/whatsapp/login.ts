/**
 * The login of one account, in its folder: the keys of the link with the person's phone, and those of each conversation. An SQLite file that
 * the owner alone can read; what belongs together is written in one transaction, in the thread of the channel. Two gateways cannot have it
 * open at once.
 */
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { failure } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { openSqliteFile } from "../sqlite-file.ts";
import type { WhatsAppEvent } from "./inbound.ts";
import type { Baileys, Creds, KeyData, KeyStore } from "./library.ts";

export interface Login {
  /** The library changes it in place, and says so. */
  readonly creds: Creds;
  readonly keys: KeyStore;
  /** Whether the account was linked with a phone. */
  isLinked(): boolean;
  saveCreds(): void;
  /** Messages that were read and are not stored yet, in the order in which they came. Kept with the keys that read them, by `inboxRow`. */
  inbox(): readonly { readonly id: string; readonly event: WhatsAppEvent }[];
  /** It is stored. */
  taken(id: string): void;
  /** Whether what has this mark was read, of the last `limits.whatsappReadMax`. Kept with the keys that read it, by `readMark`. */
  wasRead(mark: string): boolean;
  /** Forgets the link, and leaves nothing of its keys on the disk; the next one begins with keys of its own. */
  clear(): void;
  close(): void;
}

const fileName = "login.sqlite";
const credsRow = { type: "creds", id: "" } as const;
const inboxType = "inbox";
const readType = "read";

/** What is set in the transaction that reads a message, so that its keys move on and it is kept at once. Ids are in order. */
export const inboxRow = (id: string, event: WhatsAppEvent): KeyData => ({ [inboxType]: { [id]: event } });

/** The same for what was read: its keys moved on by that, and nobody reads it again. `id` as that of a row of the inbox. */
export const readMark = (mark: string, id: string): KeyData => ({ [readType]: { [mark]: id } });

type Codec = Pick<Baileys, "BufferJSON" | "initAuthCreds" | "proto">;

/** @throws CLOISTER_CHANNEL_CREDENTIAL when the folder or the file cannot be used */
export function openLogin(folder: string, codec: Codec): Login {
  const db = openFile(folder);
  const read = db.prepare("SELECT value FROM keys WHERE type = ? AND id = ?");
  const write = db.prepare("INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
  const remove = db.prepare("DELETE FROM keys WHERE type = ? AND id = ?");
  const forgetRead = db.prepare(
    `DELETE FROM keys WHERE type = '${readType}' AND value <= (SELECT value FROM keys WHERE type = '${readType}' ORDER BY value DESC LIMIT 1 OFFSET ?)`,
  );
  const countRead = db.prepare(`SELECT count(*) AS n FROM keys WHERE type = '${readType}'`);
  const list = db.prepare("SELECT id, value FROM keys WHERE type = ? ORDER BY id");
  const { BufferJSON, initAuthCreds, proto } = codec;

  const find = (type: string, id: string): unknown => {
    const found = read.get(type, id)?.["value"];
    return typeof found === "string" ? JSON.parse(found, BufferJSON.reviver) : undefined;
  };
  const put = (type: string, id: string, value: unknown): void => {
    if (value === null || value === undefined) remove.run(type, id);
    else write.run(type, id, JSON.stringify(value, BufferJSON.replacer));
  };
  const atOnce = (work: () => void): void => {
    db.exec("BEGIN IMMEDIATE");
    try {
      work();
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  };

  const kept = find(credsRow.type, credsRow.id);
  let isClosed = false;
  /** Marks beyond those that count; earlier processes may have left some. */
  let surplus = Math.max(0, Number(countRead.get()?.["n"]) - limits.whatsappReadMax);
  const creds: Creds = isObject(kept) ? kept : initAuthCreds();
  return {
    creds,
    keys: {
      // The library may still be at work on what came last; nobody waits for it.
      get: async (type, ids) =>
        Object.fromEntries(
          (isClosed ? [] : ids).flatMap((id) => {
            const value = find(type, id);
            if (!isObject(value)) return value === undefined ? [] : [[id, value]];
            // Of this kind the library needs its own class.
            return [[id, type === "app-state-sync-key" ? proto.Message.AppStateSyncKeyData.fromObject(value) : value]];
          }),
        ),
      set: async (data: KeyData) => {
        if (isClosed) return;
        atOnce(() => {
          for (const [type, values] of Object.entries(data))
            for (const [id, value] of Object.entries(values)) put(type, id, value);
          surplus += Object.keys(data[readType] ?? {}).length;
          if (surplus < limits.whatsappReadMax) return;
          forgetRead.run(limits.whatsappReadMax);
          surplus = 0;
        });
      },
    },
    isLinked: () => creds.me !== undefined,
    saveCreds() {
      if (!isClosed) put(credsRow.type, credsRow.id, creds);
    },
    inbox: () =>
      list
        .all(inboxType)
        .map(({ id, value }) => ({ id: String(id), event: JSON.parse(String(value)) as WhatsAppEvent })),
    taken(id) {
      if (!isClosed) remove.run(inboxType, id);
    },
    wasRead: (mark) => !isClosed && read.get(readType, mark) !== undefined,
    // What is deleted would stay in the file where it stood until something else is written there.
    clear: () => db.exec("DELETE FROM keys; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"),
    close() {
      isClosed = true;
      db.close();
    },
  };
}

const schema =
  "CREATE TABLE IF NOT EXISTS keys (type TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (type, id)) WITHOUT ROWID";

function openFile(folder: string): DatabaseSync {
  const file = path.join(folder, fileName);
  try {
    return openSqliteFile(file, schema, "power");
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown fault";
    throw failure(
      "CLOISTER_CHANNEL_CREDENTIAL",
      `the login in ${file} cannot be opened: ${reason}`,
      /locked/.test(reason)
        ? "end the other gateway that uses this authDir, or give the account another authDir; then cloister channels login --channel whatsapp"
        : "repair the folder, or remove the file and link the phone again: cloister channels login --channel whatsapp",
    );
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
