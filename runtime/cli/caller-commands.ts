/** `cloister callers …` on the command line. */
import type { AddCallerOptions, AllowCallerOptions, CallersOptions } from "./commands/callers.ts";
import { duration, time } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addCallers({ program, context, exit }: Shell): void {
  const callers = program
    .command("callers")
    .description("programs that may call agents over HTTP, each by its own token");
  callers
    .command("list", { isDefault: true })
    .description("list the callers in force and the agents that each may call (the default)")
    .option("--json", "print JSON")
    .action(async (options: CallersOptions) => {
      const { runCallersList } = await import("./commands/callers.ts");
      exit(await runCallersList(context(), options));
    });
  callers
    .command("add <name>")
    .description("make a token for a program; it is printed once and kept nowhere")
    .requiredOption("--agent <ids...>", "agents that it may call, as ids or * patterns")
    .option("--until <time>", "it ends then", time)
    .option("--for <duration>", "it ends after so long, as 30m or 2h", duration)
    .option("--json", "print JSON")
    .action(async (name: string, options: AddCallerOptions) => {
      const { runCallersAdd } = await import("./commands/callers.ts");
      exit(await runCallersAdd(context(), name, options));
    });
  callers
    .command("allow <name>")
    .description("let it call other agents than before, by the same token")
    .requiredOption("--agent <ids...>", "the agents that it may call from now on: these and no others")
    .option("--json", "print JSON")
    .action(async (name: string, options: AllowCallerOptions) => {
      const { runCallersAllow } = await import("./commands/callers.ts");
      exit(await runCallersAllow(context(), name, options));
    });
  callers
    .command("rotate <name>")
    .description("replace its token; the old one opens nothing any more, and its open answers end")
    .option("--json", "print JSON")
    .action(async (name: string, options: CallersOptions) => {
      const { runCallersRotate } = await import("./commands/callers.ts");
      exit(await runCallersRotate(context(), name, options));
    });
  callers
    .command("revoke <name>")
    .description("take its token back: its open answers end, and what of it waits is refused")
    .option("--json", "print JSON")
    .action(async (name: string, options: CallersOptions) => {
      const { runCallersRevoke } = await import("./commands/callers.ts");
      exit(await runCallersRevoke(context(), name, options));
    });
}
