/** Asks a program of the system something that it answers at once. */
import { execFile } from "node:child_process";
import { limits } from "../../kernel/limits.ts";

/** Never rejects. `text`: output and errors together, or why it did not start. */
export function runShort(
  file: string,
  args: readonly string[],
  timeoutMs: number = limits.execProbeMs,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin" };
  return new Promise((resolve) => {
    execFile(file, args, { env, cwd: "/", timeout: timeoutMs, killSignal: "SIGKILL" }, (error, out, errors) =>
      resolve({ ok: error === null, text: `${out}${errors}` || (error?.message ?? "") }),
    );
  });
}
