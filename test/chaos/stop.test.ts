/** Stopped in order under load, again and again, nothing is lost and no turn is failed by the stop. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { endPrograms, launchProgram, startProgram } from "../support/program.ts";
import { type Hold, openLoad, until } from "./load.ts";

afterAll(endPrograms);

test("SIGTERM under load: turns in flight end with what they ask for, the rest is handled after the start", async () => {
  const load = await openLoad({ seed: 11 });
  const holds: readonly (Hold | undefined)[] = [undefined, ["main", "before"], ["main", "asked"], ["raul", "before"]];
  for (const hold of holds) {
    const { ready, ended } = launchProgram(load.stateDir);
    const program = await ready;
    if (hold !== undefined) load.hold(hold);
    const talking = load.talk(program, 8, 0.75);
    if (hold === undefined) await delay(load.random.below(80));
    else await load.held(hold);
    program.process.kill("SIGTERM");
    const fromMs = performance.now();
    if (hold !== undefined) {
      await until(() => program.output().includes("SIGTERM: stopping"));
      await load.letGo();
    }
    expect(await ended, program.output()).toBe(0);
    expect(performance.now() - fromMs).toBeLessThan(limits.drainMs);
    await talking;
  }
  await load.finish(await startProgram(load.stateDir));
  load.close();
  expect(load.violations).toEqual([]);
  expect(load.counts.asks).toBeGreaterThan(50);
});

test("a second signal ends a stop that waits for a turn at once, and nothing is lost", async () => {
  const load = await openLoad({ seed: 12, peers: 5 });
  const program = await startProgram(load.stateDir);
  load.hold(["main", "asked"]);
  const talking = load.talk(program, 8, 1);
  await load.held(["main", "asked"]);
  program.process.kill("SIGTERM");
  await talking;
  // Two signals that are sent before the first is seen are one.
  await until(() => program.output().includes("SIGTERM: stopping"));
  const fromMs = performance.now();
  await program.stop("SIGTERM");
  // It would have waited for the turn, which is held, for all of that time.
  expect(performance.now() - fromMs).toBeLessThan(limits.drainMs / 2);
  await load.letGo();
  await load.finish(await startProgram(load.stateDir));
  load.close();
  expect(load.violations).toEqual([]);
});
