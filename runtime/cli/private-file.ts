/** Files of the state directory that hold a secret, or say where one counts. */
import { readFile, stat } from "node:fs/promises";
import { failure } from "../kernel/errors.ts";

/** Undefined when it is not there. Throws `CLOISTER_STATE_UNUSABLE` when it cannot be read. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `Reading ${file}: ${(error as Error).message}.`,
      "Run the command as the user that runs the gateway.",
      error,
    );
  }
}

/** Throws `CLOISTER_STATE_UNUSABLE` also when others may read it, since it is no secret then. `anew` says how to get another one. */
export async function readPrivateFile(
  file: string,
  { what, anew }: { readonly what: string; readonly anew: string },
): Promise<string | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  const { mode } = await stat(file);
  // Windows has no such bits; what Node tells there means nothing.
  if (process.platform === "win32" || (mode & 0o077) === 0) return text;
  throw failure(
    "CLOISTER_STATE_UNUSABLE",
    `Reading ${what} ${file}: its mode is ${(mode & 0o777).toString(8)}, so that others may read it; wanted 600.`,
    `Run \`chmod 600 ${file}\`; if others had access, ${anew}.`,
  );
}
