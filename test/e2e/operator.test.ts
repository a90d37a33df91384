/** The operator at the program itself: no device, approval or damage stands before who owns the state directory. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { connectAs, makeDevice, type TestDevice } from "../contract/device-kit.ts";
import { runLine } from "../support/command-lines.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";

afterAll(endPrograms);

const token = "the-gateway-token";
const config = {
  gateway: { auth: { token } },
  agents: { list: [{ id: "main", default: true }, { id: "raul" }] },
  tools: { agentToAgent: { enabled: true, allow: ["main"] } },
};

const remote = { remote: true, auth: { token } } as const;

interface Listed {
  readonly pending: readonly { readonly requestId: string; readonly deviceId: string }[];
  readonly paired: readonly { readonly deviceId: string }[];
}

const listed = async (stateDir: string): Promise<Listed> => {
  const answer = await runLine(stateDir, ["devices", "list", "--json"]);
  expect(answer).toMatchObject({ code: 0 });
  return JSON.parse(answer.stdout) as Listed;
};

const requestOf = async (stateDir: string, { id }: TestDevice): Promise<string> =>
  (await listed(stateDir)).pending.find(({ deviceId }) => deviceId === id)?.requestId ?? "none";

/** What the operator does on this machine, each command ending with 0 and saying that it went through the local socket. */
async function decideAll({ stateDir, port }: Program): Promise<void> {
  const [asking, refused] = [makeDevice(), makeDevice()];
  for (const device of [asking, refused]) await connectAs(port, device, remote);
  for (const args of [
    ["devices", "list"],
    ["devices", "approve", await requestOf(stateDir, asking)],
    ["devices", "reject", await requestOf(stateDir, refused)],
    ["devices", "remove", asking.id],
    ["grants", "add", "raul", "main", "send"],
    ["grants", "list"],
  ]) {
    const { code, stderr, stdout } = await runLine(stateDir, args);
    expect({ args, code, stderr, stdout }).toMatchObject({ code: 0 });
    if (args[0] === "devices") expect(stderr).toBe("as the operator of this machine, by its local socket\n");
  }
}

/** What else there is to look at and to decide: all at once, for none depends on another. */
async function decideRest({ stateDir, port }: Program): Promise<void> {
  const device = makeDevice();
  await connectAs(port, device, remote);
  const run = async (args: readonly string[]): Promise<void> =>
    expect({ args, ...(await runLine(stateDir, args)) }).toMatchObject({ args, code: 0 });
  await run(["devices", "approve", await requestOf(stateDir, device)]);
  await Promise.all([
    run(["devices", "rename", "--device", device.id, "--name", "desk"]),
    run(["devices", "rotate", "--device", device.id]),
    ...["deadletters", "pairing", "nodes", "callers"].map((what) => run([what, "list"])),
    run(["deadletters", "purge", "--all"]),
    run(["grants", "explain", "raul", "main"]),
  ]);
  await run(["devices", "revoke", "--device", device.id]);
}

/** Of the tests that add devices and grants of their own, and change nothing else. */
let whole: Program;

beforeAll(async () => {
  whole = await startProgram(makeStateDir(config));
});

describe("AC-12.1: with the command line's own device", () => {
  test.each(["unpaired", "pending", "read-only", "revoked"])("%s", async (state) => {
    const program = whole;
    const { stateDir } = program;
    const own = makeDevice();
    if (state !== "unpaired") await connectAs(program.port, own, { ...remote, scopes: ["operator.read"] });
    if (state === "read-only" || state === "revoked")
      expect((await runLine(stateDir, ["devices", "approve", own.id])).code).toBe(0);
    if (state === "revoked") expect((await runLine(stateDir, ["devices", "revoke", "--device", own.id])).code).toBe(0);
    await decideAll(program);
    await decideRest(program);
  });
});

test("AC-12.1: with the key's file away, or open to others: the socket alone is enough", async () => {
  const stateDir = makeStateDir(config);
  const program = await startProgram(stateDir);
  chmodSync(path.join(stateDir, "operator.key"), 0o644);
  await decideAll(program);
  rmSync(path.join(stateDir, "operator.key"));
  await decideAll(program);
  expect(program.output()).toContain("local-socket");
  await program.stop();
});

test("AC-12.1: with the socket away: the key alone is enough", async () => {
  const stateDir = makeStateDir(config);
  const program = await startProgram(stateDir);
  const device = makeDevice();
  await connectAs(program.port, device, remote);
  rmSync(path.join(stateDir, "run", "operator.sock"));
  const approved = await runLine(stateDir, ["devices", "approve", await requestOf(stateDir, device)]);
  expect(approved).toMatchObject({ code: 0, stderr: "" });
  await program.stop();
});

