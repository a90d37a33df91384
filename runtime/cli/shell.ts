/** What the definitions of commands share. */
import type { Command } from "commander";
import type { CliContext, ExitCode } from "./context.ts";

export interface Shell {
  readonly program: Command;
  /** The whole command line, without the program's own name. */
  readonly args: readonly string[];
  readonly context: () => CliContext;
  readonly exit: (code: ExitCode) => void;
}
