/** `cloister channels …` on the command line. */
import type { ChannelsOptions, SwitchOptions } from "./commands/channels.ts";
import type { Shell } from "./shell.ts";

export function addChannels({ program, context, exit }: Shell): void {
  const channels = program.command("channels").description("where people write to agents, and how each account is");
  channels
    .command("status", { isDefault: true })
    .alias("list")
    .description("list channels with their accounts, whether each is connected, and its last error (the default)")
    .option("--channel <channel>", "this one alone")
    .option("--probe", "ask the platforms now")
    .option("--json", "print JSON")
    .action(async (options: ChannelsOptions) => {
      const { runChannelsStatus } = await import("./commands/channels.ts");
      exit(await runChannelsStatus(context(), options));
    });
  channels
    .command("capabilities")
    .description("list what the channels of this version can do")
    .option("--channel <channel>", "this one alone")
    .option("--json", "print JSON")
    .action(async (options: ChannelsOptions) => {
      const { runChannelsCapabilities } = await import("./commands/channels.ts");
      exit(await runChannelsCapabilities(context(), options));
    });
  for (const [name, isOn, text] of [
    [
      "login",
      true,
      "link an account by a code that its phone scans (whatsapp), or use one again that was logged out, whose credential is in the configuration",
    ],
    [
      "logout",
      false,
      "end an account's connection and leave it ended, over restarts; a link by a code is ended too (whatsapp), a credential stays in the configuration",
    ],
  ] as const)
    channels
      .command(name)
      .description(text)
      .requiredOption("--channel <channel>", "channel, such as telegram")
      .option("--account <account>", "this account alone")
      .option("--json", "print JSON")
      .action(async (options: SwitchOptions) => {
        const { runChannelsSwitch } = await import("./commands/channels.ts");
        exit(await runChannelsSwitch(context(), isOn, options));
      });
}
