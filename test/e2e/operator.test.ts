/** The operator at the program itself: no device, approval or damage stands before who owns the state directory. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { connectAs, makeDevice, type TestDevice } from "../contract/device-kit.ts";
import { endPrograms, makeStateDir, type Program, runCommand, startProgram } from "../support/program.ts";

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
  const answer = await runCommand(stateDir, ["devices", "list", "--json"]);
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
    const { code, stderr, stdout } = await runCommand(stateDir, args);
    expect({ args, code, stderr, stdout }).toMatchObject({ code: 0 });
    if (args[0] === "devices") expect(stderr).toBe("as the operator of this machine, by its local socket\n");
  }
}

describe("AC-12.1: with the command line's own device", () => {
  test.each(["unpaired", "pending", "read-only", "revoked"])("%s", async (state) => {
    const stateDir = makeStateDir(config);
    const program = await startProgram(stateDir);
    const own = makeDevice();
    if (state !== "unpaired") await connectAs(program.port, own, { ...remote, scopes: ["operator.read"] });
    if (state === "read-only" || state === "revoked")
      expect((await runCommand(stateDir, ["devices", "approve", own.id])).code).toBe(0);
    if (state === "revoked")
      expect((await runCommand(stateDir, ["devices", "revoke", "--device", own.id])).code).toBe(0);
    await decideAll(program);
    await program.stop();
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
  const approved = await runCommand(stateDir, ["devices", "approve", await requestOf(stateDir, device)]);
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
  await program.stop();
});

test("a socket in a path that is too long for one is left out, and the program works as before", async () => {
  const stateDir = path.join(makeStateDir(), "x".repeat(120));
  mkdirSync(stateDir);
  writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify(config));
  const program = await startProgram(stateDir);
  expect((await runCommand(stateDir, ["agents"])).code).toBe(0);
  expect(program.output()).toContain("use a shorter state directory");
  await program.stop();
});
