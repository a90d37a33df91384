/**
 * The commands and their options. A command's own code is loaded when it runs, so that `--help` and a mistake in usage
 * answer at once.
 *
 * Exit codes: 0 done, 1 refused or failed, 2 wrong usage; of the gateway also those of `runtime/launcher/port.ts`.
 */
import { Command, CommanderError, Option } from "commander";
import { fates } from "../kernel/envelope.ts";
import { limits } from "../kernel/limits.ts";
import type { ChatOptions } from "./commands/chat.ts";
import type { AgentsOptions, BindingsOptions, OrderOptions } from "./commands/agents.ts";
import type { BackupOptions } from "./commands/backup.ts";
import type { DashboardOptions } from "./commands/dashboard.ts";
import type { DeadLetterOptions, DeadLettersOptions, PurgeOptions } from "./commands/deadletters.ts";
import type { HistoryOptions } from "./commands/history.ts";
import type { RestoreOptions } from "./commands/restore.ts";
import type { RouteOptions } from "./commands/route.ts";
import type { SendOptions } from "./commands/send.ts";
import type { SessionSetOptions, SessionsOptions } from "./commands/sessions.ts";
import type { CleanupOptions } from "./commands/sessions-cleanup.ts";
import type { StopOptions } from "./commands/stop.ts";
import type { TimerOptions, TimersOptions } from "./commands/timers.ts";
import type { CliContext, ExitCode, GlobalOptions } from "./context.ts";
import { addActor } from "./actor-commands.ts";
import { addAudit } from "./audit-commands.ts";
import { addCompletion } from "./completion-command.ts";
import { addAgentEdits, addConfig } from "./config-commands.ts";
import { addDevices } from "./device-commands.ts";
import { addDiagnosis } from "./diagnosis-commands.ts";
import { addChannels } from "./channel-commands.ts";
import { addSkills } from "./skill-commands.ts";
import { addMemory } from "./memory-commands.ts";
import { addNodes } from "./node-commands.ts";
import { addPairing } from "./pairing-commands.ts";
import { addCallers } from "./caller-commands.ts";
import { addGrants } from "./grant-commands.ts";
import { addCron } from "./cron-commands.ts";
import { addSystem } from "./system-commands.ts";
import { addSubagents } from "./subagent-commands.ts";
import { addTasks } from "./task-commands.ts";
import { addSecrets } from "./secret-commands.ts";
import { addApprovals } from "./approval-commands.ts";
import { addMcp } from "./mcp-commands.ts";
import { addTools } from "./tool-commands.ts";
import { addModels } from "./model-commands.ts";
import { addGateway } from "./gateway-commands.ts";
import { addHelp } from "./help.ts";
import { collect, peer, wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export type Surrounding = Omit<CliContext, "options">;

/** Runs one command line, without the program's own name. What a command throws is thrown. */
export async function runProgram(around: Surrounding, args: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  const program = makeProgram(around, args, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  return exitCode;
}

/** All commands, as they are parsed, helped with and completed. */
export function makeProgram(around: Surrounding, args: readonly string[], exit: (code: ExitCode) => void): Command {
  const { terminal, version } = around;
  const program = new Command("cloister")
    .description("Hosts many AI agents in one process. Without a command it runs the gateway.")
    .version(`cloister ${version}`)
    .option("--state-dir <dir>", "state directory (default: ~/.cloister)")
    .option("--config <file>", "config file (default: cloister.json in the state directory)")
    .option("--profile <name>", "profile: its own state directory")
    .option("--url <url>", "gateway to talk to (default: the one of the state directory)")
    .option("--token <token>", "token or password for that gateway")
    // Commands made from here on inherit both.
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    });
  const shell: Shell = {
    program,
    args,
    context: () => ({ ...around, options: program.opts<GlobalOptions>() }),
    exit,
  };
  addGateway(shell);
  addTalk(shell);
  addAgent(shell);
  addStop(shell);
  addLists(shell);
  addDeadLetters(shell);
  addAudit(shell);
  addTimers(shell);
  addCron(shell);
  addSystem(shell);
  addSubagents(shell);
  addTasks(shell);
  addTools(shell);
  addApprovals(shell);
  addMemory(shell);
  addMcp(shell);
  addSkills(shell);
  addActor(shell);
  addGrants(shell);
  addDevices(shell);
  addPairing(shell);
  addNodes(shell);
  addChannels(shell);
  addCallers(shell);
  addSecrets(shell);
  addModels(shell);
  addRoute(shell);
  addConfig(shell);
  addState(shell);
  addDiagnosis(shell);
  addBackup(shell);
  addCompletion(shell);
  addHelp(program);
  return program;
}

