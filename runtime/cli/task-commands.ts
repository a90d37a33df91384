/** `cloister tasks …` on the command line. */
import { limits } from "../kernel/limits.ts";
import type { CancelOptions, TaskOptions, TasksOptions } from "./commands/tasks.ts";
import { wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addTasks({ program, context, exit }: Shell): void {
  const tasks = program.command("tasks").description("what sessions wait to be told the end of");
  tasks
    .command("list", { isDefault: true })
    .description("list them, the next to expire first (the default)")
    .option("--agent <id>", "of this agent")
    .option("--session <key>", "of this session")
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.timersListMax))
    .option("--offset <n>", "leave out so many of the first", wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option("--json", "print JSON")
    .action(async (options: TasksOptions) => {
      const { runTasksList } = await import("./commands/tasks.ts");
      exit(await runTasksList(context(), options));
    });
  tasks
    .command("show <id>")
    .description("one with where its session answers, and when it expires")
    .option("--json", "print JSON")
    .action(async (id: string, options: TaskOptions) => {
      const { runTasksShow } = await import("./commands/tasks.ts");
      exit(await runTasksShow(context(), id, options));
    });
  tasks
    .command("cancel <id>")
    .description("end one: its session is told, and a command in the background is ended")
    .option("--reason <text>", "what its session is told")
    .option("--json", "print JSON")
    .action(async (id: string, options: CancelOptions) => {
      const { runTasksCancel } = await import("./commands/tasks.ts");
      exit(await runTasksCancel(context(), id, options));
    });
}
