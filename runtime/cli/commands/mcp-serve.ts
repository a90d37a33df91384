/** `cloister mcp serve`: the agents of a running gateway as tools of a client that starts this program and speaks MCP over its input and output. */
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { findGateway } from "../find-gateway.ts";
import { openMcpBridge } from "../mcp-bridge.ts";
import { readPrivateFile } from "../private-file.ts";

export interface McpServeOptions {
  /** Absent: the operator's key, or the token of the command line. */
  readonly tokenFile?: string;
}

/** Ends with its input. Nothing but messages of the protocol is written to the output. */
export async function runMcpServe(context: CliContext, { tokenFile }: McpServeOptions): Promise<ExitCode> {
  const { url, token } = await findGateway(context);
  const own = tokenFile === undefined ? token : await readToken(tokenFile);
  const { input, output } = context.terminal;
  const over = Promise.race([once(input, "end"), once(input, "close")]);
  const bridge = await openMcpBridge({
    client: new StdioServerTransport(input as Readable, output as Writable, {
      maxBufferSize: limits.mcpMessageBytesMax,
    }),
    url: new URL("/mcp", url.replace(/^ws/, "http")),
    token: own,
    report: (message) => context.terminal.err(message),
  });
  await over;
  await bridge.close();
  return 0;
}

async function readToken(file: string): Promise<string> {
  const anew = "make another token: `cloister callers rotate <name>`";
  const text = (await readPrivateFile(file, { what: "the token", anew }))?.trim();
  if (text !== undefined && text !== "") return text;
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `--token-file: found ${text === undefined ? "no file" : "an empty file"} ${file}, wanted one that holds a token.`,
    "Write into it what `cloister callers add <name> --agent <id>` prints.",
  );
}
