/** What is asked of a disk before something is accepted on it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkRoomToOpen, makeRoomCheck } from "../../../runtime/store/lmdb/room.ts";

test("a file system that does not say what it has free stops nobody from accepting, and no environment from being opened", async () => {
  const dir = await mkdtemp(join(tmpdir(), "cloister-room-"));
  await rm(dir, { recursive: true });
  // It cannot be asked about a directory that is gone.
  expect(makeRoomCheck(dir)).not.toThrow();
  await expect(checkRoomToOpen(dir)).resolves.toBeUndefined();
});
