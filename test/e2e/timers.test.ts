/** Timers and monitors of the real program, over `kill -9` of the whole process. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, repoRoot, startProgram } from "../support/program.ts";

afterAll(endPrograms);

const module = path.join(repoRoot, "test", "fixtures", "actors", "clock-user.ts");
const config = {
  agents: {
    list: [
      { id: "main", module },
      { id: "raul", module },
    ],
  },
  tools: { agentToAgent: { enabled: true, allow: ["*"] }, sessions: { visibility: "all" } },
};

interface Seen {
  readonly text: string;
  readonly signal: { readonly type: string; readonly reason?: string };
}

async function tell(stateDir: string, command: object): Promise<unknown> {
  const { code, stdout, stderr } = await runLine(stateDir, ["send", JSON.stringify(command)]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

const seen = (stateDir: string) => tell(stateDir, { do: "seen" }) as Promise<readonly Seen[]>;

test("kill -9 while many timers are due: each fires once, and so does the news that the watched agent is down", async () => {
  const stateDir = makeStateDir(config);
  const first = await startProgram(stateDir);
  const names = Array.from({ length: 12 }, (_, at) => `timer ${at}`);
  await tell(stateDir, { do: "monitor", target: "raul" });
  const atMs = Number(await tell(stateDir, { do: "schedule-all", inMs: 3_000, names }));
  const listed = await runLine(stateDir, ["timers", "--agent", "main", "--json"]);
  expect(JSON.parse(listed.stdout)).toMatchObject({ total: names.length });
  // Some have fired and some have not when the process dies, as far as one can aim.
  await expect.poll(() => Date.now(), { interval: 1 }).toBeGreaterThan(atMs + 1);
  await first.stop("SIGKILL");

  const second = await startProgram(stateDir);
  await expect.poll(async () => (await seen(stateDir)).length).toBe(names.length + 1);
  const found = await seen(stateDir);
  const timers = found.filter(({ signal }) => signal.type === "timer").map(({ text }) => text);
  expect(timers.toSorted()).toEqual(names.toSorted());
  expect(found.filter(({ signal }) => signal.type === "down")).toMatchObject([{ signal: { reason: "killed" } }]);
  expect((await runLine(stateDir, ["timers"])).stderr).toBe("no timer\n");
  await second.stop();
});

test("a timer that came due while the gateway was down fires at the start; one is seen and removed by the command line", async () => {
  const stateDir = makeStateDir(config);
  const first = await startProgram(stateDir);
  const atMs = Date.now() + 2_000;
  await tell(stateDir, { do: "schedule", options: { name: "soon", atMs, text: "soon" } });
  const id = await tell(stateDir, { do: "schedule", options: { name: "nightly", everyMs: 86_400_000 } });
  await first.stop("SIGKILL");
  await expect.poll(() => Date.now(), { interval: 10 }).toBeGreaterThan(atMs);
  const second = await startProgram(stateDir);
  await expect.poll(async () => (await seen(stateDir)).map(({ text }) => text)).toEqual(["soon"]);
  const { stdout } = await runLine(stateDir, ["timers"]);
  expect(stdout).toMatch(/nightly +in 23 h +1 d/);
  expect((await runLine(stateDir, ["timers", "remove", String(id)])).stdout).toContain("was removed");
  expect((await runLine(stateDir, ["timers", "remove", String(id)])).code).toBe(1);
  await second.stop();
});
