/**
 * Up to which message each channel was heard, kept over restarts: what came behind it while nobody was connected is fetched (`missed.ts`).
 *
 * One SQLite file an account, with a row a channel: `bot` and `channel` are ids, `place` the `Place` as JSON, `up_to` the id of the last message
 * of which all before it are done with, `at` when somebody was last heard there, in milliseconds; 0 while the first message is on its way. It is
 * written when a message is stored, so a process that is killed between the two hears that message again, which is known by its id then.
 * A channel in which nobody is heard has no row, and at most `limits.discordHeardMax` have one, beside those with a message on its way.
 */
import { DatabaseSync } from "node:sqlite";
import { limits } from "../../runtime/kernel/limits.ts";
import type { ChannelHost, Received } from "../port.ts";
import { makeRecent } from "../recent.ts";
import { openSqliteFile } from "../sqlite-file.ts";
import type { Place } from "./places.ts";

export interface HeardBook {
  /** A message is on its way to the store. In the order of their ids, but for those that are offered again. */
  begin(place: Place, messageId: string): void;
  /** Undefined: it was not taken, and is to be had again. */
  end(place: Place, messageId: string, received: Received | undefined): void;
  /** What was not taken in the channel cannot be had any more. */
  letGo(channelId: string): void;
  /** Undefined: nobody was heard there. */
  upTo(channelId: string): string | undefined;
  /** The last heard first. */
  places(): readonly Place[];
  close(): void;
}

interface Row {
  readonly place: Place;
  readonly upTo: string;
  readonly atMs: number;
}

/** Messages of a channel that are on their way. */
interface Lane {
  readonly open: Set<string>;
  newest: string;
}

const schema =
  "CREATE TABLE IF NOT EXISTS heard (bot TEXT, channel TEXT, place TEXT NOT NULL, up_to TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (bot, channel)) WITHOUT ROWID";

/** Ids of Discord are numbers that grow with the time. */
export const isLater = (one: string, other: string): boolean => BigInt(one) > BigInt(other);
export const idBefore = (id: string): string => String(BigInt(id) - 1n);

/** Without its file the account goes on, and has no memory of what was heard before. */
export function openHeardBook(file: string, botId: string, { log, nowMs }: Pick<ChannelHost, "log" | "nowMs">) {
  const db = openFile(file, botId, log);
  const write = db.prepare("INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?)");
  const remove = db.prepare("DELETE FROM heard WHERE channel = ?");
  const rows = new Map<string, Row>();
  for (const { channel, place, up_to: upTo, at } of db.prepare("SELECT * FROM heard").all())
    rows.set(String(channel), { place: JSON.parse(String(place)) as Place, upTo: String(upTo), atMs: Number(at) });
  const lanes = new Map<string, Lane>();
  /** Channels of which the last message was for nobody: a bot may see many of them. */
  const unheard = makeRecent<true>(limits.discordDirectChatsMax);
  let isClosed = false;
  /** Places with a row on the disk. */
  const written = new Set(rows.keys());
  /** Places whose row on the disk is not as it is here. None that is neither here nor there: while a disk is full any number of them come and go. */
  const unwritten = new Set<string>();
  let isFailing = false;

  /** A disk that takes nothing at the moment ends no connection: the rows are here, and are written when it takes some again. */
  function save(channelId: string): void {
    if (isClosed) return;
    if (rows.has(channelId) || written.has(channelId)) unwritten.add(channelId);
    else unwritten.delete(channelId);
    try {
      for (const id of unwritten) {
        const row = rows.get(id);
        if (row === undefined) {
          remove.run(id);
          written.delete(id);
        } else {
          write.run(botId, id, JSON.stringify(row.place), row.upTo, row.atMs);
          written.add(id);
        }
        unwritten.delete(id);
      }
      if (isFailing) log("info", `what was heard is kept in ${file} again`);
      isFailing = false;
    } catch (error) {
      if (!isFailing)
        log("error", `up to where was heard is not kept: ${file} cannot be written; a restart may hear it again`, {
          error: error instanceof Error ? error.message : "unknown fault",
        });
      isFailing = true;
    }
  }

  function keep(place: Place, upTo: string, atMs: number): void {
    const before = rows.get(place.id);
    const row = { place, upTo: before !== undefined && isLater(before.upTo, upTo) ? before.upTo : upTo, atMs };
    rows.set(place.id, row);
    save(place.id);
    // One that has a message on its way keeps its row, and takes none away from another: it may be for nobody.
    const surplus = rows.size - limits.discordHeardMax - lanes.size;
    if (surplus <= 0) return;
    const idle = [...rows.values()].filter(({ place: { id } }) => !lanes.has(id));
    for (const oldest of idle.toSorted((a, b) => a.atMs - b.atMs).slice(0, surplus)) drop(oldest.place.id);
  }

  function drop(channelId: string): void {
    rows.delete(channelId);
    save(channelId);
  }

  const book: HeardBook = {
    begin(place, messageId) {
      const lane = lanes.get(place.id) ?? { open: new Set(), newest: messageId };
      lanes.set(place.id, lane);
      lane.open.add(messageId);
      // From here on it is not lost with the process, also when it is the first one of its channel.
      if (!rows.has(place.id) && unheard.get(place.id) === undefined) keep(place, idBefore(messageId), 0);
    },
    end(place, messageId, received) {
      const lane = lanes.get(place.id);
      const row = rows.get(place.id);
      if (received === undefined) {
        if (row === undefined) keep(place, idBefore(messageId), 0);
        return;
      }
      lane?.open.delete(messageId);
      if (lane !== undefined && isLater(messageId, lane.newest)) lane.newest = messageId;
      const [oldest] = lane?.open ?? [];
      const upTo = oldest === undefined ? (lane?.newest ?? messageId) : idBefore(oldest);
      if (oldest === undefined) lanes.delete(place.id);
      if (received === "taken") {
        unheard.delete(place.id);
        keep(place, upTo, nowMs());
      } else if (row !== undefined && (row.atMs > 0 || oldest !== undefined)) keep(place, upTo, row.atMs);
      else {
        unheard.set(place.id, true);
        if (row !== undefined) drop(place.id);
      }
    },
    letGo: (channelId) => void lanes.delete(channelId),
    upTo: (channelId) => rows.get(channelId)?.upTo,
    places: () => [...rows.values()].toSorted((a, b) => b.atMs - a.atMs).map(({ place }) => place),
    close() {
      isClosed = true;
      db.close();
    },
  };
  return book;
}

/** With the rows of this bot alone. */
function openFile(file: string, botId: string, log: ChannelHost["log"]): DatabaseSync {
  try {
    const db = openSqliteFile(file, schema, "kill");
    db.prepare("DELETE FROM heard WHERE bot <> ?").run(botId);
    return db;
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown fault";
    log(
      "error",
      `what is said while the account is away cannot be fetched later: ${file} cannot be opened; repair it, or remove it`,
      {
        error: reason,
      },
    );
    const memory = new DatabaseSync(":memory:");
    memory.exec(schema);
    return memory;
  }
}
