/** `cloister audit …` and `cloister who` on the command line. */
import type { Command } from "commander";
import { limits } from "../kernel/limits.ts";
import type { AuditExportOptions, AuditListOptions, AuditVerifyOptions } from "./commands/audit.ts";
import type { WhoOptions } from "./commands/who.ts";
import { collect, since, wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addAudit({ program, context, exit }: Shell): void {
  const { nowMs } = context();
  const filtered = (command: Command): Command =>
    command
      .option("--agent <id>", "about this agent and its sessions")
      .option("--kind <type>", "a type of row, as grant_added, or its first word, as grant")
      .option("--since <age>", "not older: a duration, as 1h, or a time", since(nowMs));
  const audit = program
    .command("audit")
    .description("what was decided, refused and sent, bound together so that no change goes unseen; needs no gateway");
  filtered(audit.command("list", { isDefault: true }).description("list it, newest first (the default)"))
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.auditListMax))
    .option("--cursor <cursor>", "go on where the list before ended")
    .option("--json", "print JSON")
    .action(async (options: AuditListOptions) => {
      const { runAuditList } = await import("./commands/audit.ts");
      exit(await runAuditList(context(), options));
    });
  audit
    .command("verify")
    .description("say whether every row is what was written; exit code 1 when not")
    .option("--anchor <log:n:hash>", "also: that it still holds what a check said before; may be given again", collect)
    .option("--file <export>", "also: the rows of an export, each by itself, and against what there is now")
    .option("--json", "print JSON")
    .action(async (options: AuditVerifyOptions) => {
      const { runAuditVerify } = await import("./commands/audit.ts");
      exit(await runAuditVerify(context(), options));
    });
  filtered(
    audit.command("export").description("write it as lines of JSON, newest first, with what `verify --file` needs"),
  )
    .option("--to <file>", "into a new file (default: the standard output)")
    .action(async (options: AuditExportOptions) => {
      const { runAuditExport } = await import("./commands/audit.ts");
      exit(await runAuditExport(context(), options));
    });
  program
    .command("who")
    .description("who wrote to an agent, and to whom it wrote: by what right, how often, how much, what was refused")
    .requiredOption("--agent <id>", "the agent")
    .option("--since <age>", "not older: a duration, as 1h, or a time (default: 1h)", since(nowMs))
    .option("--json", "print JSON, with every trace")
    .action(async (options: WhoOptions) => {
      const { runWho } = await import("./commands/who.ts");
      exit(await runWho(context(), options));
    });
}
