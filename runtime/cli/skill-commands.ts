/** `cloister skills …` on the command line. */
import type { SkillsOptions } from "./commands/skills.ts";
import type { Shell } from "./shell.ts";

export function addSkills({ program, context, exit }: Shell): void {
  program
    .command("skills")
    .description("what agents are told how to do")
    .command("list")
    .description("the skills of an agent, where they are, and what is missing of what one needs")
    .option("--agent <id>", "of this agent (default: the default agent)")
    .option("--json", "print JSON")
    .action(async (options: SkillsOptions) => {
      const { runSkillsList } = await import("./commands/skills.ts");
      exit(await runSkillsList(context(), options));
    });
}
