/**
 * Whether a failed commit failed for want of room. LMDB reports a write that the disk took only in part as "Input/output error",
 * so that its text alone does not tell; then a write at the same place of a file beside the database does.
 */
import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const fullReason = /MDB_MAP_FULL|ENOSPC|no space left|EDQUOT|quota exceeded|EFBIG|file too large/i;
const fullCodes: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export function saysFull(reason: string): boolean {
  return fullReason.test(reason);
}

/** More than LMDB writes at a time for one small change. */
const probeBytes = 65_536;

/** One at a time for a directory. Never rejects: what cannot be found out is not called full. */
export async function isDiskFull(dir: string, dataFile: string, reason: string): Promise<boolean> {
  if (saysFull(reason)) return true;
  const file = join(dir, "space-probe");
  try {
    const { size } = await stat(join(dir, dataFile));
    const handle = await open(file, "w", 0o600);
    try {
      const { bytesWritten } = await handle.write(Buffer.alloc(probeBytes), 0, probeBytes, size);
      await handle.sync();
      return bytesWritten < probeBytes;
    } finally {
      await handle.close();
    }
  } catch (error) {
    return fullCodes.has((error as NodeJS.ErrnoException).code);
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
