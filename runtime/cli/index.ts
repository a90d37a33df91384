/** Door of the command line: one process, one command. */
import { homedir } from "node:os";
import { findLauncher } from "../launcher/launched.ts";
import { exitCodes } from "../launcher/port.ts";
import { isCoded } from "../kernel/errors.ts";
import { findPackage } from "./package-root.ts";
import { runProgram } from "./program.ts";
import { makeProcessTerminal, showableText } from "./terminal.ts";

/** Never rejects: what goes wrong is printed, and the exit code tells it. */
export async function runCli(host: NodeJS.Process): Promise<void> {
  const terminal = makeProcessTerminal(host);
  // First of all: its variable is of no use to anybody else, and the heartbeat tells that this process lives.
  const launcher = findLauncher(host);
  try {
    const { root: packageRoot, version } = await findPackage(import.meta.url);
    host.exitCode = await runProgram(
      {
        // A copy: the gateway takes the secrets out of the process's own.
        env: { ...host.env },
        homeDir: homedir(),
        cwd: host.cwd(),
        platform: host.platform,
        version,
        packageRoot,
        self: [host.execPath, ...host.execArgv, host.argv[1] ?? ""],
        ...(launcher === undefined ? {} : { launcher }),
        terminal,
        nowMs: Date.now,
      },
      host.argv.slice(2),
    );
  } catch (error) {
    for (const line of formatFailure(error)) terminal.err(line);
    host.exitCode = isCoded(error) ? exitCodes.refused : exitCodes.crashed;
  }
}

/** What was attempted and found, then what to do; the code is for searching. A fault of our own shows where it is. */
function formatFailure(error: unknown): readonly string[] {
  if (!isCoded(error)) return [`cloister: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  const { code, message, remedy } = error;
  return [
    showableText(`cloister: ${message}`),
    ...(remedy === undefined ? [] : [showableText(`  → ${remedy}`)]),
    `  ${code}`,
  ];
}
