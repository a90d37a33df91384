/** What a tool of an MCP server answered, as an agent is told of it: text, within its bound. */
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { limits } from "../kernel/limits.ts";

type Block = CallToolResult["content"][number];

/** `tool_error`: the tool says itself that it failed. */
export function resultOf({ content, structuredContent, isError }: CallToolResult): object {
  const text = content.map(textOf).join("\n\n");
  // Servers that answer with a structure say the same as text, for clients that know no other.
  const whole = text === "" && structuredContent !== undefined ? JSON.stringify(structuredContent) : text;
  const told = whole.slice(0, limits.mcpResultCharsMax);
  const cut = told.length < whole.length ? { cut: `${whole.length - told.length} characters are left out` } : {};
  return isError === true
    ? { status: "error", code: "tool_error", error: told || "the tool failed and did not say why", ...cut }
    : { status: "ok", text: told, ...cut };
}

/** What no text is, is named: a model is shown none of it, and a copy would be in the records of the turn. */
function textOf(block: Block): string {
  if (block.type === "text") return block.text;
  if (block.type === "resource_link") return `[resource ${block.uri}${block.name === "" ? "" : ` ${block.name}`}]`;
  if (block.type === "resource") {
    const { resource } = block;
    return "text" in resource
      ? resource.text
      : `[resource ${resource.uri}: ${describe(resource.mimeType, resource.blob)}]`;
  }
  return `[${block.type}: ${describe(block.mimeType, block.data)}]`;
}

const describe = (type: string | undefined, base64: string): string =>
  `${type ?? "unknown type"}, ${Math.floor((base64.length * 3) / 4)} bytes, not shown`;
