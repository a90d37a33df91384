/** A program gets a token on the command line and calls its agent by OpenAI's client and by A2A, on the real program, also after a restart. */
import { readFileSync } from "node:fs";
import path from "node:path";
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, startProgram } from "../support/program.ts";

afterAll(endPrograms);

test("callers add, a streamed answer, a restart, callers revoke", async () => {
  const endpoints = { chatCompletions: { enabled: true }, responses: { enabled: true }, a2a: { enabled: true } };
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
  /** As one calls it without a library. */
  const a2a = async (method: string, params: object): Promise<unknown> => {
    const response = await fetch(`${program.url}/a2a/shop`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "a2a-version": "1.0" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    return ((await response.json()) as { readonly result?: unknown }).result;
  };
  const message = { messageId: "m-1", role: "ROLE_USER", parts: [{ text: "by A2A" }] };
  const sent = (await a2a("SendMessage", { message })) as { readonly task: { readonly id: string } };
  const ended = { status: { state: "TASK_STATE_COMPLETED" }, artifacts: [{ parts: [{ text: "by A2A" }] }] };
  expect(sent.task).toMatchObject(ended);

  expect((await callers("allow", "site", "--agent", "shop", "main")).stdout).toContain("site may call shop, main");
  expect((await callers("add", "site", "--agent", "shop")).stderr).toContain("is a caller already");

  await program.stop();
  program = await startProgram(stateDir);
  const answer = await client().responses.create({ model: "agent/main", input: "after a restart" });
  expect(answer.output_text).toBe("after a restart");
  expect(await a2a("GetTask", { id: sent.task.id })).toMatchObject(ended);
  expect((await callers("list")).stdout).toMatch(/site +shop,main/);
  expect((await callers("revoke", "site")).stdout).toContain("site was revoked");
  await expect(client().models.list()).rejects.toMatchObject({ status: 401 });
  expect((await callers("revoke", "site")).code).not.toBe(0);
  await program.stop();
  const log = readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8");
  expect(log).not.toContain(token);
});
