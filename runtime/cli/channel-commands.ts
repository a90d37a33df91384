/** `cloister channels …` on the command line. */
import type { ChannelsOptions } from "./commands/channels.ts";
import type { Shell } from "./shell.ts";

export function addChannels({ program, context, exit }: Shell): void {
  program
    .command("channels")
    .description("where people write to agents, and how each account is")
    .command("status", { isDefault: true })
    .alias("list")
    .description("list channels with their accounts, whether each runs, and its last error (the default)")
    .option("--json", "print JSON")
    .action(async (options: ChannelsOptions) => {
      const { runChannelsStatus } = await import("./commands/channels.ts");
      exit(await runChannelsStatus(context(), options));
    });
}
