/** From an API key to an agent that works: two commands of the real program, and a provider on this machine that speaks its wire format. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { openModelServer } from "../support/model-servers.ts";
import { endPrograms, makeStateDir, runCommand, startProgram } from "../support/program.ts";

afterAll(endPrograms);

test("with one API key: set a model, start, and the agent answers with its tools", async () => {
  const server = await openModelServer("anthropic-messages", [
    { type: "say", said: { pieces: ["Let me see."], calls: [{ id: "c1", name: "agents_list", input: {} }] } },
    { type: "say", said: { pieces: ["There is ", "one agent."] } },
    { type: "say", said: { pieces: ["You asked about agents."] } },
  ]);
  const stateDir = makeStateDir({ models: { providers: { anthropic: { baseUrl: server.baseUrl } } } });
  const set = await runCommand(stateDir, ["config", "set", "agents.defaults.model", "anthropic/claude-test"]);
  expect(set).toMatchObject({ code: 0 });
  await startProgram(stateDir, [], { ANTHROPIC_API_KEY: "key-of-the-user" });

  const ask = (text: string) => runCommand(stateDir, ["agent", "--message", text]);
  expect((await ask("which agents are there?")).stdout).toContain("There is one agent.");
  expect((await ask("what did I ask?")).stdout).toContain("You asked about agents.");

  const [first, second, third] = server.received;
  expect(first?.headers["x-api-key"]).toBe("key-of-the-user");
  expect(JSON.stringify(first?.body["system"])).toContain("You are new here, and nothing is in your files yet.");
  expect(JSON.stringify(first?.body["tools"])).toContain("agents_list");
  expect(JSON.stringify(second?.body["messages"])).toMatch(/tool_result.*main/);
  expect(JSON.stringify(third?.body["messages"])).toContain("There is one agent.");

  const workspace = path.join(stateDir, "workspace");
  expect(readdirSync(workspace)).toContain("BOOTSTRAP.md");
  expect(readFileSync(path.join(workspace, "AGENTS.md"), "utf8")).toContain("memory/YYYY-MM-DD.md");
  // The conversation is in the store, and the key is nowhere on the disk.
  expect(readFileSync(path.join(stateDir, "cloister.json"), "utf8")).not.toContain("key-of-the-user");
});
