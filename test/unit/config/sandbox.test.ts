/** Sandboxes and commands as the configuration says them: what is resolved, what is refused, what is a warning. */
import { describe, expect, it } from "vitest";
import { loadText, refusalOf } from "./load-text.ts";

const sandboxed = (sandbox: object, more: object = {}): object => ({
  agents: {
    list: [
      { id: "kim", sandbox: { mode: "all", ...sandbox } },
      { id: "lee", workspace: "/ws/lee" },
    ],
    ...more,
  },
});
const execOf = async (config: object) => (await loadText(config)).resolved.agents[0]?.exec;
const faultsOf = async (docker: object, backend = "docker") =>
  (await refusalOf(sandboxed({ backend, docker }))).map(({ path, message }) => `${path}: ${message}`);

describe("the settings of a sandbox", () => {
  it("are what its agent's model is told of them, and nothing where no session is sandboxed", async () => {
    const toldOf = async (sandbox: object) => (await loadText(sandboxed(sandbox))).resolved.agents[0]?.settings.sandbox;
    expect(await toldOf({})).toEqual({ covers: "all", access: "none", backend: "bubblewrap", hasNetwork: false });
    expect(await toldOf({ mode: "non-main", workspaceAccess: "ro", docker: { network: "bridge" } })).toEqual({
      covers: "non-main",
      access: "ro",
      backend: "docker",
      hasNetwork: true,
    });
    expect(await toldOf({ mode: "off" })).toBeUndefined();
  });

  it("are bubblewrap's without docker's, and docker's with them; an agent's stand for those of all, key by key", async () => {
    expect(await execOf(sandboxed({}))).toMatchObject({ backend: "bubblewrap", box: { network: "none" } });
    const own = sandboxed(
      { docker: { memory: "512m", binds: ["/data:/data", "/cache:/cache:rw"] } },
      { defaults: { sandbox: { docker: { memory: "1g", pidsLimit: 20 } } } },
    );
    expect(await execOf(own)).toMatchObject({
      backend: "docker",
      box: {
        memoryBytes: 536_870_912,
        processesMax: 20,
        binds: [
          { from: "/data", to: "/data", writable: false },
          { from: "/cache", to: "/cache", writable: true },
        ],
      },
    });
    expect(await execOf(sandboxed({ backend: "bubblewrap", docker: { pidsLimit: 3 } }))).toMatchObject({
      backend: "bubblewrap",
      box: { processesMax: 3 },
    });
  });

  it("have the variables of all beside those of an agent, and lists of the agent instead of them", async () => {
    const both = sandboxed(
      { docker: { env: { B: "own", C: "own" }, tmpfs: ["/scratch:size=64m"] } },
      { defaults: { sandbox: { docker: { env: { A: "all", B: "all" }, tmpfs: ["/tmp"] } } } },
    );
    expect(await execOf(both)).toMatchObject({
      box: { env: { A: "all", B: "own", C: "own" }, tmpfs: ["/scratch:size=64m"] },
    });
  });

  it("F131: a sandbox for all has the settings of all, and none of one agent's", async () => {
    const shared = sandboxed(
      { scope: "shared", docker: { pidsLimit: 3, network: "host" } },
      { defaults: { sandbox: { docker: { pidsLimit: 20 } } } },
    );
    expect(await execOf(shared)).toMatchObject({ box: { processesMax: 20, network: "none" } });
    expect((await loadText(shared)).resolved.warnings).toMatchObject([
      { path: "agents.list[0].sandbox.docker", message: expect.stringContaining("has no effect") },
    ]);
    const inherited = { defaults: { sandbox: { scope: "shared", docker: { pidsLimit: 20 } } } };
    expect((await loadText(sandboxed({ docker: { pidsLimit: 3 } }, inherited))).resolved.warnings).toHaveLength(1);
    expect((await loadText(sandboxed({}, inherited))).resolved.warnings).toEqual([]);
    const own = sandboxed({ scope: "agent", docker: { pidsLimit: 3 } }, inherited);
    expect((await loadText(own)).resolved.warnings).toEqual([]);
  });

  it.each([
    [{ network: "host" }, "docker", /docker\.network: gives a sandbox the network of something outside/],
    [{ network: "container:db" }, "docker", /docker\.network: gives a sandbox the network of something outside/],
    [{ network: "ns:/proc/1/ns/net" }, "docker", /docker\.network: gives a sandbox the network of something outside/],
    [{ network: "name=host" }, "docker", /docker\.network: is no name of a network/],
    [{ network: "name=host,alias=x" }, "bubblewrap", /docker\.network: is no name of a network/],
    [{ network: "bridge" }, "bubblewrap", /docker\.network: is a network, which bubblewrap has not/],
    [{ binds: ["/ws:/data"] }, "docker", /binds\[0\]: shows a sandbox \/ws\/lee, which it must not see/],
    [{ binds: ["/ws/lee/notes:/data"] }, "bubblewrap", /binds\[0\]: shows a sandbox \/ws\/lee/],
    [{ binds: ["/:/host"] }, "docker", /binds\[0\]: shows a sandbox .*\.cloister/],
    [{ binds: ["/var/run/docker.sock:/s"] }, "docker", /binds\[0\]: shows a sandbox docker's socket/],
    [{ binds: ["/run:/host-run"] }, "docker", /binds\[0\]: shows a sandbox docker's socket/],
    [{ binds: ["/data:/workspace/x"] }, "docker", /binds\[0\]: stands in the place of \/workspace\/x/],
  ])("refuse what would undo it: %j (%s)", async (docker, backend, message) => {
    const faults = await faultsOf(docker, backend);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });

  it.each([
    [{ image: "--privileged" }, /docker\.image: must be the name of an image/],
    [{ image: "debian stable" }, /docker\.image: must be the name of an image/],
    [{ memory: "0" }, /docker\.memory: must be bytes, more than none/],
    [{ memory: "0.0g" }, /docker\.memory: must be bytes, more than none/],
    [{ memory: 0 }, /docker\.memory: must be more than 0/],
    [{ tmpfs: ["tmp"] }, /docker\.tmpfs\[0\]: must be an absolute path/],
    [{ user: "root" }, /docker\.user: must be numbers/],
    [{ cpus: 0 }, /docker\.cpus/],
    [{ pidsLimit: 0 }, /docker\.pidsLimit/],
    [{ binds: ["data:/data"] }, /docker\.binds\[0\]: must be \/source:\/target/],
    [{ env: { "A=B": "x" } }, /docker\.env/],
  ])("are refused where docker would take them for something else, or not at all: %j", async (docker, message) => {
    const faults = await faultsOf(docker);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(message);
  });

  it("F132: a setupCommand that cannot succeed is told with the keys to change, and commands of the sandbox are refused", async () => {
    const setup = { setupCommand: "apt-get update" };
    const { resolved } = await loadText(sandboxed({ docker: setup }));
    expect(resolved.warnings).toMatchObject([
      {
        path: "agents.list[0].sandbox.docker.setupCommand",
        remedy: 'Set sandbox.docker.network: "bridge", sandbox.docker.readOnlyRoot: false, sandbox.docker.user: "0:0".',
      },
    ]);
    expect(resolved.agents[0]?.exec.fault?.message).toMatch(/cannot succeed/);
    const half = await execOf(sandboxed({ docker: { ...setup, network: "bridge", user: "0" } }));
    expect(half?.fault?.remedy).toBe("Set sandbox.docker.readOnlyRoot: false.");
    const whole = await execOf(
      sandboxed({ docker: { ...setup, network: "bridge", user: "0:0", readOnlyRoot: false } }),
    );
    expect(whole?.fault).toBeUndefined();
    expect((await execOf(sandboxed({ backend: "bubblewrap", docker: setup })))?.fault?.message).toMatch(
      /needs containers/,
    );
  });
});

describe("the rules of commands", () => {
  it("are strict on the host and free in a sandbox by default; what is written counts for both, an agent's key by key", async () => {
    expect(await execOf({})).toMatchObject({
      onHost: { security: "allowlist", ask: "on-miss", allow: [] },
      inSandbox: { security: "full", ask: "off" },
    });
    const written = await execOf({
      tools: { exec: { security: "full", ask: "always", allow: ["git  status"], timeoutSec: 1.5, host: "sandbox" } },
      agents: { list: [{ id: "kim", tools: { exec: { security: "deny" } } }] },
    });
    expect(written).toMatchObject({
      onHost: { security: "deny", ask: "always", allow: [["git", "status"]] },
      inSandbox: { security: "deny", ask: "always" },
      timeoutMs: 1_500,
      sandboxOnly: true,
    });
  });

  it("F135: elevated needs the global switch and both lists of senders; the agent's own takes away alone", async () => {
    const elevated = async (all: object, own?: object) =>
      (await execOf({ tools: { elevated: all }, agents: { list: [{ id: "kim", tools: { elevated: own } }] } }))
        ?.elevated;
    expect(await elevated({ enabled: true, allowFrom: { Telegram: [7] } })).toEqual({
      enabled: true,
      allowFrom: [{ telegram: ["7"] }],
    });
    expect(await elevated({}, { enabled: true })).toMatchObject({ enabled: false });
    expect(await elevated({ enabled: true }, { enabled: false })).toMatchObject({ enabled: false });
    expect(await elevated({ enabled: true }, { allowFrom: { telegram: ["8"] } })).toMatchObject({
      allowFrom: [{}, { telegram: ["8"] }],
    });
    expect(await execOf({ agents: { defaults: { elevatedDefault: "ask" }, list: [{ id: "kim" }] } })).toMatchObject({
      elevated: { usual: "ask" },
    });
  });
});
