/** The unit for systemd and the container file: they say what the program does, and what they install runs. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { exitCodes } from "../../runtime/launcher/port.ts";
import { endPrograms, makeStateDir, repoRoot, runCommand, watchProgram } from "../support/program.ts";

afterAll(endPrograms);

const read = (file: string): string => readFileSync(path.join(repoRoot, file), "utf8");
const makeFolder = (): string => mkdtempSync(path.join(os.tmpdir(), "cloister-service-"));

const unitText = read("deploy/cloister.service");
/** Section → key → value; the keys that are used here are there once. */
const unit = new Map<string, Map<string, string>>();
for (const line of unitText.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) {
  const section = /^\[(\w+)\]$/.exec(line)?.[1];
  const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
  if (section !== undefined) unit.set(section, new Map());
  else if (key === undefined || value === undefined) throw new Error(`a line of the unit is no setting: ${line}`);
  else [...unit.values()].at(-1)?.set(key, value);
}
const setting = (key: string): string | undefined => unit.get("Service")?.get(key);

test("the unit knows the program's exit codes and the time that a stop may take", () => {
  expect([...unit.keys()]).toEqual(["Unit", "Service", "Install"]);
  expect(setting("RestartPreventExitStatus")).toBe(`${exitCodes.refused} ${exitCodes.usage}`);
  expect(Number(setting("TimeoutStopSec")) * 1_000).toBeGreaterThan(limits.drainMs + limits.gatewayStopMs);
  expect(Number(unit.get("Unit")?.get("StartLimitIntervalSec")) * 1_000).toBeGreaterThan(
    Number(unit.get("Unit")?.get("StartLimitBurst")) * limits.gatewayRestartPeriodMs,
  );
  expect(unit.get("Service")).toEqual(
    expect.objectContaining(
      new Map([
        ["KillMode", "mixed"],
        ["OOMPolicy", "continue"],
        ["NoNewPrivileges", "yes"],
      ]),
    ),
  );
  // V8 compiles at run time, and a unit with this would not start.
  expect(unit.get("Service")?.has("MemoryDenyWriteExecute")).toBe(false);
});

test("what the unit starts is a command line of the program", async () => {
  const [node, main, ...args] = setting("ExecStart")?.split(" ") ?? [];
  expect([node, main]).toEqual(["/usr/bin/node", "/opt/cloister/dist/main.js"]);
  expect(await runCommand(makeFolder(), [...args, "--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("without a further command it runs in the foreground"),
  });
});

/** Where there is no systemd, the test above has read the unit, and this one holds what systemd would read. */
test("systemd finds no fault in the unit", async () => {
  const analyze = "/usr/bin/systemd-analyze";
  const file = path.join(makeFolder(), "cloister.service");
  writeFileSync(file, unitText.replace("/usr/bin/node", process.execPath));
  const found = existsSync(analyze)
    ? await promisify(execFile)(analyze, ["verify", "--man=no", file])
    : { stdout: "", stderr: "" };
  expect(found).toEqual({ stdout: "", stderr: "" });
});

const containerfile = read("deploy/Containerfile").split("\n");
const instructions = (name: string): readonly string[] =>
  containerfile.flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : []));

test("the container file copies all that the program needs, and starts it as nobody special on its volume", async () => {
  const folder = makeFolder();
  const copied = instructions("COPY").flatMap(
    (line) => /^--from=build \/src\/(\S+) \.\/(\S+)$/.exec(line)?.slice(1) ?? [],
  );
  expect(copied.length).toBeGreaterThan(4);
  for (let at = 0; at < copied.length; at += 2) {
    const [from = "", to = ""] = copied.slice(at, at + 2);
    // The packages are many; the build stage leaves those for production, which the package names.
    if (from === "node_modules") symlinkSync(path.join(repoRoot, from), path.join(folder, to));
    else cpSync(path.join(repoRoot, from), path.join(folder, to), { recursive: true });
  }
  expect(instructions("USER")).toEqual(["node"]);
  expect(instructions("STOPSIGNAL")).toEqual(["SIGTERM"]);
  expect(instructions("VOLUME")).toEqual(["/var/lib/cloister"]);
  expect(instructions("ENV").join(" ")).toContain("CLOISTER_STATE_DIR=/var/lib/cloister");
  const entry = JSON.parse(instructions("ENTRYPOINT")[0] ?? "") as string[];
  expect(entry).toEqual(["node", "/opt/cloister/dist/main.js"]);
  const main = path.join(folder, "dist", "main.js");
  const args = JSON.parse(instructions("CMD")[0] ?? "") as string[];

  const stateDir = makeStateDir();
  mkdirSync(path.join(stateDir, "home"));
  const refused = watchProgram(stateDir, [main, ...args, "--port", "0"]);
  await expect(refused.ready).rejects.toThrow("CLOISTER_GATEWAY_TOKEN");
  expect(await refused.ended).toBe(exitCodes.refused);
  const program = await watchProgram(stateDir, [main, ...args, "--port", "0"], {
    CLOISTER_GATEWAY_TOKEN: "a-secret-for-the-test",
  }).ready;
  const check = /CMD (\[.*\])$/.exec(instructions("HEALTHCHECK")[0] ?? "")?.[1] ?? "[]";
  const [, , ...health] = JSON.parse(check) as string[];
  expect(health).toEqual(["health"]);
  expect((await runCommand(stateDir, health)).code).toBe(0);
  expect(await program.stop("SIGTERM")).toBe(0);
  expect((await runCommand(stateDir, health)).code).toBe(1);
});

test("the build of the container uses this package's Node and commands that it has", () => {
  const { scripts, devDependencies } = JSON.parse(read("package.json")) as {
    scripts: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const images = instructions("FROM").map((line) => line.split(" ")[0]);
  expect(new Set(images)).toEqual(new Set([`node:${devDependencies["node"]}-bookworm-slim`]));
  const run = instructions("RUN").flatMap((line) => [...line.matchAll(/npm run (\S+)/g)].map(([, name]) => name ?? ""));
  expect(run).toEqual(["build"]);
  for (const name of run) expect(scripts).toHaveProperty(name);
});
