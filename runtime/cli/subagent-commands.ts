/** `cloister subagents …` on the command line. */
import { limits } from "../kernel/limits.ts";
import type { SubagentOptions, SubagentsOptions } from "./commands/subagents.ts";
import { wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addSubagents({ program, context, exit }: Shell): void {
  const subagents = program.command("subagents").description("runs that agents' sessions have started");
  subagents
    .command("list", { isDefault: true })
    .description("list them, newest first (the default)")
    .option("--session <key>", "started by this session, and by what it started")
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.runsListMax))
    .option("--json", "print JSON")
    .action(async (options: SubagentsOptions) => {
      const { runSubagentsList } = await import("./commands/subagents.ts");
      exit(await runSubagentsList(context(), options));
    });
  subagents
    .command("cancel <id>")
    .description("end one, and what it started; whoever asked for it is told")
    .option("--json", "print JSON")
    .action(async (id: string, options: SubagentOptions) => {
      const { runSubagentsCancel } = await import("./commands/subagents.ts");
      exit(await runSubagentsCancel(context(), id, options));
    });
}
