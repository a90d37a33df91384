/** `cloister gateway` and what is below it: run, start, stop, restart, status. */
import { type Command, Option } from "commander";
import { limits } from "../kernel/limits.ts";
import type { GatewayOptions } from "./commands/gateway.ts";
import type { CallOptions, ProbeOptions } from "./commands/gateway-ask.ts";
import type { StartOptions, StatusOptions, StopOptions } from "./commands/gateway-control.ts";
import { jsonObject, port, wholeNumber } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addGateway(shell: Shell): void {
  const { program, context, exit } = shell;
  const gateway = program
    .command("gateway", { isDefault: true })
    .description("the gateway; without a further command it runs in the foreground");
  // The default command gets every word that names no other command, and has commands of its own.
  gateway.hook("preSubcommand", () => {
    const [word] = program.args;
    if (word === undefined || word === "gateway" || word.startsWith("-")) return;
    program.error(`error: unknown command '${word}'; \`cloister --help\` lists them, and their options follow them`);
  });
  addRun(shell, gateway);
  withPlace(gateway.command("start"))
    .option("--json", "print JSON")
    .description("start the gateway in the background, and wait until it is ready")
    .action(async (options: StartOptions) => {
      const { runGatewayStart } = await import("./commands/gateway-control.ts");
      exit(await runGatewayStart(context(), options));
    });
  withWait(gateway.command("stop"))
    .description("stop the running gateway in order, as SIGTERM does, and wait until it is gone")
    .action(async (options: StopOptions) => {
      const { runGatewayStop } = await import("./commands/gateway-control.ts");
      exit(await runGatewayStop(context(), options));
    });
  withWait(gateway.command("restart"))
    .description("stop the running gateway in order, have its launcher start it anew, and wait until it is back")
    .action(async (options: StopOptions) => {
      const { runGatewayRestart } = await import("./commands/gateway-control.ts");
      exit(await runGatewayRestart(context(), options));
    });
  gateway
    .command("status")
    .description(
      "whether the gateway answers, its process, and what this command line may do; exit code 1 when it does not",
    )
    .option("--json", "print JSON")
    .action(async (options: StatusOptions) => {
      const { runGatewayStatus } = await import("./commands/gateway-control.ts");
      exit(await runGatewayStatus(context(), options));
    });
  gateway
    .command("probe")
    .description("whether the gateway can be reached and is healthy, and how fast; exit code 1 when not")
    .option("--json", "print JSON")
    .action(async (options: ProbeOptions) => {
      const { runGatewayProbe } = await import("./commands/gateway-ask.ts");
      exit(await runGatewayProbe(context(), options));
    });
  gateway
    .command("call <method>")
    .description("ask one method of the protocol, and print its answer as JSON")
    .option("--params <json>", "parameters, a JSON object (default: {})", jsonObject)
    .option("--timeout <s>", "seconds to wait for the answer", wholeNumber(1, limits.askTimeoutMsMax / 1_000))
    .option("--json", "print JSON (it always does)")
    .action(async (method: string, options: CallOptions) => {
      const { runGatewayCall } = await import("./commands/gateway-ask.ts");
      exit(await runGatewayCall(context(), method, options));
    });
}

function addRun({ args, context, exit }: Shell, gateway: Command): void {
  withPlace(gateway.command("run", { isDefault: true }))
    .description("run the gateway in the foreground, under a launcher that starts it again after a crash (the default)")
    .option("--verbose", "show debug records on the console")
    .option("--quiet", "show no records on the console; the log file has them")
    .option("--no-launcher", "without the launcher, for a service manager that restarts it itself")
    .action(async (options: GatewayOptions & { readonly launcher: boolean }) => {
      const here = context();
      if (options.launcher && here.launcher === undefined) {
        const { launchGateway } = await import("./commands/launch.ts");
        exit(await launchGateway(here, args));
        return;
      }
      const [{ runGatewayCommand }, { runGateway }] = await Promise.all([
        import("./commands/gateway.ts"),
        import("../supervisor/run-gateway.ts"),
      ]);
      exit(await runGatewayCommand(here, options, runGateway));
    });
}

const withPlace = (command: Command): Command =>
  command
    .usage("[options]")
    .option("--port <port>", "port to listen on; 0 takes a free one", port)
    .option("--bind <address>", "address to listen on, as gateway.bind names it")
    .option("--dev", "profile dev, port 19001")
    .option("--example <name>", "run a shipped example, e.g. siblings");

const withWait = (command: Command): Command =>
  command
    .addOption(new Option("--safe", "refuse while turns are running").conflicts(["force", "wait"]))
    .addOption(new Option("--force", "wait for no turn: it is handled again after the next start").conflicts("wait"))
    .option(
      "--wait <s>",
      `seconds that turns in flight may take to end (default: ${limits.drainMs / 1_000})`,
      wholeNumber(0, limits.drainMsMax / 1_000),
    )
    .option("--json", "print JSON");