function addTalk({ program, context, exit }: Shell): void {
  program
    .command("chat")
    .description("talk with an agent; from a pipe: one line after the other")
    .option("--agent <id>", "agent (default: the default agent)")
    .option("--session <key>", "session key (default: the agent's main session)")
    .option(
      "--history <n>",
      `messages of before to show at first (default: ${limits.chatHistoryMessages})`,
      wholeNumber(0, limits.historyMessagesMax),
    )
    .option("--json", "each line's answer as one line of JSON, also at a terminal")
    .action(async (options: ChatOptions) => {
      const { runChat } = await import("./commands/chat.ts");
      exit(await runChat(context(), options));
    });
  program
    .command("send")
    .description("send one message and print the answer")
    .argument("<text...>", "the message")
    .option("--agent <id>", "agent (default: the default agent)")
    .option("--session <key>", "session key (default: the agent's main session)")
    .option("--timeout <s>", "seconds to wait for the answer", wholeNumber(1, limits.askTimeoutMsMax / 1_000))
    .option("--json", "print the whole answer as JSON")
    .action(async (words: readonly string[], options: SendOptions) => {
      const { runSend } = await import("./commands/send.ts");
      exit(await runSend(context(), words, options));
    });
}

function addAgent({ program, context, exit }: Shell): void {
  program
    .command("agent")
    .description("one turn of an agent: send a message, wait for the answer, print it; for scripts")
    .requiredOption("--message <text>", "the message; - reads it from standard input")
    .option("--agent <id>", "agent (default: the default agent)")
    .option("--session <key>", "session key (default: the agent's main session)")
    .option("--timeout <s>", "seconds to wait for the answer", wholeNumber(1, limits.askTimeoutMsMax / 1_000))
    .option("--json", "print the whole answer as JSON")
    .action(async ({ message, ...options }: SendOptions & { readonly message: string }) => {
      const here = context();
      const [{ runSend }, { text }] = await Promise.all([
        import("./commands/send.ts"),
        import("node:stream/consumers"),
      ]);
      const words = message === "-" ? (await text(here.terminal.input)).trim() : message;
      exit(await runSend(here, [words], options));
    });
}

function addStop({ program, context, exit }: Shell): void {
  program
    .command("stop <target>")
    .description('end work: "all", the id of an agent, or the id of a run with what came of it')
    .option("--json", "print JSON")
    .action(async (target: string, options: StopOptions) => {
      const { runStop } = await import("./commands/stop.ts");
      exit(await runStop(context(), target, options));
    });
}

