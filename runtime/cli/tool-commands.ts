/** `cloister tools …` on the command line. */
import type { ToolsExplainOptions } from "./commands/tools.ts";
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
}
