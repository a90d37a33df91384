/**
 * W-11: what is in the memory of one agent's cell, in the real program with real secrets. At level `thread` it is the heap snapshot
 * of the cell's worker; at level `process` all memory of the cell's process that can be read.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { text as readBody } from "node:stream/consumers";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { keepSecret } from "../../runtime/broker/secret-file.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { openHttpMcp } from "../support/mcp.ts";
import { openModelServer } from "../support/model-servers.ts";
import { cellProcessesOf } from "../support/processes.ts";
import type { Level } from "../support/levels.ts";

afterAll(endPrograms);

/** Nothing of these is agent A's. Each is long and like nothing else, so that where it is found it was brought. */
const secrets = {
  "the gateway's token": "canary-gateway-5f1c2b7d90",
  "a token of a channel": "canary-channel-77ab03e1c4",
  "a secret of the environment": "canary-environment-19d0c8",
  "a secret of .env": "canary-dotenv-64b2e9a0f1",
  "the key of a model's provider": "canary-model-key-9ac3d15e",
  "a credential of A for models that expired": "canary-profile-of-a-2f60b8",
  "its refresh token": "canary-refresh-of-a-8c14d7",
  "the secret of its client": "canary-client-of-a-45e9b0",
  "the credential of A that it was renewed to": "canary-renewed-of-a-e07c52",
  "the refresh token that came with it": "canary-refreshed-of-a-19fb3d",
  "a credential of an MCP server": "canary-mcp-server-d6520ae9",
  "a secret that the gateway keeps": "canary-store-51be08d7c2",
  "a secret in a file": "canary-file-a3390e17fb",
  "a secret of a program": "canary-program-7d1f4460ce",
  "B's credential": "canary-options-of-b-3e8f27",
  "what a person said to B": "canary-said-to-b-c05a918d",
} as const;
const own = { option: "canary-options-of-a-b81f6e", said: "canary-said-to-a-0d93c7f2" };
const actor = `import { defineActor } from "cloister";
export default defineActor({
  state: () => ({ heard: [] as string[] }),
  async message(ctx, message) {
    ctx.state.heard.push(message.text);
    if (ctx.agent.model !== undefined) {
      await ctx.model.text("think of " + message.text);
      const said = await ctx.tools.call("mcp__echo__echo", { text: "again" });
      if (said.status !== "ok") throw new Error(JSON.stringify(said));
    }
    ctx.reply("kept " + ctx.state.heard.length);
  },
});`;

/** Writes the heap snapshot of the worker with this name when the process is sent SIGUSR2. */
const snapshotter = `
import fs from "node:fs";
import { pipeline } from "node:stream/promises";
// The gateway empties its environment.
const file = process.env.SNAPSHOT_FILE;
process.on("worker", (worker) => {
  if (!/^c\\d+:a$/.test(worker.threadName)) return;
  process.on("SIGUSR2", async () => {
    await pipeline(await worker.getHeapSnapshot(), fs.createWriteStream(file + ".part"));
    fs.renameSync(file + ".part", file);
  });
});`;