function addLists({ program, context, exit }: Shell): void {
  const agents = program.command("agents").description("agents and the rules that lead to them");
  addAgentEdits(agents, { context, exit });
  agents
    .command("unpark <id>")
    .description("put an agent that crashed too often back into service")
    .option("--json", "print JSON")
    .action(async (agentId: string, options: AgentsOptions) => {
      const { runAgentsUnpark } = await import("./commands/agents.ts");
      exit(await runAgentsUnpark(context(), agentId, options));
    });
  const order = (name: "start" | "stop" | "park" | "restart", what: string): Command =>
    agents
      .command(`${name} <id>`)
      .description(what)
      .option("--json", "print JSON")
      .action(async (agentId: string, options: OrderOptions) => {
        const { runAgentsOrder } = await import("./commands/agents.ts");
        exit(await runAgentsOrder(context(), name, agentId, options));
      });
  order("start", "put a stopped or parked agent back into service");
  order("stop", "let an agent's turns end and end its cell; its mail waits until `start`");
  order("park", "the same, with a reason that the list shows").option("--reason <text>", "why");
  order("restart", "let an agent's turns end and give it a new cell with its next message");
  agents
    .command("doctor")
    .description("which way of working together fits, and what the config allows between agents; needs no gateway")
    .option("--json", "print JSON")
    .action(async (options: AgentsOptions) => {
      const { runAgentsDoctor } = await import("./commands/doctor.ts");
      exit(await runAgentsDoctor(context(), options));
    });
  agents
    .command("bindings")
    .description("the rules that lead to agents, as `agents list --bindings` prints them")
    .option("--agent <id>", "of this agent")
    .option("--json", "print JSON")
    .action(async (options: BindingsOptions) => {
      const { runAgentsBindings } = await import("./commands/agents.ts");
      exit(await runAgentsBindings(context(), options));
    });
  agents
    .command("memory [id]")
    .description("what the cells, commands and MCP servers of each agent hold, who holds most first")
    .option("--json", "print JSON")
    .action(async (agentId: string | undefined, options: AgentsOptions) => {
      const { runAgentsMemory } = await import("./commands/agents.ts");
      exit(await runAgentsMemory(context(), agentId, options));
    });
  agents
    .command("list", { isDefault: true })
    .description("list the agents (the default)")
    .option("--bindings", "print the full rules")
    .option("--tree", "print below each agent all that is known of it")
    .option("--json", "print JSON")
    .action(async (options: AgentsOptions) => {
      const { runAgentsList } = await import("./commands/agents.ts");
      exit(await runAgentsList(context(), options));
    });
  const sessions = program.command("sessions").description("the conversations that the gateway keeps");
  sessions
    .command("list", { isDefault: true })
    .description("list them, newest first (the default)")
    .option("--agent <id>", "of this agent")
    .option("--active <minutes>", "active in the last minutes", wholeNumber(1, 100 * 365 * 24 * 60))
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.historyMessagesMax))
    .option("--json", "print JSON")
    .action(async (options: SessionsOptions) => {
      const { runSessions } = await import("./commands/sessions.ts");
      exit(await runSessions(context(), options));
    });
  sessions
    .command("label")
    .description("give a session a label, or take it away")
    .argument("<sessionKey>", "e.g. agent:main:main")
    .argument("[text]", "absent: no label")
    .option("--json", "print JSON")
    .action(async (key: string, text: string | undefined, options: SessionsOptions) => {
      const { runSessionsLabel } = await import("./commands/sessions.ts");
      exit(await runSessionsLabel(context(), key, text, options));
    });
  sessions
    .command("set")
    .description(
      "choose the model of one session, how much it thinks and tells, and whether its answers leave for its channel",
    )
    .argument("<sessionKey>", "e.g. agent:main:main")
    .option("--model <provider/model>", "one that its agent may ask, or default")
    .option("--thinking <level>", "off, low, medium, high or default")
    .option("--verbose <level>", "off, on (which tools were called), full (and with what) or default")
    .option("--send <policy>", "allow, deny, or inherit for what session.sendPolicy says")
    .option("--json", "print JSON")
    .action(async (key: string, options: SessionSetOptions) => {
      const { runSessionsSet } = await import("./commands/sessions.ts");
      exit(await runSessionsSet(context(), key, options));
    });
  sessions
    .command("archive")
    .description("leave a session out of the lists of agents until it is spoken to again")
    .argument("<sessionKey>", "e.g. agent:main:main")
    .option("--undo", "take it out of the archive")
    .option("--json", "print JSON")
    .action(async (key: string, options: SessionsOptions & { readonly undo?: boolean }) => {
      const { runSessionsArchive } = await import("./commands/sessions.ts");
      exit(await runSessionsArchive(context(), key, options));
    });
  sessions
    .command("pin")
    .description("keep a session whatever its age, and however many or large they are")
    .argument("<sessionKey>", "e.g. agent:main:hook:build")
    .option("--undo", "pin it no more")
    .option("--json", "print JSON")
    .action(async (key: string, options: SessionsOptions & { readonly undo?: boolean }) => {
      const { runSessionsPin } = await import("./commands/sessions.ts");
      exit(await runSessionsPin(context(), key, options));
    });
  sessions
    .command("reset")
    .description("begin a session anew under its key, without what was said and remembered in it")
    .argument("<sessionKey>", "e.g. agent:main:main")
    .option("--json", "print JSON")
    .action(async (key: string, options: SessionsOptions) => {
      const { runSessionsReset } = await import("./commands/sessions.ts");
      exit(await runSessionsReset(context(), key, options));
    });
  sessions
    .command("delete")
    .description(
      "remove a session, its state and its label; what was said in it is kept for session.maintenance.resetArchiveRetention",
    )
    .argument("<sessionKey>", "e.g. agent:main:hook:build")
    .option("--json", "print JSON")
    .action(async (key: string, options: SessionsOptions) => {
      const { runSessionsDelete } = await import("./commands/sessions.ts");
      exit(await runSessionsDelete(context(), key, options));
    });
  sessions
    .command("cleanup")
    .description("end sessions that are over by age or number, and remove old transcripts, as session.maintenance says")
    .addOption(new Option("--dry-run", "only say what would go").conflicts("enforce"))
    .option("--enforce", "do it, also when session.maintenance.mode is warn")
    .option("--json", "print JSON")
    .action(async (options: CleanupOptions) => {
      const { runSessionsCleanup } = await import("./commands/sessions-cleanup.ts");
      exit(await runSessionsCleanup(context(), options));
    });
  program
    .command("history")
    .description("print the messages of a session, oldest first")
    .argument("<sessionKey>", "e.g. agent:main:main")
    .option("--limit <n>", "at most so many of the newest", wholeNumber(1, limits.historyMessagesMax))
    .option("--json", "print JSON")
    .action(async (sessionKey: string, options: HistoryOptions) => {
      const { runHistory } = await import("./commands/history.ts");
      exit(await runHistory(context(), sessionKey, options));
    });
}

