/** `cloister config …` and the commands of `cloister agents` that change the configuration. */
import { type Command, Option } from "commander";
import type { AddOptions } from "./commands/agents-edit.ts";
import type { ChangeOptions, JsonOption } from "./commands/config-edit.ts";
import type { ApplyOptions, ProposalsOptions } from "./commands/config-proposals.ts";
import type { ValidateOptions } from "./commands/config.ts";
import { collect } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addConfig({ program, context, exit }: Shell): void {
  const config = program.command("config").description("the configuration");
  config
    .command("validate")
    .description("check the config file as the gateway would; exit code 1 when it is not valid")
    .option("--json", "print JSON")
    .action(async (options: ValidateOptions) => {
      const { runConfigValidate } = await import("./commands/config.ts");
      exit(await runConfigValidate(context(), options));
    });
  config
    .command("path")
    .description("print the path of the config file")
    .option("--json", "print JSON")
    .action(async (options: ValidateOptions) => {
      const { runConfigPath } = await import("./commands/config.ts");
      exit(await runConfigPath(context(), options));
    });
  config
    .command("get [key]")
    .description("print the file, or the value of a key such as agents.list[id=main].name; secrets are not shown")
    .option("--json", "print JSON (values other than texts always are)")
    .action(async (key: string | undefined, options: JsonOption) => {
      const { runConfigGet } = await import("./commands/config-edit.ts");
      exit(await runConfigGet(context(), key, options));
    });
  config
    .command("set <key> <value>")
    .description("set a key; the value is JSON5, or a text. It counts at once when the gateway runs")
    .option("--string", "the value is a text, whatever it looks like")
    .option("--force", "also when much of the file would be lost")
    .option("--json", "print JSON")
    .action(async (key: string, value: string, options: ChangeOptions) => {
      const { runConfigSet } = await import("./commands/config-edit.ts");
      exit(await runConfigSet(context(), key, value, options));
    });
  config
    .command("unset <key>")
    .description("remove a key")
    .option("--force", "also when much of the file would be lost")
    .option("--json", "print JSON")
    .action(async (key: string, options: ChangeOptions) => {
      const { runConfigUnset } = await import("./commands/config-edit.ts");
      exit(await runConfigUnset(context(), key, options));
    });
  config
    .command("patch <json5>")
    .description("merge a map into the file; null removes a key, lists of things with an id are merged by it")
    .addOption(new Option("--replace <key>", "a list that may lose entries; may be repeated").argParser(collect))
    .option("--force", "also when much of the file would be lost")
    .option("--json", "print JSON")
    .action(async (text: string, options: ChangeOptions & { readonly replace?: readonly string[] }) => {
      const { runConfigPatch } = await import("./commands/config-edit.ts");
      exit(await runConfigPatch(context(), text, options));
    });
  config
    .command("schema [key]")
    .description("what a key is for, its type and what is below it")
    .option("--json", "print JSON")
    .action(async (key: string | undefined, options: JsonOption) => {
      const { runConfigSchema } = await import("./commands/config-edit.ts");
      exit(await runConfigSchema(context(), key, options));
    });
  config
    .command("diff")
    .description("what the file would change of the configuration that worked last")
    .option("--json", "print JSON")
    .action(async (options: JsonOption) => {
      const { runConfigDiff } = await import("./commands/config-edit.ts");
      exit(await runConfigDiff(context(), options));
    });
  config
    .command("restore")
    .description("put the configuration that worked last back in place")
    .option("--json", "print JSON")
    .action(async (options: JsonOption) => {
      const { runConfigRestore } = await import("./commands/config-edit.ts");
      exit(await runConfigRestore(context(), options));
    });
  addProposals(config, { context, exit });
}

