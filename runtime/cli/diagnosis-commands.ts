/** `cloister doctor`, `status`, `health`, and what the doctor starts. */
import { Option } from "commander";
import type { DoctorOptions } from "./commands/doctor.ts";
import type { LogsOptions } from "./commands/logs.ts";
import type { SecurityOptions } from "./commands/security.ts";
import type { HealthOptions, StatusOptions } from "./commands/status.ts";
import { limits } from "../kernel/limits.ts";
import { logLevels } from "./log-lines.ts";
import { wholeNumber } from "./options.ts";
import { storeReportCommand } from "./diagnosis/store-report-name.ts";
import type { Shell } from "./shell.ts";

export function addDiagnosis({ program, context, exit }: Shell): void {
  program
    .command("status")
    .description("what the running gateway and its agents are doing")
    .option("--all", "the whole read-only diagnosis, safe to paste")
    .option("--deep", "also ask the channels; with --all, also read the store of the gateway from end to end")
    .option("--usage", "also what models took in the last 30 days, by day and agent")
    .option("--json", "print JSON")
    .action(async (options: StatusOptions) => {
      const { runStatus } = await import("./commands/status.ts");
      exit(await runStatus(context(), options));
    });
  program
    .command("health")
    .description("whether the running gateway is healthy; exit code 1 when it is not")
    .option("--json", "print JSON")
    .action(async (options: HealthOptions) => {
      const { runHealth } = await import("./commands/status.ts");
      exit(await runHealth(context(), options));
    });
  program
    .command("doctor")
    .description(
      "look for what is wrong with the installation, running or not; exit code 1 when something does not work",
    )
    .addOption(
      new Option(
        "--pairing",
        "only what concerns access: versions, auth, devices, what was refused; safe to paste",
      ).conflicts(["fix", "deep"]),
    )
    .option("--fix", "repair what can be repaired without loss: file modes, what a crash has left")
    .option("--deep", "also read the store of a running gateway from end to end")
    .option("--json", "print JSON")
    .action(async (options: DoctorOptions & { readonly pairing?: boolean }) => {
      if (options.pairing === true) {
        const { runPairingReport } = await import("./commands/pairing-report.ts");
        exit(await runPairingReport(context(), options));
        return;
      }
      const { runDoctor } = await import("./commands/doctor.ts");
      exit(await runDoctor(context(), options));
    });
  program
    .command("logs")
    .description("print the end of the gateway's log, oldest first; without a gateway from the file")
    .option("--follow", "go on with what comes, also over a restart of the gateway; Ctrl-C ends it")
    .option(
      "--limit <n>",
      `lines at first (default: ${limits.logsLinesDefault})`,
      wholeNumber(1, limits.logTailLinesMax),
    )
    .addOption(new Option("--level <level>", "of this level and above").choices(logLevels))
    .option("--agent <id>", "that name this agent or a session of it")
    .option("--interval <ms>", `how often to look (default: ${limits.logsEveryMs})`, wholeNumber(10, 60_000))
    .option("--utc", "times in UTC instead of local time")
    .option("--json", "print each record as JSON, one a line")
    .action(async (options: LogsOptions) => {
      const { runLogs } = await import("./commands/logs.ts");
      exit(await runLogs(context(), options));
    });
  program
    .command("security")
    .description("what the configuration opens to whom")
    .command("audit")
    .description(
      "judge configuration and file modes; exit code 1 when something is open to strangers; needs no gateway",
    )
    .option("--json", "print JSON")
    .action(async (options: SecurityOptions) => {
      const { runSecurityAudit } = await import("./commands/security.ts");
      exit(await runSecurityAudit(context(), options));
    });
  program.command(storeReportCommand, { hidden: true }).action(async () => {
    const { runStoreReport } = await import("./commands/store-report.ts");
    exit(await runStoreReport(context()));
  });
}