const fateOption = (): Option => new Option("--fate <fate>", "with this fate").choices(fates);

function addDeadLetters({ program, context, exit }: Shell): void {
  const letters = program.command("deadletters").description("messages that will not be handled, with their fate");
  letters
    .command("list", { isDefault: true })
    .description("list them, newest first (the default)")
    .option("--agent <id>", "for this agent")
    .addOption(fateOption())
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.deadLettersListMax))
    .option("--offset <n>", "leave out so many of the newest", wholeNumber(0, limits.deadLettersMax))
    .option("--json", "print JSON")
    .action(async (options: DeadLettersOptions) => {
      const { runDeadLettersList } = await import("./commands/deadletters.ts");
      exit(await runDeadLettersList(context(), options));
    });
  letters
    .command("show <id>")
    .description("print one with its whole message, and its answer if that was not delivered")
    .option("--json", "print JSON")
    .action(async (id: string, options: DeadLetterOptions) => {
      const { runDeadLettersShow } = await import("./commands/deadletters.ts");
      exit(await runDeadLettersShow(context(), id, options));
    });
  letters
    .command("replay <id>")
    .description(
      "give the message to its agent again, as a new one, or send the answer that was kept with it; it stays a dead letter when that is refused",
    )
    .option("--json", "print JSON")
    .action(async (id: string, options: DeadLetterOptions) => {
      const { runDeadLettersReplay } = await import("./commands/deadletters.ts");
      exit(await runDeadLettersReplay(context(), id, options));
    });
  letters
    .command("purge [id]")
    .description("remove one, or all that the options name, for good")
    .option("--agent <id>", "for this agent")
    .addOption(fateOption())
    .option("--older-than <days>", "given up so many days ago or earlier", wholeNumber(0, 100 * 365))
    .option("--all", "all of them")
    .option("--json", "print JSON")
    .action(async (id: string | undefined, options: PurgeOptions) => {
      const { runDeadLettersPurge } = await import("./commands/deadletters.ts");
      exit(await runDeadLettersPurge(context(), id, options));
    });
}

