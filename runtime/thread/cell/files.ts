/** Files that were handed to a sub-agent: its cell writes them before its module is loaded, with the checks of every write to the workspace. */
import type * as FsPromises from "node:fs/promises";
import type { Workspace } from "../actor-port.ts";
import type { CellFiles } from "../cell-port.ts";

/** Rejects with `CLOISTER_WORKSPACE_ESCAPE` when a link leads the folder out of the workspace, and never replaces a file. */
export async function writeFiles(
  { folder, files }: CellFiles,
  workspace: Workspace,
  fs: Pick<typeof FsPromises, "mkdir" | "writeFile">,
): Promise<void> {
  await fs.mkdir(await workspace.resolve(folder), { recursive: true, mode: 0o700 });
  for (const { name, content } of files)
    await fs.writeFile(await workspace.resolve(`${folder}/${name}`), content, { flag: "wx", mode: 0o600 });
}
