/** `cloister chat` at a real terminal: a pseudo-terminal of `script` (util-linux), which CI's machines have. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, expect, test } from "vitest";
import { endPrograms, launchWithLauncher, makeStateDir, repoRoot, runCommand } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

const terminals = new Set<ChildProcess>();
afterEach(() => {
  for (const child of terminals) child.kill("SIGKILL");
  endPrograms();
});

interface AtTerminal {
  readonly screen: () => string;
  readonly type: (keys: string) => void;
  readonly ended: Promise<number | null>;
}

function atTerminal(stateDir: string, args: readonly string[]): AtTerminal {
  const command = [process.execPath, path.join(repoRoot, "dist", "main.js"), ...args].join(" ");
  const child = spawn("script", ["--quiet", "--return", "--flush", "--command", command, "/dev/null"], {
    env: { PATH: process.env["PATH"], HOME: stateDir, CLOISTER_STATE_DIR: stateDir, TERM: "xterm" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  terminals.add(child);
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => (shown += String(chunk)));
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => {
      terminals.delete(child);
      resolve(code);
    });
  });
  return {
    screen: () => stripVTControlCharacters(shown),
    type: (keys) => void child.stdin.write(keys),
    ended,
  };
}

test("a conversation: answers, history by the arrow, moving to another agent, over a restart of the gateway", async () => {
  const stateDir = makeStateDir(siblings());
  const program = await launchWithLauncher(stateDir).ready;
  const { screen, type, ended } = atTerminal(stateDir, ["chat", "--history", "0"]);
  const sees = (text: string | RegExp): Promise<void> => expect.poll(screen).toMatch(text);
  const count = (text: string): number => screen().split(text).length - 1;
  await sees(/agent:main:main at ws:.*\/help lists commands/);

  type("who are you\r");
  await sees("I am main, in the session agent:main:main");
  type("\u001b[A\r");
  await expect.poll(() => count("I am main, in the session")).toBe(2);

  type("/ag\t");
  await sees(/> \/agent/);
  type(" raul\r");
  await sees(/agent:raul:main at ws:/);
  type("remember that tea is better\r");
  await sees("I will remember: tea is better");

  expect((await runCommand(stateDir, ["gateway", "restart"])).code).toBe(0);
  type("what do you remember\r");
  await sees("- tea is better");
  expect(screen()).toContain("connected again");

  type("\u0003");
  await sees("press Ctrl-C again");
  type("\u0003");
  expect(await ended).toBe(0);
  expect(await program.stop()).toBe(0);
});
