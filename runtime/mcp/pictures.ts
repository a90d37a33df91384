/**
 * Pictures that a tool of an MCP server answers with. They become files of the agent's workspace, in the folder of those that people send, and the result
 * names them: a model is shown them from there, and the records of the turn do not carry them.
 */
import { createHash } from "node:crypto";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { keepNewest, writeWorkspaceFile } from "../channels/workspace-files.ts";
import { inboxFolder, isMessageFolder, messageFolder } from "../kernel/attached-files.ts";
import { limits } from "../kernel/limits.ts";
import { pictureTypeOf } from "../kernel/picture-types.ts";

/** Path in the workspace, by block. What is no picture, or cannot be kept, is not in it. */
export type KeptPictures = ReadonlyMap<CallToolResult["content"][number], string>;

export async function keepPictures(
  workspace: string,
  { content }: Pick<CallToolResult, "content">,
  nowMs: number,
): Promise<KeptPictures> {
  const kept = new Map<CallToolResult["content"][number], string>();
  const blocks = content.filter((block) => block.type === "image").slice(0, limits.mcpPicturesMax);
  for (const [index, block] of blocks.entries()) {
    const bytes = Buffer.from(block.data, "base64");
    const type = pictureTypeOf(bytes);
    if (type === undefined || bytes.length > limits.modelPicturesBytesMax) continue;
    const hash = createHash("sha256").update(bytes).digest("hex");
    const folder = `${inboxFolder}/${messageFolder(nowMs, hash)}`;
    const name = `${index + 1}-result.${type.slice("image/".length)}`;
    // A workspace that cannot be written to costs the picture, and not the result.
    const isKept = await writeWorkspaceFile(workspace, folder, name, () => Promise.resolve(bytes)).then(
      () => true,
      () => false,
    );
    if (isKept) kept.set(block, `${folder}/${name}`);
  }
  if (kept.size > 0)
    await keepNewest(workspace, inboxFolder, isMessageFolder, limits.channelInboxMessagesMax).catch(() => undefined);
  return kept;
}
