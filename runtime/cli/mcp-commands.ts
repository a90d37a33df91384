/** `cloister mcp …` on the command line. */
import type { McpListOptions } from "./commands/mcp.ts";
import type { McpServeOptions } from "./commands/mcp-serve.ts";
import type { Shell } from "./shell.ts";

export function addMcp({ program, context, exit }: Shell): void {
  const mcp = program
    .command("mcp")
    .description("servers whose tools agents call (MCP), and the gateway as such a server");
  mcp
    .command("list")
    .description("the servers of the configuration, who is connected to them, and why one is not")
    .option("--json", "print JSON")
    .action(async (options: McpListOptions) => {
      const { runMcpList } = await import("./commands/mcp.ts");
      exit(await runMcpList(context(), options));
    });
  mcp
    .command("serve")
    .description("be an MCP server on standard input and output: each agent of the running gateway is a tool")
    .option("--token-file <file>", "a file with the token of a caller, whose agents alone are there")
    .action(async (options: McpServeOptions) => {
      const { runMcpServe } = await import("./commands/mcp-serve.ts");
      exit(await runMcpServe(context(), options));
    });
}
