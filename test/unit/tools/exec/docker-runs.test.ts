/**
 * Commands in docker from their start to their end, with a program in the place of docker's client that does on this machine what an engine would in a
 * container: which calls come, in which order, and what an agent is told when one fails. The arguments: `docker.test.ts`.
 */
import { existsSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { resolveBox } from "../../../../runtime/config/exec.ts";
import { makeCommands } from "../../../../runtime/tools/exec/commands.ts";
import { setupImage } from "../../../../runtime/tools/exec/docker.ts";
import { planCommand } from "../../../../runtime/tools/exec/place.ts";
import type { Box } from "../../../../runtime/tools/port.ts";
import { eventually } from "../../../support/eventually.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

const engine = (dir: string): string => `#!${process.execPath}
const { appendFileSync, existsSync, writeFileSync } = require("node:fs");
const { spawnSync } = require("node:child_process");
const [verb, ...args] = process.argv.slice(2);
appendFileSync("${dir}/calls", JSON.stringify([verb, ...args]) + "\\n");
const kept = (image) => "${dir}/image-" + image.replaceAll(/\\W/g, "_");
if (verb === "image") process.exit(existsSync(kept(args[1])) ? 0 : 1);
if (verb === "commit") writeFileSync(kept(args[1]), "");
if (verb !== "run") process.exit(0);
if (existsSync("${dir}/down")) {
  console.error("Cannot connect to the Docker daemon");
  process.exit(125);
}
const [entry, , ...words] = args.slice(args.indexOf("--entrypoint") + 1);
const [, cwd = "${dir}"] = /src=([^,"]*)/.exec(args.find((one) => one.startsWith("type=bind")) ?? "") ?? [];
process.exit(spawnSync(entry, words, { cwd, stdio: "inherit" }).status ?? 1);
`;

let made = 0;

function open(setup?: string) {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-docker-")));
  const [folder, docker] = [path.join(dir, "box"), path.join(dir, "docker")];
  writeFileSync(docker, engine(dir), { mode: 0o700 });
  const commands = makeCommands({
    name: `cloister-${process.pid}-${made++}`,
    facts: () => Promise.reject(new Error("not asked for here")),
    gateway: "7-boot",
    docker,
  });
  closing.push(() => commands.endAll());
  // A command of its own for each test: what an image is made by is known in the process.
  const setupCommand = setup === undefined ? {} : { setupCommand: `${setup} # ${dir}` };
  const place: Box = {
    type: "docker",
    folder,
    inside: "/workspace",
    writable: true,
    hidden: [],
    settings: { ...resolveBox({}), ...setupCommand },
  };
  const owner = { agentId: "kim", sessionKey: "agent:kim:main", entry: "kim", turn: 1 };
  const run = async (command: string, yieldMs = 60_000) => {
    const plan = await planCommand({ command, workdir: ".", env: {}, pathPrepend: [], plain: false, place });
    if (!plan.ok) throw new Error(JSON.stringify(plan));
    return commands.start({ vector: plan.vector, place, owner, tellsEnd: false, yieldMs, timeoutMs: 60_000 });
  };
  /** Without those that remove the container of a command that has ended, which come when they come. */
  const calls = (): readonly (readonly string[])[] =>
    existsSync(path.join(dir, "calls"))
      ? readFileSync(path.join(dir, "calls"), "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as string[])
          .filter(([verb, , name]) => verb !== "rm" || name?.endsWith("-setup"))
      : [];
  /** The verbs, and what a `run` is of. */
  const verbs = (): readonly string[] =>
    calls().map(([verb = "", ...args]) => (verb !== "run" ? verb : args.includes("-lc") ? "setup" : "command"));
  return { dir, folder, run, calls, verbs, commands, image: setupImage(place.settings) };
}

test("a command is one run of its own, and its output and exit code are those of the container", async () => {
  const { run, calls, folder } = open();
  expect(await run("echo hello > file; cat file; exit 4")).toMatchObject({
    status: "exited",
    exitCode: 4,
    output: "hello\n",
  });
  expect(readFileSync(path.join(folder, "file"), "utf8")).toBe("hello\n");
  expect(calls()).toEqual([expect.arrayContaining(["run", "--rm", "--network", "none"])]);
});

test("one that is ended takes its container along: the end of the client is not that of the container", async () => {
  const { run, calls, commands, folder, dir } = open();
  await run(": > began; sleep 4711", 1);
  await eventually(() => expect(existsSync(path.join(folder, "began"))).toBe(true));
  await commands.endAll();
  const [[, ...started] = []] = calls();
  const name = started[started.indexOf("--name") + 1] ?? "";
  expect(readFileSync(path.join(dir, "calls"), "utf8")).toContain(JSON.stringify(["rm", "--force", name]));
});

describe("a setupCommand", () => {
  test("runs once, before the first of the commands that come together, and they have what it left", async () => {
    const { run, verbs, calls, image } = open("echo installed");
    const told = await Promise.all([run("echo one"), run("echo two")]);
    expect(told).toMatchObject([{ output: "one\n" }, { output: "two\n" }]);
    expect(verbs()).toEqual(["image", "setup", "commit", "rm", "command", "command"]);
    for (const call of calls().slice(-2)) expect(call).toContain(image);
    await run("echo three");
    expect(verbs().slice(6)).toEqual(["command"]);
  });

  test("that fails leaves no image and no container, its command is not run, and the next one tries again", async () => {
    const { run, verbs, folder } = open("echo no network >&2; exit 100");
    for (let n = 0; n < 2; n++)
      await expect(run(": > ran")).rejects.toThrow(
        /the sandbox could not be set up, and the command was not run: its setupCommand failed: no network/,
      );
    expect(verbs()).toEqual(["image", "setup", "rm", "image", "setup", "rm"]);
    expect(existsSync(path.join(folder, "ran"))).toBe(false);
  });
});

test("an engine that does not start the container runs nothing, and nothing runs on the host instead", async () => {
  const { dir, run, folder } = open();
  writeFileSync(path.join(dir, "down"), "");
  await expect(run(": > ran")).rejects.toThrow(/the command was not run: Cannot connect to the Docker daemon/);
  expect(existsSync(path.join(folder, "ran"))).toBe(false);
});
