/** Files are replaced as a whole: whoever reads one, and whatever is left after a crash, has all of the old text or all of the new. */
import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";

/**
 * Resolves when the new text is on the disk under the name. Each writer has a draft of its own: of two at once, in one process or in two,
 * the later one's text stands whole. What a crash leaves beside it is `<file>.<12 hex digits>.new`.
 */
export async function writeAtomically(file: string, text: string, mode = 0o600): Promise<void> {
  const fresh = `${file}.${randomBytes(6).toString("hex")}.new`;
  try {
    const handle = await open(fresh, "wx", mode);
    try {
      await handle.writeFile(text);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  // The name as well as the text: without this a crash of the machine may bring the old one back.
  const folder = await open(path.dirname(file), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
