/** The real program under its launcher: what ends the gateway, what the launcher does then, and that nothing accepted is lost. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { launchedVariable } from "../../runtime/launcher/port.ts";
import { runLine } from "../support/command-lines.ts";
import {
  endPrograms,
  gatewayPid,
  launchWithLauncher,
  makeStateDir,
  nextLife,
  type Program,
  repoRoot,
  runCommand,
  startProgram,
  watchProgram,
} from "../support/program.ts";
import { childrenOf, isAlive } from "../support/processes.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";
import { type Hold, openLoad, until } from "./load.ts";

afterAll(endPrograms);

const say = (program: Program, text: string, more: object = {}) =>
  post(
    `${program.url}/channels/webhook/home`,
    { text, sender: { id: "x" }, ...more },
    { authorization: "Bearer home-token", connection: "close" },
  );

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The real launcher with other bounds, so that a test need not wait for those of `limits`. */
const launchBounded = (bounds: object, stateDir: string) =>
  watchProgram(stateDir, [
    path.join(repoRoot, "test/fixtures/programs/launcher.ts"),
    JSON.stringify(bounds),
    "gateway",
    "--port",
    "0",
  ]);

/** A state directory whose one agent runs this code for each message, and answers with what it gives. */
function makeAgent(code: string, settings: object = {}): string {
  const main = { id: "main", module: "./own.ts", ...settings };
  const stateDir = makeStateDir(siblings({ agents: { list: [main, { id: "raul" }] } }));
  writeFileSync(
    path.join(stateDir, "own.ts"),
    `import { defineActor } from "cloister";
     import { pbkdf2Sync } from "node:crypto";
     export default defineActor({ async message(ctx, message) { ${code} ctx.reply("did " + message.text); } });`,
  );
  return stateDir;
}

test("a gateway that is killed under load, again and again, comes back by itself, and nothing is lost", async () => {
  const load = await openLoad({ seed: 21, peers: 10 });
  const launched = launchWithLauncher(load.stateDir);
  let program = await launched.ready;
  for (let life = 0; life < 4; life++) {
    const pid = gatewayPid(load.stateDir);
    const nth = 1 + load.random.below(30);
    await load.talk(program, 5, 0.5, (accepted) => {
      if (accepted === nth) process.kill(pid, "SIGKILL");
    });
    program = await nextLife(program, pid);
    if (life % 2 === 1) await load.check(program);
  }
  expect(program.process.exitCode).toBe(null);
  await load.finish(program);
  load.close();
  expect(load.violations).toEqual([]);
  expect(program.output().match(/the gateway ended by SIGKILL; it is started again/g)).toHaveLength(4);
  // The last life was told how the one before it ended.
  expect(program.output()).toContain('"lastEnd":"by SIGKILL","restarts":4');
  expect(await launched.ended).toBe(0);
});

test("`gateway restart` under load: turns in flight end, nothing is lost, no ask fails, and the answer comes when it is back", async () => {
  const load = await openLoad({ seed: 22, peers: 10 });
  const launched = launchWithLauncher(load.stateDir);
  let program = await launched.ready;
  const holds: readonly (Hold | undefined)[] = [undefined, ["main", "asked"], ["raul", "before"]];
  for (const hold of holds) {
    const pid = gatewayPid(load.stateDir);
    if (hold !== undefined) load.hold(hold);
    const talking = load.talk(program, 8, 0.75);
    if (hold !== undefined) await load.held(hold);
    const said = program.output().length;
    const restarting = runCommand(load.stateDir, ["gateway", "restart"]);
    await until(() => program.output().slice(said).includes("restart ordered by cli: restarting"));
    // What stands in the middle of a turn is waited for.
    if (hold !== undefined) expect(isAlive(pid)).toBe(true);
    await load.letGo();
    const restarted = await restarting;
    expect(restarted, program.output()).toMatchObject({ code: 0 });
    await talking;
    const next = gatewayPid(load.stateDir);
    expect(next).not.toBe(pid);
    expect(restarted.stdout).toMatch(new RegExp(`^the gateway is back after \\d+ ms \\(pid ${next}\\)\n$`));
    program = await nextLife(program, pid);
  }
  await load.finish(program);
  load.close();
  expect(load.violations).toEqual([]);
  expect(load.counts.asks).toBeGreaterThan(20);
  expect(program.output()).not.toContain("it is started again in");
});

