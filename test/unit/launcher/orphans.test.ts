/** What is ended with a thread or a gateway that is gone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { endGroups } from "../../../runtime/launcher/orphans.ts";
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
