/** `cloister tools …` and `cloister sandbox …` on the command line. */
import type { SandboxExplainOptions, ToolsExplainOptions } from "./commands/tools.ts";
import type { Shell } from "./shell.ts";

export function addTools({ program, context, exit }: Shell): void {
  program
    .command("tools")
    .description("what agents may call")
    .command("explain")
    .description("the tools of a session, and which rule removed each other one")
    .option("--agent <id>", "the main session of this agent (default: the default agent)")
    .option("--session <key>", "this session; that of a sub-agent while its run is under way")
    .option("--channel <name>", "for a message of this channel; needs --sender or --group")
    .option("--sender <id>", "for a message of this sender of the channel (default: for the operator's)")
    .option("--group <id>", "for a message of this group of the channel")
    .option("--account <id>", "the channel's account, with --group")
    .option("--json", "print JSON")
    .action(async (options: ToolsExplainOptions) => {
      const { runToolsExplain } = await import("./commands/tools.ts");
      exit(await runToolsExplain(context(), options));
    });
  program
    .command("sandbox")
    .description("what sandboxed sessions may do")
    .command("explain")
    .description("whether a session is sandboxed, the folder of its file tools, and the tools that this takes from it")
    .option("--agent <id>", "the main session of this agent (default: the default agent)")
    .option("--session <key>", "this session; that of a sub-agent while its run is under way")
    .option("--channel <name>", "whether a message of this channel may leave the sandbox; needs --sender")
    .option("--sender <id>", "and of this sender of the channel (default: for the operator's)")
    .option("--json", "print JSON")
    .action(async (options: SandboxExplainOptions) => {
      const { runSandboxExplain } = await import("./commands/tools.ts");
      exit(await runSandboxExplain(context(), options));
    });
}
