/** `cloister doctor`, and what it starts. */
import type { DoctorOptions } from "./commands/doctor.ts";
import { storeReportCommand } from "./diagnosis/store-report-name.ts";
import type { Shell } from "./shell.ts";

export function addDiagnosis({ program, context, exit }: Shell): void {
  program
    .command("doctor")
    .description(
      "look for what is wrong with the installation, running or not; exit code 1 when something does not work",
    )
    .option("--fix", "repair what can be repaired without loss: file modes, what a crash has left")
    .option("--deep", "also read the store of a running gateway from end to end")
    .option("--json", "print JSON")
    .action(async (options: DoctorOptions) => {
      const { runDoctor } = await import("./commands/doctor.ts");
      exit(await runDoctor(context(), options));
    });
  program.command(storeReportCommand, { hidden: true }).action(async () => {
    const { runStoreReport } = await import("./commands/store-report.ts");
    exit(await runStoreReport(context()));
  });
}
