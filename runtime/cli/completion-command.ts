/** `cloister completion <shell>`. */
import { Argument } from "commander";
import type { Shell } from "./shell.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type ShellName = (typeof shells)[number];

export function addCompletion({ program, context }: Shell): void {
  program
    .command("completion")
    .description('print what completes the commands in a shell: eval "$(cloister completion bash)"')
    .addArgument(new Argument("<shell>", "which one").choices(shells))
    .action(async (shell: ShellName) => {
      const { formatCompletion } = await import("./commands/completion.ts");
      for (const line of formatCompletion(program, shell)) context().terminal.out(line);
    });
}
