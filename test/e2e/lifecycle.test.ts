/** Starting, stopping, refusing to start, and what is on the disk. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, runCommand, startProgram } from "../support/program.ts";
import { siblings } from "../support/siblings.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

test("without a config: one agent main, nothing written outside the state directory, and what to do next is said", async () => {
  const stateDir = makeStateDir();
  const program = await startProgram(stateDir);
  expect(program.output()).toMatch(/agents\s+main \(scripted, default\)/);
  expect(program.output()).toMatch(new RegExp(`page\\s+http://127\\.0\\.0\\.1:${program.port}/`));
  expect(program.output()).toMatch(/talk\s+\S+.*chat/);
  expect(program.output(), "the key is not for logs").not.toContain(program.key);
  expect((await runCommand(stateDir, ["send", "who", "are", "you"])).stdout).toContain(
    `I am main, in the session agent:main:main. My workspace is ${path.join(stateDir, "workspace")}.`,
  );
  expect(await program.stop()).toBe(0);
  // HOME is inside of it in these tests: it stays empty.
  expect(readdirSync(path.join(stateDir, "home"))).toEqual([]);
  expect(readdirSync(stateDir).toSorted()).toEqual([
    "agents",
    "audit.anchor",
    "config",
    "home",
    "logs",
    "operator.key",
    "run",
    "store",
    "workspace",
  ]);
  expect(statSync(path.join(stateDir, "operator.key")).mode & 0o777).toBe(0o600);
  expect(existsSync(path.join(stateDir, "run", "gateway.json"))).toBe(false);
});

test("the state directory of OPENCLAW_STATE_DIR and a config named openclaw.json are used as they are", async () => {
  const stateDir = makeStateDir();
  writeFileSync(
    path.join(stateDir, "openclaw.json"),
    "// as it was\n{ agents: { list: [{ id: 'home', default: true }, { id: 'work' }] } }",
  );
  const program = await startProgram(stateDir, [], { CLOISTER_STATE_DIR: "", OPENCLAW_STATE_DIR: stateDir });
  expect(program.output()).toMatch(/agents\s+home \(scripted, default\), work \(scripted\)/);
  expect(await program.stop()).toBe(0);
});

test("the shipped example runs", async () => {
  const stateDir = makeStateDir();
  const program = await startProgram(stateDir, ["--example", "siblings"]);
  const reply = await runLine(stateDir, ["send", "--agent", "main", "ask raul who are you"]);
  expect(reply).toMatchObject({ code: 0, stdout: expect.stringContaining("raul says: I am raul") });
  // The CLI asks about the gateway that runs, not about a config that is not there.
  expect(
    (await runLine(stateDir, ["route", "explain", "--channel", "webhook", "--account", "home", "--peer", "direct:ana"]))
      .stdout,
  ).toMatch(/agent\s+raul/);
  expect(await program.stop()).toBe(0);
});

test("conversations, labels and what agents remember survive a restart and a kill", async () => {
  const stateDir = makeStateDir(siblings());
  let program = await startProgram(stateDir);
  await runLine(stateDir, ["send", "remember that it rains"]);
  expect(await program.stop("SIGKILL")).toBe(null);
  program = await startProgram(stateDir);
  expect((await runLine(stateDir, ["send", "what do you remember"])).stdout).toContain("it rains");
  expect(await program.stop()).toBe(0);
  program = await startProgram(stateDir);
  const history = JSON.parse((await runLine(stateDir, ["history", "agent:main:main", "--json"])).stdout) as {
    messages: { content: { text: string }[] }[];
  };
  expect(history.messages.map(({ content }) => content[0]?.text)).toEqual(
    expect.arrayContaining(["remember that it rains", "what do you remember"]),
  );
  const sessions = JSON.parse((await runLine(stateDir, ["sessions", "--json"])).stdout) as {
    sessions: { key: string; messages: number }[];
  };
  expect(sessions.sessions).toMatchObject([{ key: "agent:main:main", messages: 4 }]);
  expect(await program.stop()).toBe(0);
});

test("what was accepted before a kill -9 is handled after it, once", async () => {
  const stateDir = makeStateDir(siblings({ agents: { list: [{ id: "main", module: "./slow.ts" }, { id: "raul" }] } }));
  const gate = path.join(stateDir, "workspace", "go");
  writeFileSync(
    path.join(stateDir, "slow.ts"),
    `import { defineActor } from "cloister";
     export default defineActor({
       state: () => ({ seen: [] }),
       async message(ctx, message) {
         while (!(await ctx.workspace.exists("go"))) await new Promise((resolve) => setTimeout(resolve, 20));
         ctx.state.seen.push(message.text);
         ctx.reply(ctx.state.seen.join(","));
       },
     });`,
  );
  let program = await startProgram(stateDir);
  for (const text of ["a", "b", "c"]) {
    const accepted = await post(
      `${program.url}/channels/webhook/home`,
      { text, sender: { id: "x" }, messageId: text },
      { authorization: "Bearer home-token" },
    );
    expect(accepted.body.status).toBe("accepted");
  }
  expect(await program.stop("SIGKILL")).toBe(null);
  writeFileSync(gate, "");
  program = await startProgram(stateDir);
  const last = await post(
    `${program.url}/channels/webhook/home`,
    { text: "d", sender: { id: "x" }, wait: true },
    { authorization: "Bearer home-token" },
  );
  expect(last.body.reply).toBe("a,b,c,d");
  expect(await program.stop()).toBe(0);
});

describe("a start that cannot be refuses with what was found and what to do", () => {
  const refuse = async (config: object | string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const result = await runCommand(makeStateDir(config), ["gateway", "--port", "0", ...args], { env });
    expect(result.code).toBe(1);
    return result.stderr + result.stdout;
  };

  test("a second gateway on the same state directory", async () => {
    const stateDir = makeStateDir();
    const program = await startProgram(stateDir);
    const second = await runCommand(stateDir, ["gateway", "--port", "0"]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(new RegExp(`${program.process.pid}`));
    expect(second.stderr).toContain("CLOISTER_STATE_DIR");
    expect(await program.stop()).toBe(0);
  });

  test("a port that is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const second = await runCommand(makeStateDir(), ["gateway", "--port", String(port)]);
    other.close();
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(String(port));
    expect(second.stderr).toContain("--port");
  });

  test("a bind beyond this machine without auth", async () => {
    expect(await refuse({ gateway: { bind: "lan", auth: { mode: "none" } } })).toMatch(/gateway\.(bind|auth)/);
    expect(await refuse({ gateway: { bind: "lan" } })).toMatch(/gateway\.auth/);
  });

  test("an unknown key, with the right one", async () => {
    const said = await refuse("{\n  sessions: { visibility: 'all' },\n}");
    expect(said).toContain("tools.sessions.visibility");
    expect(said).toMatch(/2/);
  });

  test("everything that is wrong is said at once, and `config validate` says the same", async () => {
    const config = {
      agents: { list: [{ id: "a" }, { id: "A" }] },
      bindings: [{ agentId: "nobody", match: { channel: "webhook" } }],
    };
    const said = await refuse(config);
    expect(said).toContain("agents.list[1].id");
    expect(said).toContain("bindings[0].agentId");
    const validated = await runCommand(makeStateDir(config), ["config", "validate"]);
    expect(validated.code).toBe(1);
    for (const line of ["agents.list[1].id", "bindings[0].agentId"])
      expect(validated.stdout + validated.stderr).toContain(line);
  });
});

test("secrets are in no log", async () => {
  const stateDir = makeStateDir(
    siblings({ logging: { level: "debug" }, gateway: { auth: { token: "a-shared-secret-token" } } }),
  );
  const program = await startProgram(stateDir);
  await post(
    `${program.url}/channels/webhook/home`,
    { text: "hi", sender: { id: "x" }, wait: true },
    { authorization: "Bearer home-token" },
  );
  await post(
    `${program.url}/channels/webhook/home`,
    { text: "hi", sender: { id: "x" } },
    { authorization: "Bearer wrong-token-value" },
  );
  expect(await program.stop()).toBe(0);
  const logs = readdirSync(path.join(stateDir, "logs")).map((file) =>
    readFileSync(path.join(stateDir, "logs", file), "utf8"),
  );
  expect(logs.join("")).toContain('"ready"');
  for (const secret of ["home-token", "a-shared-secret-token", "wrong-token-value", program.key])
    expect(logs.join("") + program.output()).not.toContain(secret);
});

test("a cell cannot learn the process's secrets from its environment", async () => {
  const stateDir = makeStateDir({ agents: { list: [{ id: "main", module: "./nosy.ts" }] } });
  writeFileSync(
    path.join(stateDir, "nosy.ts"),
    `import { defineActor } from "cloister";
     import fs from "node:fs";
     export default defineActor({
       message(ctx) {
         const tries = ["/proc/self/environ", "/proc/" + process.pid + "/environ", "${path.join(stateDir, "operator.key")}", "${path.join(stateDir, "cloister.json")}"];
         ctx.reply(JSON.stringify([process.env, process.cwd(), ...tries.map((file) => { try { return fs.readFileSync(file, "utf8"); } catch (error) { return error.code; } })]));
       },
     });`,
  );
  const program = await startProgram(stateDir, [], { MY_SECRET_TOKEN: "canary-value" });
  const reply = (await runCommand(stateDir, ["send", "look"])).stdout;
  expect(JSON.parse(reply)).toEqual([
    {},
    path.join(stateDir, "workspace"),
    "ERR_ACCESS_DENIED",
    "ERR_ACCESS_DENIED",
    "ERR_ACCESS_DENIED",
    "ERR_ACCESS_DENIED",
  ]);
  expect(await program.stop()).toBe(0);
});

test("SIGTERM lets a turn in flight end", async () => {
  const stateDir = makeStateDir({ agents: { list: [{ id: "main", module: "./slow.ts" }] } });
  writeFileSync(
    path.join(stateDir, "slow.ts"),
    `import { defineActor } from "cloister";
     export default defineActor({
       async message(ctx, message) {
         await ctx.workspace.write("begun", "");
         await new Promise((resolve) => setTimeout(resolve, 1_000));
         await ctx.workspace.write("ended", "");
         ctx.reply("done");
       },
     });`,
  );
  let program = await startProgram(stateDir);
  const sending = runCommand(stateDir, ["send", "go"]);
  await expect.poll(() => existsSync(path.join(stateDir, "workspace", "begun"))).toBe(true);
  expect(await program.stop()).toBe(0);
  await sending;
  expect(existsSync(path.join(stateDir, "workspace", "ended"))).toBe(true);
  program = await startProgram(stateDir);
  const history = (await runCommand(stateDir, ["history", "agent:main:main"])).stdout;
  expect(history).toContain("done");
  expect(await program.stop()).toBe(0);
});
