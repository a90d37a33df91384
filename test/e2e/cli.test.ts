/** The command line as a process against the real program. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, runCommand, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";

let program: Program;

beforeAll(async () => {
  program = await startProgram(makeStateDir(siblings()));
});

afterAll(async () => {
  expect(await program.stop()).toBe(0);
  endPrograms();
});

const cli = (args: string[], input?: string) =>
  runCommand(program.stateDir, args, input === undefined ? {} : { input });

test("chat: lines in, answers out", async () => {
  const result = await cli(["chat", "--agent", "raul"], "remember that tea is better\nwhat do you remember\n");
  expect(result.code).toBe(0);
  expect(result.stdout).toContain("I will remember: tea is better");
  expect(result.stdout).toContain("- tea is better");
});

test("send prints the answer, and as JSON the run", async () => {
  expect(await cli(["send", "--agent", "raul", "who are you"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("I am raul"),
  });
  expect(JSON.parse((await cli(["send", "--json", "--agent", "raul", "who are you"])).stdout)).toMatchObject({
    status: "ok",
    runId: expect.any(String),
  });
});

test("agents list --bindings tells the rules and the live state", async () => {
  const { stdout, code } = await cli(["agents", "list", "--bindings"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/main \(default\)/);
  expect(stdout).toMatch(/webhook.*home.*; running$/m);
  const rows = JSON.parse((await cli(["agents", "list", "--json"])).stdout) as {
    agents: { agentId?: string; id?: string; phase?: string }[];
  };
  expect(rows.agents.map(({ agentId, id }) => agentId ?? id)).toEqual(["main", "raul"]);
});

test("sessions, history, status and health", async () => {
  const line = (...args: string[]) => runLine(program.stateDir, args);
  await line("send", "hello there");
  expect((await line("sessions")).stdout).toContain("agent:main:main");
  expect((await line("history", "agent:main:main")).stdout).toContain("hello there");
  expect(JSON.parse((await line("status", "--json")).stdout)).toMatchObject({ version: expect.any(String) });
  expect(JSON.parse((await line("health", "--json")).stdout)).toMatchObject({ ok: true });
});

test("route explain, mistakes and help; and lines that share a process say and end as those that have their own", async () => {
  const lines: readonly (readonly [args: string[], input?: string])[] = [
    [["route", "explain", "--channel", "webhook", "--account", "raul", "--peer", "direct:x"]],
    [["agent", "--agent", "raul", "--message", "-"], "who are you\n"],
    [["send", "--agent", "nobody", "hi"]],
    [["no-such-command"]],
    [["--help"]],
    [["--version"]],
  ];
  const own = await Promise.all(lines.map(([args, input]) => cli(args, input)));
  expect(own).toMatchObject([
    { code: 0, stdout: expect.stringMatching(/agent\s+raul[^]*binding\.account/) },
    { code: 0, stdout: expect.stringContaining("I am raul") },
    { code: 1, stdout: "", stderr: expect.stringContaining("agent not found: nobody") },
    { code: 2, stdout: "" },
    { code: 0, stdout: expect.stringContaining("gateway") },
    { code: 0, stdout: expect.stringMatching(/^cloister \d+\.\d+\.\d+\n$/) },
  ]);
  const shared = await Promise.all(lines.map(([args, input]) => runLine(program.stateDir, args, input)));
  expect(shared).toEqual(own);
});

describe("without a gateway", () => {
  test("commands that need one say how to start it; the others work", async () => {
    const stateDir = makeStateDir(siblings());
    const send = await runCommand(stateDir, ["send", "hi"]);
    expect([send.code, send.stderr]).toEqual([1, expect.stringMatching(/no gateway|not running|cloister gateway/i)]);
    expect((await runCommand(stateDir, ["agents", "list"])).stdout).toContain("raul");
    expect((await runCommand(stateDir, ["config", "validate"])).code).toBe(0);
  });
});