test("`gateway restart --safe` is refused while a turn runs, `--force` does not wait for it, and it is handled again", async () => {
  const stateDir = makeAgent(
    `if (message.text === "hold" && message.attempt === 1) { await ctx.workspace.write("held", ""); await new Promise(() => {}); }`,
  );
  const program = await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  await say(program, "hold", { messageId: "1" });
  await until(() => existsSync(path.join(stateDir, "workspace", "held")));
  const safe = await runCommand(stateDir, ["gateway", "restart", "--safe"]);
  expect([safe.code, safe.stderr]).toEqual([
    1,
    expect.stringMatching(/turns are running, 1 of them[^]*CLOISTER_GATEWAY_BUSY/),
  ]);
  expect(gatewayPid(stateDir)).toBe(pid);
  const force = await runCommand(stateDir, ["gateway", "restart", "--force"]);
  expect([force.code, force.stderr]).toEqual([0, "turns in flight: 1; they may end for up to 0 s\n"]);
  const next = await nextLife(program, pid);
  expect((await say(next, "after", { wait: true })).body.reply).toBe("did after");
  expect((await runCommand(stateDir, ["history", "agent:main:main"])).stdout).toContain("did hold");
  expect(await next.stop()).toBe(0);
});

test("with a configuration that does not hold a restart is refused and the gateway goes on; `gateway stop` needs none", async () => {
  const stateDir = makeStateDir(siblings());
  await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  const file = path.join(stateDir, "cloister.json");
  const good = readFileSync(file, "utf8");
  writeFileSync(file, '{ agents: { list: [{ id: "main", mailbox: { overflow: "spil" } }] } }');
  const refused = await runCommand(stateDir, ["gateway", "restart"]);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/mailbox\.overflow: must be one of[^]*CLOISTER_CONFIG_INVALID/),
  ]);
  expect([isAlive(pid), gatewayPid(stateDir)]).toEqual([true, pid]);
  writeFileSync(file, good);
  expect((await runCommand(stateDir, ["gateway", "restart"])).code).toBe(0);
  writeFileSync(file, "{ broken");
  const stopped = await runCommand(stateDir, ["gateway", "stop"]);
  expect([stopped.code, stopped.stdout]).toEqual([0, "the gateway has stopped\n"]);
});

test("without a launcher a restart is refused with what to do, and `gateway stop` stops", async () => {
  const stateDir = makeStateDir();
  const program = await startProgram(stateDir);
  const refused = await runCommand(stateDir, ["gateway", "restart"]);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/systemctl restart[^]*CLOISTER_GATEWAY_NO_LAUNCHER/),
  ]);
  const status = await runCommand(stateDir, ["gateway", "status"]);
  expect([status.code, status.stdout]).toEqual([
    0,
    expect.stringMatching(/^Gateway RPC probe {2}ok\n[^]*^launcher\s+none/m),
  ]);
  const stopped = await runCommand(stateDir, ["gateway", "stop"]);
  expect([stopped.code, stopped.stdout]).toEqual([0, "the gateway has stopped\n"]);
  expect(isAlive(program.process.pid ?? 0)).toBe(false);
  expect((await runCommand(stateDir, ["gateway", "status"])).code).toBe(1);
});

test("`gateway start` comes back when it is ready, once; and `gateway stop` ends gateway and launcher", async () => {
  const stateDir = makeStateDir();
  const started = await runCommand(stateDir, ["gateway", "start", "--port", "0"]);
  expect(started).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^the gateway is ready \(pid \d+, launcher \d+\)\n/),
  });
  const [pid = 0, launcher = 0] = (started.stdout.match(/\d+/g) ?? []).map(Number);
  try {
    expect([pid, isAlive(launcher)]).toEqual([gatewayPid(stateDir), true]);
    const again = await runCommand(stateDir, ["gateway", "start", "--port", "0"]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("CLOISTER_STATE_LOCKED")]);
    expect((await runCommand(stateDir, ["gateway", "stop"])).code).toBe(0);
    await until(() => !isAlive(launcher));
  } finally {
    if (isAlive(launcher)) process.kill(launcher, "SIGTERM");
  }
  writeFileSync(path.join(stateDir, "cloister.json"), "{ nothing: 1 }");
  const bad = await runCommand(stateDir, ["gateway", "start", "--port", "0"]);
  expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining("CLOISTER_CONFIG_INVALID")]);
});

test("a message that aborts the process each time is set aside, and everything else that was accepted is answered", async () => {
  // Longer than V8 lets an array be: it ends the process, after a tenth of a second.
  const stateDir = makeAgent(`if (message.text === "abort") " ".repeat(2 ** 28).match(/ /g);`);
  const program = await launchWithLauncher(stateDir).ready;
  expect((await say(program, "before", { wait: true, sender: { id: "a" } })).body.reply).toBe("did before");
  expect((await say(program, "abort", { sender: { id: "b" }, messageId: "b1" })).body.status).toBe("accepted");
  let last = program;
  for (let pid = gatewayPid(stateDir), aborts = 0; aborts < limits.deliveriesMax; aborts++) {
    last = await nextLife(last, pid);
    pid = gatewayPid(stateDir);
  }
  await expect
    .poll(async () => JSON.parse((await runLine(stateDir, ["deadletters", "--json"])).stdout).letters)
    .toMatchObject([{ fate: "poison" }]);
  expect((await say(last, "after", { wait: true, sender: { id: "a" } })).body.reply).toBe("did after");
  expect(program.output().match(/the gateway ended by SIG(?:TRAP|ABRT|ILL); it is started again/g)).toHaveLength(
    limits.deliveriesMax,
  );
  expect(await last.stop()).toBe(0);
});

