/**
 * Room on the disk of an environment, before LMDB needs it. LMDB cannot be left to find out: it writes through a memory map into a lock file
 * that has holes, and the operating system ends the process (SIGBUS) when the disk has nothing to fill one with; and lmdb 3.5.6 corrupts
 * its heap when a write or the making of a database fails for want of room (a message longer than the memory for it, a record freed twice).
 */
import { statfsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../../kernel/limits.ts";
import { storeFull } from "../store-full.ts";
import { dataFile, lockFile } from "./files.ts";

/** What is not there yet takes some 60 KB: a lock file of 20 KB, and the pages that the first transactions write. */
const newEnvironmentBytes = 262_144;

/** One look serves all that is accepted in this time. */
const freshMs = 100;

/** Bytes that are free for this user. Infinite where the file system does not say: there only a write that fails tells that it is full. */
function freeBytes(dir: string): number {
  try {
    const { blocks, bavail, bsize } = statfsSync(dir);
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Throws when less is free than is kept for what was accepted, or would be. What takes much is looked at each time. */
export function makeRoomCheck(
  dir: string,
  nowMs: () => number = () => performance.now(),
): (moreBytes?: number) => void {
  let checkedAtMs = Number.NEGATIVE_INFINITY;
  return (moreBytes = 0) => {
    if (moreBytes === 0 && nowMs() - checkedAtMs < freshMs) return;
    const free = freeBytes(dir);
    const wanted = limits.storeFreeBytesMin + moreBytes;
    if (free < wanted) throw storeFull(dir, tooLittle(free, wanted));
    checkedAtMs = nowMs();
  };
}

/** Rejects when opening the environment would make files for which there is no room. The directory is there. */
export async function checkRoomToOpen(dir: string): Promise<void> {
  const blocks = await Promise.all(
    [dataFile, lockFile].map((name) =>
      stat(join(dir, name)).then(
        (found) => found.blocks,
        () => 0,
      ),
    ),
  );
  if (blocks.every((count) => count > 0)) return;
  const free = freeBytes(dir);
  if (free < newEnvironmentBytes) throw storeFull(dir, tooLittle(free, newEnvironmentBytes));
}

const tooLittle = (free: number, wanted: number): string => `found ${free} bytes free on its disk, wanted ${wanted}`;
