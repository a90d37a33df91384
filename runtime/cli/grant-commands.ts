/** `cloister grants …` on the command line. */
import type { Command } from "commander";
import { grantVerbs } from "../kernel/envelope.ts";
import type { AddGrantOptions, GrantsOptions } from "./commands/grants.ts";
import type { ApproveOptions } from "./commands/grant-requests.ts";
import { duration, time } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addGrants({ program, context, exit }: Shell): void {
  const grants = program.command("grants").description("who may do what to whom, and rights granted at run time");
  grants
    .command("list", { isDefault: true })
    .description("list what was granted at run time and is in force (the default)")
    .option("--json", "print JSON")
    .action(async (options: GrantsOptions) => {
      const { runGrantsList } = await import("./commands/grants.ts");
      exit(await runGrantsList(context(), options));
    });
  grants
    .command("explain <from> <to> [verb]")
    .description("say what decides whether one agent may do something to another, and what would change it")
    .option("--json", "print JSON")
    .action(async (from: string, to: string, verb: string | undefined, options: GrantsOptions) => {
      const { runGrantsExplain } = await import("./commands/grants.ts");
      exit(await runGrantsExplain(context(), from, to, verb, options));
    });
  grants
    .command("add <from> <to> <verbs...>")
    .description(`let one agent do something to another, at once and over restarts; verbs: ${grantVerbs.join(", ")}`)
    .option("--until <time>", "it ends then", time)
    .option("--for <duration>", "it ends after so long, as 30m or 2h", duration)
    .option("--json", "print JSON")
    .action(async (from: string, to: string, verbs: readonly string[], options: AddGrantOptions) => {
      const { runGrantsAdd } = await import("./commands/grants.ts");
      exit(await runGrantsAdd(context(), from, to, verbs, options));
    });
  grants
    .command("revoke <id>")
    .description("take a right back: from the next delivery on")
    .option("--json", "print JSON")
    .action(async (id: string, options: GrantsOptions) => {
      const { runGrantsRevoke } = await import("./commands/grants.ts");
      exit(await runGrantsRevoke(context(), id, options));
    });
  addRequests(grants, { context, exit });
}

function addRequests(grants: Command, { context, exit }: Pick<Shell, "context" | "exit">): void {
  grants
    .command("requests")
    .description("list the rights that agents lacked and that wait for a decision, with the messages that are kept")
    .option("--json", "print JSON")
    .action(async (options: GrantsOptions) => {
      const { runGrantRequests } = await import("./commands/grant-requests.ts");
      exit(await runGrantRequests(context(), options));
    });
  grants
    .command("approve <id>")
    .description("show what the approval of a request would do; with --yes, do it")
    .option("--once", "deliver the kept messages, and grant nothing")
    .option("--until <time>", "the right ends then", time)
    .option("--for <duration>", "the right ends after so long, as 30m or 2h", duration)
    .option("--yes", "approve what is shown")
    .option("--json", "print JSON")
    .action(async (id: string, options: ApproveOptions) => {
      const { runGrantApprove } = await import("./commands/grant-requests.ts");
      exit(await runGrantApprove(context(), id, options));
    });
  grants
    .command("deny <id>")
    .description("refuse a request: its messages become dead letters, and for an hour nothing is asked again")
    .option("--json", "print JSON")
    .action(async (id: string, options: GrantsOptions) => {
      const { runGrantDeny } = await import("./commands/grant-requests.ts");
      exit(await runGrantDeny(context(), id, options));
    });
}
