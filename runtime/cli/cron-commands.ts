/** `cloister cron …` on the command line. */
import { type Command, Option } from "commander";
import { limits } from "../kernel/limits.ts";
import type { JobOptions, JobsOptions, RunOptions } from "./commands/cron.ts";
import { comingTime, duration, peer, wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addCron({ program, context, exit }: Shell): void {
  const now = (): number => context().nowMs();
  const cron = program
    .command("cron")
    .alias("automations")
    .description("jobs: what happens at a time, and what agents have set for themselves");
  cron
    .command("list", { isDefault: true })
    .description("list them, soonest first (the default)")
    .option("--agent <id>", "of this agent")
    .option("--json", "print JSON")
    .action(async (options: JobsOptions) => {
      const { runCronList } = await import("./commands/cron.ts");
      exit(await runCronList(context(), options));
    });
  withFields(cron.command("add <name>"), now)
    .description("set a job: a time, and what is said then")
    .option("--agent <id>", "the agent (default: the default one)")
    .option("--disabled", "do not let it happen yet")
    .action(async (name: string, options: JobOptions) => {
      const { runCronAdd } = await import("./commands/cron.ts");
      exit(await runCronAdd(context(), name, options));
    });
  withFields(cron.command("update <id>"), now)
    .description("change what is named, and nothing else")
    .option("--name <text>", "another name")
    .option("--enable", "let it happen again, from now on")
    .option("--disable", "keep it, and do not let it happen")
    .action(async (id: string, options: JobOptions) => {
      const { runCronUpdate } = await import("./commands/cron.ts");
      exit(await runCronUpdate(context(), id, options));
    });
  cron
    .command("remove <id>")
    .description("remove a job; a run that has begun goes on")
    .option("--json", "print JSON")
    .action(async (id: string, options: JobsOptions) => {
      const { runCronRemove } = await import("./commands/cron.ts");
      exit(await runCronRemove(context(), id, options));
    });
  cron
    .command("run <id>")
    .description("run a job now, also one that is disabled")
    .option("--json", "print JSON")
    .action(async (id: string, options: JobsOptions) => {
      const { runCronRun } = await import("./commands/cron.ts");
      exit(await runCronRun(context(), id, options));
    });
  cron
    .command("runs <id>")
    .description("how its last runs ended, newest first")
    .option("--limit <n>", "at most so many", wholeNumber(1, limits.jobRunsKeptMax))
    .option("--json", "print JSON")
    .action(async (id: string, options: RunOptions) => {
      const { runCronRuns } = await import("./commands/cron.ts");
      exit(await runCronRuns(context(), id, options));
    });
  cron
    .command("status")
    .description("how many jobs there are, and when the next one is due")
    .option("--json", "print JSON")
    .action(async (options: JobsOptions) => {
      const { runCronStatus } = await import("./commands/cron.ts");
      exit(await runCronStatus(context(), options));
    });
}

const withFields = (command: Command, nowMs: () => number): Command =>
  command
    .option("--at <time>", "once, at a time such as 2026-01-31T18:00:00Z, or after 90s, 30m, 2h, 7d", comingTime(nowMs))
    .option("--every <duration>", "again and again: 30m, 2h, 7d", duration)
    .option("--cron <expression>", "minute hour day month weekday, e.g. '0 7 * * 1-5'")
    .option("--tz <zone>", "time zone of --cron, e.g. Europe/Berlin (default: of the gateway's machine)")
    .option("--event <text>", "tell the agent's main session this")
    .addOption(
      new Option("--wake <when>", "when --event is told: at its time, or with the agent's next heartbeat").choices([
        "now",
        "next-heartbeat",
      ]),
    )
    .option("--message <text>", "say this to the agent")
    .option("--model <provider/model>", "which model answers --message (default: the session's)")
    .option("--thinking <level>", "how much it thinks: off, low, medium or high")
    .option(
      "--timeout-seconds <n>",
      `how long a turn of --message may take, at most ${limits.jobRunMsMax / 1_000}`,
      wholeNumber(1, limits.jobRunMsMax / 1_000),
    )
    .option("--session <target>", "where --message is said: isolated (the default), or session:<key>")
    .option("--channel <channel>", "send the answer through this channel, with --to")
    .option("--account <id>", "account of the channel")
    .option("--to <kind:id>", "to whom, e.g. direct:ana", peer)
    .option("--webhook <url>", "send the answer to this URL")
    .option("--description <text>", "what it is for")
    .option("--keep", "keep a job of --at when it has happened")
    .option("--json", "print JSON");
