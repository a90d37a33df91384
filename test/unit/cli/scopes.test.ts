/** AC-17.1: what each command asks for is what the methods need that it calls, and no more. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { holdsScope } from "../../../auth/scopes.ts";
import { runProgram } from "../../../runtime/cli/program.ts";
import { findMethod } from "../../../runtime/edge/methods.ts";
import { findCommands } from "../../repo/reference.ts";
import { makeContext, makeFakeTerminal } from "./fake-terminal.ts";
import { type Request, type ScriptedGateway, startGatewayIn } from "./scripted-gateway.ts";

const device = "d".repeat(64);
const noProcess = 2 ** 30;
const pending = {
  requestId: "req-1",
  revision: 1,
  deviceId: device,
  role: "operator",
  kind: "new",
  scopes: ["operator.read"],
  clientId: "panel",
  clientMode: "ui",
  ts: 1,
};

/** Answers without which a command would not ask its next question. */
const answers: Readonly<Record<string, object>> = {
  "device.pair.list": { pending: [pending], paired: [{ deviceId: device, clientId: "c", clientMode: "cli" }] },
  "grants.requests": {
    requests: [
      {
        id: "r-1",
        from: "a",
        to: "b",
        verb: "send",
        revision: 1,
        messages: [],
        releasing: false,
        consequences: { once: [], grant: [] },
      },
    ],
  },
  // The process after the one that was told to end.
  "gateway.status": { pid: noProcess, bootId: "next", startedAtMs: 1, runs: 0, ready: true },
  "gateway.stop": { pid: noProcess, bootId: "last", drainMs: 0, runs: 0 },
  "gateway.restart": { pid: noProcess, bootId: "last", drainMs: 0, runs: 0 },
  "config.get": {
    path: "cloister.json",
    hash: "h",
    parsed: {
      channels: { irc: {} },
      agents: { list: [{ id: "main" }, { id: "other" }] },
      bindings: [{ agentId: "main", match: { channel: "webhook" } }],
    },
  },
  "config.proposals": { proposals: [] },
  "exec.approval.list": { requests: [] },
  "config.proposals.show": { proposal: { id: "p-1" }, check: { valid: true, hash: "h" } },
  "channels.pairing.list": { requests: [], approved: [] },
  "agents.list": { agents: [{ agentId: "main", isDefault: true, mainSessionKey: "agent:main:main" }] },
};

/** What commands need to ask the gateway, beside a word for each argument that their usage names. */
const words: Readonly<Record<string, readonly string[]>> = {
  agent: ["--message", "x"],
  "gateway call": ["health"],
  who: ["--agent", "main"],
  "nodes invoke": ["n", "camera.snap"],
  "system event": ["--text", "x"],
  "cron add": ["x", "--every", "1h", "--message", "x"],
  "cron update": ["j-1", "--disable"],
  "callers add": ["x", "--agent", "main"],
  "callers allow": ["x", "--agent", "main"],
  "agents add": ["work"],
  "agents delete": ["other", "--force"],
  "agents bind": ["--agent", "main", "--bind", "irc"],
  "agents unbind": ["--agent", "main", "--all"],
  "agents set-identity": ["--agent", "main", "--name", "M"],
  "channels login": ["--channel", "irc"],
  "channels logout": ["--channel", "irc"],
  "config set": ["session.dmScope", "main"],
  "config patch": ["{}"],
  "config proposals apply": ["p-1", "--yes"],
  "sessions label": ["agent:main:main", "a label"],
  "sessions set": ["agent:main:main", "--model", "default"],
  "deadletters purge": ["--all"],
  "grants add": ["a", "b", "send"],
  "grants approve": ["r-1", "--once", "--yes"],
  "grants explain": ["a", "b", "send"],
  "devices approve": ["req-1"],
  "devices rename": ["--device", device, "--name", "x"],
  "devices revoke": ["--device", device],
  "devices rotate": ["--device", device],
  "devices clear": ["--yes"],
  "pairing approve": ["AAAAAAAA"],
  "pairing reject": ["AAAAAAAA"],
  "route explain": ["--channel", "webhook", "--peer", "direct:a"],
};

