/**
 * Programs that give secrets: `{ source: "exec", provider: "<program>", id: "<argument>" }` runs `secret-programs/<program>` of the state
 * directory with the one argument, and what it writes is the secret. No text of the configuration is a path or a command: what may
 * run was put into that folder, which others must not be able to change. No shell; a process group of its own, which ends with it.
 */
import { spawn } from "node:child_process";
import { lstat, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { limits } from "../kernel/limits.ts";

const programForm = /^[\w][\w.-]{0,127}$/;

/** Rejects with an ordinary error; none holds a part of what the program wrote. */
export async function runSecretProgram(
  stateDir: string,
  name: string,
  argument: string,
  timeoutMs: number = limits.secretProgramMs,
): Promise<string> {
  if (!programForm.test(name)) throw new Error(`${JSON.stringify(name.slice(0, 140))} is no name of a program`);
  const folder = path.join(stateDir, "secret-programs");
  const file = path.join(folder, name);
  const { uid } = await stat(stateDir);
  for (const place of [folder, file]) {
    // A link would lead to what somebody else may change.
    const facts = await lstat(place).catch(() => undefined);
    if (facts === undefined) throw new Error(`${place} is not there`);
    if ((facts.mode & 0o022) !== 0 || (facts.uid !== uid && facts.uid !== 0))
      throw new Error(
        `${place} may be changed by others; run chmod go-w ${place}, and let it be of the gateway's user`,
      );
    if (place === folder ? !facts.isDirectory() : !facts.isFile())
      throw new Error(`${place} is no ${place === folder ? "folder" : "file"}`);
  }
  return run(file, argument, timeoutMs);
}

function run(file: string, argument: string, timeoutMs: number): Promise<string> {
  const child = spawn(file, [argument], {
    cwd: "/",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: os.homedir(), LANG: "C.UTF-8" },
    stdio: ["ignore", "pipe", "ignore"],
    shell: false,
    detached: true,
  });
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let why: string | undefined;
    const endGroup = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // All of it has ended.
      }
    };
    const stop = (reason: string): void => {
      why ??= reason;
      endGroup();
      // What left its group and holds the pipe holds nobody up.
      child.stdout.destroy();
    };
    const timer = setTimeout(() => stop(`did not end within ${timeoutMs} ms`), timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > limits.secretBytesMax) stop(`wrote more than ${limits.secretBytesMax} bytes`);
      else chunks.push(chunk);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new Error(`${file} cannot be run: ${error.code ?? error.message}`));
    });
    // What it left behind in its group would hold the pipe open.
    child.on("exit", endGroup);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (why !== undefined) reject(new Error(`${file} ${why}`));
      else if (code !== 0) reject(new Error(`${file} ended with ${signal ?? `exit code ${code}`}`));
      else resolve(Buffer.concat(chunks).toString("utf8"));
    });
  });
}
