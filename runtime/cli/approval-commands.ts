/** `cloister approvals …` on the command line. */
import type { ApprovalsOptions } from "./commands/approvals.ts";
import type { Shell } from "./shell.ts";

export function addApprovals({ program, context, exit }: Shell): void {
  const approvals = program
    .command("approvals")
    .description("commands that agents want to run and an operator has to allow");
  approvals
    .command("list", { isDefault: true })
    .description("list them with all that they would run (the default)")
    .option("--json", "print JSON")
    .action(async (options: ApprovalsOptions) => {
      const { runApprovalsList } = await import("./commands/approvals.ts");
      exit(await runApprovalsList(context(), options));
    });
  approvals
    .command("allow <id>")
    .description("let it run once; what is to run always belongs into tools.exec.allow")
    .option("--json", "print JSON")
    .action(async (id: string, options: ApprovalsOptions) => {
      const { runApprovalsDecide } = await import("./commands/approvals.ts");
      exit(await runApprovalsDecide(context(), id, "allow-once", options));
    });
  approvals
    .command("deny <id>")
    .description("refuse it")
    .option("--json", "print JSON")
    .action(async (id: string, options: ApprovalsOptions) => {
      const { runApprovalsDecide } = await import("./commands/approvals.ts");
      exit(await runApprovalsDecide(context(), id, "deny", options));
    });
}
