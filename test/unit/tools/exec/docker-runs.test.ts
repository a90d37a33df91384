/**
 * Commands in docker from their start to their end, with a program in the place of docker's client that does on this machine what an engine would in a
 * container: which calls come, in which order, and what an agent is told when one fails. The arguments: `docker.test.ts`.
 */
import { createServer } from "node:net";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { resolveBox } from "../../../../runtime/config/exec.ts";
import { makeCommands } from "../../../../runtime/tools/exec/commands.ts";
import { setupImage } from "../../../../runtime/tools/exec/docker.ts";
import { planCommand } from "../../../../runtime/tools/exec/place.ts";
import type { Box, SetupEnd } from "../../../../runtime/tools/port.ts";
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
const used = args[args.indexOf("--entrypoint") + 2];
if (used.startsWith("cloister-sandbox:") && !existsSync(kept(used))) {
  console.error("Unable to find image '" + used + "' locally");
  process.exit(125);
}
const [entry, , ...words] = args.slice(args.indexOf("--entrypoint") + 1);
const [, cwd = "${dir}"] = /src=([^,"]*)/.exec(args.find((one) => one.startsWith("type=bind")) ?? "") ?? [];
process.exit(spawnSync(entry, words, { cwd, stdio: "inherit" }).status ?? 1);
`;

let made = 0;

function open(setup?: string, more: (dir: string) => Partial<Box> = () => ({})) {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), "cloister-docker-")));
  const [folder, docker] = [path.join(dir, "box"), path.join(dir, "docker")];
  writeFileSync(docker, engine(dir), { mode: 0o700 });
  const ended: SetupEnd[] = [];
  const commands = makeCommands({
    name: `cloister-${process.pid}-${made++}`,
    facts: () => Promise.reject(new Error("not asked for here")),
    gateway: "7-boot",
    docker,
    onSetup: (end) => ended.push(end),
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
    ...more(dir),
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
  return { dir, folder, run, calls, verbs, commands, ended, image: setupImage(place.settings) };
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
    const { run, verbs, calls, ended, image } = open("echo installed; echo a warning >&2");
    const told = await Promise.all([run("echo one"), run("echo two")]);
    expect(told).toMatchObject([{ output: "one\n" }, { output: "two\n" }]);
    expect(verbs()).toEqual(["image", "setup", "commit", "rm", "command", "command"]);
    for (const call of calls().slice(-2)) expect(call).toContain(image);
    await run("echo three");
    expect(verbs().slice(6)).toEqual(["command"]);
    expect(ended).toEqual([
      { agentId: "kim", image: "debian:stable-slim", made: image, output: "installed\na warning\n" },
    ]);
  });

  test("runs again when an operator has removed what it left: the command that finds it gone fails, and the next one has it", async () => {
    const { dir, run, verbs, image } = open("echo installed");
    await run("echo one");
    rmSync(path.join(dir, `image-${image.replaceAll(/\W/g, "_")}`));
    await expect(run("echo two")).rejects.toThrow(/the command was not run: Unable to find image/);
    expect(await run("echo three")).toMatchObject({ output: "three\n" });
    expect(verbs().slice(5)).toEqual(["command", "image", "setup", "commit", "rm", "command"]);
  });

  test("that fails leaves no image and no container, its command is not run, and the next one tries again", async () => {
    const { run, verbs, folder, ended } = open("echo no network >&2; exit 100");
    for (let n = 0; n < 2; n++)
      await expect(run(": > ran")).rejects.toThrow(
        /the sandbox could not be set up, and the command was not run: its setupCommand failed: no network/,
      );
    expect(verbs()).toEqual(["image", "setup", "rm", "image", "setup", "rm"]);
    expect(existsSync(path.join(folder, "ran"))).toBe(false);
    expect(ended).toEqual([1, 2].map(() => ({ agentId: "kim", image: "debian:stable-slim", output: "no network\n" })));
  });
});

describe("docker's socket", () => {
  /** In a folder of its own, with a link to it and one to the folder. */
  const listen = async (dir: string, name: string): Promise<string> => {
    const socket = path.join(dir, "run", name);
    mkdirSync(path.dirname(socket));
    symlinkSync(socket, path.join(dir, "link"));
    symlinkSync(path.dirname(socket), path.join(dir, "folder"));
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(socket, resolve));
    closing.push(() => new Promise((resolve) => void server.close(resolve)));
    return socket;
  };
  const bind = (dir: string, from: string): Pick<Box, "settings"> => ({
    settings: { ...resolveBox({}), binds: [{ from: path.join(dir, from), to: "/tools", writable: false }] },
  });

  test.each(["docker.sock", "engine.sock"])("is shown by no link that leads to it: %s", async (name) => {
    const hidden = (dir: string): string[] => (name === "docker.sock" ? [] : [path.join(dir, "run", name)]);
    const { dir, run, calls } = open(undefined, (at) => ({ hidden: hidden(at), ...bind(at, "link") }));
    await listen(dir, name);
    await expect(run("true")).rejects.toThrow(/the command was not run: \/tools would show what it must not/);
    expect(calls()).toEqual([]);
  });

  test("is covered in a folder that holds it, once for all of its names", async () => {
    const names = ["run/engine.sock", "folder/engine.sock"];
    const { dir, run, calls } = open(undefined, (at) => ({
      hidden: names.map((name) => path.join(at, name)),
      ...bind(at, "folder"),
    }));
    await listen(dir, "engine.sock");
    await run("true");
    expect(calls()[0]?.filter((one) => one.includes("/dev/null"))).toEqual([
      'type=bind,src=/dev/null,"dst=/tools/engine.sock",readonly',
    ]);
  });
});

test("an engine that does not start the container runs nothing, and nothing runs on the host instead", async () => {
  const { dir, run, folder } = open();
  writeFileSync(path.join(dir, "down"), "");
  await expect(run(": > ran")).rejects.toThrow(/the command was not run: Cannot connect to the Docker daemon/);
  expect(existsSync(path.join(folder, "ran"))).toBe(false);
});
