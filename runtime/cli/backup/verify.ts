/** Whether a backup is what was written, and can be read. */
import { lstat } from "node:fs/promises";
import path from "node:path";
import { isCoded } from "../../kernel/errors.ts";
import { countRows } from "../../store/lmdb/count-rows.ts";
import { sumFile } from "./files.ts";
import { damaged, type Manifest, readManifest } from "./manifest.ts";

/** What is wrong is told with all that is; throws `CLOISTER_BACKUP_DAMAGED`. Writes nothing; gives what the backup says of itself. */
export async function verifyBackup(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  const faults: string[] = [];
  for (const file of manifest.files) {
    const fault = await findFault(path.join(folder, file.path), file);
    if (fault !== undefined) faults.push(`${file.path} ${fault}`);
  }
  if (faults.length > 0) throw damaged(folder, describe(faults));
  for (const environment of manifest.environments) {
    try {
      const found = await countRows(path.join(folder, environment.path), environment.kind);
      if (found !== environment.rows)
        faults.push(`${environment.path} holds ${found} rows, wanted ${environment.rows}`);
    } catch (error) {
      if (!isCoded(error) || error.code !== "CLOISTER_BACKUP_DAMAGED") throw error;
      faults.push(error.message);
    }
  }
  if (faults.length > 0) throw damaged(folder, describe(faults));
  return manifest;
}

async function findFault(
  file: string,
  wanted: { readonly bytes: number; readonly sha256: string },
): Promise<string | undefined> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined) return "is missing";
  if (!found.isFile()) return "is not a file";
  if (found.size !== wanted.bytes) return `has ${found.size} bytes, wanted ${wanted.bytes}`;
  return (await sumFile(file)).sha256 === wanted.sha256 ? undefined : "is not what was written (its SHA-256 differs)";
}

const shownMax = 10;

function describe(faults: readonly string[]): string {
  const more = faults.length - shownMax;
  return faults.slice(0, shownMax).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