test("AC-12.1: with a damaged device store, and with a socket that a killed gateway left", async () => {
  const stateDir = makeStateDir(config);
  const first = await startProgram(stateDir);
  await first.stop("SIGKILL");
  const store = await openLmdbStore({ stateDir, agents: [{ agentId: "main" }, { agentId: "raul" }] });
  const rows = [
    { type: "paired" as const, id: "a", row: { deviceId: "a", tokens: 7 } },
    { type: "pending" as const, id: "b", row: { requestId: [] } },
  ];
  await store.keepDevices({ put: rows, remove: [] });
  await store.close();
  const program = await startProgram(stateDir);
  expect(program.output()).toContain("rows of devices cannot be read");
  await decideAll(program);
  await decideRest(program);
  await program.stop();
});

test("a socket in a path that is too long for one is left out, and the program works as before", async () => {
  const stateDir = path.join(makeStateDir(), "x".repeat(120));
  mkdirSync(stateDir);
  writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify(config));
  const program = await startProgram(stateDir);
  expect((await runLine(stateDir, ["agents"])).code).toBe(0);
  expect(program.output()).toContain("use a shorter state directory");
  await program.stop();
});

/** Carries out the tool that it is told, and answers with its result; what a sub-agent is given it says. */
const toolUser = `
import { defineActor } from "cloister";
export default defineActor({
  async message(ctx, { text, signal }) {
    if (signal?.type === "spawned") return ctx.reply("did " + signal.task);
    if (!text.startsWith("{")) return ctx.reply("heard " + text);
    const { tool, params } = JSON.parse(text);
    ctx.reply(JSON.stringify(await ctx.tools[tool](params)));
  },
});
`;

test("AC-09.1: with every device and the command line's key deleted, agents at work send and spawn as before", async () => {
  const stateDir = makeStateDir({
    gateway: { auth: { token } },
    agents: {
      list: [
        { id: "main", module: "./tool-user.ts", subagents: { allowAgents: ["raul"] } },
        { id: "raul", module: "./tool-user.ts" },
      ],
    },
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
  });
  writeFileSync(path.join(stateDir, "tool-user.ts"), toolUser);
  const program = await startProgram(stateDir);
  const devices = [makeDevice(), makeDevice()];
  for (const device of devices) await connectAs(program.port, device, { auth: { token }, scopes: ["operator.write"] });
  await connectAs(program.port, makeDevice(), remote);
  expect((await listed(stateDir)).paired).toHaveLength(2);
  const saidBefore = program.output().length;

  const use = async (tool: string, params: object): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await runLine(stateDir, ["send", JSON.stringify({ tool, params })]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const send = (message: string) =>
    use("sessions_send", { sessionKey: "agent:raul:main", message, timeoutSeconds: 30 });
  const spawn = (task: string) => use("sessions_spawn", { agentId: "raul", task });
  const before = [await send("one"), await spawn("one")];
  const meanwhile = Promise.all([send("two"), send("three"), spawn("two")]);
  expect((await runLine(stateDir, ["devices", "clear", "--yes"])).code).toBe(0);
  rmSync(path.join(stateDir, "operator.key"));
  const after = [...(await meanwhile), await send("four"), await spawn("three")];

  expect(await listed(stateDir)).toEqual({ pending: [], paired: [] });
  expect([before[0], after[0], after[1], after[3]].map((answer) => [answer?.["status"], answer?.["reply"]])).toEqual(
    ["one", "two", "three", "four"].map((message) => ["ok", `heard ${message}`]),
  );
  for (const answer of [before[1], after[2], after[4]]) expect(answer?.["status"]).toBe("accepted");
  expect(program.output().slice(saidBefore)).not.toMatch(/pairing required|MISSING_SCOPE|refused/);
  await program.stop();
});

test("an invitation from the command line lets one node in, which the command line then asks", async () => {
  const { stateDir, port } = whole;
  const invited = await runLine(stateDir, ["devices", "invite", "--role", "node", "--for", "5m"]);
  expect(invited).toMatchObject({ code: 0, stderr: expect.stringContaining("once, until") });
  const auth = { bootstrapToken: invited.stdout.trim() };
  const device = makeDevice();
  const asked = { remote: true, role: "node", scopes: [], commands: ["lamp.on"], auth };
  const { client, answer } = await connectAs(port, device, asked);
  expect(answer.ok).toBe(true);
  expect((await connectAs(port, makeDevice(), asked)).answer.ok).toBe(false);
  expect((await runLine(stateDir, ["nodes"])).stdout).toContain("lamp.on");
  const invoked = runLine(stateDir, ["nodes", "invoke", device.id, "lamp.on", "--params", '{"dim":true}']);
  const { payload } = await client.next(({ event }) => event === "node.invoke.request");
  expect(JSON.parse(payload.paramsJSON)).toEqual({ dim: true });
  await client.call("node.invoke.result", { id: payload.id, ok: true, payload: "lit" });
  const { code, stdout } = await invoked;
  expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ payload: "lit" })]);
});