/** Both agents have heard something, so that both cells live. */
async function startPair(level: Level): Promise<{ readonly program: Program; readonly snapshotFile: string }> {
  const agent = (id: string, apiKey: string) => ({
    id,
    module: "./actor.ts",
    options: { apiKey },
    isolation: { level },
  });
  const models = await openModelServer("anthropic-messages", [{ type: "say", said: { pieces: ["I thought"] } }]);
  const echo = await openHttpMcp();
  const tokens = await openTokenServer();
  onTestFinished(async () => {
    await Promise.all([echo.close(), tokens.close()]);
  });
  const keyFile = path.join(mkdtempSync(path.join(os.tmpdir(), "cloister-key-")), "key");
  writeFileSync(keyFile, secrets["a secret in a file"], { mode: 0o600 });
  const headers = {
    "x-store": { source: "store", id: "kept" },
    "x-file": { source: "file", id: keyFile },
    "x-program": { source: "exec", provider: "vault", id: "any" },
  };
  const stateDir = makeStateDir({
    models: { providers: { anthropic: { baseUrl: models.baseUrl, apiKey: "${MODEL_KEY}", headers } } },
    agents: {
      list: [{ ...agent("a", own.option), model: { primary: "anthropic/m" } }, agent("b", "${B_KEY}")],
    },
    tools: { agentToAgent: { enabled: true, allow: ["a", "b"] }, sessions: { visibility: "all" } },
    gateway: { auth: { mode: "token", token: { source: "store", id: "gateway" } } },
    mcp: { servers: { echo: { url: echo.url, headers: { Authorization: "Bearer ${MCP_TOKEN}" } } } },
    channels: { webhook: { accounts: { home: { token: "${HOME_TOKEN}" } } } },
  });
  writeFileSync(path.join(stateDir, "actor.ts"), actor);
  await keepSecret(stateDir, "gateway", secrets["the gateway's token"], Date.now());
  await keepSecret(stateDir, "kept", secrets["a secret that the gateway keeps"], Date.now());
  mkdirSync(path.join(stateDir, "secret-programs"), { mode: 0o700 });
  const vault = path.join(stateDir, "secret-programs", "vault");
  writeFileSync(vault, `#!/bin/sh\necho ${secrets["a secret of a program"]}\n`, { mode: 0o700 });
  const written = {
    B_KEY: secrets["B's credential"],
    MODEL_KEY: secrets["the key of a model's provider"],
    HOME_TOKEN: secrets["a token of a channel"],
    MCP_TOKEN: secrets["a credential of an MCP server"],
    UNUSED: secrets["a secret of .env"],
  };
  writeFileSync(
    path.join(stateDir, ".env"),
    Object.entries(written)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  const agentDir = path.join(stateDir, "agents", "a", "agent");
  mkdirSync(agentDir, { recursive: true });
  const profile = {
    type: "oauth",
    provider: "anthropic",
    access: secrets["a credential of A for models that expired"],
    refresh: secrets["its refresh token"],
    expires: 1,
    tokenUrl: tokens.url,
    clientId: "cloister-tests",
    clientSecret: secrets["the secret of its client"],
  };
  writeFileSync(path.join(agentDir, "auth-profiles.json"), JSON.stringify({ profiles: { mine: profile } }));
  const hook = path.join(stateDir, "snapshotter.mjs");
  writeFileSync(hook, snapshotter);
  const snapshotFile = path.join(stateDir, "a.heapsnapshot");
  const program = await startProgram(stateDir, [], {
    NODE_OPTIONS: `--import=${hook}`,
    SNAPSHOT_FILE: snapshotFile,
    SOME_API_KEY: secrets["a secret of the environment"],
  });
  for (const [id, said] of [
    ["b", secrets["what a person said to B"]],
    ["a", own.said],
  ] as const)
    expect(await runLine(stateDir, ["send", "--agent", id, said])).toEqual({
      code: 0,
      stdout: "kept 1\n",
      stderr: "",
    });
  const figures = (token: string) =>
    fetch(new URL("/metrics", program.url), { headers: { authorization: `Bearer ${token}` } });
  expect((await figures(secrets["the gateway's token"])).status).toBe(200);
  expect((await figures("gateway")).status).toBe(401);
  // The threads of models and of MCP have used what must not be found in the cell.
  expect(tokens.asked.map((form) => Object.fromEntries(form))).toEqual([
    {
      grant_type: "refresh_token",
      refresh_token: secrets["its refresh token"],
      client_id: "cloister-tests",
      client_secret: secrets["the secret of its client"],
    },
  ]);
  expect(new Set(echo.seen.map(({ authorization }) => authorization))).toEqual(
    new Set([`Bearer ${secrets["a credential of an MCP server"]}`]),
  );
  expect(models.received.map(({ headers: sent }) => sent)).toMatchObject([
    {
      authorization: `Bearer ${secrets["the credential of A that it was renewed to"]}`,
      "x-store": secrets["a secret that the gateway keeps"],
      "x-file": secrets["a secret in a file"],
      "x-program": secrets["a secret of a program"],
    },
  ]);
  return { program, snapshotFile };
}

/** Renews a credential as an OAuth server does. */
async function openTokenServer() {
  const asked: URLSearchParams[] = [];
  const answer = JSON.stringify({
    access_token: secrets["the credential of A that it was renewed to"],
    refresh_token: secrets["the refresh token that came with it"],
    token_type: "Bearer",
    expires_in: 3_600,
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    asked.push(new URLSearchParams(await readBody(request)));
    response.setHeader("content-type", "application/json").end(answer);
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => new Promise<void>((resolve) => void server.close(() => resolve()));
  return { asked, url: `http://127.0.0.1:${port}/token`, close };
}

function expectNoSecret(program: Program, holds: (text: string) => boolean): void {
  // What looks for secrets finds what is there.
  for (const [name, text] of Object.entries(own)) expect(holds(text), `its own ${name}`).toBe(true);
  for (const [name, text] of Object.entries({ ...secrets, "the operator's key": program.key }))
    expect(holds(text), name).toBe(false);
  for (const [name, text] of Object.entries(secrets))
    if (name.startsWith("a secret")) expect(program.output(), `${name}, in the log`).not.toContain(text);
}

test("W-11: a heap snapshot of A's worker has no secret of B, of the gateway or of its operator in it", async () => {
  const { program, snapshotFile } = await startPair("thread");
  program.process.kill("SIGUSR2");
  await expect.poll(() => existsSync(snapshotFile)).toBe(true);
  const snapshot = readFileSync(snapshotFile, "utf8");
  expectNoSecret(program, (text) => snapshot.includes(text));
  expect(await program.stop()).toBe(0);
});

test("W-11: the memory of A's process has no secret of B, of the gateway or of its operator in it", async () => {
  const { program } = await startPair("process");
  const memories = cellProcessesOf(program.process.pid ?? 0).map((pid) => searched(readMemory(pid)));
  expect(memories).toHaveLength(2);
  const [holds = () => false] = memories.filter((one) => one(own.said));
  expectNoSecret(program, holds);
  expect(memories.filter((one) => one(secrets["B's credential"]))).toHaveLength(1);
  expect(await program.stop()).toBe(0);
});

/** Every mapping that can be read; those that the kernel does not give (as `[vvar]`) are left out. */
function readMemory(pid: number): readonly Buffer[] {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const parts: Buffer[] = [];
  for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
    const [, from = "", to = "", rights = ""] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
    const start = Number.parseInt(from, 16);
    if (!rights.startsWith("r") || start > Number.MAX_SAFE_INTEGER) continue;
    const part = Buffer.alloc(Number.parseInt(to, 16) - start);
    try {
      parts.push(part.subarray(0, readSync(memory, part, 0, part.length, start)));
    } catch {
      // A mapping of a device or of the kernel.
    }
  }
  closeSync(memory);
  return parts;
}

/** Whether a memory has a text. What all secrets begin with is looked for once: a pass over all memory for each of them takes minutes. */
function searched(memory: readonly Buffer[]): (text: string) => boolean {
  const begin = "canary-";
  const encodings = ["latin1", "utf16le"] as const;
  const found = new Set<string>();
  for (const part of memory)
    for (const encoding of encodings)
      for (let at = part.indexOf(begin, 0, encoding); at >= 0; at = part.indexOf(begin, at + 1, encoding))
        found.add(part.toString(encoding, at, at + 100));
  return (text) =>
    text.startsWith(begin)
      ? [...found].some((one) => one.startsWith(text))
      : memory.some((part) => encodings.some((encoding) => part.includes(text, 0, encoding)));
}
