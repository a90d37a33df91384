/** Channels of the operator's own in the real program: modules in a folder of theirs, outside of the repository. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runLine } from "../support/command-lines.ts";
import { eventually } from "../support/eventually.ts";
import { openLinesServer } from "../../examples/lines/lines-server.ts";
import { endPrograms, makeStateDir, type Program, repoRoot, startProgram } from "../support/program.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-own-channels-"));
const servers: (() => Promise<void>)[] = [];

afterAll(async () => {
  endPrograms();
  await Promise.all(servers.map((close) => close()));
});

async function openServer() {
  const server = await openLinesServer();
  servers.push(() => server.close());
  return server;
}

/** The example, and with `files` changed, in a folder of its own. Gives the section of the configuration. */
function install(name: string, port: number, files: Readonly<Record<string, string>> = {}): object {
  const dir = path.join(folder, name);
  cpSync(path.join(repoRoot, "examples/lines"), dir, { recursive: true });
  const manifest = { api: 1, id: name, text: { max: 1_000, unit: "utf16" }, capabilities: { mentions: true } };
  const properties = {
    host: { type: "string" },
    port: { type: "integer" },
    token: { type: "string", writeOnly: true },
  };
  const settings = { properties, required: ["host", "port", "token"] };
  writeFileSync(path.join(dir, "channel.json"), JSON.stringify({ ...manifest, settings }));
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(dir, file), text);
  return {
    module: path.join(dir, "index.ts"),
    host: "127.0.0.1",
    port,
    token: { source: "file", id: path.join(folder, "token") },
    dmPolicy: "open",
    allowFrom: ["*"],
  };
}

/** Where it is called from the channel's own code. */
const acting = (code: string): string =>
  `import { defineChannel } from "cloister/channels";
   export default defineChannel({
     open: (settings, host) => ({
       async run(signal) { ${code} },
       async probe() { throw new Error("never"); },
       async send() { return { status: "failed", reason: "never", retry: false }; },
     }),
   });`;

const broken = {
  "newer-api": { "channel.json": JSON.stringify({ api: 2, id: "newer-api" }) },
  "needs-more": {
    "index.ts": 'import { defineChannel, openWindow } from "cloister/channels"; openWindow(defineChannel);',
  },
  "no-channel": { "index.ts": "export const channel = 1;" },
  throws: { "index.ts": 'throw new Error("at its first line");' },
  exits: { "index.ts": acting("process.exit(3);") },
  spins: { "index.ts": acting("for (;;);") },
  floods: { "index.ts": acting("const all = []; for (;;) all.push(new Array(10_000).fill({}));") },
  loses: {
    "index.ts": acting('setTimeout(() => { throw new Error("in a timer"); }, 10); await new Promise(() => {});'),
  },
} as const;

interface Account {
  readonly connected: boolean;
  readonly lastError?: string;
  readonly remedy?: string;
}
interface Status {
  readonly channels: Readonly<Record<string, { readonly restarts: number }>>;
  readonly channelAccounts: Readonly<Record<string, readonly Account[]>>;
}

let program: Program;
let server: Awaited<ReturnType<typeof openLinesServer>>;
const run = (...args: readonly string[]) => runLine(program.stateDir, args);

async function status(): Promise<Status> {
  const { stdout } = await run("channels", "status", "--json");
  return JSON.parse(stdout) as Status;
}

beforeAll(async () => {
  server = await openServer();
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "token"), "SECRET\n", { mode: 0o600 });
  const modules = Object.fromEntries([
    ["lines", install("lines", server.port)],
    ...Object.entries(broken).map(([name, files]) => [name, install(name, server.port, files)]),
  ]);
  const config = {
    agents: { list: [{ id: "main", module: "echo" }] },
    channels: { modules },
  };
  program = await startProgram(makeStateDir(config));
});

test("A15.1: a channel of 150 lines answers through the program, with its secret read from a file", async () => {
  await eventually(async () => expect((await status()).channelAccounts["lines"]).toMatchObject([{ connected: true }]));
  server.say("helper", "hello", false, "first");
  await eventually(() => expect(server.arrived).toEqual([{ place: "ana", text: "hello" }]));
  expect(server.unconfirmed()).toBe(0);
  expect(server.violations).toEqual([]);
});

describe("A15.2: what was made for another version is refused before any of its code runs, or names what is missing", () => {
  test("a version of the API that is not this one's, when the configuration is read", async () => {
    const { stdout, stderr } = await run("config", "validate");
    expect(stdout + stderr).toContain("is for version 2 of the API of channels; this Cloister has version 1");
    expect((await status()).channelAccounts["newer-api"]).toBeUndefined();
  });

  test.each([
    ["needs-more", /needs "openWindow" of cloister\/channels, which version 1 of the API of channels does not have/],
    ["no-channel", /index\.ts has no channel as its default export/],
    ["throws", /index\.ts cannot be loaded: at its first line/],
  ] as const)(
    "%s: its account has failed, with the reason, and its thread is not started again",
    async (name, reason) => {
      await eventually(async () => {
        const [account] = (await status()).channelAccounts[name] ?? [];
        expect(account).toMatchObject({ connected: false, lastError: expect.stringMatching(reason) });
      });
      expect((await status()).channels[name]?.restarts).toBe(0);
    },
  );
});

describe("A15.3: a channel that ends, hangs or floods its memory hurts itself alone", () => {
  test.each(["exits", "spins", "floods", "loses"])(
    "%s: its thread is started again, and the others go on",
    async (name) => {
      await eventually(async () => expect((await status()).channels[name]?.restarts).toBeGreaterThan(0));
      const before = server.arrived.length;
      server.say("helper", `after ${name}`, false, name);
      await eventually(() => expect(server.arrived.slice(before)).toEqual([{ place: "ana", text: `after ${name}` }]));
    },
  );
});
