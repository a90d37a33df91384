/** `cloister models …` on the command line. */
import type { AuthListOptions, LoginOptions, LogoutOptions } from "./commands/models-auth.ts";
import type { Shell } from "./shell.ts";

export function addModels({ program, context, exit }: Shell): void {
  const models = program.command("models").description("models that agents ask");
  models
    .command("status", { isDefault: true })
    .description(
      "which model each agent asks, with whose credential, and which aliases there are (the default); exit code 1 when one has none",
    )
    .option("--agent <id>", "of one agent alone")
    .option("--json", "print JSON")
    .action(async (options: AuthListOptions) => {
      const { runModelsStatus } = await import("./commands/models-status.ts");
      exit(await runModelsStatus(context(), options));
    });
  const auth = models.command("auth").description("credentials of providers, in auth-profiles.json of the agents");
  auth
    .command("list", { isDefault: true })
    .description("list them by agent with what they count for, never a value (the default)")
    .option("--agent <id>", "of one agent alone")
    .option("--json", "print JSON")
    .action(async (options: AuthListOptions) => {
      const { runAuthList } = await import("./commands/models-auth.ts");
      exit(await runAuthList(context(), options));
    });
  auth
    .command("login")
    .description("sign in to a provider that has models.providers.<id>.oauth; the next call of a model uses it")
    .requiredOption("--provider <id>", "the provider, as the config names it")
    .option("--agent <id>", "whose credential it is (default: the default agent, which all others read)")
    .option("--auth-profile <id>", "name of the credential (default: <provider>:default)")
    .option("--device", "with a code that is typed on another device")
    .option("--paste", "with a browser on another machine: paste the address at which it ended")
    .option("--no-open", "print the address and start no browser")
    .option("--json", "print JSON: what to open or to type, then the credential")
    .action(async (options: LoginOptions) => {
      const { runAuthLogin } = await import("./commands/models-auth.ts");
      exit(await runAuthLogin(context(), options));
    });
  auth
    .command("logout")
    .description("give the tokens back where the provider takes them, and forget them here")
    .requiredOption("--provider <id>", "the provider, as the config names it")
    .option("--agent <id>", "whose credential it is (default: the default agent)")
    .option("--auth-profile <id>", "name of the credential (default: <provider>:default)")
    .option("--json", "print JSON")
    .action(async (options: LogoutOptions) => {
      const { runAuthLogout } = await import("./commands/models-auth.ts");
      exit(await runAuthLogout(context(), options));
    });
}
