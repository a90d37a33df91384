/** A program gets a token on the command line and calls its agent by OpenAI's client, on the real program, also after a restart. */
import { readFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";

afterAll(endPrograms);

test("callers add, a streamed answer, a restart, callers revoke", async () => {
  const endpoints = { chatCompletions: { enabled: true }, responses: { enabled: true } };
  const stateDir = makeStateDir({
    gateway: { port: 0, http: { endpoints } },
    agents: { defaults: { module: "echo" }, list: [{ id: "main" }, { id: "shop" }] },
  });
  const callers = (...args: string[]) => runLine(stateDir, ["callers", ...args]);
  let program = await startProgram(stateDir);
  const added = await callers("add", "site", "--agent", "shop");
  expect(added).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("which may call shop; it is told this once"),
  });
  const token = added.stdout.trim();
  expect(token).toMatch(/^clt_[\w-]{43}$/);
  const client = (): OpenAI => new OpenAI({ apiKey: token, baseURL: `${program.url}/v1`, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "hello" }];

  let text = "";
  for await (const chunk of await client().chat.completions.create({ model: "agent/shop", messages, stream: true }))
    text += chunk.choices[0]?.delta.content ?? "";
  expect(text).toBe("hello");
  await expect(client().chat.completions.create({ model: "agent/main", messages })).rejects.toMatchObject({
    status: 403,
  });
  expect((await callers("allow", "site", "--agent", "shop", "main")).stdout).toContain("site may call shop, main");
  expect((await callers("add", "site", "--agent", "shop")).stderr).toContain("is a caller already");

  await program.stop();
  program = await startProgram(stateDir);
  const answer = await client().responses.create({ model: "agent/main", input: "after a restart" });
  expect(answer.output_text).toBe("after a restart");
  expect((await callers("list")).stdout).toMatch(/site +shop,main/);
  expect((await callers("revoke", "site")).stdout).toContain("site was revoked");
  await expect(client().models.list()).rejects.toMatchObject({ status: 401 });
  expect((await callers("revoke", "site")).code).not.toBe(0);
  await program.stop();
  const log = readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8");
  expect(log).not.toContain(token);
});
