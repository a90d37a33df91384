/** An SQLite file of one account, which the owner alone can read, and which one process has open at a time. */
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Makes the folder and the file where they are not there. `survives`: what of a transaction is on the disk when it has ended: all of it also
 * when the machine loses its power, or when the process is killed. @throws the fault of the disk or of SQLite
 */
export function openSqliteFile(file: string, schema: string, survives: "power" | "kill"): DatabaseSync {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  closeSync(openSync(file, "a", 0o600));
  chmodSync(file, 0o600);
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL");
    db.exec(`PRAGMA synchronous = ${survives === "power" ? "FULL" : "NORMAL"}`);
    db.exec(schema);
    // With it the file is this process's, until it is closed.
    db.exec("BEGIN IMMEDIATE; COMMIT");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
