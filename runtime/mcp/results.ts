/** What a tool of an MCP server answered, as an agent is told of it: text, within its bound. */
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { limits } from "../kernel/limits.ts";
import type { KeptPictures } from "./pictures.ts";

type Block = CallToolResult["content"][number];

/** `tool_error`: the tool says itself that it failed. */
export function resultOf(
  { content, structuredContent, isError }: CallToolResult,
  kept: KeptPictures = new Map(),
): object {
  const text = content.map((block) => textOf(block, kept)).join("\n\n");
  // Servers that answer with a structure say the same as text, for clients that know no other.
  const whole = text === "" && structuredContent !== undefined ? JSON.stringify(structuredContent) : text;
  const told = whole.slice(0, limits.mcpResultCharsMax);
  const cut = told.length < whole.length ? { cut: `${whole.length - told.length} characters are left out` } : {};
  return isError === true
    ? { status: "error", code: "tool_error", error: told || "the tool failed and did not say why", ...cut }
    : { status: "ok", text: told, ...cut, ...(kept.size === 0 ? {} : { pictures: [...kept.values()] }) };
}

/** What no text is, is named: a copy would be in the records of the turn. Pictures are files by now; a model is shown nothing else. */
function textOf(block: Block, kept: KeptPictures): string {
  if (block.type === "text") return block.text;
  if (block.type === "resource_link") return `[resource ${block.uri}${block.name === "" ? "" : ` ${block.name}`}]`;
  if (block.type === "resource") {
    const { resource } = block;
    return "text" in resource
      ? resource.text
      : `[resource ${resource.uri}: ${describe(resource.mimeType, resource.blob)}]`;
  }
  const path = kept.get(block);
  if (path !== undefined) return `[${block.type}: ${path}]`;
  return `[${block.type}: ${describe(block.mimeType, block.data)}]`;
}

const describe = (type: string | undefined, base64: string): string =>
  `${type ?? "unknown type"}, ${Math.floor((base64.length * 3) / 4)} bytes, not shown`;
