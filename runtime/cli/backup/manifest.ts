/**
 * What a backup says of itself. A backup is a folder:
 *
 *   manifest.json           Manifest, below; written last, so that a folder without it is no whole backup
 *   manifest.sha256         SHA-256 of `manifest.json`, in hex
 *   store/registry/         LMDB environments, as in a state directory
 *   store/journal/
 *   agents/<id>/sessions/
 *   config/<name>           the config file
 *   secrets/operator.key    only when asked for, like secrets/.env and secrets/secrets.json
 *   workspaces/<id>/…       only when asked for
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { isInside } from "../../config/index.ts";

/** Layout of the folder and of the manifest. */
export const manifestFormat = 1;

/** Below the backup: relative, and never out of it, whatever a foreign manifest says. */
const place = z
  .string()
  .refine((text) => text !== "" && !path.isAbsolute(text) && isInside(path.resolve("/b", text), "/b"), {
    message: "expected a path below the backup",
  });
const bytes = z.int().min(0);

const manifestSchema = z.object({
  format: z.literal(manifestFormat),
  /** Of the program that made it. */
  version: z.string(),
  createdAtMs: z.number(),
  /** Every message whose acceptance was answered before is in it, handled or waiting. */
  acceptedUntilMs: z.number(),
  /** Layout versions of the environments. */
  formats: z.object({ registry: z.number(), journal: z.number(), agent: z.number() }),
  /** The state directory that it was made of. */
  stateDir: z.string(),
  configPath: z.string(),
  /** Absolute; where restoring puts them follows from where they were beside the state directory. */
  environments: z.array(
    z.object({ kind: z.enum(["registry", "journal", "agent"]), path: place, from: z.string(), rows: bytes }),
  ),
  workspaces: z.array(z.object({ path: place, from: z.string() })),
  files: z.array(z.object({ path: place, bytes, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
  /** Symbolic links of workspaces. */
  links: z.array(z.object({ path: place, target: z.string() })),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** What `backup --json` and `restore --json` both say of a backup. */
export function summaryOf(folder: string, { version, createdAtMs, acceptedUntilMs, environments, files }: Manifest) {
  return {
    folder,
    version,
    createdAtMs,
    acceptedUntilMs,
    /** Those that had a store. */
    agents: environments.flatMap(({ kind, path: stored }) => (kind === "agent" ? [stored.split("/")[1] ?? ""] : [])),
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    rows: environments.reduce((sum, environment) => sum + environment.rows, 0),
    environments,
  };
}

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  await writeFile(path.join(folder, "manifest.sha256"), `${sha256(text)}\n`, { mode: 0o600, flush: true });
  await writeFile(path.join(folder, "manifest.json"), text, { mode: 0o600, flush: true });
}

/** Throws `CLOISTER_BACKUP_DAMAGED`. */
export async function readManifest(folder: string): Promise<Manifest> {
  const [text, sum] = await Promise.all(
    ["manifest.json", "manifest.sha256"].map((name) =>
      readFile(path.join(folder, name), "utf8").catch(() => {
        throw damaged(folder, `there is no ${name}; it is not a backup, or its making did not come to its end`);
      }),
    ),
  );
  if (sha256(text ?? "") !== sum?.trim()) throw damaged(folder, "manifest.json is not what was written");
  const parsed = manifestSchema.safeParse(JSON.parse(text ?? ""));
  if (parsed.success) return parsed.data;
  throw damaged(folder, `manifest.json is of a form that this version does not read: ${z.prettifyError(parsed.error)}`);
}

export function damaged(folder: string, found: string): Error {
  return failure("CLOISTER_BACKUP_DAMAGED", `Reading the backup ${folder}: ${found}.`, "Use another backup.");
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