test("a main thread that stands still is killed, and the gateway started again", async () => {
  const stateDir = makeAgent("");
  const launched = launchBounded({ gatewaySilentMs: 2_000 }, stateDir);
  const program = await launched.ready;
  const pid = gatewayPid(stateDir);
  process.kill(pid, "SIGSTOP");
  const next = await nextLife(program, pid);
  expect(program.output()).toContain("the gateway's main thread did not answer for 2000 ms; the launcher kills it");
  expect((await say(next, "hello", { wait: true })).body.reply).toBe("did hello");
  expect(await next.stop()).toBe(0);
});

test("a stop that a thread in native code holds up ends at its deadline", async () => {
  const stateDir = makeAgent(
    `if (message.text === "stick") { await ctx.workspace.write("stuck", ""); pbkdf2Sync("a", "b", 2 ** 31 - 1, 64, "sha512"); }`,
  );
  const launched = launchBounded({ gatewayStopMs: 2_000 }, stateDir);
  const program = await launched.ready;
  const pid = gatewayPid(stateDir);
  await say(program, "stick");
  await until(() => existsSync(path.join(stateDir, "workspace", "stuck")));
  expect((await runCommand(stateDir, ["gateway", "stop", "--force"])).code).toBe(0);
  expect(await launched.ended).toBe(137);
  expect(program.output()).toContain("the gateway did not end within 2000 ms of its stop; the launcher kills it");
  expect(isAlive(pid)).toBe(false);
});

test("more crashes than allowed: it gives up with its own exit code and last words, and leaves nothing running", async () => {
  const stateDir = makeStateDir();
  const launched = launchBounded({ gatewayRestarts: 1 }, stateDir);
  let program = await launched.ready;
  let pid = gatewayPid(stateDir);
  for (const isLast of [false, true]) {
    process.kill(pid, "SIGSEGV");
    if (isLast) break;
    program = await nextLife(program, pid);
    pid = gatewayPid(stateDir);
  }
  expect(await launched.ended).toBe(71);
  expect(program.output()).toMatch(
    /ended 2 times within 60 s, at last by SIGSEGV; the launcher gives up \(exit code 71\)/,
  );
  expect(isAlive(pid)).toBe(false);
});

test("a refusal to start is not tried again", async () => {
  const result = await runCommand(makeStateDir("{ nothing: 1 }"), ["gateway", "--port", "0"]);
  expect(result.code).toBe(1);
  expect(result.stderr.match(/CLOISTER_CONFIG_INVALID/g)).toHaveLength(1);
  expect(result.stderr).not.toContain("started again");
});

test("a signal to the launcher, or to both, lets turns end", async () => {
  const stateDir = makeAgent(
    `await ctx.workspace.write(message.text, ""); while (!(await ctx.workspace.exists("go"))) await new Promise((resolve) => setTimeout(resolve, 5));`,
  );
  const inWorkspace = (name: string): string => path.join(stateDir, "workspace", name);
  const stops = [
    { signal: "SIGTERM", toBoth: false },
    { signal: "SIGTERM", toBoth: true },
    { signal: "SIGINT", toBoth: true },
    { signal: "SIGHUP", toBoth: false },
  ] as const;
  const works: string[] = [];
  for (const { signal, toBoth } of stops) {
    const program = await launchWithLauncher(stateDir).ready;
    const pid = gatewayPid(stateDir);
    const work = `work-${works.push(signal)}`;
    await say(program, work);
    await until(() => existsSync(inWorkspace(work)));
    const ended = program.stop(signal);
    if (toBoth) process.kill(pid, signal);
    await until(() => program.output().includes(`${signal}: stopping`));
    writeFileSync(inWorkspace("go"), "");
    expect(await ended).toBe(0);
    expect(isAlive(pid)).toBe(false);
    rmSync(inWorkspace("go"));
  }
  const after = await startProgram(stateDir);
  const { stdout } = await runCommand(stateDir, ["history", "agent:main:main"]);
  expect(stdout.match(/did \S+/g)).toEqual(works.map((_signal, at) => `did work-${at + 1}`));
  expect(await after.stop()).toBe(0);
});

