/**
 * The files of an agent's workspace that operators read, by name from a fixed list. The workspace is the agent's to write: a name may have
 * become a link to a file that is not the agent's, or a pipe that nobody writes to. Neither is followed or waited for.
 */
import { createHash } from "node:crypto";
import { type FileHandle, readdir } from "node:fs/promises";
import path from "node:path";
import { openPlain } from "../channels/workspace-files.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

export interface AgentFile {
  readonly name: string;
  readonly path: string;
  readonly missing: boolean;
  readonly size?: number;
  readonly updatedAtMs?: number;
  /** SHA-256 of the content, hex. */
  readonly hash?: string;
  readonly content?: string;
}

/**
 * Those whose workspace, an absolute path, is there, by the lists of the folders that they are in: of ten thousand agents most have never been
 * started, and a look at each takes several hundred bytes.
 */
export async function havingWorkspace<A extends { readonly workspace: string }>(agents: Iterable<A>): Promise<A[]> {
  const lists = new Map<string, ReadonlySet<string>>();
  const there: A[] = [];
  for (const agent of agents) {
    const at = agent.workspace.lastIndexOf(path.sep) + 1;
    const folder = agent.workspace.slice(0, at);
    let names = lists.get(folder);
    if (names === undefined) {
      names = new Set(await readdir(folder).catch(() => []));
      lists.set(folder, names);
    }
    if (names.has(agent.workspace.slice(at))) there.push(agent);
  }
  return there;
}

export async function statAgentFile(workspace: string, name: string): Promise<AgentFile> {
  return (await look(workspace, name, undefined)).row;
}

/** @throws CLOISTER_REQUEST_INVALID for a name that is not in the list, and for a file that is too large. */
export async function readAgentFile(workspace: string, names: readonly string[], name: string): Promise<AgentFile> {
  if (!names.includes(name))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `name is ${JSON.stringify(name)}; wanted one of ${names.join(", ")}`,
      "ask agents.files.list for them",
    );
  const { row, content } = await look(workspace, name, limits.agentFileBytesMax);
  if (content === undefined) return row;
  const hash = createHash("sha256").update(content).digest("hex");
  return { ...row, hash, content: content.toString("utf8") };
}

async function look(
  workspace: string,
  name: string,
  bytesMax: number | undefined,
): Promise<{ readonly row: AgentFile; readonly content?: Buffer }> {
  const file = path.join(workspace, name);
  const missing = { name, path: file, missing: true };
  const handle = await openPlain(file);
  if (handle === undefined) return { row: missing };
  try {
    const { size, mtimeMs, nlink } = await handle.stat();
    // A second name of a file may be outside the workspace.
    if (nlink !== 1) return { row: missing };
    const row = { name, path: file, missing: false, size, updatedAtMs: Math.round(mtimeMs) };
    if (bytesMax === undefined) return { row };
    if (size > bytesMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `${file} has ${size} bytes; at most ${bytesMax} are read`,
        "open it on the gateway's machine",
      );
    return { row, content: await readAtMost(handle, size) };
  } finally {
    await handle.close();
  }
}

/** The file may grow while it is read. */
async function readAtMost(handle: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await handle.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
}
