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
  const switches = (name: string, text: string) =>
    channels
      .command(name)
      .description(text)
      .requiredOption("--channel <channel>", "channel, such as telegram")
      .option("--account <account>", "this account alone")
      .option("--json", "print JSON");
  const run = async (isOn: boolean, options: SwitchOptions): Promise<void> => {
    const { runChannelsSwitch } = await import("./commands/channels.ts");
    exit(await runChannelsSwitch(context(), isOn, options));
  };
  switches(
    "login",
    "link an account by a code that its phone scans (whatsapp), ask for the credential of one that has none, or use one again that was logged out",
  )
    .option("--token-stdin", "read the credential from standard input, for scripts; of several each on a line")
    .option("--ask", "ask for the credential also where there is one")
    .action((options: SwitchOptions) => run(true, options));
  switches(
    "logout",
    "end an account's connection and leave it ended, over restarts; a link by a code is ended too (whatsapp), a credential stays where it is",
  ).action((options: SwitchOptions) => run(false, options));
}
