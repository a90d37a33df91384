/** `cloister pairing …` on the command line. */
import type { PairingOptions } from "./commands/pairing.ts";
import type { Shell } from "./shell.ts";

export function addPairing({ program, context, exit }: Shell): void {
  const pairing = program
    .command("pairing")
    .description("senders on channels: who waits for an approval, who may write directly");
  pairing
    .command("list", { isDefault: true })
    .description("list who waits, with the code of each, and who is approved (the default)")
    .argument("[channel]", "of this channel alone")
    .option("--account <id>", "of this account alone")
    .option("--json", "print JSON")
    .action(async (channel: string | undefined, options: PairingOptions) => {
      const { runPairingList } = await import("./commands/pairing.ts");
      exit(await runPairingList(context(), channel, options));
    });
  for (const { name, what, description } of [
    { name: "approve", what: "approve", description: "let a sender write directly, and nothing else" },
    { name: "reject", what: "dismiss", description: "forget a request; the sender may ask again" },
  ] as const) {
    const command = pairing
      .command(name)
      .description(description)
      .usage("[options] [channel] <code>")
      .argument("<code...>", "the code, after the channel if you like")
      .option("--account <id>", "the account that the sender wrote to")
      .option("--json", "print JSON");
    if (name === "approve") command.option("--notify", "tell the sender on the channel");
    command.action(async (words: readonly string[], options: PairingOptions & { readonly notify?: boolean }) => {
      const { runPairingDecision } = await import("./commands/pairing.ts");
      exit(await runPairingDecision(context(), what, words, options));
    });
  }
  pairing
    .command("remove <channel> <sender>")
    .description("take an approval back: the sender has to ask again")
    .option("--account <id>", "the account (default: default)")
    .option("--json", "print JSON")
    .action(async (channel: string, sender: string, options: PairingOptions) => {
      const { runPairingRemove } = await import("./commands/pairing.ts");
      exit(await runPairingRemove(context(), channel, sender, options));
    });
}
