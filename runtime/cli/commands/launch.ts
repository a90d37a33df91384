/** Runs the gateway under a launcher: this process becomes the launcher, the same command line the gateway. */
import { spawn } from "node:child_process";
import { allocatorVariables } from "../../launcher/allocator.ts";
import { gatewayFlags } from "../../launcher/engine-flags.ts";
import { runLauncher } from "../../launcher/launcher.ts";
import { endOrphans } from "../../launcher/orphans.ts";
import type { CliContext, ExitCode } from "../context.ts";

export function launchGateway(
  { self, env, platform, terminal }: CliContext,
  args: readonly string[],
): Promise<ExitCode> {
  const [node, ...words] = gatewayCommand(self, args, process.versions.node);
  return runLauncher({
    pid: process.pid,
    start: (launched) =>
      spawn(node, words, {
        // The operator's own settings of the allocator win.
        env: { ...allocatorVariables, ...env, ...launched },
        stdio: ["inherit", "inherit", "inherit", "ipc"],
        // A group of its own: Ctrl-C goes to the launcher alone, which passes it on once.
        detached: platform !== "win32",
      }),
    clean: endOrphans,
    onSignal: terminal.onSignal,
    say: terminal.err,
  });
}

/** The gateway's command line, for a Node of this version: the launcher's own with what V8 has to start with. */
export function gatewayCommand(
  [node, ...before]: CliContext["self"],
  args: readonly string[],
  nodeVersion: string,
): readonly [string, ...string[]] {
  return [node, ...gatewayFlags(nodeVersion), ...before, ...args];
}
