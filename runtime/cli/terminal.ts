/**
 * What the commands see of the process: two outputs, an input, signals. Tests give their own.
 *
 * Answers go to `out` and remarks to `err`, so that a pipe carries answers alone.
 */
import { stripVTControlCharacters } from "node:util";

export interface Terminal {
  /** One line of the answer. */
  readonly out: (line: string) => void;
  /** A part of a line of the answer. */
  readonly write: (text: string) => void;
  /** A remark or an error. */
  readonly err: (line: string) => void;
  /** Somebody looks at the output; otherwise it is a file or a pipe. */
  readonly isTty: boolean;
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
  /** Until the returned function is called, signals come here instead of ending the process. */
  readonly onSignal: (handler: (signal: StopSignal) => void) => () => void;
  /** What was thrown with nobody to catch it comes here from now on, instead of ending the process. */
  readonly onFault: (handler: (error: unknown) => void) => void;
  /** Ends the process at once, whatever is pending. */
  readonly exitNow: (code: number) => void;
}

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** What a shell expects of a process that a signal ended. */
export const signalExitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

export function makeProcessTerminal(host: NodeJS.Process): Terminal {
  // A reader that goes away (`| head`) is no fault.
  host.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") host.exit(0);
    throw error;
  });
  return {
    out: (line) => void host.stdout.write(`${line}\n`),
    write: (text) => void host.stdout.write(text),
    err: (line) => void host.stderr.write(`${line}\n`),
    isTty: host.stdout.isTTY,
    input: host.stdin,
    output: host.stdout,
    onSignal: (handler) => {
      const signals: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
      for (const signal of signals) host.on(signal, handler);
      return () => {
        for (const signal of signals) host.off(signal, handler);
      };
    },
    onFault: (handler) => void host.on("uncaughtException", handler),
    exitNow: (code) => host.exit(code),
  };
}

/**
 * Text of others (agents, peers, files) as it may be shown: no control sequences, and no control characters but tab and
 * newline, since a terminal obeys them.
 */
export function showableText(text: string): string {
  return stripVTControlCharacters(text).replaceAll("\r\n", "\n").replaceAll(controls, "");
}

// oxlint-disable-next-line no-control-regex -- finding control characters is what this is for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
