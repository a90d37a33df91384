/**
 * The gateway that Cloister is measured against, as npm has it (`peers/openclaw`, a package of its own), in a process and a home of its
 * own. It gets the configuration that Cloister gets; what asks other machines for something is switched off, and so is its search for
 * tools, which would hide the session tools from a model that does not look for them.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../test/support/free-port.ts";
import { getStatus } from "./http-load.ts";
import { readCpuMs } from "./process-figures.ts";
import { endProcess, packageRoot, type Program } from "./program.ts";

const entry = path.join(packageRoot, "bench", "peers", "openclaw", "node_modules", "openclaw", "openclaw.mjs");
const startMsMax = 120_000;
const pollMs = 10;

export const isInstalled = (): boolean => existsSync(entry);

/** `config` is the whole file but for the port. Rejects with what the program said when it is not ready in time. */
export async function startIncumbent(config: {
  readonly gateway: object;
  readonly models: object;
  readonly tools: object;
}): Promise<Program> {
  const home = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  const port = await findFreePort();
  const folder = path.join(home, ".openclaw");
  await mkdir(folder);
  const file = {
    ...config,
    gateway: { ...config.gateway, mode: "local", port, bind: "loopback" },
    models: { ...config.models, catalogRefresh: { enabled: false } },
    tools: { ...config.tools, toolSearch: false },
    update: { checkOnStart: false },
    discovery: { mdns: { mode: "off" } },
  };
  await writeFile(path.join(folder, "openclaw.json"), JSON.stringify(file));
  const outputFile = path.join(home, "output.log");
  const output = await open(outputFile, "w");
  const startedMs = performance.now();
  const child = spawn(process.execPath, [entry, "gateway", "run"], {
    cwd: home,
    env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home },
    stdio: ["ignore", output.fd, output.fd],
  });
  await output.close();
  const stop = async (): Promise<void> => {
    await endProcess(child);
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  while ((await getStatus(port, "/healthz")) !== 200) {
    if (child.exitCode !== null || performance.now() - startedMs > startMsMax) {
      const said = await readFile(outputFile, "utf8");
      await stop();
      throw new Error(`Starting the incumbent: found no 200 on /healthz. It said: ${said.slice(-2_000)}`);
    }
    await sleep(pollMs);
  }
  const { pid = 0 } = child;
  return { pid, port, startMs: performance.now() - startedMs, startCpuMs: await readCpuMs(pid), stop };
}
