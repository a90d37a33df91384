/** What every command gets: where it runs, for whom, and the options that all commands share. */
import type { Launcher } from "../launcher/launched.ts";
import type { Terminal } from "./terminal.ts";

export interface GlobalOptions {
  readonly stateDir?: string;
  readonly config?: string;
  readonly profile?: string;
  /** Address of a gateway that this state directory did not start. */
  readonly url?: string;
  /** Token or password of that gateway. */
  readonly token?: string;
}

export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly homeDir: string;
  readonly cwd: string;
  readonly platform: string;
  /** Version of this package. */
  readonly version: string;
  readonly packageRoot: string;
  /** How this program is started: Node, its flags, the file. */
  readonly self: readonly [string, ...string[]];
  /** Who started this process to run the gateway, and restarts it. */
  readonly launcher?: Launcher;
  readonly terminal: Terminal;
  readonly options: GlobalOptions;
  readonly nowMs: () => number;
}

export type ExitCode = number;

/** How a person types this program here, with the options that choose the same state directory. */
export function commandPrefix({ env, options }: Pick<CliContext, "env" | "options">): string {
  const program = env["npm_lifecycle_event"] === undefined ? "cloister" : "npm run -s cloister --";
  const flags = [
    options.stateDir === undefined ? "" : ` --state-dir ${quote(options.stateDir)}`,
    options.profile === undefined ? "" : ` --profile ${quote(options.profile)}`,
  ];
  return program + flags.join("");
}

const quote = (text: string): string =>
  /^[\w./:@~-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
