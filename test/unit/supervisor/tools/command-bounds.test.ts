/** What is told of the bounds of commands. That those in bubblewrap hold: `test/contract/exec.test.ts`. */
import { expect, test } from "vitest";
import { describeBounds } from "../../../../runtime/supervisor/tools/command-bounds.ts";
import { execSettings } from "../../../support/exec-settings.ts";

const exec = execSettings({});
const of = (place: Parameters<typeof describeBounds>[1], isRoot = false, cpus?: number) =>
  describeBounds({ ...exec, box: { ...exec.box, ...(cpus === undefined ? {} : { cpus }) } }, place, isRoot).join("\n");

test("processes are not counted for a gateway of root in bubblewrap, and that is told", () => {
  expect(of("bubblewrap")).toContain(`processes: ${exec.box.processesMax} of the gateway's user`);
  expect(of("bubblewrap", true)).toContain("processes: none, since the gateway runs as root");
});

test("a container is bounded as a whole; its processors only where the configuration says how many", () => {
  expect(of("docker", true)).toContain(`memory: ${exec.box.memoryBytes} bytes of the container\n`);
  expect(of("docker", true)).toContain(`processes: ${exec.box.processesMax} of the container\nCPU: none\n`);
  expect(of("docker", true, 2)).toContain("CPU: 2 processors");
});

test("on the host there is the time alone", () => {
  expect(of("host")).toMatch(/^time: \d+ ms, .*\nmemory, processes, CPU, files, network: none;/);
});
