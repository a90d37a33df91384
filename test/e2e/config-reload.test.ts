/** The real program takes up edits of its configuration file, whoever makes them and whatever happens meanwhile. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import {
  endPrograms,
  gatewayPid,
  launchWithLauncher,
  makeStateDir,
  nextLife,
  runCommand,
  startProgram,
} from "../support/program.ts";

afterEach(endPrograms);

const text = `// the office
{
  agents: { list: [{ id: "main", module: "echo" }] },
  gateway: { reload: { debounceMs: 20 } },
}
`;
const withAgents = (...ids: readonly string[]): string =>
  text.replace(
    '[{ id: "main", module: "echo" }]',
    `[${ids.map((id) => `{ id: "${id}", module: "echo" }`).join(", ")}]`,
  );

const json = async (stateDir: string, ...args: readonly string[]) => {
  const { code, stdout, stderr } = await runLine(stateDir, [...args, "--json"]);
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
};
const say = async (stateDir: string, agent: string, words: string): Promise<string> =>
  (await runLine(stateDir, ["send", "--agent", agent, words])).stdout.trim();
const statusOf = async (stateDir: string) =>
  (await json(stateDir, "health")).config ?? (await json(stateDir, "status")).config;

test("an edit in place, a file that takes its place, and a broken one, while messages come and go", async () => {
  const stateDir = makeStateDir(text);
  const file = path.join(stateDir, "cloister.json");
  const program = await startProgram(stateDir);
  const over = new AbortController();
  const talk = (async () => {
    const replies: string[] = [];
    while (!over.signal.aborted) replies.push(await say(stateDir, "main", `m${replies.length}`));
    return replies;
  })();

  writeFileSync(file, withAgents("main", "raul"));
  await expect.poll(() => say(stateDir, "raul", "hello")).toBe("hello");
  writeFileSync(`${file}.mine`, withAgents("main", "raul", "ana"));
  renameSync(`${file}.mine`, file);
  await expect.poll(() => say(stateDir, "ana", "hello")).toBe("hello");

  writeFileSync(file, withAgents("main").replace("agents:", "agent:"));
  await expect.poll(program.output).toContain("config reload skipped (invalid config)");
  expect(program.output()).toContain("agent");
  expect(await say(stateDir, "ana", "still here")).toBe("still here");
  writeFileSync(file, withAgents("main", "raul"));
  await expect.poll(() => say(stateDir, "ana", "gone?")).toBe("");
  over.abort();
  const replies = await talk;
  expect(replies).toEqual(replies.map((_reply, index) => `m${index}`));

  // Variables count as the file does that names them.
  const nameOf = async (): Promise<unknown> => {
    const { agents } = await json(stateDir, "agents", "list");
    return agents.find(({ id }: { id: string }) => id === "main").name;
  };
  writeFileSync(path.join(stateDir, ".env"), "MAIN_NAME=Ana\n");
  writeFileSync(file, text.replace('{ id: "main",', '{ id: "main", identity: { name: "${MAIN_NAME}" },'));
  await expect.poll(nameOf).toBe("Ana");
  writeFileSync(path.join(stateDir, ".env"), "MAIN_NAME=Bea\n");
  await expect.poll(nameOf).toBe("Bea");
  expect(await program.stop()).toBe(0);
});

test("the command line changes the file, through the gateway and without it, and keeps what a person wrote", async () => {
  const stateDir = makeStateDir(text);
  const file = path.join(stateDir, "cloister.json");
  const now = (): string => readFileSync(file, "utf8");
  expect(await json(stateDir, "agents", "add", "Work", "--module", "echo")).toMatchObject({
    agentId: "work",
    through: "file",
  });
  expect(now()).toContain("// the office");
  const program = await startProgram(stateDir);
  expect(await say(stateDir, "work", "hello")).toBe("hello");
  expect(await json(stateDir, "agents", "add", "ana", "--module", "echo")).toMatchObject({ through: "gateway" });
  expect(await say(stateDir, "ana", "hello")).toBe("hello");
  await json(stateDir, "agents", "bind", "--agent", "ana", "--bind", "webhook:home");
  expect(await json(stateDir, "config", "set", "agents.list[id=ana].name", "Anna")).toMatchObject({
    answer: { agents: { changed: ["ana"] } },
  });
  expect((await runLine(stateDir, ["config", "get", "agents.list[id=ana].name"])).stdout.trim()).toBe("Anna");
  const wrong = await runLine(stateDir, ["config", "set", "session.dmScope", "nonsense"]);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain("session.dmScope");
  expect(await json(stateDir, "config", "diff")).toMatchObject({ sections: [], restart: [] });
  expect((await runLine(stateDir, ["agents", "delete", "ana"])).stderr).toContain("--force");
  await json(stateDir, "agents", "delete", "ana", "--force");
  expect(await say(stateDir, "ana", "hello")).toBe("");
  expect(now()).toContain("// the office");
  expect(now()).not.toContain("ana");
  expect(await program.stop()).toBe(0);
});

test("a gateway that is killed in the middle of changes comes back with a file that is whole", async () => {
  const stateDir = makeStateDir(text);
  const file = path.join(stateDir, "cloister.json");
  const starting = launchWithLauncher(stateDir);
  let program = await starting.ready;
  for (let round = 0; round < 2; round++) {
    const pid = gatewayPid(stateDir);
    const writes = Array.from({ length: 4 }, (_, index) =>
      runCommand(stateDir, ["config", "patch", `{ agents: { list: [{ id: "a${round}${index}", module: "echo" }] } }`]),
    );
    await expect.poll(() => readFileSync(file, "utf8").includes(`a${round}`), { interval: 2 }).toBe(true);
    process.kill(pid, "SIGKILL");
    program = await nextLife(program, pid);
    await Promise.all(writes);
    expect((await runLine(stateDir, ["config", "validate"])).code).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("// the office");
    expect(await say(stateDir, "main", "hello")).toBe("hello");
  }
  program.process.kill("SIGTERM");
  await starting.ended;
});

test("after a crash with a broken file the configuration that worked last is used; a person's start refuses, and restore repairs", async () => {
  const stateDir = makeStateDir(text);
  const file = path.join(stateDir, "cloister.json");
  const starting = launchWithLauncher(stateDir);
  const program = await starting.ready;
  const pid = gatewayPid(stateDir);
  writeFileSync(file, "{ broken");
  process.kill(pid, "SIGKILL");
  await nextLife(program, pid);
  expect(await say(stateDir, "main", "hello")).toBe("hello");
  expect((await statusOf(stateDir)).error.code).toBe("CLOISTER_CONFIG_UNREADABLE");
  program.process.kill("SIGTERM");
  await starting.ended;
  expect((await runCommand(stateDir, ["gateway", "--port", "0", "--no-launcher"])).code).toBe(1);
  expect(await json(stateDir, "config", "restore")).toMatchObject({ restored: [file] });
  expect(readFileSync(file, "utf8")).toBe(text);
});
