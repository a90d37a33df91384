/**
 * Every command of the client that speaks with the gateway (protocol.md), unmodified, against Cloister: exit code and what it prints.
 * Both read the same configuration, as when somebody moves over.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectAs, makeDevice, type TestDevice } from "../contract/device-kit.ts";
import { actorPath } from "../support/actors.ts";
import { endPrograms, makeStateDir, type Program, startProgram } from "../support/program.ts";
import { type Client, makeClient } from "./unmodified-client.ts";

const token = "token-of-the-suite";
const config = {
  agents: {
    ownership: "explicit",
    defaults: { systemAgent: { agentId: "main" } },
    entries: { main: {}, raul: {} },
  },
  gateway: { mode: "local", auth: { mode: "token", token } },
};

let program: Program;
let client: Client;

beforeAll(async () => {
  // Beside what both read: an agent whose turn can be held, which only Cloister's modules can.
  const { entries } = config.agents;
  const held = {
    ...config,
    agents: { ...config.agents, entries: { ...entries, holder: { module: actorPath("holder") } } },
  };
  program = await startProgram(makeStateDir(held));
  const known = { ...config.agents, entries: { ...entries, holder: {} } };
  client = makeClient({ ...config, agents: known, gateway: { ...config.gateway, port: program.port } });
  // What is listed later has to be there, whichever test runs first.
  for (const agent of Object.keys(entries)) await json("agent", "--agent", agent, "--message", "who are you", "--json");
});

afterAll(async () => {
  expect(await program.stop()).toBe(0);
  endPrograms();
});

/** What one command printed, as JSON. */
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await client.run(...args);
  expect([code, stderr], args.join(" ")).toEqual([0, expect.any(String)]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** A device of another machine: it waits for a decision. */
async function waitingDevice(displayName: string): Promise<{ device: TestDevice; requestId: string }> {
  const device = makeDevice();
  const { answer } = await connectAs(program.port, device, {
    auth: { token },
    scopes: ["operator.read", "operator.write"],
    remote: true,
    client: { displayName },
  });
  return { device, requestId: answer.error.details.requestId as string };
}

test("agent: the answer of the agent, with its run and session", async () => {
  const answer = await json("agent", "--agent", "raul", "--message", "who are you", "--json");
  expect(answer).toMatchObject({
    status: "ok",
    summary: "completed",
    runId: expect.any(String),
    result: { payloads: [{ text: expect.stringContaining("I am raul"), mediaUrl: null }] },
  });
  const shown = await client.run("agent", "--agent", "main", "--message", "who are you");
  expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining("I am main")]);
});

test("agent: a run that fails is told, with exit code 1", async () => {
  const { code, stdout, stderr } = await client.run(
    "agent",
    "--agent",
    "raul",
    "--message",
    "/nothing",
    "--json",
    "--session-key",
    "agent:nobody:main",
  );
  expect([code, `${stdout}${stderr}`]).toEqual([1, expect.stringContaining("nobody")]);
});

test("agent: Ctrl-C stops the run on the gateway", async () => {
  const running = async (): Promise<unknown> => {
    const { agents } = await json("gateway", "call", "status", "--json");
    return (agents as { agentId: string; activeRuns: number }[]).find(({ agentId }) => agentId === "holder")
      ?.activeRuns;
  };
  const asking = client.start("agent", "--agent", "holder", "--message", "hold");
  await expect.poll(running).toBe(1);
  asking.send("SIGINT");
  expect((await asking.ended).code).not.toBe(0);
  await expect.poll(running).toBe(0);
});

test("health: the agents, their sessions, the state of the main thread", async () => {
  const { code, stdout } = await client.run("health");
  expect(code).toBe(0);
  expect(stdout).toMatch(/Agents: main \(default\), raul, holder/);
  expect(stdout).toMatch(/Gateway event loop: .*max=\d+ms p99=\d+ms util=[\d.]+ cpu=[\d.]+/);
  expect(stdout).toMatch(/Session store \(main\): .+ \(1 entries\)\n- agent:main:main \(\d+m ago\)/);
  expect(await json("health", "--json")).toMatchObject({
    ok: true,
    defaultAgentId: "main",
    agents: [
      { agentId: "main" },
      { agentId: "raul", sessions: { count: 1, recent: [{ key: "agent:raul:main" }] } },
      { agentId: "holder" },
    ],
  });
});

test("status: reachable, and what it holds", async () => {
  const { code, stdout } = await client.run("status");
  expect(code).toBe(0);
  expect(stdout).toMatch(/Gateway +│.+reachable/);
  expect(stdout).toMatch(/Gateway self +│.+app 0\.1\.0/);
  const told = await json("status", "--json");
  expect(told).toMatchObject({ gateway: { reachable: true } });
});

