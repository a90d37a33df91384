/**
 * The index of one agent's memory: an SQLite file with its pieces, their words (FTS5) and, where a model makes them, their vectors (`vectors.ts`). All of it can be made again from the files, so that one that
 * cannot be read, or was made by another version, is made anew.
 */
import { mkdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Piece } from "./pieces.ts";
import { hashOf, openVectors, vectorLayout, type Vectors } from "./vectors.ts";
import { wordsOf } from "./words.ts";

export interface IndexedFile {
  readonly id: number;
  readonly path: string;
  /** Of the file when it was read; another one has other content. */
  readonly stamp: string;
}

export interface Found {
  readonly id: number;
  readonly collection: string;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export interface IndexFile {
  filesOf(collection: string): readonly IndexedFile[];
  /** Collections that have files in it. */
  collections(): readonly string[];
  remove(ids: readonly number[]): void;
  /** Instead of what there is of the file. `problem`: it was looked at and has no pieces. */
  put(collection: string, path: string, stamp: string, pieces: readonly Piece[], problem?: string): void;
  /** Best first. `match` is a query of FTS5. */
  find(match: string, collections: readonly string[], max: number): readonly Found[];
  readonly vectors: Vectors;
  count(): { readonly files: number; readonly pieces: number; readonly chars: number };
  leftOut(max: number): readonly { readonly collection: string; readonly path: string; readonly reason: string }[];
  /** The file that was opened is not the one that is there now: its agent was removed, or it was made anew. */
  isGone(): boolean;
  close(): void;
}

/** Another number: every index is made anew. */
const version = 2;

const layout = `
  CREATE TABLE files (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, problem TEXT,
    UNIQUE (collection, path)
  );
  CREATE TABLE pieces (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, text TEXT NOT NULL,
    hash BLOB NOT NULL
  );
  CREATE INDEX pieces_of ON pieces (file);
  ${vectorLayout}
  CREATE VIRTUAL TABLE words USING fts5 (text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
  PRAGMA user_version = ${version};
`;

/** Opens it, or makes it. @throws when neither can be done. */
export function openIndex(file: string): IndexFile {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    return open(file);
  } catch {
    removeIndex(file);
    return open(file);
  }
}

export function removeIndex(file: string): void {
  for (const end of ["", "-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
}

function open(file: string): IndexFile {
  const db = new DatabaseSync(file);
  try {
    // What the last moments before a crash lose is read again from the files.
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF");
    const made = db.prepare("PRAGMA user_version").get()?.["user_version"];
    if (made === 0) inOne(db, () => db.exec(layout));
    else if (made !== version) throw new Error(`the index has version ${String(made)}`);
    return serve(db, file);
  } catch (error) {
    db.close();
    throw error;
  }
}

function inOne(db: DatabaseSync, work: () => void): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    work();
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

function serve(db: DatabaseSync, file: string): IndexFile {
  const inode = statSync(file).ino;
  const all = <Row>(sql: string): ((...values: SQLInputValue[]) => readonly Row[]) => {
    const statement = db.prepare(sql);
    return (...values) => statement.all(...values) as unknown as readonly Row[];
  };
  const filesOf = all<IndexedFile>("SELECT id, path, stamp FROM files WHERE collection = ?");
  const collections = all<{ collection: string }>("SELECT DISTINCT collection FROM files");
  const fileOf = all<{ id: number }>("SELECT id FROM files WHERE collection = ? AND path = ?");
  const counts = all<{ files: number; pieces: number; chars: number }>(
    "SELECT (SELECT count(*) FROM files WHERE problem IS NULL) files, count(*) pieces, coalesce(sum(length(text)), 0) chars FROM pieces",
  );
  const problems = all<{ collection: string; path: string; reason: string }>(
    "SELECT collection, path, problem reason FROM files WHERE problem IS NOT NULL ORDER BY collection, path LIMIT ?",
  );
  const drops = [
    "DELETE FROM words WHERE rowid IN (SELECT id FROM pieces WHERE file = ?)",
    "DELETE FROM pieces WHERE file = ?",
    "DELETE FROM files WHERE id = ?",
  ].map((sql) => {
    const statement = db.prepare(sql);
    // What it gives names the row that was written last, which is one of FTS5's own: its number is no number of JavaScript's.
    statement.setReadBigInts(true);
    return statement;
  });
  const addFile = db.prepare("INSERT INTO files (collection, path, stamp, problem) VALUES (?, ?, ?, ?)");
  const addPiece = db.prepare("INSERT INTO pieces (file, first, last, text, hash) VALUES (?, ?, ?, ?, ?)");
  const addWords = db.prepare("INSERT INTO words (rowid, text) VALUES (?, ?)");

  const drop = (id: number): void => {
    for (const statement of drops) statement.run(id);
  };

  return {
    filesOf,
    collections: () => collections().map(({ collection }) => collection),
    remove: (ids) => {
      if (ids.length > 0) inOne(db, () => ids.forEach(drop));
    },
    put: (collection, name, stamp, pieces, problem) =>
      inOne(db, () => {
        for (const { id } of fileOf(collection, name)) drop(id);
        const { lastInsertRowid: id } = addFile.run(collection, name, stamp, problem ?? null);
        for (const { from, to, text } of pieces) {
          const added = addPiece.run(id, from, to, text, hashOf(text));
          addWords.run(added.lastInsertRowid, wordsOf(text));
        }
      }),
    find: (match, wanted, max) =>
      all<Found>(
        `SELECT p.id, f.collection, f.path, p.first "from", p.last "to", p.text FROM words
         JOIN pieces p ON p.id = words.rowid JOIN files f ON f.id = p.file
         WHERE words MATCH ? AND f.collection IN (SELECT value FROM json_each(?)) ORDER BY bm25(words), p.id LIMIT ?`,
      )(match, JSON.stringify(wanted), max),
    vectors: openVectors(db),
    count: () => counts()[0] ?? { files: 0, pieces: 0, chars: 0 },
    leftOut: problems,
    isGone: () => statSync(file, { throwIfNoEntry: false })?.ino !== inode,
    close: () => db.close(),
  };
}
