/** The command line as a process against the real program. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
  const unknown = await cli(["send", "--agent", "nobody", "hi"]);
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("agent not found: nobody")]);
});

test("agents list --bindings tells the rules and the live state", async () => {
  const { stdout, code } = await cli(["agents", "list", "--bindings"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/main \(default\)/);
  expect(stdout).toMatch(/webhook.*home/);
  const rows = JSON.parse((await cli(["agents", "list", "--json"])).stdout) as {
    agents: { agentId?: string; id?: string; phase?: string }[];
  };
  expect(rows.agents.map(({ agentId, id }) => agentId ?? id)).toEqual(["main", "raul"]);
});

test("sessions, history, status and health", async () => {
  await cli(["send", "hello there"]);
  expect((await cli(["sessions"])).stdout).toContain("agent:main:main");
  expect((await cli(["history", "agent:main:main"])).stdout).toContain("hello there");
  expect(JSON.parse((await cli(["status", "--json"])).stdout)).toMatchObject({ version: expect.any(String) });
  expect(JSON.parse((await cli(["health", "--json"])).stdout)).toMatchObject({ ok: true });
});

test("route explain tells the winner and the losers", async () => {
  const { stdout } = await cli(["route", "explain", "--channel", "webhook", "--account", "raul", "--peer", "direct:x"]);
  expect(stdout).toMatch(/agent\s+raul/);
  expect(stdout).toMatch(/binding\.account/);
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

test("usage: help, version, mistakes", async () => {
  expect((await cli(["--help"])).stdout).toContain("gateway");
  expect((await cli(["--version"])).stdout.trim()).toMatch(/^cloister \d+\.\d+\.\d+$/);
  expect((await cli(["no-such-command"])).code).toBe(2);
});