test("gateway probe: reachable", async () => {
  const { code, stdout } = await client.run("gateway", "probe");
  expect([code, stdout]).toEqual([0, expect.stringMatching(/Reachable: yes[^]*Connect: ok/)]);
});

test("gateway status: the connectivity probe is ok", async () => {
  const { code, stdout } = await client.run("gateway", "status");
  expect([code, stdout]).toEqual([0, expect.stringContaining("Connectivity probe: ok")]);
  expect(await json("gateway", "status", "--json")).toMatchObject({ rpc: { ok: true, server: { version: "0.1.0" } } });
});

test("gateway call: a method with its parameters", async () => {
  const listed = await json("gateway", "call", "sessions.list", "--params", '{"limit":1}', "--json");
  expect(listed).toMatchObject({ count: 1, hasMore: true, sessions: [{ key: expect.stringMatching(/^agent:/) }] });
  expect(await json("gateway", "call", "health", "--json")).toMatchObject({ ok: true });
  const unknown = await client.run("gateway", "call", "no.such.method");
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining("unknown method: no.such.method")]);
});

test("cron and channels: what there is", async () => {
  const jobs = await client.run("cron", "list");
  expect([jobs.code, jobs.stdout]).toEqual([0, expect.stringContaining("No")]);
  expect(await json("cron", "status")).toEqual({ enabled: true, jobs: 0, nextWakeAtMs: null });
  const channels = await client.run("channels", "status");
  expect([channels.code, channels.stdout]).toEqual([0, expect.stringContaining("Gateway reachable")]);
});

test("devices: list, preview, approve, reject, rename, rotate, revoke, remove", async () => {
  const first = await waitingDevice("first");
  expect(await json("devices", "list", "--json")).toMatchObject({ pending: [{ requestId: first.requestId }] });
  const listed = await client.run("devices", "list");
  expect([listed.code, listed.stdout]).toEqual([0, expect.stringContaining("Pending")]);

  for (const args of [
    ["devices", "approve"],
    ["devices", "approve", "--latest"],
  ]) {
    const preview = await client.run(...args);
    expect([preview.code, `${preview.stdout}${preview.stderr}`]).toEqual([1, expect.stringContaining(first.requestId)]);
  }
  const approved = await client.run("devices", "approve", first.requestId);
  expect([approved.code, approved.stderr, approved.stdout]).toEqual([0, "", expect.stringContaining("Approved")]);
  const { id } = first.device;
  expect(await json("devices", "list", "--json")).toMatchObject({
    pending: [],
    paired: expect.arrayContaining([expect.objectContaining({ deviceId: id })]),
  });

  expect((await client.run("devices", "rename", "--device", id, "--name", "kitchen")).code).toBe(0);
  const rotated = await json("devices", "rotate", "--device", id, "--role", "operator", "--json");
  expect(rotated).toMatchObject({ deviceId: id, role: "operator" });
  expect(rotated, "only the device itself may get its token").not.toHaveProperty("token");
  expect(await json("devices", "revoke", "--device", id, "--role", "operator", "--json")).toMatchObject({
    deviceId: id,
    revokedAtMs: expect.any(Number),
  });
  expect((await client.run("devices", "remove", id)).code).toBe(0);

  const second = await waitingDevice("second");
  const rejected = await client.run("devices", "reject", second.requestId);
  expect([rejected.code, rejected.stdout]).toEqual([0, expect.stringContaining("Rejected")]);
  const left = await json("devices", "list", "--json");
  expect(left).toMatchObject({ pending: [] });
  expect(JSON.stringify(left)).not.toContain(id);
});

test("logs: the newest records; --follow tells what comes", async () => {
  const { code, stdout } = await client.run("logs", "--plain", "--limit", "2000");
  expect(code).toBe(0);
  expect(stdout).toMatch(/info.+client connected/);

  const following = client.start("logs", "--follow", "--json", "--interval", "100", "--limit", "5");
  await expect.poll(following.output).toContain("client connected");
  const { requestId } = await waitingDevice("logged");
  await expect.poll(following.output).toContain(requestId);
  following.send("SIGINT");
  await following.ended;
});

test("tui: a message and its answer, the history, an orderly end", async () => {
  const screen = client.open("tui", "--session", "agent:raul:main");
  try {
    await expect.poll(screen.text).toContain("gateway connected");
    expect(screen.text(), "the history").toContain("who are you");
    screen.type("remember that tea is better");
    await expect.poll(screen.text).toContain("remember that tea is better");
    screen.type("\r");
    await expect.poll(screen.text).toContain("I will remember: tea is better");
    expect(screen.text()).not.toMatch(/failed|unknown method/);
    screen.type("\x03");
    await expect.poll(screen.text).toContain("press ctrl+c again to exit");
    screen.type("\x03");
    expect((await screen.ended).exitCode).toBe(0);
  } finally {
    screen.kill();
  }
});
