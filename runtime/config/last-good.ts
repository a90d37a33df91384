/**
 * The configuration that worked last, kept for a start that finds a broken one: every file of it with its text, in
 * `<stateDir>/config/last-good.json` (format 1, mode 0600, since it has the secrets that the files have). It is replaced as a whole
 * when a gateway is ready or has taken up a change; a crash leaves the one before. Source: behaviour §1.1, needs A10.1.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { failure } from "../kernel/errors.ts";
import { readText } from "./file/source.ts";
import { writeAtomically } from "./file/write.ts";

/** Texts by absolute path; undefined: the file was not there. */
export type ConfigFiles = ReadonlyMap<string, string | undefined>;

interface LastGood {
  readonly atMs: number;
  readonly files: ConfigFiles;
}

const form = z.object({
  format: z.literal(1),
  atMs: z.number(),
  files: z.array(z.object({ file: z.string(), text: z.string().nullable() })),
});

const placeOf = (stateDir: string): string => path.join(stateDir, "config", "last-good.json");

export async function keepLastGood(stateDir: string, files: ConfigFiles, atMs: number): Promise<void> {
  await mkdir(path.dirname(placeOf(stateDir)), { recursive: true, mode: 0o700 });
  const rows = [...files].map(([file, text]) => ({ file, text: text ?? null }));
  await writeAtomically(placeOf(stateDir), `${JSON.stringify({ format: 1, atMs, files: rows }, null, 1)}\n`);
}

/** Undefined: no gateway of this state directory was ever ready. @throws CLOISTER_CONFIG_UNREADABLE */
export async function findLastGood(stateDir: string): Promise<LastGood | undefined> {
  const file = placeOf(stateDir);
  const text = await readText(file);
  if (text === undefined) return undefined;
  try {
    const { atMs, files } = form.parse(JSON.parse(text));
    return { atMs, files: new Map(files.map((row) => [row.file, row.text ?? undefined])) };
  } catch (error) {
    throw failure(
      "CLOISTER_CONFIG_UNREADABLE",
      `Reading the configuration that worked last: ${file} does not hold one.`,
      "Remove the file; the next gateway that is ready writes it again.",
      error,
    );
  }
}