/** Why a command asks no running gateway. */
const quiet: Readonly<Record<string, string>> = {
  "gateway run": "is the gateway",
  "config validate": "reads the file, so that it works without a gateway",
  "config path": "says where the file is",
  "channels capabilities": "says what this program knows",
  "config schema": "says what this program knows",
  "config diff": "compares files, so that it works without a gateway",
  "config restore": "repairs what keeps the gateway from starting",
  completion: "prints a script",
  "actor check": "runs a module in a gateway of its own, which has no doors",
  "secrets list": "reads a file of the state directory, so that it works without a gateway",
  "secrets set": "writes that file",
  "secrets remove": "likewise",
  "models status": "reads the configuration and files of the agents, so that it works without a gateway",
  "models auth list": "reads files of the agents, so that it works without a gateway",
  "models auth login": "asks the provider, and writes such a file",
  "models auth logout": "likewise",
  "mcp serve": "asks the door for programs what its client asks",
  restore: "wants a state directory that no gateway has",
};

/** Why a command asks for more than its methods need. */
const holdsMore: Readonly<Record<string, string>> = {
  "devices approve": "who approves holds what is given",
  "devices rotate": "likewise",
  "gateway status": "tells what the command line may have (AC-20.2)",
  "devices doctor": "likewise",
  doctor: "likewise",
};

let home: string;
let gateway: ScriptedGateway;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "cloister-scopes-"));
  gateway = await startGatewayIn(path.join(home, ".cloister"), (asked, { answer }) =>
    answer(asked, answers[asked.method] ?? {}),
  );
});
afterEach(async () => {
  await gateway.close();
  await rm(home, { recursive: true, force: true });
});

interface Connection {
  readonly asked: readonly string[];
  readonly needed: readonly string[];
}

/** The requests of each connection, as the scopes that it asked for and those that its methods need. */
function connections(requests: readonly Request[]): readonly Connection[] {
  const found: { asked: readonly string[]; needed: string[] }[] = [];
  for (const { method, params } of requests) {
    if (method === "connect") found.push({ asked: params["scopes"] as readonly string[], needed: [] });
    else {
      const { scope = "unknown", needs } = findMethod(method) ?? {};
      const further = needs?.(params as never);
      found.at(-1)?.needed.push(scope, ...(further === undefined ? [] : [further]));
    }
  }
  return found;
}

/** Commands that have none below them, as the program lists them, with a word for each argument. */
const found = await findCommands();
const names = found.map((command) => command.words.join(" "));
const commands = found
  .map(({ help }, at) => ({ name: names[at] ?? "", usage: /^Usage: cloister (.*)$/m.exec(help)?.[1] ?? "" }))
  .filter(({ name }) => name !== "" && !names.some((other) => other.startsWith(`${name} `)))
  .map(({ name, usage }) => ({ name, args: words[name] ?? [...usage.matchAll(/<[^>]+>/g)].map(() => "x") }));

const run = async (name: string, args: readonly string[]): Promise<readonly Connection[]> => {
  const terminal = makeFakeTerminal();
  terminal.input.end("a line for those that read\n");
  // What it makes of the answers is no matter here, but that it asked.
  await runProgram(makeContext(home, terminal), [...name.split(" "), ...args]).catch(() => 1);
  return connections(gateway.requests);
};

const asking = commands.filter(({ name }) => quiet[name] === undefined);

it.each(asking)("AC-17.1: $name asks for what its methods need, and no more", async ({ name, args }) => {
  const seen = await run(name, args);
  const methods = seen.flatMap(({ needed }) => needed);
  expect(methods.length, "it asked nothing: give it its words, or say why it is quiet").toBeGreaterThan(0);
  for (const { asked, needed } of seen) {
    for (const scope of needed) expect(holdsScope(asked, scope), `${scope} with ${asked.join()}`).toBe(true);
    if (holdsMore[name] !== undefined || needed.length === 0) continue;
    for (const scope of asked) expect(needed, `${scope} is more than it needs`).toContain(scope);
  }
});

it.each(Object.keys(quiet).filter((name) => name !== "gateway run"))("%s asks no gateway", async (name) => {
  const args = commands.find((command) => command.name === name)?.args ?? [];
  expect(await run(name, args)).toEqual([]);
});

it("names only commands that there are", () => {
  const there = commands.map(({ name }) => name);
  for (const name of [...Object.keys(words), ...Object.keys(quiet), ...Object.keys(holdsMore)])
    expect(there).toContain(name);
});
