/**
 * A server that is a process, over its standard input and output. It leads a process group of its own: whoever it starts ends with it,
 * and what is left when its first process has ended is ended too.
 *
 *   started ──its input is closed──► asked (SIGTERM) ──► killed (SIGKILL, the whole group)
 *       └── ends by itself ──────────────────────────────────┘
 */
import { type ChildProcess, spawn } from "node:child_process";
import { ReadBuffer, serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { limits } from "../kernel/limits.ts";
import { isWithin } from "../thread/within.ts";

export interface StdioOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Its process runs, or has ended with its group. */
  readonly onProcess: (pid: number, isRunning: boolean) => void;
}

export interface StdioTransport extends Transport {
  readonly pid: number | undefined;
  /** How it ended, with the last of what it printed as errors; undefined while it runs. */
  readonly ended: string | undefined;
}

const stderrCharsKept = 300;

export function makeStdioTransport({ command, args, env, cwd, onProcess }: StdioOptions): StdioTransport {
  const buffer = new ReadBuffer({ maxBufferSize: limits.mcpMessageBytesMax });
  let child: ChildProcess | undefined;
  let gone: Promise<void> | undefined;
  let isOver = false;
  let ended: string | undefined;
  let errors = "";

  /** The number of one that has ended may be another's by now. */
  const signal = (name: NodeJS.Signals): void => {
    if (child?.pid === undefined || isOver) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // Nobody of the group is left.
    }
  };

  const take = (chunk: Buffer): void => {
    try {
      buffer.append(chunk);
    } catch (error) {
      ended ??= `it sent a message of more than ${limits.mcpMessageBytesMax} bytes`;
      transport.onerror?.(error as Error);
      signal("SIGKILL");
      return;
    }
    for (;;) {
      try {
        const message = buffer.readMessage();
        if (message === null) return;
        transport.onmessage?.(message);
      } catch (error) {
        // A line that is no message; the next one may be.
        transport.onerror?.(error as Error);
      }
    }
  };

  const transport: StdioTransport = {
    get pid() {
      return child?.pid;
    },
    get ended() {
      return ended;
    },
    async start() {
      const mine = spawn(command, [...args], {
        cwd,
        env: { ...env },
        detached: true,
        stdio: ["pipe", "pipe", "pipe"],
        windowsHide: true,
      });
      child = mine;
      if (mine.pid !== undefined) onProcess(mine.pid, true);
      let letGo: NodeJS.Timeout | undefined;
      gone = new Promise((resolve) => {
        mine.once("exit", (code, name) => {
          signal("SIGKILL");
          isOver = true;
          if (mine.pid !== undefined) onProcess(mine.pid, false);
          // What left its group and holds the pipes holds nobody up.
          letGo = setTimeout(() => {
            for (const pipe of mine.stdio) pipe?.destroy();
          }, limits.mcpEndMs);
          ended ??= `it ended with ${name === null ? `exit code ${code}` : name}`;
        });
        // After its pipes are closed: what it said last has been read.
        mine.once("close", () => {
          clearTimeout(letGo);
          if (errors.trim() !== "") ended = `${ended ?? "it ended"}: ${errors.trim()}`;
          resolve();
          transport.onclose?.();
        });
      });
      mine.stdout.on("data", take).on("error", () => undefined);
      mine.stderr
        .setEncoding("utf8")
        .on("data", (text: string) => (errors = `${errors}${text}`.slice(-stderrCharsKept)));
      mine.stderr.on("error", () => undefined);
      // What it does not read any more is no fault of its own: its end is told.
      mine.stdin.on("error", () => undefined);
      await new Promise<void>((resolve, reject) => {
        mine.once("spawn", resolve);
        // Also for as long as it runs: a signal that did not get through.
        mine.on("error", (error) => {
          if (mine.pid === undefined) ended = `it cannot be started: ${whyNot(error, command)}`;
          reject(error);
        });
      });
    },
    async send(message: JSONRPCMessage) {
      const { stdin } = child ?? {};
      if (stdin === undefined || stdin === null || stdin.destroyed) throw new Error("the server has ended");
      if (stdin.writableLength > limits.mcpMessageBytesMax) throw new Error("the server does not read what it is sent");
      // Also when it ends over it: that is told by itself.
      await new Promise<void>((resolve) => stdin.write(serializeMessage(message), () => resolve()));
    },
    async close() {
      if (child?.pid === undefined || gone === undefined) return;
      child.stdin?.end();
      for (const name of ["SIGTERM", "SIGKILL"] as const) {
        if (await isWithin(gone, limits.mcpEndMs)) return;
        signal(name);
      }
      await gone;
    },
  };
  return transport;
}

/** Its folder is there. */
function whyNot({ code, message }: NodeJS.ErrnoException, command: string): string {
  if (code === "ENOENT")
    return `there is no program ${command}${command.includes("/") ? "" : " on the gateway's PATH"}`;
  return code === "EACCES" ? `${command} is no program that the gateway may run` : message;
}
