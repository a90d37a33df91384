/**
 * Puts the first files into an agent's workspace: once, and never over what is there. `workspace.json` in the agent's directory says that it
 * was done, so that a file which somebody deleted stays deleted, and a workspace that is gone is not made to look like a new agent's.
 *
 *   { "workspace": "<absolute path>", "seededAtMs": 1763733600000 }     format 1
 *
 * A crash between the files and the mark is mended by the next call: files that are there stay as they are.
 */
import { chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { ResolvedAgent } from "../../config/resolved.ts";
import { templates } from "./templates.ts";

export interface Seeded {
  /** `gone`: it was there and is not any more; nothing is written. */
  readonly status: "seeded" | "kept" | "gone";
  /** Names of the files that were written. */
  readonly files: readonly string[];
}

/** Rejects with what the file system says when the workspace or the agent's directory cannot be written. */
export async function seedWorkspace(
  { workspace, agentDir, isolation }: Pick<ResolvedAgent, "workspace" | "agentDir" | "isolation">,
  nowMs: number,
): Promise<Seeded> {
  const mark = path.join(agentDir, "workspace.json");
  const found = await readdir(workspace).catch(unlessMissing);
  const seen = await readMark(mark);
  if (seen === workspace) return { status: found === undefined ? "gone" : "kept", files: [] };
  const isNew = found === undefined || found.length === 0;
  await mkdir(workspace, { recursive: true, mode: 0o700 });
  const files: string[] = [];
  for (const { name, text, isForNew } of templates) {
    if (isForNew === true && !isNew) continue;
    const isWritten = await writeFile(path.join(workspace, name), text, { flag: "wx", mode: 0o600 }).then(
      () => true,
      unlessThere,
    );
    if (!isWritten) continue;
    files.push(name);
    if (isolation.user !== undefined) await chown(path.join(workspace, name), isolation.user.uid, isolation.user.gid);
  }
  await mkdir(agentDir, { recursive: true, mode: 0o700 });
  await writeFile(mark, `${JSON.stringify({ workspace, seededAtMs: nowMs })}\n`, { mode: 0o600 });
  return { status: "seeded", files };
}

/** The folders of an agent that has just been added, with the first files where it is to have them; gives their names. Source: behaviour §6.6. */
export async function openFolders(
  agent: Pick<ResolvedAgent, "workspace" | "agentDir" | "sessionsDir" | "isolation" | "seedsWorkspace">,
  nowMs: number,
): Promise<readonly string[]> {
  for (const folder of [agent.workspace, agent.agentDir, agent.sessionsDir])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  return agent.seedsWorkspace ? (await seedWorkspace(agent, nowMs)).files : [];
}

/** The workspace that was seeded; one that cannot be read counts as none, and what is in the workspace stays. */
async function readMark(file: string): Promise<string | undefined> {
  const text = await readFile(file, "utf8").catch(unlessMissing);
  if (text === undefined) return undefined;
  try {
    const { workspace } = JSON.parse(text) as { readonly workspace?: unknown };
    return typeof workspace === "string" ? workspace : undefined;
  } catch {
    return undefined;
  }
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

/** A link counts as there, wherever it points to: it is not followed. */
function unlessThere(error: NodeJS.ErrnoException): false {
  if (error.code !== "EEXIST") throw error;
  return false;
}