test("the gateway's allocator gets two arenas and fixed bounds, or what the operator says", async () => {
  /** Of the gateway's process, which is there long before it is ready. */
  const allocatorOf = async (env: NodeJS.ProcessEnv): Promise<readonly string[]> => {
    const launched = launchWithLauncher(makeStateDir(), [], env);
    launched.ready.catch(() => undefined);
    let found: readonly string[] = [];
    await until(() => {
      const [gateway = 0] = childrenOf(launched.process.pid ?? 0);
      found = environmentOf(gateway);
      return found.some((entry) => entry.startsWith(launchedVariable));
    });
    for (const pid of childrenOf(launched.process.pid ?? 0)) process.kill(pid, "SIGKILL");
    launched.process.kill("SIGKILL");
    await launched.ended;
    return found.filter((entry) => entry.startsWith("MALLOC_")).toSorted();
  };
  const bounds = ["MALLOC_MMAP_THRESHOLD_=2097152", "MALLOC_TRIM_THRESHOLD_=8388608"];
  expect(await allocatorOf({})).toEqual(["MALLOC_ARENA_MAX=2", ...bounds]);
  expect(await allocatorOf({ MALLOC_ARENA_MAX: "5" })).toEqual(["MALLOC_ARENA_MAX=5", ...bounds]);
});

test("a second signal ends gateway and launcher at once, whatever turns do", async () => {
  const stateDir = makeAgent(`await ctx.workspace.write("begun", ""); await new Promise(() => {});`);
  const program = await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  await say(program, "work");
  await until(() => existsSync(path.join(stateDir, "workspace", "begun")));
  program.process.kill("SIGTERM");
  await until(() => program.output().includes("SIGTERM: stopping"));
  expect(await program.stop("SIGTERM")).toBe(143);
  expect(isAlive(pid)).toBe(false);
});

test("an agent that an operator stopped stays stopped over a kill, and its mail waits for it", async () => {
  const stateDir = makeAgent("");
  const program = await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  expect((await runLine(stateDir, ["agents", "stop", "main"])).code).toBe(0);
  expect((await say(program, "kept", { messageId: "1" })).body.status).toBe("accepted");
  process.kill(pid, "SIGKILL");
  const next = await nextLife(program, pid);
  const listed = JSON.parse((await runLine(stateDir, ["agents", "list", "--json"])).stdout) as { agents: object[] };
  expect(listed.agents[0]).toMatchObject({ id: "main", state: "parked", queueDepth: 1 });
  expect((await runLine(stateDir, ["agents", "start", "main"])).code).toBe(0);
  expect((await say(next, "after", { wait: true })).body.reply).toBe("did after");
  expect((await runLine(stateDir, ["history", "agent:main:main"])).stdout).toContain("did kept");
  expect(await next.stop()).toBe(0);
});

test("an agent that fails too often and escalates ends the gateway in order; the launcher starts it again, and nothing is lost", async () => {
  const stateDir = makeAgent(
    `if (message.text === "exit" && message.attempt === 1) {
       while (!(await ctx.workspace.exists("go"))) await new Promise((resolve) => setTimeout(resolve, 5));
       process.exit(3);
     }`,
    { supervision: { intensity: 0, escalate: "gateway" } },
  );
  const program = await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  const words = ["exit", ...Array.from({ length: 8 }, (_, n) => `m${n}`)];
  for (const text of words)
    expect(await say(program, text, { messageId: text, sender: { id: text } })).toMatchObject({
      body: { status: "accepted" },
    });
  writeFileSync(path.join(stateDir, "workspace", "go"), "");
  const next = await nextLife(program, pid);
  // Its file may be read before its words are, and those of the one before.
  await expect.poll(program.output).toContain('"lastEnd":"with exit code 70","restarts":1');
  expect(program.output()).toMatch(
    /the agent main, whose failure is the gateway's, was parked: 1 crashes within 60 s, the last: crash: it called process\.exit\(3\)/,
  );
  expect(program.output()).toContain("the gateway ended with exit code 70; it is started again");
  // The agent is in service again, and its mail is handled once: what ended it as well.
  expect((await say(next, "after", { wait: true })).body.reply).toBe("did after");
  const { stdout } = await runCommand(stateDir, ["history", "agent:main:main", "--limit", "100"]);
  expect(stdout.match(/did \w+/g)).toEqual([...words, "after"].map((text) => `did ${text}`));
  expect(await next.stop()).toBe(0);
});

test("a launcher that is killed leaves no orphan: the gateway ends in order", async () => {
  const stateDir = makeStateDir();
  const program = await launchWithLauncher(stateDir).ready;
  const pid = gatewayPid(stateDir);
  expect(await program.stop("SIGKILL")).toBe(null);
  await until(() => !isAlive(pid));
  expect(program.output()).toContain("the launcher is gone: stopping");
  expect(existsSync(path.join(stateDir, "run", "gateway.json"))).toBe(false);
  const after = await startProgram(stateDir);
  expect(await after.stop()).toBe(0);
});