function addProposals(config: Command, { context, exit }: Pick<Shell, "context" | "exit">): void {
  const proposals = config.command("proposals").description("changes that agents propose and that wait for a decision");
  proposals
    .command("list", { isDefault: true })
    .description("list what waits, oldest first (the default)")
    .option("--json", "print JSON")
    .action(async (options: ProposalsOptions) => {
      const { runProposalsList } = await import("./commands/config-proposals.ts");
      exit(await runProposalsList(context(), options));
    });
  proposals
    .command("show <id>")
    .description("what a proposal would change of the file as it is now, and what that does")
    .option("--json", "print JSON")
    .action(async (id: string, options: ProposalsOptions) => {
      const { runProposalsShow } = await import("./commands/config-proposals.ts");
      exit(await runProposalsShow(context(), id, options));
    });
  proposals
    .command("apply <id>")
    .description("show what a proposal would change; with --yes, write it")
    .option("--yes", "apply what is shown")
    .option("--force", "also when much of the file would be lost")
    .option("--json", "print JSON")
    .action(async (id: string, options: ApplyOptions) => {
      const { runProposalsApply } = await import("./commands/config-proposals.ts");
      exit(await runProposalsApply(context(), id, options));
    });
  proposals
    .command("reject <id>")
    .description("let a proposal go: nothing changes")
    .option("--json", "print JSON")
    .action(async (id: string, options: ProposalsOptions) => {
      const { runProposalsReject } = await import("./commands/config-proposals.ts");
      exit(await runProposalsReject(context(), id, options));
    });
}

const bindOption = (): Option =>
  new Option("--bind <channel[:account]>", "messages of this channel or account; may be repeated").argParser(collect);

export function addAgentEdits(agents: Command, { context, exit }: Pick<Shell, "context" | "exit">): void {
  agents
    .command("add [name]")
    .description("add an agent to the configuration; asks at a terminal for what is not named")
    .option("--workspace <dir>", "its folder (default: beside the others)")
    .option("--agent-dir <dir>", "where its own state is")
    .option("--model <provider/model>", "its model")
    .option("--module <module>", "its actor: a shipped one, or a file")
    .addOption(bindOption())
    .option(
      "--copy-auth",
      "copy the default agent's keys and tokens, which it reads otherwise; no sign-in, unless that allows it",
    )
    .option("--non-interactive", "ask nothing")
    .option("--json", "print JSON")
    .action(async (name: string | undefined, options: AddOptions) => {
      const { runAgentsAdd } = await import("./commands/agents-edit.ts");
      exit(await runAgentsAdd(context(), name, options));
    });
  agents
    .command("delete <id>")
    .description(
      "end an agent and take it out of the configuration; its folders go to the trash of the state directory",
    )
    .option("--force", "without asking")
    .option("--keep-files", "leave its folders where they are")
    .option("--json", "print JSON")
    .action(async (id: string, options: { force?: boolean; keepFiles?: boolean; json?: boolean }) => {
      const { runAgentsDelete } = await import("./commands/agents-edit.ts");
      exit(await runAgentsDelete(context(), id, options));
    });
  agents
    .command("bind")
    .description("give messages of a channel or account to an agent")
    .requiredOption("--agent <id>", "the agent")
    .addOption(bindOption().makeOptionMandatory())
    .option("--json", "print JSON")
    .action(async (options: { agent: string; bind?: readonly string[]; json?: boolean }) => {
      const { runAgentsBind } = await import("./commands/agents-edit.ts");
      exit(await runAgentsBind(context(), options));
    });
  agents
    .command("unbind")
    .description("take such rules away")
    .requiredOption("--agent <id>", "the agent")
    .addOption(bindOption())
    .option("--all", "all of its rules")
    .option("--json", "print JSON")
    .action(async (options: { agent: string; bind?: readonly string[]; all?: boolean; json?: boolean }) => {
      const { runAgentsUnbind } = await import("./commands/agents-edit.ts");
      exit(await runAgentsUnbind(context(), options));
    });
  agents
    .command("set-identity")
    .description("set what an agent shows of itself; without options what IDENTITY.md of its workspace says")
    .requiredOption("--agent <id>", "the agent")
    .option("--name <name>", "its name, which also mentions it")
    .option("--emoji <emoji>", "its emoji")
    .option("--theme <text>", "what it is like")
    .option("--avatar <path>", "its picture")
    .option("--json", "print JSON")
    .action(
      async (options: {
        agent: string;
        name?: string;
        emoji?: string;
        theme?: string;
        avatar?: string;
        json?: boolean;
      }) => {
        const { runAgentsSetIdentity } = await import("./commands/agents-edit.ts");
        exit(await runAgentsSetIdentity(context(), options));
      },
    );
}
