/** What is ended with a thread or a gateway that is gone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { commandVariable, describeGateway, endCommands, endGroups, isGone } from "../../../runtime/launcher/orphans.ts";
import { eventually } from "../../support/eventually.ts";
import { isAlive } from "../../support/processes.ts";

test("a group ends with all of its processes; one that is gone is no fault", async () => {
  const leader = spawn("sh", ["-c", "sleep 1000 & echo $!; wait"], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = (await once(leader.stdout, "data")) as [Buffer];
  const pids = [leader.pid ?? 0, Number(line)];
  expect(pids.map(isAlive)).toEqual([true, true]);
  endGroups([2 ** 22 + 1, ...pids.slice(0, 1)]);
  await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]));
});

test("commands are ended by their names, with what has left their group; several ends at once are each waited for", async () => {
  const start = (name: string): number => {
    // It leads a group, and what it starts another one.
    const child = spawn("sh", ["-c", "setsid sleep 1000 & wait"], {
      detached: true,
      stdio: "ignore",
      env: { PATH: process.env["PATH"], [commandVariable]: name },
    });
    return child.pid ?? 0;
  };
  const mark = `test-${process.pid}`;
  const [first, second, third] = ["a", "b", "c"].map((letter) => start(`${mark}-${letter}`)) as [
    number,
    number,
    number,
  ];
  await Promise.all([
    endCommands((name) => name === `${mark}-a`),
    endCommands((name) => name === `${mark}-b`),
    endCommands((name) => name === `${mark}-nobody`),
  ]);
  await eventually(() => expect([first, second, third].map(isAlive)).toEqual([false, false, true]));
  await endCommands((name) => name.startsWith(mark));
  await eventually(() => expect(isAlive(third)).toBe(false));
});

test("a command ends with what is in its group, also with what no longer has its name", async () => {
  const name = `test-${process.pid}-group`;
  const leader = spawn("sh", ["-c", "env -i /bin/sleep 1000 & echo $!; wait"], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"], [commandVariable]: name },
  });
  const [line] = (await once(leader.stdout, "data")) as [Buffer];
  const nameless = Number(line);
  await eventually(async () => expect(await readFile(`/proc/${nameless}/environ`, "latin1")).toBe(""));
  await endCommands((one) => one === name);
  await eventually(() => expect([leader.pid ?? 0, nameless].map(isAlive)).toEqual([false, false]));
});

test("whoever has waited for an end may ask for the next one at once", async () => {
  let waited = 0;
  for (; waited < 3; waited++) await endCommands((name) => name === `nobody-${process.pid}`);
  expect(waited).toBe(3);
});

test("a gateway is gone when its process has ended, or its number is another process's; of another space or another machine nobody knows", async () => {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  const gateway = (await describeGateway(child.pid ?? 0)) ?? "";
  expect(gateway).toMatch(/^pid:\[\d+\] \d+ \d+ [\da-f-]{36}$/);
  expect(await isGone(gateway)).toBe(false);
  const [space, pid, ticks, boot] = gateway.split(" ");
  expect(await isGone(`${space} ${pid} ${ticks}0 ${boot}`)).toBe(true);
  // The same numbers on another machine with the same engine of containers.
  expect(await isGone(`${space} ${pid} ${ticks}0 0${boot?.slice(1)}f`)).toBe(false);
  expect(await isGone(`${space} ${pid} ${ticks}0`)).toBe(false);
  expect(await isGone(gateway.replace("pid:[", "pid:[1"))).toBe(false);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await isGone(gateway)).toBe(true);
  expect(await isGone("no description")).toBe(false);
});