function addTimers({ program, context, exit }: Shell): void {
  const timers = program.command("timers").description("what agents have set to happen later");
  timers
    .command("list", { isDefault: true })
    .description("list them, soonest first (the default)")
    .option("--agent <id>", "of this agent")
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.timersListMax))
    .option("--offset <n>", "leave out so many of the soonest", wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option("--json", "print JSON")
    .action(async (options: TimersOptions) => {
      const { runTimersList } = await import("./commands/timers.ts");
      exit(await runTimersList(context(), options));
    });
  timers
    .command("remove <id>")
    .description("remove one: it does not fire any more")
    .option("--json", "print JSON")
    .action(async (id: string, options: TimerOptions) => {
      const { runTimersRemove } = await import("./commands/timers.ts");
      exit(await runTimersRemove(context(), id, options));
    });
}

function addRoute({ program, context, exit }: Shell): void {
  program
    .command("route")
    .description("which agent a message goes to")
    .command("explain")
    .description(
      "tell which binding decides and why the others do not, and, with a peer, whether the message is admitted and heard; needs no gateway",
    )
    .requiredOption("--channel <channel>", "channel of the message")
    .option("--account <id>", "account that received it (default: the channel's default account)")
    .option("--peer <kind:id>", "who or where: direct:<id>, group:<id> or channel:<id>", peer)
    .option("--parent <kind:id>", "what a thread belongs to", peer)
    .option("--guild <id>", "guild or server")
    .option("--team <id>", "team or workspace")
    .addOption(new Option("--role <id>", "role of the sender; may be repeated").argParser(collect))
    .option("--thread <id>", "thread or topic")
    .option("--sender <id>", "who sends it (default: the peer of a direct message)")
    .option("--bot", "the sender is a bot")
    .option("--mentioned", "the channel says that it mentions the agent")
    .option("--not-mentioned", "the channel says that it does not")
    .option("--text <text>", "what it says; agents may be mentioned in it")
    .option("--json", "print JSON")
    .action(async (options: RouteOptions) => {
      const { runRouteExplain } = await import("./commands/route.ts");
      exit(await runRouteExplain(context(), options));
    });
}

function addState({ program, context, exit }: Shell): void {
  program
    .command("dashboard")
    .description("open the operator's page, or print its link")
    .option("--no-open", "print the link only")
    .option("--json", "print the link as JSON, and open nothing")
    .action(async (options: DashboardOptions) => {
      const { runDashboard } = await import("./commands/dashboard.ts");
      exit(await runDashboard(context(), options));
    });
}

function addBackup({ program, context, exit }: Shell): void {
  program
    .command("backup")
    .description("copy everything that the gateway keeps into a folder, while it runs or not")
    .argument("<folder>", "a new or empty folder on the gateway's machine")
    .option("--with-key", "with operator.key, .env and secrets.json: who has the backup then has the secrets")
    .option("--with-workspaces", "with the agents' files")
    .option("--json", "print JSON")
    .action(async (folder: string, options: BackupOptions) => {
      const { runBackup } = await import("./commands/backup.ts");
      exit(await runBackup(context(), folder, options));
    });
  program
    .command("restore")
    .description("check a backup, or make a state directory of it")
    .argument("<folder>", "a backup")
    .option("--verify", "check files and rows, and write nothing")
    .option("--to <dir>", "a new or empty directory, which becomes the state directory")
    .option("--json", "print JSON")
    .action(async (folder: string, options: RestoreOptions) => {
      const { runRestore } = await import("./commands/restore.ts");
      exit(await runRestore(context(), folder, options));
    });
}
