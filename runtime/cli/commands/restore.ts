/** `cloister restore`: checks a backup, and makes a state directory of it. */
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { isInside } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import { copyPrivate, expectEmpty, flushFile, makeLink } from "../backup/files.ts";
import { type Manifest, summaryOf } from "../backup/manifest.ts";
import { verifyBackup } from "../backup/verify.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { formatBytes, formatCount, formatJson } from "../views/table.ts";

export interface RestoreOptions {
  readonly verify?: boolean;
  readonly to?: string;
  readonly json?: boolean;
}

/** Restoring verifies first. The directory appears whole or not at all: it is made beside its place and then renamed. */
export async function runRestore(context: CliContext, place: string, options: RestoreOptions): Promise<ExitCode> {
  const { terminal, cwd } = context;
  const folder = path.resolve(cwd, place);
  const to = options.to === undefined ? undefined : path.resolve(cwd, options.to);
  if (to === undefined && options.verify !== true) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Restoring ${folder}: found neither --verify nor --to.`,
      "Check the backup with --verify, or name the new state directory with --to.",
    );
  }
  if (to !== undefined) await expectEmpty(to, "Restoring to");
  const manifest = await verifyBackup(folder);
  const summary = summaryOf(folder, manifest);
  const { files, bytes, rows } = summary;
  const moved = to === undefined ? [] : await restore(folder, manifest, to);
  if (options.json === true) {
    terminal.out(formatJson({ ...summary, ...(to === undefined ? {} : { to, moved }) }));
    return 0;
  }
  terminal.out(
    `${folder} is whole: ${formatCount(files, "file")}, ${formatBytes(bytes)}, ${formatCount(rows, "row")}, made ${new Date(manifest.createdAtMs).toISOString()} by version ${manifest.version}`,
  );
  if (to === undefined) return 0;
  terminal.out(`restored to ${to}`);
  for (const [from, at] of moved)
    terminal.err(`was at ${from}, outside of the state directory, and is now at ${at}: the config has to say so`);
  terminal.err(
    `start it with \`cloister --state-dir ${to} gateway\`; the gateway that it was made of must not run any more`,
  );
  return 0;
}

type Moved = readonly [from: string, to: string];

/** What lay outside of the old state directory and now lies in the new one. */
async function restore(folder: string, manifest: Manifest, to: string): Promise<readonly Moved[]> {
  const moved: Moved[] = [];
  /** Folder of the backup → place below the new state directory. */
  const places = new Map<string, string>();
  for (const { path: stored, from } of [...manifest.environments, ...manifest.workspaces]) {
    const isOwn = isInside(from, manifest.stateDir);
    const place = isOwn ? path.relative(manifest.stateDir, from) : stored;
    places.set(stored, place);
    const isHeld = manifest.files.some((file) => file.path.startsWith(`${stored}/`));
    if (!isOwn && isHeld) moved.push([from, path.join(to, place)]);
  }
  await mkdir(path.dirname(to), { recursive: true });
  const making = await mkdtemp(`${to}.restoring-`);
  try {
    for (const file of manifest.files) {
      const target = path.join(making, placeOf(file.path, places));
      await copyPrivate(path.join(folder, file.path), target);
      await flushFile(target);
    }
    // Last, so that no file is written through one.
    for (const link of manifest.links) await makeLink(link.target, path.join(making, placeOf(link.path, places)));
    await rename(making, to);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw failure(
      "CLOISTER_BACKUP_PLACE",
      `Restoring to ${to}: ${(error as Error).message}. Nothing is left of it.`,
      "Name an empty folder on a disk with enough free space.",
      error,
    );
  }
  return moved;
}

function placeOf(stored: string, places: ReadonlyMap<string, string>): string {
  const [room, first = "", second = ""] = stored.split("/");
  if (room === "config") return ["cloister.json", "openclaw.json"].includes(first) ? first : "cloister.json";
  if (room === "secrets") return first;
  const place = room === "workspaces" || room === "store" ? `${room}/${first}` : `${room}/${first}/${second}`;
  return path.join(places.get(place) ?? place, stored.slice(place.length));
}
