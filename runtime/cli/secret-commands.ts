/** `cloister secrets …` on the command line. */
import type { SecretsOptions } from "./commands/secrets.ts";
import type { Shell } from "./shell.ts";

export function addSecrets({ program, context, exit }: Shell): void {
  const secrets = program
    .command("secrets")
    .description("keys that the gateway keeps for itself, and that configuration files refer to by name");
  secrets
    .command("list", { isDefault: true })
    .description("list their names and when each was set, never a value (the default)")
    .option("--json", "print JSON")
    .action(async (options: SecretsOptions) => {
      const { runSecretsList } = await import("./commands/secrets.ts");
      exit(await runSecretsList(context(), options));
    });
  secrets
    .command("set <name>")
    .description("keep what comes on standard input, a line that you type or a pipe; the next call of a model uses it")
    .option("--json", "print JSON")
    .action(async (name: string, options: SecretsOptions) => {
      const { runSecretsSet } = await import("./commands/secrets.ts");
      exit(await runSecretsSet(context(), name, options));
    });
  secrets
    .command("reload")
    .description(
      "have the running gateway read all secrets again: what runs with another one than is there begins anew with it",
    )
    .option("--json", "print JSON")
    .action(async (options: SecretsOptions) => {
      const { runSecretsReload } = await import("./commands/secrets.ts");
      exit(await runSecretsReload(context(), options));
    });
  secrets
    .command("remove <name>")
    .description("forget it")
    .option("--json", "print JSON")
    .action(async (name: string, options: SecretsOptions) => {
      const { runSecretsRemove } = await import("./commands/secrets.ts");
      exit(await runSecretsRemove(context(), name, options));
    });
}
