/** `cloister logs --follow` beside a real gateway that is restarted, stopped and started elsewhere. */
import { afterEach, expect, test } from "vitest";
import {
  endPrograms,
  launchWithLauncher,
  makeStateDir,
  runCommand,
  startCommand,
  startProgram,
} from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

afterEach(endPrograms);

interface Line {
  readonly message: string;
  readonly reason?: string;
  readonly time: string;
}

test("follows over a restart and over a stop and a start on another port, and loses or repeats no record", async () => {
  const stateDir = makeStateDir(siblings());
  const first = await launchWithLauncher(stateDir).ready;
  const following = startCommand(stateDir, ["logs", "--follow", "--json", "--interval", "50"]);
  const lines = (): readonly Line[] =>
    following
      .stdout()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Line);
  const count = (message: string): number => lines().filter((line) => line.message === message).length;
  await expect.poll(() => count("ready")).toBe(1);

  expect((await runCommand(stateDir, ["gateway", "restart"])).code).toBe(0);
  await expect.poll(() => count("ready")).toBe(2);
  expect(await first.stop()).toBe(0);
  const second = await startProgram(stateDir);
  expect((await runCommand(stateDir, ["send", "--agent", "raul", "hello"])).code).toBe(0);
  await expect.poll(() => count("ready")).toBe(3);
  expect([count("stopping"), count("stopped")]).toEqual([2, 2]);
  const texts = following.stdout().trim().split("\n");
  expect(new Set(texts).size).toBe(texts.length);

  following.process.kill("SIGINT");
  expect((await following.finished).code).toBe(130);
  expect(await second.stop()).toBe(0);

  // Without a gateway the same records come from the file.
  const alone = await runCommand(stateDir, ["logs", "--json", "--level", "info"]);
  expect(alone.code).toBe(0);
  expect(alone.stdout).toContain(texts[0] ?? "");
});
