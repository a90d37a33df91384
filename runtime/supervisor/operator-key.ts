/**
 * The local operator's key: whoever may read this file is the operator, as the operating system says. 32 random bytes as hex
 * in a file of mode 0600 in the state directory, made at the first start.
 */
import { randomBytes } from "node:crypto";
import { chmod, open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { failure } from "../kernel/errors.ts";

export async function openOperatorKey(stateDir: string): Promise<string> {
  const file = path.join(stateDir, "operator.key");
  try {
    // `wx`: of two processes that start at once, one makes the key and the other reads it.
    await using handle = await open(file, "wx", 0o600);
    const key = randomBytes(32).toString("hex");
    await handle.writeFile(`${key}\n`);
    await handle.sync();
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw failure(
        "CLOISTER_STATE_UNUSABLE",
        `the operator key ${file} cannot be written: ${(error as Error).message}`,
        "make the state directory writable, or set CLOISTER_STATE_DIR",
        error,
      );
  }
  const { mode } = await stat(file);
  if (process.platform !== "win32" && (mode & 0o077) !== 0) await chmod(file, 0o600);
  const key = (await readFile(file, "utf8")).trim();
  if (!/^[0-9a-f]{64}$/.test(key))
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `the operator key ${file} does not hold 64 hexadecimal digits`,
      "remove the file; the next start makes a new one",
    );
  return key;
}
